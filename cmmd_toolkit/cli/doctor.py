"""What this machine has: the tables of `cmmd backbones` and `cmmd doctor`."""

import importlib.util
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ..backbones.own_names import entry_points
from ..backbones.registry import SPECS, BackboneSpec
from ..common.text import align
from ..common.threads import default_workers
from ..common.versions import library_versions
from ..report.screen.cells import wrapped
from ..sets.metric_names import METRICS
from ..sets.own_metrics import own_metric_names
from ..store.store import store_folder

_LEAST_ROOM = 20  # cells


def print_backbones() -> None:
    """One line per backbone: name, default model, dimensions, published score, ready or not; below, why not."""
    rows, reasons = [], dict[str, list[str]]()
    for spec in SPECS.values():
        ready, reason = availability(spec)
        name = spec.name if spec.name != "openclip" else "openclip:ARCHITECTURE/PRETRAINED"
        rows.append((name, spec.default_model, spec.dims, spec.score, "yes" if ready else "no"))
        if not ready:
            reasons.setdefault(reason, []).append(spec.name)
    rows += [(name, own.place, "-", "-", "by entry point") for name, own in entry_points().items() if name not in SPECS]
    console = Console(highlight=False, soft_wrap=True)
    heading = ("Backbone", "Default model", "Dimensions", "Score", "Ready")
    _print_table([heading, *rows], ("Score", "Dimensions", "Default model"), console)
    for reason, names in reasons.items():
        console.print()
        _print_wrapped(f"Not ready: {', '.join(names)}: {reason}", "", console)


def print_metrics() -> None:
    """One line per metric: name, which way is better, what it needs, what it is; those of other packages last."""
    rows = [("Metric", "Better", "Needs", "What it is")]
    for name in [*METRICS, *own_metric_names()]:
        spec = METRICS[name]
        better = "-" if spec.is_test else "higher" if spec.higher_is_better else "lower"
        family = f", on {spec.family}" if spec.family else ""
        rows.append((name, better, f"{spec.needs}{family}", spec.full_name))
    _print_table(rows, ("Needs", "Better"), Console(highlight=False, soft_wrap=True))


def print_doctor() -> None:
    """Versions, devices, threads, cache folders and found weights, one `key: value` a line."""
    lines = [(name, version) for name, version in library_versions().items()]
    lines += [("platform", platform.platform()), *_devices(), ("decoding threads", str(default_workers()))]
    lines += [*_caches(), ("feature store", str(store_folder() or "off"))]
    lines += [(f"backbone {spec.name}", _ready_line(spec)) for spec in SPECS.values()]
    width = max(len(key) for key, _ in lines)
    console = Console(highlight=False, soft_wrap=True)
    for key, value in lines:
        _print_wrapped(value, f"{key.ljust(width)}  ", console)


def _print_table(rows: Sequence[tuple[str, ...]], dropped: Sequence[str], console: Console) -> None:
    """The first row holds the headings; on a narrow terminal the columns `dropped` go, in that order."""
    table = list(rows)
    for name in dropped:
        if not console.is_terminal or max(map(len, align(table, left=range(len(table[0]))))) <= console.width:
            break
        place = table[0].index(name)
        table = [(*row[:place], *row[place + 1 :]) for row in table]
    starts = align([row[:-1] for row in table], left=range(len(table[0]) - 1))
    width = max(map(len, starts))
    for row, start in zip(table, starts, strict=True):
        _print_wrapped(row[-1], f"{start.ljust(width)}  ", console)


def _print_wrapped(text: str, start: str, console: Console) -> None:
    """The text after `start`, its further lines below its first; in one line where nobody reads it on a terminal."""
    room = max(console.width - len(start), _LEAST_ROOM)
    for i, line in enumerate(wrapped(text, room) if console.is_terminal else [text]):
        console.print(Text((start if i == 0 else " " * len(start)) + line))


def availability(spec: BackboneSpec) -> tuple[bool, str]:
    """Whether the default model of a backbone runs here without a download, and where its weights are or belong."""
    if importlib.util.find_spec(spec.package) is None:
        return False, f"package {spec.package} is not installed: pip install {spec.distribution}"
    if spec.module == "mini":
        return True, "bundled"
    path = _find_weights(spec)
    if path is not None:
        return True, str(path)
    return False, "not on this machine: give --weights PATH, or connect once to download them"


def _find_weights(spec: BackboneSpec) -> Path | None:
    if spec.module == "inception":
        from ..backbones.inception import cached_weights

        path = cached_weights()
        return path if path.is_file() else None
    if spec.module == "openclip":
        from ..backbones.openclip import cached_weights as cached_openclip

        return cached_openclip(spec.default_model)
    from ..backbones.hub_files import cached_folder

    return cached_folder(spec.default_model)


def _ready_line(spec: BackboneSpec) -> str:
    ready, reason = availability(spec)
    return f"ready: {reason}" if ready else f"not ready: {reason}"


def _devices() -> list[tuple[str, str]]:
    import torch

    lines = [("cpu threads", str(torch.get_num_threads()))]
    if not torch.cuda.is_available():
        return [*lines, ("cuda", "no device")]
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        lines.append((f"cuda:{i}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    return lines


def _caches() -> list[tuple[str, str]]:
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    offline = os.environ.get("HF_HUB_OFFLINE", "") in ("1", "true", "TRUE")
    return [
        ("hugging face cache", HF_HUB_CACHE),
        ("torch cache", str(Path(torch.hub.get_dir()) / "checkpoints")),
        ("hub", "switched off by HF_HUB_OFFLINE" if offline else "used when the caches have no weights"),
    ]
