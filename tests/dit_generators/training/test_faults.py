"""Steps that are not finite: the batch at fault is left out, then the rate is halved, and all of it resumes exactly."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import write_pictures
from training_runs import assert_same_end, final_state, log_of, poisoned, small_run, without

from dit_generators.data.batches import Batch
from dit_generators.errors import NotFiniteError, TrainingError
from dit_generators.training.faults import Faults
from dit_generators.training.loop import _check
from dit_generators.weights.checkpoint import checkpoints_in


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 12)


@pytest.fixture
def half_precision() -> Iterator[Any]:
    """accelerate's fp16 with torch's scaler, on a CPU; accelerate keeps one precision for a process."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True, mixed_precision="fp16")
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu")
    AcceleratorState._reset_state(reset_partial_state=True)
    yield accelerator
    AcceleratorState._reset_state(reset_partial_state=True)


def recorded(run: Path) -> dict[str, Any]:
    return json.loads((checkpoints_in(run)[-1] / "checkpoint.json").read_text())["faults"]


def train(pictures: Path, out: Path, bad: Any, *options: object) -> list[str]:
    """Train with NaN in some batches; returns the lines about faults."""
    run = small_run(pictures, out, *options)
    run.make = poisoned(run.make, bad)
    said: list[str] = []
    run.say = said.append
    assert run.run()
    return [line for line in said if "going back" in line]


@pytest.mark.parametrize(("bad", "save"), [(7, 5), (0, 5), (2, 5), (5, 1), (4, 100)])
def test_the_batch_at_fault_is_left_out_as_if_it_had_never_been_there(tmp_path, pictures, bad, save) -> None:
    options = ["--steps", 10, "--save-every", save, "--log-every", 1]
    (line,) = train(pictures, tmp_path / "run", [bad], *options)
    back = bad // save * save
    assert line == (
        f"step {bad + 1}: the loss is nan; going back to {f'step {back}' if back else 'the start'} without the "
        f"pictures at positions {4 * bad} to {4 * bad + 3}"
    )
    whole = small_run(pictures, tmp_path / "whole", *options)
    whole.make = without(whole.make, bad)
    assert whole.run()
    assert_same_end(tmp_path / "run", tmp_path / "whole")
    assert recorded(tmp_path / "run")["skipped"] == [bad]


def test_a_fault_is_a_line_of_the_log_and_what_was_logged_after_the_checkpoint_goes(tmp_path, pictures) -> None:
    run = small_run(pictures, tmp_path / "run", "--steps", 10, "--save-every", 5, "--log-every", 1)
    run.make = poisoned(run.make, [7])
    assert run.run()
    assert [entry["step"] for entry in log_of(run)] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]
    fault = log_of(run)[5]
    assert fault["fault"] == "step 8: the loss is nan"
    assert (fault["skipped_positions"], fault["learning_rate_factor"]) == ([28, 31], 1.0)


def test_again_before_the_next_checkpoint_halves_the_rate_and_far_away_does_not(tmp_path, pictures) -> None:
    options = ["--steps", 12, "--save-every", 5]
    near = train(pictures, tmp_path / "near", [7, 8], *options)
    assert [line.endswith("with half the learning rate (0.00025)") for line in near] == [False, True]
    far = train(pictures, tmp_path / "far", [2, 8], *options)
    assert ["half" in line for line in far] == [False, False]
    rates = {}
    for name in ("near", "far"):
        saved = torch.load(checkpoints_in(tmp_path / name)[-1] / "optimiser.pt", weights_only=True)
        rates[name] = saved["optimiser"]["param_groups"][0]["lr"]
    assert rates == {"near": 0.00025, "far": 0.0005}


def test_the_fourth_fault_in_a_row_ends_the_run_with_the_reason_and_keeps_the_checkpoint(tmp_path, pictures) -> None:
    run = small_run(pictures, tmp_path / "run", "--steps", 20, "--save-every", 5)
    run.make = poisoned(run.make, range(7, 1000))
    said: list[str] = []
    run.say = said.append
    with pytest.raises(
        TrainingError, match=r"step 8: the loss is nan, again .* 3 times; take a smaller `learning_rate`"
    ):
        run.run()
    lines = [line for line in said if "going back to step 5" in line]
    assert ["(0.0" in line for line in lines] == [False, True, True]
    assert [line.split("positions ")[1][:8] for line in lines] == ["28 to 31", "32 to 35", "36 to 39"]
    assert [path.name for path in checkpoints_in(tmp_path / "run")] == ["00000005"]
    assert all(torch.isfinite(value).all() for value in final_state(tmp_path / "run").values())
    again = small_run(pictures, tmp_path / "run", "--steps", 20, "--save-every", 5)
    again.make = poisoned(again.make, range(7, 1000))
    with pytest.raises(TrainingError, match="again after going back"):
        again.run()


def test_stopped_after_any_step_the_run_ends_as_one_that_was_not(tmp_path, pictures) -> None:
    """A stop leaves a checkpoint that a run without stops does not have: it must not be the one to go back to."""
    bad, options = [3, 6, 9], ["--save-every", 5]
    train(pictures, tmp_path / "whole", bad, *options, "--steps", 11)
    for stop in range(1, 11):
        out = tmp_path / f"stopped-{stop}"
        train(pictures, out, bad, *options, "--steps", stop)
        train(pictures, out, bad, *options, "--steps", min(stop + 1, 11))
        train(pictures, out, bad, *options, "--steps", 11)
        assert_same_end(tmp_path / "whole", out)
        assert recorded(out) == recorded(tmp_path / "whole")


def test_a_batch_left_out_stays_out_though_the_run_that_goes_on_does_not_meet_the_fault(tmp_path, pictures) -> None:
    """As on a GPU, where the last bits differ: the log has what came after the checkpoint."""
    options = ["--steps", 10, "--save-every", 5, "--log-every", 1]
    run = small_run(pictures, tmp_path / "run", *options)
    clean, bad = run.make, poisoned(run.make, [7])

    def killed(positions: Sequence[int]) -> Batch:
        if positions[0] == 9 * 4:
            raise InterruptedError
        return bad(positions)

    run.make = killed
    with pytest.raises(InterruptedError):
        run.run()
    assert [path.name for path in checkpoints_in(tmp_path / "run")] == ["00000005"]
    assert small_run(pictures, tmp_path / "run", *options).run()
    whole = small_run(pictures, tmp_path / "whole", *options)
    whole.make = without(clean, 7)
    assert whole.run()
    assert_same_end(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(("scale", "bad"), [(1e38, []), (65536.0, [3])])
def test_a_scale_that_overflows_is_the_scalers_business_and_nan_under_it_is_a_fault(
    tmp_path, pictures, half_precision, scale, bad
) -> None:
    run = small_run(pictures, tmp_path / "run", "--steps", 8, "--save-every", 2)
    half_precision.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    run.accelerator, run.make = half_precision, poisoned(run.make, bad)
    said: list[str] = []
    run.say = said.append
    assert run.run()
    assert len([line for line in said if "going back" in line]) == len(bad)
    assert (half_precision.scaler.get_scale() < scale) == (not bad)
    assert run.state.step == 8


def test_a_gradient_that_is_not_finite_at_the_least_scale_is_a_fault() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1e-5)
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.AdamW([weight])
    for _ in range(2):  # the scaler is ready for another step after it
        scaler.scale((weight * float("inf")).sum()).backward()
        scaler.unscale_(optimiser)
        with pytest.raises(NotFiniteError, match="step 3: the gradient's norm is inf"):
            _check(3, 0.5, float("inf"), scaler)


def test_weights_that_are_not_finite_are_never_saved(tmp_path, pictures) -> None:
    run = small_run(pictures, tmp_path / "run", "--steps", 3, "--save-every", 1, "--learning-rate", "1e39")
    with pytest.raises(TrainingError, match="step 1: the weights are not finite, again"):
        run.run()
    assert checkpoints_in(tmp_path / "run") == []


def test_samples_that_are_nan_are_a_line_and_training_goes_on_to_its_own_fault(tmp_path, pictures) -> None:
    options = ["--sample-every", 1, "--eval-every", 1, "--sample-steps", 2, "--held-out", "0.5", "--eval-images", 4]
    run = small_run(pictures, tmp_path / "run", "--steps", 3, "--learning-rate", "1e30", *options)
    said: list[str] = []
    run.say = said.append
    with pytest.raises(TrainingError, match="again after going back"):
        run.run()
    assert [line[:17] for line in said if line.startswith("step 1: no s")][:2] == [
        "step 1: no sheet:",
        "step 1: no score:",
    ]


def test_steps_see_the_batches_that_are_not_left_out_in_order() -> None:
    faults = Faults(skipped=(0, 3, 4, 9))
    assert [faults.batch(step) for step in range(7)] == [1, 2, 5, 6, 7, 8, 10]
    assert Faults().batch(5) == 5


def test_faults_survive_being_written_and_refuse_what_is_none() -> None:
    faults = Faults().after(8).after(8).after(9)
    assert faults == Faults(skipped=(7, 8, 10), halvings=2, in_a_row=3, step=9)
    assert faults.exhausted
    assert not faults.passed(9).exhausted
    assert faults.passed(8) == faults
    assert Faults.from_dict(json.loads(json.dumps(faults.to_dict()))) == faults
    for name, value in (("skipped", [2, 1]), ("skipped", 1), ("halvings", -1), ("in_a_row", True), ("step", "1")):
        with pytest.raises((TypeError, ValueError)):
            Faults.from_dict({**faults.to_dict(), name: value})


def test_a_fault_in_the_first_steps_leaves_no_forecast_and_the_run_deals_with_it(tmp_path, pictures) -> None:
    run, said = small_run(pictures, tmp_path / "run", "--steps", 3), []
    run.make, run.say = poisoned(run.make, [0]), said.append
    assert run.run()
    assert said[1] == "forecast: none, because the loss or its gradient is not finite in the first steps"
    assert said[2].startswith(
        "step 1: the loss is nan; going back to the start without the pictures at positions 0 to 3"
    )
    assert said[-1].endswith("run: 3 steps are done")
