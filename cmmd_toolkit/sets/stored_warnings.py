"""What is odd about features that were stored: no record of their pictures, or one of pictures that have changed."""

from collections.abc import Iterable, Sequence

from ..features.record import SetRecord


def unrecorded(names: Sequence[str]) -> list[str]:
    """A warning about sets of which features are all that is known."""
    if not names:
        return []
    return [
        f"not checked: formats, resolutions, conversions and exact copies of {', '.join(names)}: these features come "
        "without a record of their pictures (bare features, .npz statistics and files of older versions have none); "
        "embed the pictures again with `cmmd embed` into a .safetensors file, or give the pictures"
    ]


def changed_since(records: Iterable[SetRecord]) -> list[str]:
    """A warning about each stored file whose pictures have changed since they were read."""
    return [
        f"older than its pictures: {record.file} was made {record.origin.made[:19]}Z, and {record.origin.path} has "
        f"changed since ({changes}): it describes the pictures as they were then; make it again with `cmmd embed`"
        for record in records
        if record.file and record.origin is not None and (changes := record.origin.changes())
    ]
