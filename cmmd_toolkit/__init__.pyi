from .backbones import load_backbone as load_backbone
from .backbones.base import Backbone as Backbone
from .commands.compare import compare as compare, embed as embed
from .commands.contrast import contrast as contrast
from .commands.explain import explain as explain
from .commands.plan import plan as plan
from .commands.rank import rank as rank
from .commands.watch import Watch as Watch
from .common.cost import CostWarning as CostWarning
from .common.processes import shared_work as shared_work
from .errors import (
    ArgumentError as ArgumentError,
    BackboneError as BackboneError,
    CmmdError as CmmdError,
    DeviceError as DeviceError,
    InputError as InputError,
    PictureError as PictureError,
    ProcessError as ProcessError,
    WeightsError as WeightsError,
)
from .estimation.estimate import Estimate as Estimate
from .estimation.kernel_device import kernels_on as kernels_on
from .features.feature_set import FeatureSet as FeatureSet
from .features.features import Features as Features, GaussianStatistics as GaussianStatistics
from .inference.joint import JointFinding as JointFinding, JointTest as JointTest, joint_test as joint_test
from .inference.relative import RelativeTest as RelativeTest, relative_test as relative_test
from .inference.two_sample import TwoSampleTest as TwoSampleTest, two_sample_test as two_sample_test
from .metrics.copying import copying_score as copying_score
from .metrics.frechet import frechet_distance as frechet_distance
from .metrics.frechet_infinity import frechet_distance_infinity as frechet_distance_infinity
from .metrics.inception_score import inception_score as inception_score
from .metrics.kid import kernel_distance as kernel_distance
from .metrics.memorisation import Memorisation as Memorisation, memorisation as memorisation
from .metrics.mmd import median_distance as median_distance, squared_mmd as squared_mmd
from .metrics.neighbours import density_coverage as density_coverage, precision_recall as precision_recall
from .metrics.realism import Realism as Realism, realism as realism
from .metrics.sliced import mind as mind, sliced_wasserstein as sliced_wasserstein
from .metrics.vendi import vendi_by_class as vendi_by_class, vendi_score as vendi_score
from .report import Report as Report, Result as Result
from .report.contrast import Contrast as Contrast
from .report.explanation import Explanation as Explanation
from .report.plan import Plan as Plan
from .report.ranking import Ranking as Ranking
from .report.watching import Watching as Watching

__version__: str
