"""Warnings by what they are about, those that say the same of several sets together: for terminals and for pages."""

import re
from collections.abc import Iterable

from ..common.labels import short_labels
from ..common.text import any_word
from .contrast import Contrast
from .explanation import Explanation
from .plan import Plan
from .ranking import Ranking
from .report import Report
from .watching import Watching

_NUMBER = re.compile(r"\d[\d.,]*")
OTHER = "Remarks"
_TOPICS = {
    "Copies: the sets are not independent": (
        "exact duplicates",
        "equal features",
        "repeated pictures",
        "repeated features",
        "compared with itself",
    ),
    "Whether the features can be compared": (
        "may not be comparable",
        "not comparable with",
        "older than its pictures",
        "without a record of their pictures",
        "has no preprocessor_config.json",
        "the published numbers used",
        "instead of fp32 changes",
    ),
    "How many pictures there are": ("very unequal sizes", "fewer pictures", "no more pictures", "too few", "at least "),
    "How the pictures are stored": (
        "JPEG against lossless",
        "different resolutions",
        "mixed resolutions",
        "converted:",
        "unusable",
    ),
    "How sure the numbers are": (
        "no interval",
        "no error",
        "negative ",
        "random frequencies",
        "cannot be told apart",
        "includes zero",
    ),
    "Classes": ("per class:",),
}


def warning_kinds(warnings: Iterable[str], words: Iterable[str]) -> dict[str, list[list[str]]]:
    """What warnings are about, in a fixed order, to their kinds; those of a kind differ in `words` and numbers only."""
    named = any_word(words)
    kinds: dict[str, list[str]] = {}
    for warning in warnings:
        kinds.setdefault(_NUMBER.sub("#", named.sub("#", warning)), []).append(warning)
    found: dict[str, list[list[str]]] = {topic: [] for topic in (*_TOPICS, OTHER)}
    for own in kinds.values():
        found[_topic(own[0])].append(own)
    return {topic: own for topic, own in found.items() if own}


def words_of(record: Report | Ranking | Explanation | Contrast | Plan | Watching) -> frozenset[str]:
    """The names that warnings of a record may differ in: of sets, short and long, backbones, metrics, classes."""
    match record:
        case Report():
            words = {
                word for own in record.results for word in (own.reference, own.generated, own.backbone, own.metric)
            }
            words |= {*short_labels(words).values(), *record.results_per_class}
        case Ranking():
            words = {place.generated for order in record.orders for place in order.places}
            words |= {record.reference, *(word for own in record.orders for word in (own.backbone, own.metric))}
        case Plan():
            words = {word for need in record.needs for word in (need.backbone, need.metric, need.about)}
        case Watching():
            words = {record.reference, *record.backbones, *(look.name for look in record.looks)}
        case Contrast():
            words = {record.reference, record.first, record.second, *record.short_names}
        case Explanation():
            words = {record.reference, record.generated, *record.short_names}
    return frozenset(words)


def _topic(warning: str) -> str:
    return next((topic for topic, words in _TOPICS.items() if any(word in warning for word in words)), OTHER)
