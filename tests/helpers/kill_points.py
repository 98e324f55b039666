"""Kills a command before some of its file operations, one each time, and runs it again; prints what came of it.

python kill_points.py SCRATCH EVERY PACKAGE ARGUMENT...

OUT in the arguments is a fresh folder each time. Every process is a fork of this one, which has imported everything.
The operations are those that Python reports (`sys.addaudithook`) on paths below OUT: opening for writing, renaming,
removing, making folders, changing modes.
"""

import importlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
OPERATIONS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
IMPORTS = {
    "dit_generators": ["cli.main", "cli.training", "training.start", "sampling.run", "cli.sampling"],
    "cmmd_toolkit": ["cli.main", "sets.embedding", "features.features"],
    "torch": ["_dynamo", "utils.tensorboard", "distributed.fsdp"],
    "accelerate": ["utils"],
    "matplotlib": ["figure", "backends.backend_agg"],
}


def main() -> None:
    scratch, every, package, *arguments = sys.argv[1:]
    for name, parts in IMPORTS.items():
        for part in parts:
            importlib.import_module(f"{name}.{part}")
    whole = Path(scratch, "whole")
    count, ends = _run(package, arguments, whole, at=0)
    if ends not in (0, 2):
        sys.exit(f"exit code {ends}: {whole.with_suffix('.stderr').read_text()}")
    expected, failures = _results(whole), []
    points = range(1, count + 1, int(every))
    for at in points:
        out = Path(scratch, f"killed-{at}")
        assert _run(package, arguments, out, at=at)[1] == -signal.SIGKILL
        _, code = _run(package, arguments, out, at=0)
        found = _results(out)
        if found != expected or code != ends:
            differing = sorted(name for name in found | expected if found.get(name) != expected.get(name))
            failures.append({"at": at, "code": code, "differing": differing})
        else:
            shutil.rmtree(out)
    print(json.dumps({"operations": count, "kills": len(points), "failures": failures}))


def _run(package: str, arguments: list[str], out: Path, at: int) -> tuple[int, int]:
    """Run in a fork, killed before the operation of number `at`; returns how many there were, and the exit code."""
    out.mkdir(exist_ok=True)
    message, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        with os.fdopen(message) as stream:
            counted = stream.read()
        return int(counted or 0), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    counter = _watch(out, at)
    code = _main(package, [part.replace("OUT", str(out)) for part in arguments], out.with_suffix(".stderr"))
    os.write(tell, str(counter[0]).encode())
    os._exit(code)


def _main(package: str, arguments: list[str], errors: Path) -> int:
    stream = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    try:
        importlib.import_module(f"{package}.cli.main").main(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 1


def _watch(out: Path, at: int) -> list[int]:
    counter = [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not _changes(event, args, str(out)):
            return
        counter[0] += 1
        if counter[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return counter


def _changes(event: str, args: tuple[Any, ...], out: str) -> bool:
    if event == "open":
        return str(args[0]).startswith(out + os.sep) and bool(args[2] & WRITING)
    if event not in OPERATIONS:
        return False
    inside = event in ("os.remove", "os.rmdir") and args[-1] != -1  # rmtree names them from the folder they are in
    return inside or str(args[0]).startswith(out + os.sep)


def _results(out: Path) -> dict[str, Any]:
    """Every file by name: its bytes, or of records with times and machines what does not change."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and "tensorboard" not in path.parts]
    return {path.relative_to(out).as_posix(): _content(path) for path in files}


def _content(path: Path) -> Any:
    if path.name == "log.jsonl":
        kept = ("step", "mse", "score", "fault", "faults")
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        return [{name: entry[name] for name in kept if name in entry} for entry in entries]
    if path.name == "cmmd-watch.json":
        return {name: value for name, value in json.loads(path.read_text()).items() if name != "provenance"}
    if path.name in ("samples.json", "sweep.json"):
        return [image["seed"] for image in json.loads(path.read_text()).get("images", [])]
    return path.read_bytes().hex()


if __name__ == "__main__":
    main()
