from .attention.window import window_attention as window_attention
from .diffusion.guidance import Guidance as Guidance
from .diffusion.loss import diffusion_loss as diffusion_loss, velocity_loss as velocity_loss
from .diffusion.schedule import linear_schedule as linear_schedule, respace as respace
from .errors import (
    ArgumentError as ArgumentError,
    AttentionChangedWarning as AttentionChangedWarning,
    AttentionError as AttentionError,
    CheckpointError as CheckpointError,
    DitError as DitError,
    OutputError as OutputError,
)
from .network.config import DiTConfig as DiTConfig
from .network.model import DiT as DiT
from .network.process import Flow as Flow
from .sampling.sample import SampleSettings as SampleSettings, sample as sample
from .study.options import StudyOptions as StudyOptions
from .study.record import study_report as study_report
from .study.run import run_study as run_study
from .training.options import TrainOptions as TrainOptions
from .training.start import make_run as make_run
from .weights.autoencoder import Autoencoder as Autoencoder, load_autoencoder as load_autoencoder
from .weights.checkpoint import load_checkpoint as load_checkpoint, save_checkpoint as save_checkpoint
