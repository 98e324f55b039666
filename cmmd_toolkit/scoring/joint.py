"""The joint test of every generated set of a run, over all its backbones."""

from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

from ..common.progress import Advance, ShowProgress
from ..errors import ArgumentError
from ..estimation.groups import holm
from ..features.features import rows_needed
from ..inference.joint import joint_test
from ..report.joint import JointAnswer, answer_text
from ..sets.embed_sets import EmbeddedSets
from ..sets.open_sets import OpenedSets

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
    tests = []
    for own, side in zip(generated, others, strict=True):
        progress = partial(_show, sets.run.shown, side.short)
        test = joint_test(reference=reference, generated=own, seed=sets.run.seed, progress=progress)
        tests.append(test.among(len(generated)))
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


def _show(show: ShowProgress, name: str, title: str, total: int | None) -> AbstractContextManager[Advance]:
    """With the name of the set before the title: a bar shows of paths the last part."""
    return show(f"{name} ({title})", total)
