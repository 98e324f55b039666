"""What takes long is said before it begins."""


class CostWarning(UserWarning):
    """The requested computation takes very long, and an alternative would not."""


def duration_text(seconds: float) -> str:
    """A time to one or two digits, in the unit that people would use."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            count = round(seconds / size)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    count = max(1, round(seconds))
    return f"{count} second{'' if count == 1 else 's'}"
