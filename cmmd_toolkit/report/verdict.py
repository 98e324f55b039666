"""What the tests say of several sets, in words: which cannot be told apart, and which are closer than which."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

from ..common.text import p_phrase, p_text
from ..estimation.groups import alike
from ..inference.everywhere import EveryTest
from ..inference.ordering import PairTest

MOST_PICTURES = 1_000_000
_TINY_P = 1e-4
_ALL = {2: "Both", 3: "All three", 4: "All four"}
Group = tuple[int, ...]
Tests = Mapping[tuple[int, int], PairTest]
AnyTests = Mapping[tuple[int, int], PairTest | EveryTest]


@dataclass(frozen=True)
class Verdict:
    """What can be said of the sets under one backbone.

    Attributes:
        backbone, metric: whose distances were tested.
        text: sentences, with the backbone's name before them where a run has several.
        alpha: the level of the tests, after Holm's correction for all pairs.
        pairs: the tests, of sets in order of their distance; none for a single set, or where no test can be made.
    """

    backbone: str
    metric: str
    text: str
    alpha: float
    pairs: tuple[PairTest, ...] = ()


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdicts under a heading that says what they rest on."""
    lines = []
    for (metric, alpha, tested), own in groupby(verdicts, key=lambda v: (v.metric, v.alpha, bool(v.pairs))):
        how = f", from tests of all pairs at {alpha:.3g}, p corrected for their number (Holm)" if tested else ""
        lines += ["", f"Verdict by {metric}{how}:", *(verdict.text for verdict in own)]
    return lines


def ordered_text(names: Sequence[str], pairs: Sequence[PairTest], alpha: float) -> str:
    """Sentences about sets in order of their distance; `pairs` are the tests of 1 and 2, 1 and 3, ..., 2 and 3, ..."""
    tests = dict(zip(combinations(range(len(names)), 2), pairs, strict=True))
    groups = alike(len(names), [pair for pair, test in tests.items() if test.p_adjusted < alpha])
    if [place for group in groups for place in group] == list(range(len(names))):
        return " ".join(_chain(groups, names, tests))
    sentences = [_alike(group, names, tests) for group in groups if len(group) > 1]
    return " ".join([*sentences, *_closer_than(names, tests, alpha)])


def everywhere_text(
    names: Sequence[str], tests: Sequence[EveryTest], by_backbone: Mapping[str, Sequence[PairTest]], alpha: float
) -> str:
    """Sentences about what holds on every backbone, and where two contradict each other; `names` in order."""
    known = dict(zip(combinations(range(len(names)), 2), tests, strict=True))
    sentences = list(_closer_than(names, known, alpha))
    contradicted = {
        own: text for own in tests if not own.agree and (text := _contradiction(own, by_backbone, alpha)) is not None
    }
    sentences += contradicted.values()
    open_pairs = [own for own in tests if own.p_adjusted >= alpha and own not in contradicted]
    if len(open_pairs) == 1:
        sentences.append(f"No order of {open_pairs[0].better} and {open_pairs[0].worse} is shown on all of them.")
    elif open_pairs:
        which = "any two sets" if len(open_pairs) == len(tests) else "the other pairs"
        sentences.append(f"No order of {which} is shown on all of them.")
    return " ".join(sentences)


def _contradiction(test: EveryTest, by_backbone: Mapping[str, Sequence[PairTest]], alpha: float) -> str | None:
    """The sentence for two sets of which one backbone shows the one and another the other to be closer."""
    shown: dict[str, list[str]] = {}
    for backbone, pairs in by_backbone.items():
        for pair in pairs:
            if {pair.better, pair.worse} == {test.better, test.worse} and pair.p_adjusted < alpha:
                shown.setdefault(pair.better, []).append(backbone)
    if len(shown) < 2:
        return None
    (one, first), (two, second) = shown.items()
    return f"They contradict each other: {one} is closer than {two} on {joined(first)}, but {two} on {joined(second)}."


def single_text(generated: str, reference: str, interval: tuple[float, float]) -> str:
    """A sentence about one set: whether the interval of its distance leaves room for none."""
    if interval[0] > 0:
        return f"{generated} differs from {reference}: the 95 % interval excludes zero."
    return f"No difference between {generated} and {reference} is shown: the 95 % interval includes zero."


def untested_text(reasons: Mapping[str, str]) -> str:
    """Which sets have no test, and why, a sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return " ".join(f"No test of {joined(names)}: {reason}." for reason, names in by_reason.items())


def joined(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _chain(groups: Sequence[Group], names: Sequence[str], tests: Tests) -> Iterable[str]:
    """Groups that do not overlap, each closer than the next."""
    for place, group in enumerate(groups):
        if len(group) > 1:
            yield _alike(group, names, tests)
        if place + 1 < len(groups):
            subject = _ALL.get(len(group), f"All {len(group)}") if len(group) > 1 else names[group[0]]
            yield _closer(subject, group, groups[place + 1], names, tests)


def _closer_than(names: Sequence[str], tests: AnyTests, alpha: float) -> Iterable[str]:
    """Every difference that is shown; sets that are closer than the same others in one sentence."""
    further: dict[Group, list[int]] = {}
    for i in range(len(names)):
        others = tuple(j for j in range(i + 1, len(names)) if tests[i, j].p_adjusted < alpha)
        if others:
            further.setdefault(others, []).append(i)
    for others, group in further.items():
        yield _closer(joined([names[i] for i in group]), tuple(group), others, names, tests)


def _closer(subject: str, group: Group, others: Group, names: Sequence[str], tests: AnyTests) -> str:
    p_values = [tests[i, j].p_adjusted for i in group for j in others]
    largest, verb = max(p_values), "is" if len(group) == 1 else "are"
    sure = p_phrase(largest) if len(p_values) == 1 or largest < _TINY_P else f"p at most {p_text(largest)}"
    return f"{subject} {verb} closer than {joined([names[j] for j in others])} ({sure})."


def _alike(group: Group, names: Sequence[str], tests: Tests) -> str:
    """Sets of which no pair can be told apart, and how many pictures would tell the easiest pair."""
    own = {pair: tests[pair] for pair in combinations(group, 2)}
    sets = joined([names[i] for i in group])
    if all(test.difference == 0 for test in own.values()):
        return f"{sets} score exactly the same."
    smallest = min(test.p_adjusted for test in own.values())
    every = len({p_text(test.p_adjusted) for test in own.values()}) == 1
    sure = p_phrase(smallest) if every else f"p at least {p_text(smallest)}"
    counts = {pair: test.images_needed for pair, test in own.items() if test.images_needed is not None}
    if not counts:
        return f"{sets} cannot be told apart ({sure}); the reference is too small to tell."
    (i, j), count = min(counts.items(), key=lambda item: item[1])
    if count <= own[i, j].images:  # the correction for many pairs, or few deals, kept p from falling lower
        return f"{sets} cannot be told apart ({sure})."
    which = " to tell them apart" if len(group) == 2 else f" to tell {names[i]} from {names[j]}"
    return (
        f"{sets} cannot be told apart ({sure}); if the difference is what was observed, which may be chance, "
        f"{_pictures(count)} pictures per generated set would be needed{which}."
    )


def _pictures(count: int) -> str:
    """Rounded to three digits: more is not known."""
    if count > MOST_PICTURES:
        return f"more than {MOST_PICTURES:,}"
    return f"about {round(count, 2 - math.floor(math.log10(count))):,}"
