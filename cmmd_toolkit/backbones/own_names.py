"""How a network of the user's own is named: an object, `path/to/file.py:name`, or an entry point of a package.

A package offers its networks in its pyproject.toml:

    [project.entry-points."cmmd_toolkit.backbones"]
    tiny = "my_package.networks:load_tiny"
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ..common.nearest import hint
from ..common.text import first_line
from ..errors import ArgumentError, BackboneError
from .base import Backbone
from .own_code import FILE_MODULE, imported_names
from .registry import SPECS

GROUP = "cmmd_toolkit.backbones"
_SUFFIX = ".py"


@dataclass(frozen=True, eq=False)
class Own:
    """A network of the user's own by its name; `place` says where it comes from."""

    name: str
    place: str
    source: Any = None
    file: Path | None = None
    entry: metadata.EntryPoint | None = None

    def load(self, device: str, weights: Any = None) -> Backbone:
        """The backbone. Raises BackboneError, ArgumentError."""
        from .own import own_backbone

        return own_backbone(self._object(), self.name, device, weights)

    def _object(self) -> Any:
        if self.file is not None:
            return _attribute(_executed(self.file), self.place.rpartition(":")[2], self.place)
        if self.entry is None:
            return self.source
        try:
            return self.entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise BackboneError(
                f"backbone {self.name}: {self.place} cannot be loaded ({type(error).__name__}: {first_line(error)}); "
                "fix or uninstall that package"
            ) from error


def named_backbones(given: Any) -> tuple[list[str], dict[str, Own]]:
    """The names of the backbones that were asked for, and of the user's own what they are.

    Raises BackboneError for a file or function that is not there, ArgumentError for what names no backbone.
    """
    if given is None:
        return [], {}
    several = isinstance(given, (list, tuple, set, dict, Iterator))
    names, own = list[str](), dict[str, Own]()
    for item in given if several else [given]:
        found = own_named(item)
        name = item if found is None else found.name
        if not isinstance(name, str):
            raise ArgumentError(
                f"backbone: expected names, functions, modules or a Backbone, got {type(item).__name__} {item!r:.60}"
            )
        if found is not None:
            if (other := own.get(name)) is not None and (other.place, other.source) != (found.place, found.source):
                raise ArgumentError(f"backbone: two are called {name}; give one of them as a Backbone of another name")
            own[name] = found
        names.append(name)
    return list(dict.fromkeys(names)), own


def own_named(item: Any) -> Own | None:
    """The user's own network that is meant, None for a name of the registry or of nothing."""
    if isinstance(item, str):
        if item.endswith(_SUFFIX) or f"{_SUFFIX}:" in item:
            return _of_file(item)
        return own_in_a_package(item)
    if isinstance(item, Backbone):
        from .own import is_ours

        if item.name.split(":")[0] in SPECS and not is_ours(item):
            raise ArgumentError(f"backbone: {item.name} is the name of a backbone of this package; use another")
        return Own(item.name, "Backbone", item)
    if not callable(item):
        return None
    name = getattr(item, "__name__", type(item).__name__).strip("<>")
    if name in SPECS:
        raise ArgumentError(f"backbone: {name} is the name of a backbone of this package; rename the function")
    return Own(name, name, item)


def own_in_a_package(name: str) -> Own | None:
    """The network of an installed package, None for a name of the registry or of nothing.

    Raises BackboneError for a name that a file gave to features: no file is run that was not asked for.
    """
    if f"{_SUFFIX}:" in name:
        raise BackboneError(f"{name}: a network of a file; give that file, with its path, as `backbone`")
    return None if name.split(":")[0] in SPECS else entry_points().get(name)


def entry_points(group: str = GROUP) -> dict[str, Own]:
    """What installed packages offer, by name; the first of a name counts."""
    found: dict[str, Own] = {}
    for entry in metadata.entry_points(group=group):
        package = "" if entry.dist is None else f" of {entry.dist.name} {entry.dist.version}"
        found.setdefault(entry.name, Own(entry.name, f"{entry.value}{package}", entry=entry))
    return found


def is_one(given: Any) -> bool:
    """Whether one backbone was asked for, and no list of them."""
    return given is None or isinstance(given, (str, Backbone)) or callable(given)


def _of_file(text: str) -> Own:
    place, _, name = text.rpartition(":") if not text.endswith(_SUFFIX) else (text, "", "")
    file = Path(place).expanduser()
    if not name:
        written = f"{text.rstrip(':')}:NAME"
        raise BackboneError(f"{text}: expected the name of a function, module or Backbone too; write {written}")
    if not file.is_file():
        raise BackboneError(f"{file}: no such file; backbone {text} is read from it")
    return Own(f"{file.name}:{name}", text, file=file.resolve())


def _executed(file: Path) -> Any:
    """The module of a file, which may import its neighbours."""
    content = file.read_bytes()
    name = f"{FILE_MODULE}{hashlib.sha256(str(file).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise BackboneError(f"{file}: cannot be run ({type(error).__name__}: {first_line(error)}); fix it") from error
    _check_neighbours(file, content)
    return module


def _check_neighbours(file: Path, content: bytes) -> None:
    """Raise BackboneError where the file has imported another module in place of the one beside it."""
    for name in {name.partition(".")[0] for name in imported_names(content, "")}:
        beside = [path for path in (file.parent / f"{name}.py", file.parent / name / "__init__.py") if path.is_file()]
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if beside and loaded and not any(path.samefile(loaded) for path in beside):
            raise BackboneError(
                f"{file}: imports {name}, but {loaded} was loaded instead of the one beside it; rename one"
            )


def _attribute(module: Any, name: str, place: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    known: Iterable[str] = [own for own, value in vars(module).items() if callable(value) and not own.startswith("_")]
    raise BackboneError(f"{place}: {module.__file__} has no {name}; {hint(name, known)}give a name that it defines")
