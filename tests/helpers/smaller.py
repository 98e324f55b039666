"""What differs in a slow block of the documentation when the tests run it: sizes, and what the reader names.

A training run takes a few steps, eight processes are two, HOST is this machine. What is done stays.
"""

import os
import re
import socket
from pathlib import Path

from documents import ROOT

SHARED = Path(os.environ.get("CMMD_SHARED", ROOT.parent / "shared"))

OF_COMMANDS = {
    "train": {"--steps": 4, "--batch-size": 8, "--sample-steps": 2},
    "study": {
        **{"--steps": 2, "--batch-size": 8, "--sample-steps": 2, "--samples": 6, "--draws": 2},
        **{"--sweep-steps": 2, "--sweep-images": 1, "--bench-minutes": 0, "--bench-model": "DiT-S/8"},
    },
    "sample": {"--num": 4, "--steps": 4},
    "many_rates.py": {"--pictures": 4, "--repeats": 1},
    "teach": {"--targets": 128},
}
WHERE_GIVEN = {
    **{"--eval-every": "2 --eval-images 16", "--sample-every": 2, "--save-every": 2, "--epochs": 1},
    **{"--nproc-per-node": 2, "--num_processes": 2, "--nnodes": 2},
}
NAMES = {
    "--device cuda": "--device cpu",
    "PICTURES": "pictures",
    "STUDY": "study",
    "=WEIGHTS": "=pt_inception-2015-12-05-6726825d.pth",
    "DATA": str(SHARED / "data"),
    "inception-fid-768.safetensors": str(SHARED / "weights" / "inception-fid-768.safetensors"),
    "<this repository>": str(ROOT),
    "HOST": "localhost",
}
IN_PYTHON = {
    'preset("small"': 'preset("small", steps=4, batch_size=8, sample_steps=2',
    "eval_every=500": "eval_every=2, eval_images=16",
    "StudyOptions(": 'StudyOptions(samples=6, draws=2, sweep_steps=("2",), bench_minutes=0, bench_model="DiT-S/8", ',
}


def smaller_python(text: str) -> str:
    """The same lines with the sizes of `IN_PYTHON`."""
    for given, used in IN_PYTHON.items():
        text = text.replace(given, used)
    return text


def smaller_commands(text: str) -> str:
    """The same commands with the sizes and names above."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return "\n".join(_smaller(line) for line in lines)


def _smaller(line: str) -> str:
    for option, value in WHERE_GIVEN.items():
        line = re.sub(rf"{option} \S+", f"{option} {value}", line)
    for name, value in NAMES.items():
        line = line.replace(name, value)
    found = re.search(r"(?:dit-gen|dit_generators) (train|study|sample)|(many_rates\.py|teach)", line)
    for option, value in OF_COMMANDS[found[1] or found[2]].items() if found else ():
        if option == "--steps" and "--epochs" in line:
            continue
        line, count = re.subn(rf"{option} \S+", f"{option} {value}", line)
        if not count:
            line = line.replace(found[0], f"{found[0]} {option} {value}", 1)
    return _on_two_machines(line) if "--nnodes" in line else line


def _on_two_machines(line: str) -> str:
    """The same command twice at once, as on each machine, by a port that is free."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        line = line.replace(":29500", f":{free.getsockname()[1]}")
    return f"{line} &\ntrap 'kill $! 2> /dev/null || true' EXIT\n{line}\nwait $!"  # none is left where the other failed
