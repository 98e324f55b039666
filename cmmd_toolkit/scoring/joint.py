"""The joint test of every generated set of a run, over all its backbones."""

from typing import Literal

from ..common.processes import current_processes
from ..common.progress import ShowProgress
from ..errors import ArgumentError
from ..estimation.groups import holm
from ..features.features import rows_needed
from ..inference.joint import joint_test
from ..report.joint import JointAnswer, answer_text
from ..sets.embed_sets import EmbeddedSets
from ..sets.open_sets import OpenedSets
from ..sets.run import Run

Test = Literal["joint"]
TESTS = ("joint",)


def check_joint(test: Test | None, sets: OpenedSets) -> None:
    """Raise ArgumentError, before a picture is read, where there can be no such test."""
    if test is None:
        return
    if test not in TESTS:
        raise ArgumentError(f"test: expected {' or '.join(TESTS)}, got {test!r}")
    if sets.recipe.name != "default":
        raise ArgumentError(f"test: recipe {sets.recipe.name} defines none; leave out `test` or `recipe`")
    for side in sets.sides:
        if not side.has_rows:
            raise ArgumentError(rows_needed(f"test: {side.label}", "the joint test"))


def joint_answers(sets: EmbeddedSets) -> tuple[list[JointAnswer], list[str]]:
    """One answer a generated set, p-values corrected for their number; and remarks."""
    reference, *generated = map(sets.mmd_rows, range(len(sets.features)))
    first, *others = sets.sides
    tests = [
        joint_test(
            reference=reference, generated=own, seed=sets.run.seed, progress=_progress(sets.run, side.short)
        ).among(len(generated))
        for own, side in zip(generated, others, strict=True)
    ]
    adjusted = holm({i: test.p_value for i, test in enumerate(tests)})
    answers = [
        JointAnswer(first.label, side.label, adjusted[i], answer_text(first.short, side.short, test, adjusted[i]), test)
        for i, (side, test) in enumerate(zip(others, tests, strict=True))
    ]
    remarks = [
        f"joint test of {side.short}: {caveat}"
        for side, test in zip(others, tests, strict=True)
        for caveat in test.caveats
    ]
    return answers, remarks


def _progress(run: Run, name: str) -> ShowProgress | None:
    """That of the run, with the name of the set; of several processes one shows its part."""
    if run.progress is None or not current_processes().is_main:
        return None
    show = run.progress
    return lambda title, total: show(f"{title} of {name}", total)
