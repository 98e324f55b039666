"""The example package of docs/own.md, installed by pip: in Python, at the command line, in several processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from launches import torchrun

from cmmd_toolkit import ArgumentError, Report, compare, embed
from cmmd_toolkit.cli.doctor import print_backbones, print_metrics
from cmmd_toolkit.commands.limits import ABOVE, BELOW, parse_limit
from cmmd_toolkit.sets import own_metrics

PACKAGE = Path(__file__).parents[1] / "example_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `sys.path` into which pip has installed the package."""
    target = tmp_path_factory.mktemp("site")
    source = target / "source"
    for path in PACKAGE.rglob("*"):  # building leaves files beside the source
        if path.is_file() and "__pycache__" not in path.parts:
            (source / path.relative_to(PACKAGE)).parent.mkdir(parents=True, exist_ok=True)
            (source / path.relative_to(PACKAGE)).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", str(target / "site"), str(source)], check=True)
    return target / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(own_metrics, "_loaded", {})
    return site


def test_its_network_and_metrics_are_chosen_by_name(installed: Path, real: Path, fake: Path, tmp_path: Path) -> None:
    report = compare(real, fake, backbone="palette", metric=["mmd", "mean-gap", "spread"], store=tmp_path / "store")
    x, y = (embed(own, backbone="palette", store=tmp_path / "store").values for own in (real, fake))
    assert x.shape == (8, 24)
    assert report.value("mean-gap") == pytest.approx(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)), rel=1e-6)
    spread = next(result for result in report.results if result.metric == "spread")
    assert (spread.higher_is_better, spread.parameters) == (True, {"of": "the generated set alone"})
    assert spread.standard_error is not None
    gap = next(result for result in report.results if result.metric == "mean-gap")
    assert (gap.higher_is_better, gap.parameters["package"]) == (False, "cmmd-example 0.3")
    text = str(report)
    assert "mean-gap = Distance between the mean features (cmmd-example 0.3)" in text
    assert len(list((tmp_path / "store").glob("palette-*.sqlite"))) == 1
    changed = tmp_path / "centres.pt"
    torch.save({"centres": torch.linspace(0.2, 0.9, 8)}, changed)
    other = compare(real, fake, backbone="palette", weights=changed, metric="mean-gap", store=tmp_path / "store")
    assert other.value("mean-gap") != report.value("mean-gap")
    assert len(list((tmp_path / "store").glob("palette-*.sqlite"))) == 2


def test_a_report_is_read_where_the_package_is_not_installed(
    installed: Path, monkeypatch: pytest.MonkeyPatch, real: Path, fake: Path, tmp_path: Path
) -> None:
    report = compare(real, fake, backbone="palette", metric=["mean-gap", "spread"])
    report.save(tmp_path / "report.json")
    monkeypatch.undo()
    monkeypatch.setattr(own_metrics, "_loaded", {})
    again = Report.load(tmp_path / "report.json")
    assert again.results == report.results
    assert "a metric of a package that is not installed here" in str(again)
    with pytest.raises(ArgumentError, match="unknown metric 'mean-gap'"):
        compare(real, fake, backbone="mini", metric="mean-gap")


def test_two_processes_of_the_command_line_reach_the_value_of_one(
    installed: Path, real: Path, fake: Path, tmp_path: Path
) -> None:
    expected = compare(real, fake, backbone="palette", metric=["mean-gap", "mmd"])
    command = ["compare", real, fake, "--backbone", "palette", "--metric", "mean-gap", "--metric", "mmd"]
    path = f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    out = tmp_path / "report.json"
    done = torchrun(2, "-m", "cmmd_toolkit", *command, "--json", out, "--fail-above", "mean-gap=0", PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    found = Report.load(out)
    for own, other in zip(found.results, expected.results, strict=True):
        assert own.value == pytest.approx(other.value, rel=1e-5)


def test_they_are_listed_and_limits_know_their_direction(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for show, name in ((print_backbones, "palette"), (print_metrics, "mean-gap"), (print_metrics, "spread")):
        show()
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith(name) and "cmmd-example 0.3" in line for line in lines)
    parse_limit(BELOW, "spread=1000", ["spread"])
    with pytest.raises(ArgumentError, match="higher is better"):
        parse_limit(ABOVE, "spread=1000", ["spread"])


FAULTS = {
    "def m(*, reference, generated):\n    raise OSError('two\\nlines')": "metric bad of faulty 1: OSError: two",
    "def m(*, reference, generated):\n    return float('nan')": "expected a finite number or an Estimate, got nan",
    "def m(*, reference, generated):\n    return 'much'": "expected a finite number or an Estimate, got 'much'",
    "def m(real, fake):\n    return 1.0": "expected a function that takes `reference` and `generated`",
    "import no_such_package": "cannot be loaded .ModuleNotFoundError",
    "def another(): ...": "cannot be loaded .AttributeError",
}


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_faulty_metric_is_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, real: Path, fake: Path
) -> None:
    code, message = list(FAULTS.items())[number]
    module = f"faulty_{number}"
    (tmp_path / f"{module}.py").write_text(code)
    (tmp_path / "faulty-1.dist-info").mkdir()
    (tmp_path / "faulty-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (tmp_path / "faulty-1.dist-info" / "entry_points.txt").write_text(f"[cmmd_toolkit.metrics]\nbad = {module}:m\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(own_metrics, "_loaded", {})
    with pytest.raises(ArgumentError, match=message) as caught:
        compare(real, fake, backbone="mini", metric="bad")
    assert "\n" not in str(caught.value)
