"""A step of sampling costs nothing but the network: counted on the device "meta", whose tensors hold no numbers."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dit_generators import DiT, DiTConfig, Guidance, linear_schedule, respace
from dit_generators.common.precision import Precision, kept_casts
from dit_generators.diffusion.flow import euler, heun, ode_times, sde, sde_times
from dit_generators.diffusion.guidance import guided
from dit_generators.diffusion.samplers import Step, ddim, ddpm
from dit_generators.diffusion.solvers import solve
from dit_generators.network.process import Flow
from dit_generators.sampling.sample import in_precision

CONFIG = DiTConfig(input_size=4, in_channels=3, patch_size=2, hidden_size=16, depth=2, num_heads=2, num_classes=5)
META = torch.device("meta")


class Count(TorchDispatchMode):
    """Counts numbers that are read back, copies between devices, and casts of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.read_back = self.uploads = self.casts = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        self.read_back += name in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")
        before = [x.device.type for x in args if isinstance(x, Tensor)]
        result = operation(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_"):
            self.uploads += (before[-1], result.device.type) == ("cpu", "meta")
            self.read_back += (before[-1], result.device.type) == ("meta", "cpu")
            self.casts += isinstance(args[0], torch.nn.Parameter)
        return result


def steps_of(sampler: str, guidance: Guidance) -> Iterator[Step]:
    model = DiT(CONFIG).eval().to(META)
    x_t, labels = torch.zeros(2, 3, 4, 4, device=META), torch.zeros(2, dtype=torch.int64, device=META)
    predict, schedule = guided(model, labels, guidance), respace(linear_schedule(), 8)
    with torch.no_grad():
        if sampler == "ddpm":
            yield from ddpm(predict, x_t, schedule, lambda: torch.zeros_like(x_t))
        elif sampler == "ddim":
            yield from ddim(predict, x_t, schedule, lambda: torch.zeros_like(x_t), 0.5)
        elif sampler in ("euler", "heun"):
            yield from (euler if sampler == "euler" else heun)(predict, x_t, ode_times(8), Flow("cosine", "data"))
        elif sampler == "sde":
            yield from sde(predict, x_t, sde_times(8), Flow("cosine"), lambda: torch.zeros_like(x_t))
        else:
            yield from solve(predict, x_t, linear_schedule(), 8, sampler)


def counted(steps: Iterator[Step]) -> Count:
    """What the steps after the first do."""
    next(steps)
    with Count() as count:
        assert len(list(steps)) == 7
    return count


@pytest.mark.parametrize("guidance", [Guidance(), Guidance(4.0), Guidance(4.0, interval=(100, 700))], ids=str)
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm-solver++", "euler", "heun", "sde"])
def test_no_step_waits_for_the_device_or_uploads_anything(sampler: str, guidance: Guidance) -> None:
    count = counted(steps_of(sampler, guidance))
    assert (count.read_back, count.uploads) == (0, 0)


def test_the_count_sees_what_it_is_there_to_see() -> None:
    x = torch.zeros(3, device=META)
    with Count() as count:
        torch.zeros(3).to(META)
        for read in (x.cpu, x.sum().item, x.tolist):
            with pytest.raises((RuntimeError, NotImplementedError)):
                read()
    assert count.uploads == 1
    assert count.read_back >= 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_are_cast_once_and_not_at_every_step(precision: Precision) -> None:
    model, device = DiT(CONFIG).eval(), torch.device("cpu")
    predict = in_precision(guided(model, torch.zeros(2, dtype=torch.int64), Guidance()), precision, device)
    x_t = torch.zeros(2, 3, 4, 4)
    casts = []
    with torch.no_grad(), kept_casts(precision, device):
        for _ in range(3):
            with Count() as count:
                predict(x_t, torch.tensor([5, 5]))
            casts.append(count.casts)
        assert not torch.is_autocast_enabled("cpu")
    assert casts[0] >= 10
    assert casts[1:] == [0, 0]
