"""Full float32 inside, whatever the program chose outside, and everything as it was afterwards."""

import os
import subprocess
import sys
import warnings

import pytest
import torch

from cmmd_toolkit import DeviceError
from cmmd_toolkit.common.devices import full_float32, memory_of, resolve_device

_CHOICES = {
    "nothing": "",
    "the old names": "b.cuda.matmul.allow_tf32 = True; b.cudnn.allow_tf32 = True",
    "the old names, off": "b.cuda.matmul.allow_tf32 = False; b.cudnn.allow_tf32 = False",
    "bfloat16 products": "torch.set_float32_matmul_precision('medium')",
    "the new names": "b.cuda.matmul.fp32_precision = 'tf32'; b.mkldnn.conv.fp32_precision = 'bf16'",
    "one for all": "b.fp32_precision = 'tf32'",
    "cudnn's search": "b.cudnn.benchmark = True; b.cudnn.deterministic = False",
}
_PROGRAM = """
import os, torch
from cmmd_toolkit.common.devices import full_float32
b = torch.backends
operations = [b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn, b.mkldnn.matmul, b.mkldnn.conv, b.mkldnn.rnn]
old = [torch.get_float32_matmul_precision, lambda: b.cuda.matmul.allow_tf32, lambda: b.cudnn.allow_tf32]
def read(one):
    try:
        return one()
    except RuntimeError:  # the program has mixed old and new names
        return 'mixed'
def state():
    precisions = [own.fp32_precision for own in operations]
    return precisions, [read(one) for one in old], b.cudnn.benchmark, b.cudnn.deterministic
def check():
    before = state()
    for fault in (None, KeyError):
        try:
            with full_float32():
                precisions, _, benchmark, deterministic = state()
                assert set(precisions) == {'ieee'} and deterministic and not benchmark
                assert 'mixed' in before[1] or state()[1] == ['highest', False, False]
                with full_float32():
                    pass
                assert state()[0] == precisions
                if fault:
                    raise fault
        except KeyError:
            assert fault
        assert state() == before, (before, state())
for name, choice in CHOICES.items():  # each in a process of its own, since torch cannot take all of them back
    if not (child := os.fork()):
        exec(choice)
        check()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch 2.8 has the old names only"
)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes by fork")
def test_tf32_and_bfloat16_are_off_inside_and_as_they_were_after() -> None:
    code = f"CHOICES = {_CHOICES!r}{_PROGRAM}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_setting_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory.\nTried"), RuntimeError("MPS backend out of memory (9 GB)")]
)
def test_a_device_without_memory_is_one_line(error: RuntimeError) -> None:
    with (
        pytest.raises(DeviceError, match=r"^device cuda: not enough memory \(.*\); take less$"),
        memory_of("cuda", "take less"),
    ):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), memory_of("cuda", "take less"):
        raise RuntimeError("shapes differ")


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
