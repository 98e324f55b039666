"""`dit-gen study` from pictures to the page, interrupted and resumed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dit_models import assert_refused, dit_gen
from PIL import Image

from dit_generators import OutputError, study_report
from dit_generators.common.files import locked
from dit_generators.study import attention_cost
from dit_generators.study.attention_cost import operation_and_block, precisions_of, whole_model
from dit_generators.study.options import StudyModel, StudyOptions
from dit_generators.study.page import score_table, whole_model_table, write_report
from dit_generators.study.scores import pairwise_verdict, score_models

SMALL = ["--preset", "small", "--hidden-size", "32", "--depth", "1", "--num-heads", "2", "--image-size", "16"]
SMALL += ["--batch-size", "4", "--steps", "3", "--samples", "8", "--sweep-steps", "2,3", "--sweep-images", "2"]
SMALL += [
    "--draws",
    "5",
    "--sample-steps",
    "3",
    "--guidance-scale",
    "1,2",
    "--bench-model",
    "DiT-S/8",
    "--device",
    "cpu",
    "--bench-minutes",
    "0",
]

RAN = {"naive": None, "full": 0.1, "swa": 0.1, "xformers": None}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(10):
        noise = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((20, 20), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def study(capfd: Any, pictures: Path, out: Path, *more: object) -> Any:
    return dit_gen(capfd, "study", pictures, "--out", out, *SMALL, *more)


def test_a_study_writes_results_tables_figures_and_a_page(tmp_path, capfd, pictures) -> None:
    out = tmp_path / "study"
    paper = tmp_path / "scores.tex", tmp_path / "scores.svg", tmp_path / "scores.json"
    forms = [
        part for form, path in zip(("latex", "figure", "json"), paper, strict=True) for part in (f"--{form}", path)
    ]
    finished = study(capfd, pictures, out, "--backbone", "mini", "--backbone", "clip=/nowhere", *forms)
    assert finished.code == 0, finished.err
    report = study_report(out)
    assert [path.read_text() for path in paper] == [report.to_latex(), report.to_svg(), report.to_json()]
    assert [(one.generated, one.metric) for one in report.results][:2] == [("full", "mmd"), ("full", "fd")]
    assert "clip is left out: /nowhere" in finished.err
    assert (
        sum("of the average are the random weights it started from" in line for line in finished.err.splitlines()) == 2
    )
    results = json.loads((out / "evaluation_results.json").read_text())
    assert [(score["backbone"], score["model"]) for score in results["scores"]] == [("mini", "full"), ("mini", "swa")]
    assert all(len(score["few_mmd"]) == 5 and score["p_value"] is None for score in results["scores"])
    assert {len(cells) for cells in results["sweeps"].values()} == {4}
    assert results["bench"]["model"] == "DiT-S/8"
    page = (out / "index.html").read_text()
    for name in ("scores.png", "samples/full.contact-sheet.png", "sweeps/swa/sweep.png"):
        assert name in page
        with Image.open(out / name) as image:
            assert image.width > 100
    assert "| mini | swa | 8 |" in (out / "tables.md").read_text()
    models = [json.loads((out / "models" / name / "run.json").read_text()) for name in ("full", "swa")]
    assert {key for key in models[0] if models[0][key] != models[1][key]} == {"attention"}
    records = [json.loads((out / "samples" / name / "samples.json").read_text()) for name in ("full", "swa")]
    assert [image["seed"] for image in records[0]["images"]] == [image["seed"] for image in records[1]["images"]]


def test_it_goes_on_and_answers_another_question_anew(tmp_path, capfd, pictures) -> None:
    out = tmp_path / "study"
    assert study(capfd, pictures, out, "--backbone", "mini").code == 0
    before = (out / "evaluation_results.json").read_text()
    bench = json.loads((out / "bench.json").read_text())
    bench["result"]["device"] = "of then"
    (out / "bench.json").write_text(json.dumps(bench))
    again = study(capfd, pictures, out, "--backbone", "mini")
    assert again.code == 0
    assert json.loads((out / "bench.json").read_text()) == bench
    assert json.loads((out / "evaluation_results.json").read_text())["scores"] == json.loads(before)["scores"]
    del bench["asked"]["minutes"]  # as earlier versions recorded it
    (out / "bench.json").write_text(json.dumps(bench))
    more = study(capfd, pictures, out, "--backbone", "mini", "--samples", 10)
    assert more.code == 0
    assert json.loads((out / "bench.json").read_text()) == bench
    assert json.loads((out / "evaluation_results.json").read_text())["scores"][0]["samples"] == 10


@pytest.mark.slow
def test_a_study_by_several_processes_is_the_study_by_one(tmp_path, capfd, pictures) -> None:
    """Training in parts rounds otherwise: from the same weights all pictures and scores are equal."""
    assert study(capfd, pictures, tmp_path / "one", "--backbone", "mini").code == 0
    (tmp_path / "two").mkdir()
    shutil.copytree(tmp_path / "one" / "models", tmp_path / "two" / "models")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    command = [*launcher, "dit_generators", "study", pictures, "--out", tmp_path / "two", *SMALL, "--backbone", "mini"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [str(part) for part in command]
    finished = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{tmp_path / 'two' / 'index.html'}\n"
    one, two = (tmp_path / name for name in ("one", "two"))
    made = [path.relative_to(one) for path in sorted(one.rglob("*.png")) if path.name != "bench.png"]
    assert len(made) == 2 * (8 + 1 + 4 * 2 + 1) + 1
    for path in made:
        assert (one / path).read_bytes() == (two / path).read_bytes(), path
    scores = [json.loads((folder / "evaluation_results.json").read_text())["scores"] for folder in (one, two)]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_study_is_trained_by_several_processes(tmp_path, pictures) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    command = [*launcher, "dit_generators", "study", pictures, "--out", tmp_path / "two", *SMALL, "--backbone", "mini"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [str(part) for part in command]
    finished = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("training the swa model") == 1
    assert "| mini | swa | 8 |" in (tmp_path / "two" / "tables.md").read_text()


def test_several_runs_of_each_method_compare_the_methods(tmp_path, capfd, pictures) -> None:
    out = tmp_path / "study"
    assert study(capfd, pictures, out, "--backbone", "mini").code == 0
    one_run = (out / "tables.md").read_text()
    assert "not about two kinds of attention" in one_run
    first = (out / "samples" / "full" / "000000.png").read_bytes()
    assert study(capfd, pictures, out, "--backbone", "mini", "--runs", 2).code == 0
    results = json.loads((out / "evaluation_results.json").read_text())
    assert [score["model"] for score in results["scores"]] == ["full", "swa", "full-2", "swa-2"]
    assert [(found["metric"], found["runs"]) for found in results["methods"]] == [("mmd", 2), ("fd", 2)]
    assert (out / "samples" / "full" / "000000.png").read_bytes() == first
    seeds = [json.loads((out / "models" / name / "run.json").read_text())["seed"] for name in ("swa", "swa-2")]
    assert seeds == [0, 1]
    assert "over 2 training runs of each" in (out / "index.html").read_text()


@pytest.mark.slow
def test_damaged_results_of_a_stage_are_made_anew_and_rests_of_killed_runs_go(tmp_path, capfd, pictures) -> None:
    out = tmp_path / "study"
    assert study(capfd, pictures, out, "--backbone", "mini").code == 0
    scores = (out / "scores.json").read_text()
    (out / "scores.json").write_bytes(b'{"asked": \xff\x00')
    (out / "bench.json").write_text("[" * 100_000)
    (out / ".tables.md.abcdefgh.tmp").mkdir()
    again = study(capfd, pictures, out, "--backbone", "mini")
    assert again.code == 0, again.err
    assert (out / "scores.json").read_text() == scores
    assert json.loads((out / "bench.json").read_text())["result"]["model"] == "DiT-S/8"
    assert not (out / ".tables.md.abcdefgh.tmp").exists()
    with locked(out):
        refused = study(capfd, pictures, out, "--backbone", "mini")
    assert_refused(refused, "another process is writing into it")


def test_the_whole_model_is_timed_as_long_as_the_time_allows(monkeypatch) -> None:
    monkeypatch.setattr(attention_cost, "_BATCHES", (1, 2, 10_000_000))
    said: list[str] = []
    options, cpu = StudyOptions(bench_model="DiT-S/8", bench_minutes=5.0), torch.device("cpu")
    operation = {"results": [{"attention": kind, "seconds": second} for kind, second in RAN.items()]}
    found = whole_model(options, cpu, operation, said.append)
    measured = [cell for cell in found["results"] if cell["seconds"] is not None]
    assert [(cell["batch_size"], cell["attention"]) for cell in measured] == [
        (batch, kind) for batch in (1, 2) for kind in ("full", "swa")
    ]
    left = [cell for cell in found["results"] if cell["seconds"] is None]
    assert [cell["batch_size"] for cell in left] == [10_000_000] * 2
    assert all("are left of the limit of 300 seconds" in cell["note"] for cell in left)
    assert sum("batch 10000000 is not measured: would take" in line for line in said) == 1
    table = whole_model_table(json.loads(json.dumps(found)))
    assert len(table.rows) == len(measured)
    assert "Not measured: " in table.caption
    assert whole_model_table(None) is None
    nothing = whole_model(replace(options, bench_minutes=0.0), cpu, operation, said.append)
    assert nothing["results"] == []
    assert whole_model_table(nothing) is None
    assert whole_model(options, cpu, {"results": []}, said.append)["results"] == []


def test_attention_alone_keeps_to_the_time_too_and_nothing_is_timed_in_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(attention_cost, "_BATCHES", (1, 10_000_000))
    said: list[str] = []
    options, cpu, chart = (
        StudyOptions(bench_model="DiT-S/8", bench_minutes=5.0),
        torch.device("cpu"),
        tmp_path / "b.png",
    )
    found = operation_and_block(options, cpu, chart, said.append)["results"]
    ran = {cell["attention"] for cell in found if cell["batch_size"] == 1 and cell["seconds"] is not None}
    assert ran == {"naive", "full", "swa"}
    assert all("of the limit of 300 seconds" in cell["note"] for cell in found if cell["batch_size"] > 1)
    assert sum("batch 10000000 is not measured: would take" in line for line in said) == 2  # levels
    (line,) = [line for line in said if "xformers is not measured" in line]
    assert "kernels for CUDA GPUs only and this runs on cpu" in line
    assert chart.exists()
    assert operation_and_block(replace(options, bench_minutes=1e-9), cpu, chart, said.append)["results"] != []
    assert not chart.exists()
    assert operation_and_block(replace(options, bench_minutes=0.0), cpu, chart, said.append)["results"] == []
    assert not chart.exists()


def test_autocast_is_timed_where_it_is_used() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert precisions_of("fp32", cpu) == ("fp32",)
    assert precisions_of("bf16", cpu) == ("fp32", "bf16-autocast")
    assert precisions_of("fp32", gpu) == ("fp32", "bf16-autocast")
    assert precisions_of("fp16", gpu) == ("fp32", "fp16-autocast")


def test_what_a_study_refuses(tmp_path, capfd, pictures) -> None:
    (tmp_path / "file").write_text("x")
    assert_refused(study(capfd, pictures, tmp_path / "file"), "is a file; name a folder")
    assert_refused(study(capfd, pictures, tmp_path / "s", "--samples", 1), "--samples: expected 2 or more, got 1")
    assert_refused(study(capfd, pictures, tmp_path / "s", "--bench-model", "DiT-Q/1"), "no such preset")
    assert_refused(study(capfd, pictures, tmp_path / "s", "--guidance-scale", "a"), "expected numbers")
    assert_refused(
        study(capfd, pictures, tmp_path / "s", "--bench-minutes", "nan"), "--bench-minutes: expected a number"
    )
    for options, message in (
        (["--sweep-steps", "2,x"], "sweep at guidance scale 1 and x steps: steps: expected a number of 1 or more"),
        (["--sample-steps", "1"], "--sample-steps: expected 2 to 1000, got 1"),
        (["--window", "1"], "guidance.window: the model itself has window 1"),
        (["--dims", "64", "--backbone", "mini"], "--dims 64: is only for inception"),
    ):
        finished = study(capfd, pictures, tmp_path / "s", *options)
        assert finished.code == 2
        assert message in finished.err.splitlines()[-1]
    assert not (tmp_path / "s").exists()  # nothing is trained for what could not be sampled
    assert_refused(study(capfd, tmp_path / "absent", tmp_path / "s"), "no such folder of pictures")


def score(model: str, mmd: float, few: list[float], p_value: float | None) -> dict[str, Any]:
    interval = [mmd - 0.02, mmd + 0.02]
    fields = {
        "backbone": "mini",
        "model": model,
        "method": model,
        "run": 1,
        "samples": 9,
        "mmd": mmd,
        "mmd_error": 0.01,
        "mmd_interval": interval,
    }
    distance = {"fd": 1.0, "fd_corrected": None, "fd_error": None, "fd_interval": None}
    return {**fields, **distance, "few_mmd": few, "few_fd": few, "p_value": p_value}


def test_the_verdict_names_the_closer_model_and_how_sure_that_is() -> None:
    scores = [score("full", 0.30, [0.2, 0.4, 0.3, 0.3], 0.004), score("swa", 0.20, [0.1, 0.5, 0.2, 0.2], 0.004)]
    text = pairwise_verdict(scores, "mini", 32)
    assert text.startswith("mini: swa is closer by 0.100 (p = 0.004, paired by seed)")
    assert text.endswith("draws of 32 samples per side agree in 75 %.")
    assert pairwise_verdict([scores[0], scores[0]], "mini", 32) == "mini: both score the same."
    assert "too few samples for a test" in pairwise_verdict(
        [score("full", 0.3, [1], None), score("swa", 0.2, [1], None)], "mini", 32
    )
    table = score_table(scores, 32)
    assert table[2][:4] == ["mini", "swa", "9", "0.200 (0.180 to 0.220)"]
    assert dict(zip(table[0], table[2], strict=True))["FD without bias (95 %)"] == "unknown"


def test_a_difference_that_is_not_significant_is_told_as_such_and_never_printed_as_zero() -> None:
    scores = [score("full", 0.20004, [0.2, 0.4, 0.3, 0.3], 0.26), score("swa", 0.20, [0.1, 0.5, 0.2, 0.2], 0.26)]
    assert pairwise_verdict(scores, "mini", 32) == (
        "mini: the two cannot be told apart: the MMD of swa is lower by 0.000040 (p = 0.26, paired by seed), and also "
        "in 75 % of draws of 32 samples per side."
    )
    same = [score("full", 0.20000000000000004, [0.2], 0.9), score("swa", 0.2, [0.1], 0.9)]
    assert pairwise_verdict(same, "mini", 32) == "mini: both score the same."


def test_the_page_escapes_what_it_is_given(tmp_path) -> None:
    scores = [{**score(model, 0.2, [0.1], 0.5), "backbone": "<b>"} for model in ("full", "swa")]
    alone = {"level": "block", "attention": "full", "batch_size": 200, "seconds": None, "note": "no time either"}
    bench = {"model": "DiT-S/8", "device": "A & B", "attention_share": 0.0123, "results": [alone]}
    cell = {"level": "model", "attention": "swa", "batch_size": 10, "memory_bytes": 5, "precision": "fp32"}
    timed = [{**cell, "seconds": 0.5, "mean_seconds": 0.75, "spread_seconds": 0.2, "note": ""}]
    timed += [{**cell, "batch_size": 50, "seconds": None, "note": "no time"}]
    sheets = [
        name for own in ("full", "swa") for name in (f"samples/{own}.contact-sheet.png", f"sweeps/{own}/sweep.png")
    ]
    for name in ("bench.png", *sheets):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    page = write_report(
        {
            "pictures": 9,
            "samples": 9,
            "few": 32,
            "scores": scores,
            "methods": [],
            "sweeps": {"full": [], "swa": []},
            "bench": bench,
            "whole_model": {"results": timed, "minutes": 1.0, "threads": 2, "device": "A & B"},
        },
        tmp_path,
    ).read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;</" in page
    assert "DiT-S/8, A &amp; B: attention is 1.2 % of the multiply-adds." in page
    assert "<p>Not measured: full (block, fp32, batch 200): no time either.</p>" in page
    assert "750 ± 200" in page
    assert "At most 1 min, 2 threads, A &amp; B. Not measured: swa (model, fp32, batch 50): no time." in page
    assert page.count('<figure class="whole">') == 2 + len(sheets)  # scores and bench, too
    assert "draws of 9 samples per side" in page  # there are no more than nine
    assert "MMD of 9, 5 to 95 %" in (tmp_path / "tables.md").read_text()


def test_the_table_of_a_study_has_fd_as_printed_and_without_bias() -> None:
    known = {"fd": 0.0386, "fd_corrected": 0.02512, "fd_error": 0.0053, "fd_interval": [0.0163, 0.0361]}
    table = score_table([{**score("full", -0.00002, [0.1], 2e-30), **known}], 32)
    row = dict(zip(*table, strict=True))
    assert row["FD, as other tools print it"] == "0.0386"
    assert row["FD without bias (95 %)"] == "0.0251 (0.0163 to 0.0361)"
    assert row["squared MMD (95 %)"].startswith("0.000 (-0.020 to")


def test_the_scores_of_a_study_have_intervals_and_a_paired_test() -> None:
    random = np.random.default_rng(0)
    real = random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    near = random.integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    said: list[str] = []
    far = (near // 2).astype(np.uint8)
    generated = {StudyModel("full"): near.__getitem__, StudyModel("swa"): far.__getitem__}
    scores = score_models(real, generated, {"mini": {}}, samples=30, few=8, draws=3, seed=0, say=said.append)
    assert scores[0]["mmd"] < scores[1]["mmd"]
    assert scores[0]["p_value"] == scores[1]["p_value"] < 0.01
    assert all(score["mmd_interval"][0] < score["mmd"] < score["mmd_interval"][1] for score in scores)
    assert "full is closer" in pairwise_verdict(scores, "mini", 8)


def write_results(folder: Path, scores: list[dict[str, Any]], methods: list[dict[str, Any]] = []) -> Path:  # noqa: B006
    results = {"pictures": 40, "samples": 30, "few": 8, "scores": scores, "methods": methods}
    (folder / "evaluation_results.json").write_text(json.dumps(results))
    return folder


@pytest.mark.parametrize(
    ("difference", "p_value", "closer"), [(0.1, 0.004, "swa"), (-0.1, 0.004, "full"), (0.1, 0.3, "")]
)
def test_a_study_on_paper_has_the_closer_model_in_bold_where_its_test_says_so(
    tmp_path: Path, difference: float, p_value: float, closer: str
) -> None:
    test = {
        "difference": difference,
        "standard_error": 0.02,
        "interval": [difference - 0.04, difference + 0.04],
        "p_value": p_value,
    }
    values = {"full": 0.2 + difference / 2, "swa": 0.2 - difference / 2}
    scores = [{**score(model, mmd, [0.1, 0.2], p_value), "test": test} for model, mmd in values.items()]
    report = study_report(write_results(tmp_path, scores))
    bold = [line for line in report.to_latex().splitlines() if r"\textbf" in line]
    assert [line.split(" & ")[0] for line in bold] == ([closer] if closer else [])
    (pair,) = report.verdicts[0].pairs
    assert pair.difference == -abs(difference)
    assert pair.interval[0] <= pair.difference <= pair.interval[1]
    assert type(report).from_dict(json.loads(report.to_json())) == report


def test_several_runs_have_the_verdicts_of_methods_and_no_bold_model(tmp_path: Path) -> None:
    scores = [{**score(f"{model}-{run}", 0.2, [0.1], 0.001), "run": run} for run in (1, 2) for model in ("full", "swa")]
    methods = [{"backbone": "mini", "metric": "mmd", "text": "the methods cannot be told apart"}]
    report = study_report(write_results(tmp_path, scores, methods))
    assert [verdict.text for verdict in report.verdicts] == ["the methods cannot be told apart"]
    assert r"\textbf" not in report.to_latex()


def test_a_folder_without_a_finished_study_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (None, "[]", "{}", '{"scores": [{}]}'):
        if content is not None:
            (tmp_path / "evaluation_results.json").write_text(content)
        with pytest.raises(OutputError, match="holds no finished study"):
            study_report(tmp_path)
    with pytest.raises(OutputError, match="holds no scores"):
        study_report(write_results(tmp_path, []))
