"""Commands killed at random moments and run again, and two writers of one result, for hostile.py."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostile_inputs import photograph

TINY = ["--hidden-size", "32", "--depth", "1", "--num-heads", "2", "--patch-size", "4", "--batch-size", "4"]
TRAIN = [*TINY, "--space", "pixel", "--image-size", "16", "--steps", "60", "--save-every", "10"]
STUDY = [*TRAIN, "--preset", "small", "--samples", "8", "--sweep-steps", "3", "--sweep-images", "2", "--draws", "3"]
STUDY += ["--guidance-scale", "1", "--backbone", "mini", "--bench-model", "DiT-S/8", "--sample-steps", "3"]
SAMPLE = ["--checkpoint", "digits-swa", "--batch-size", "1"]


def commands(folder: Path) -> dict[str, list[str]]:
    """Each command with OUT in place of its result."""
    real, fake = (str(picture_folder(folder / name, seed)) for name, seed in (("real", 0), ("fake", 100)))
    cmmd, dit = [sys.executable, "-m", "cmmd_toolkit"], [sys.executable, "-m", "dit_generators"]
    return {
        "embed": [*cmmd, "embed", real, "--backbone", "mini", "--out", "OUT/features.safetensors"],
        "compare": [*cmmd, "compare", real, fake, "--backbone", "mini", "--json", "OUT/report.json"],
        "sample": [*dit, "sample", *SAMPLE, "--num", "8", "--steps", "20", "--out", "OUT/images"],
        "train": [*dit, "train", real, "--out", "OUT/run", *TRAIN],
        "sweep": [*dit, "sweep", *SAMPLE, "--num", "2", "--steps", "5,10", "--out", "OUT/sweep"],
        "study": [*dit, "study", real, "--out", "OUT/study", *STUDY],
    }


def picture_folder(folder: Path, seed: int, count: int = 12) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        photograph(seed + i).save(folder / f"{i}.png")
    return folder


def _start(command: list[str], out: Path) -> subprocess.Popen[str]:
    out.mkdir(exist_ok=True)
    arguments = [part.replace("OUT", str(out)) for part in command]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0"}  # or stored features tell when they were made
    return subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )


def _listing(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if "tensorboard" not in path.parts}


def _images(out: Path) -> dict[str, bytes]:
    """The results that must not depend on kills: pictures, features and weights, byte by byte."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in (".png", ".safetensors") and path.name != "bench.png"
    }


def kill_all(scratch: Path, kills: int, seed: int, workers: int) -> dict[str, Counter[str]]:
    """Kill each command `kills` times at a random moment, run it again, and compare with a run left alone."""
    chance = random.Random(seed)
    found = {}
    for name, command in commands(scratch / "sets").items():
        started = time.monotonic()
        whole = _start(command, scratch / f"{name}-whole")
        message = whole.communicate()[1]
        assert whole.returncode == 0, message
        took = time.monotonic() - started
        moments = [chance.uniform(0, took) for _ in range(kills)]
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(_killed, command, scratch / f"{name}-{k}", scratch / f"{name}-whole", moment)
                for k, moment in enumerate(moments)
            ]
            found[name] = sum((job.result() for job in jobs), Counter[str]())
    return found


def _killed(command: list[str], out: Path, whole: Path, after: float) -> Counter[str]:
    process = _start(command, out)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = _start(command, out)
    _, message = again.communicate()
    if again.returncode != 0:
        print(f"refused after a kill at {after:.2f} s, kept in {out}: {message.splitlines()[-1:]}", file=sys.stderr)
        return Counter(kills=1, refused=1)
    differing = _differing(out, whole)
    left = _listing(out) - _listing(whole)
    if left or differing:
        print(f"killed at {after:.2f} s: left behind {sorted(left)}, other values {differing}", file=sys.stderr)
    shutil.rmtree(out)
    return Counter(kills=1, lost=int(bool(differing)), left_behind=int(bool(left)))


def _differing(out: Path, whole: Path) -> list[str]:
    found, expected = _images(out), _images(whole)
    return sorted(name for name in found | expected if found.get(name) != expected.get(name))


def race_all(scratch: Path, rounds: int) -> dict[str, Counter[str]]:
    """Two writers of one result at a time: each ends well or is refused in a line, and the result is whole."""
    found = {}
    for name, command in commands(scratch / "raced").items():
        alone = _start(command, scratch / f"{name}-alone")
        alone.communicate()
        counts = Counter[str]()
        for k in range(rounds):
            counts += _raced(command, scratch / f"{name}-race-{k}", scratch / f"{name}-alone")
        found[name] = counts
    return found


def _raced(command: list[str], out: Path, alone: Path) -> Counter[str]:
    both = [_start(command, out), _start(command, out)]
    messages = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    differing = _differing(out, alone)
    if codes[0] != 0 or differing:
        print(
            f"raced: codes {codes}, other values {differing}, {[m.splitlines()[-1:] for m in messages]}",
            file=sys.stderr,
        )
    shutil.rmtree(out)
    return Counter(
        races=1,
        refused=codes.count(2),
        tracebacks=sum("Traceback" in message for message in messages),
        broken=int(codes[0] != 0 or bool(differing)),
    )
