"""Small DiTs with random weights, the way users get them, and the command in this process."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dit_generators.cli.main import main
from dit_generators.network.config import DiTConfig
from dit_generators.network.model import DiT
from dit_generators.weights.checkpoint import save_checkpoint

TINY: dict[str, Any] = {"patch_size": 2, "hidden_size": 32, "depth": 2, "num_heads": 2}


def random_model(seed: int = 0, **fields: Any) -> DiT:
    """A DiT whose every weight is random: the official initialisation gives zeros."""
    model = DiT(DiTConfig(**{**TINY, "input_size": 8, "in_channels": 3, "num_classes": 0, **fields}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model.eval()


def saved_model(path: Path, **fields: Any) -> Path:
    save_checkpoint(random_model(**fields), path)
    return path


def save_kl(folder: Path) -> Path:
    """A small AutoencoderKL of the real architecture: 4 latent channels, twice the size in pixels."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        layers_per_block=1,
    ).save_pretrained(folder)
    return folder


class Finished:
    """What a command printed and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def dit_gen(capfd: pytest.CaptureFixture[str], *arguments: object) -> Finished:
    """Run `dit-gen` with these arguments here."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    return Finished(int(stopped.value.code or 0), captured.out, captured.err)


def assert_refused(finished: Finished, message: str) -> None:
    """One line on stderr with this message, exit code 2."""
    assert finished.code == 2, finished.err
    assert len(finished.err.strip().splitlines()) == 1, finished.err
    assert finished.err.startswith("dit-gen: error: ")
    assert message in finished.err, finished.err
