"""Limits of `--fail-above` and `--fail-below`: which number of which backbone they are of, and what is said."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features, compare
from cmmd_toolkit.commands.limits import parse_limit
from cmmd_toolkit.common.text import beyond_text, plain


def features(name: str, seed: int) -> Features:
    return Features(gaussian(60, 8, seed=seed, shift=2.0), {"source": f"/data/{name}"})


REAL, TWIN = features("real", 1), features("twin", 2)
FAR = Features(features("", 3).values * np.linspace(0.5, 2, 8), {"source": "/data/far"})


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cmmd_toolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_p_value_has_a_lower_limit_only() -> None:
    report = compare(REAL, [TWIN, FAR], metric="p-value")
    (line,) = parse_limit("--fail-below", "p-value=0.01", ["p-value"]).failures(report)
    assert line.startswith("/data/far: p-value on features is 0.0005, below 0.01: the sets differ")
    with pytest.raises(ArgumentError, match="is a test, not a score.*use --fail-below p-value=0.05"):
        parse_limit("--fail-above", "p-value=0.05", ["p-value"])
    with pytest.raises(ArgumentError, match="has no bias"):
        parse_limit("--fail-below", "p-value:corrected=0.05", ["p-value"])


def test_a_limit_names_backbone_metric_and_number() -> None:
    for text, expected in (
        ("mmd=0.02", (None, "mmd", False, 0.02)),
        ("mini:mmd=0.02", ("mini", "mmd", False, 0.02)),
        ("fd:corrected=1e-3", (None, "fd", True, 0.001)),
        ("openclip:ViT-B-32/laion:mmd=0.02", ("openclip:ViT-B-32/laion", "mmd", False, 0.02)),
        ("openclip:ViT-B-32/laion:fd:corrected=30", ("openclip:ViT-B-32/laion", "fd", True, 30.0)),
    ):
        limit = parse_limit("--fail-above", text, [])
        assert (limit.backbone, limit.metric, limit.corrected, limit.value) == expected
    assert str(parse_limit("--fail-above", "mini:fd:corrected=0.0000001", [])) == (
        "--fail-above mini:fd:corrected=0.0000001"
    )


@pytest.mark.parametrize("text", ["mini:=1", ":mmd", "mini:mmd:best=1", "mini:mmd:corrected", "=1", "corrected=1"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"--fail-above .*(expected \[BACKBONE:\]METRIC|not among the metrics)"):
        parse_limit("--fail-above", text, [])


def test_a_limit_is_of_the_value_or_of_the_value_without_bias() -> None:
    report = compare(REAL, TWIN, metric="fd")
    (result,) = report.results
    between = (result.value + result.corrected) / 2
    (line,) = parse_limit("--fail-above", f"fd={between}", []).failures(report)
    value, corrected, *_ = result.estimate_texts
    assert line == f"/data/twin: fd on features is {value} ({corrected} without bias), above {plain(between)}"
    assert parse_limit("--fail-above", f"fd:corrected={between}", []).failures(report) == []
    (line,) = parse_limit("--fail-above", f"fd:corrected={plain(result.corrected / 2)}", []).failures(report)
    assert f"fd on features without bias is {corrected} ({value} as other tools print it), above" in line
    for unknown, metric in (
        (compare(REAL.statistics(), TWIN, metric="fd"), "fd"),
        (compare(REAL, TWIN, metric="sw"), "sw"),
    ):
        with pytest.raises(ArgumentError, match=f"{metric} on features is not known without bias for .*: "):
            parse_limit("--fail-above", f"{metric}:corrected=1", [metric]).failures(unknown)


def test_a_message_never_shows_a_value_on_the_other_side_of_its_limit() -> None:
    assert beyond_text(0.10001, 0.1, 0.02) == "0.10001"
    assert beyond_text(0.12, 0.1, 0.02) == "0.120"
    assert beyond_text(math.nextafter(0.1, 1), 0.1, 0.02) == "0.10000000000000002"
    random = np.random.default_rng(1)
    for _ in range(500):
        limit = random.uniform(-1, 1)
        value = limit + random.standard_normal() * 10 ** random.uniform(-14, 0)
        assert (float(beyond_text(value, limit, 0.01)) > limit) == (value > limit)


def test_several_backbones_take_limits_that_name_one(real: Path, fake: Path, clip_folder: Path, tmp_path: Path) -> None:
    unreadable = tmp_path / "unreadable"
    unreadable.mkdir()
    for i in range(3):
        (unreadable / f"{i}.png").write_text("no picture")
    two = ("--backbone", "mini", "--backbone", "clip", "--weights", f"clip={clip_folder}")
    for limit, words in (
        ("mmd=0.02", "name one of them: --fail-above mini:mmd=0.02"),
        ("fd:corrected=2", "name one of them: --fail-above mini:fd:corrected=2"),
        ("dinov2:mmd=0.02", "dinov2 is not among the backbones of this run (mini, clip)"),
    ):
        refused = run("compare", unreadable, unreadable, *two, "--fail-above", limit)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
    one = run("compare", unreadable, unreadable, "--backbone", "mini", "--fail-above", "clip:mmd=1")
    assert "clip is not among the backbones of this run (mini)" in one.stderr
    passed = run(
        "compare", real, fake, *two, "--metric", "mmd", "--fail-above", "mini:mmd=9", "--fail-above", "clip:mmd=9"
    )
    assert passed.returncode == 0, passed.stderr
    failed = run(
        "compare", real, fake, *two, "--metric", "mmd", "--fail-above", "clip:mmd=-9", "--fail-above", "mini:mmd=9"
    )
    assert failed.returncode == 1
    assert "fake: mmd on clip is" in failed.stderr
    assert "mmd on mini is" not in failed.stderr


def test_the_command_gates_on_the_number_without_bias(tmp_path: Path) -> None:
    for side, name in ((REAL, "real"), (TWIN, "twin")):
        side.save(tmp_path / f"{name}.safetensors")
    sides = tmp_path / "real.safetensors", tmp_path / "twin.safetensors"
    (fd,) = compare(*sides, metric="fd").results
    between = (fd.value + fd.corrected) / 2
    assert run("compare", *sides, "--fail-above", f"fd={between}").returncode == 1
    assert run("compare", *sides, "--fail-above", f"fd:corrected={between}").returncode == 0
    unknown = run("compare", *sides, "--metric", "sw", "--fail-above", "sw:corrected=1")
    assert unknown.returncode == 2
    assert "sw on features is not known without bias" in unknown.stderr
    refused = run("compare", *sides, "--metric", "p-value", "--fail-above", "p-value=0.05")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
