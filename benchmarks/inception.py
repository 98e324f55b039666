"""Inception on the CPU, side by side with pytorch-fid: the network alone, and the whole command.

    python benchmarks/inception.py --weights inception-fid-768.safetensors --real FOLDER --fake FOLDER

Needs pytorch-fid (extra `test` or `peers`) and two folders of pictures, of one size within a folder.
Prints each time, the ratio pytorch-fid / ours (higher is better for us) and both values.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pytorch_fid.inception import FID_WEIGHTS_URL, InceptionV3
from safetensors.torch import load_file

from cmmd_toolkit import load_backbone

DIMS = 768


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--fake", type=Path, required=True)
    parser.add_argument("--images", type=int, default=300, help="pictures per side for the whole command")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = folder
        write_peer_checkpoint(arguments.weights, Path(folder))
        compare_networks(arguments.weights, arguments.rounds)
        compare_commands(arguments, Path(folder))


def write_peer_checkpoint(weights: Path, torch_home: Path) -> None:
    """pytorch-fid always builds all layers: give it ours, with its random start above what the file holds."""
    import pytorch_fid.inception as peer

    state = load_file(weights)
    load_from_url = peer.load_state_dict_from_url
    full: dict[str, torch.Tensor] = {}

    original = torch.nn.Module.load_state_dict

    def remember(module: torch.nn.Module, *_: object, **__: object) -> None:
        full.update(module.state_dict())

    peer.load_state_dict_from_url = lambda *_, **__: {}
    torch.nn.Module.load_state_dict = remember
    try:
        peer.fid_inception_v3()
    finally:
        peer.load_state_dict_from_url = load_from_url
        torch.nn.Module.load_state_dict = original
    target = torch_home / "hub" / "checkpoints" / FID_WEIGHTS_URL.rsplit("/", 1)[1]
    target.parent.mkdir(parents=True)
    torch.save({**full, **state}, target)


def compare_networks(weights: Path, rounds: int) -> None:
    """The same 64 pictures through both networks, alternately, pytorch-fid at its default batch of 50."""
    peer = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[DIMS]], resize_input=False).eval()
    ours = load_backbone("inception", weights=weights, dims=DIMS, device="cpu")
    pictures = [np.asarray(row) for row in torch.rand(50, 3, 299, 299).numpy()]

    def run_peer() -> np.ndarray:
        with torch.no_grad():
            return peer(torch.from_numpy(np.stack(pictures)))[0].mean(dim=(2, 3)).numpy()

    def run_ours() -> np.ndarray:
        return ours.embed([2 * picture - 1 for picture in pictures])

    difference = np.abs(run_peer() - run_ours()).max()
    times = [(timed(run_peer), timed(run_ours)) for _ in range(rounds)]
    peer_time, our_time = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"network, {DIMS} dims: pytorch-fid {50 / peer_time:.1f} images/s, ours {50 / our_time:.1f} images/s")
    print(f"  ratio {statistics.median(a / b for a, b in times):.2f}, largest difference of a feature {difference:.1e}")


def compare_commands(arguments: argparse.Namespace, folder: Path) -> None:
    """`python -m pytorch_fid A B` and `cmmd compare A B`, from files to number, alternately."""
    sides = [copy_pictures(arguments.real, folder / "real", arguments.images)]
    sides.append(copy_pictures(arguments.fake, folder / "fake", arguments.images))
    peer = [sys.executable, "-m", "pytorch_fid", *sides, "--dims", str(DIMS), "--device", "cpu"]
    ours = [
        sys.executable,
        "-m",
        "cmmd_toolkit",
        "compare",
        *sides,
        "--backbone",
        "inception",
        "--recipe",
        "pytorch-fid",
    ]
    ours += ["--dims", str(DIMS), "--weights", str(arguments.weights), "--device", "cpu", "--json", "-"]
    times, values = [], (0.0, 0.0)
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        peer_output = subprocess.run(peer, check=True, capture_output=True, text=True).stdout
        middle = time.perf_counter()
        our_output = subprocess.run(ours, check=True, capture_output=True, text=True).stdout
        times.append((middle - start, time.perf_counter() - middle))
        values = (float(re.findall(r"FID:\s*(\S+)", peer_output)[0]), json.loads(our_output)["results"][0]["value"])
    peer_time, our_time = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"whole command, 2 x {arguments.images} pictures: pytorch-fid {peer_time:.1f} s, ours {our_time:.1f} s")
    print(f"  ours / pytorch-fid {statistics.median(b / a for a, b in times):.2f}")
    print(f"  values {values[0]:.9f} and {values[1]:.9f}, relative difference {abs(values[1] / values[0] - 1):.1e}")


def copy_pictures(source: Path, target: Path, count: int) -> str:
    target.mkdir()
    for path in sorted(path for path in source.iterdir() if path.is_file())[:count]:
        shutil.copy(path, target / path.name)
    return str(target)


def timed(function: object) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
