"""What decides the features of a network that is the user's own: its code, its weights, the packages that it uses.

Code is the file of a function or class and every file that it imports by name, as far as these are the user's; of
installed packages the version stands for the code. Weights are the parameters, buffers and attributes of a module.
Where something cannot be told, a reason says so, and features are not kept.
"""

import ast
import functools
import hashlib
import inspect
import pickle
import struct
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

_first_seen: dict[str, tuple[int, bytes]] = {}  # of each module: which object it was, and its file's digest
FILE_MODULE = "cmmd_own_"  # begins the names of modules that are read from a file by its path
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass
class Fingerprint:
    """What is known of an object's code and state.

    Attributes:
        files: the user's source files by path.
        packages: versions of the installed packages, by the name that is imported.
        state: SHA-256 over weights and attributes.
        unknown: why features must not be kept, None where all is known.
    """

    files: dict[Path, bytes] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    state: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    has_state: bool = False
    unknown: str | None = None

    def code_digest(self) -> str:
        """SHA-256 of the source files."""
        digest = hashlib.sha256()
        for content in sorted(self.files.values()):
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def state_digest(self) -> str | None:
        """SHA-256 of weights and attributes, None where there are none."""
        return self.state.hexdigest() if self.has_state else None

    def cannot_tell(self, reason: str) -> None:
        """The first reason stays."""
        self.unknown = self.unknown or reason

    def add(self, value: Any, what: str = "it") -> None:
        """Take in a function, class, module of torch, or plain value."""
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            self._add_module(value)
        elif torch is not None and isinstance(value, torch.Tensor):
            self._add_entry(what, value)
        elif isinstance(value, FunctionType):
            self._add_function(value, what)
        elif isinstance(value, type):
            self._note(f"class {title_of(value)}".encode())
            self._add_source(value.__module__, what)
        elif (parts := _parts(value)) is not None:
            for part in parts:
                self.add(part, what)
        else:
            self._add_plain(value, what)

    def _add_function(self, function: FunctionType, what: str) -> None:
        self._note(f"function {title_of(function)}".encode())
        if hasattr(function, "__wrapped__") and _is_installed(Path(function.__code__.co_filename)):
            self.add(function.__wrapped__, what)  # a decorator of a library, such as torch.no_grad
            return
        if function.__closure__:
            self.cannot_tell(f"{what} is a closure")
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()):
            self.add(default, f"a default of {what}")
        self._add_source(function.__module__, what, function.__globals__)
        if not _is_installed_module(function.__module__):
            for name in sorted(_names_of(function.__code__)):
                if _is_weights(value := function.__globals__.get(name)):
                    self.add(value, name)

    def _add_module(self, module: "nn.Module") -> None:
        self.has_state = True
        for name, value in sorted(module.state_dict(keep_vars=False).items()):
            self._add_entry(name, value)
        for name, value in module.named_buffers():
            self._add_entry(name, value)
        for name, part in module.named_modules():
            self._note(f"module {name}".encode())
            self.add(type(part), f"class {type(part).__name__}")
            if part._forward_hooks or part._forward_pre_hooks:
                self.cannot_tell(f"module {name or type(part).__name__} has hooks")
            for attribute, value in sorted(_attributes(part).items()):
                self._note(attribute.encode())
                self.add(value, f"attribute {attribute} of {type(part).__name__}")

    def _add_entry(self, name: str, value: Any) -> None:
        import torch

        if not isinstance(value, torch.Tensor):
            self._add_plain(value, name)
            return
        self._note(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        plain = value.detach().cpu().contiguous()
        self._note(plain.view(torch.uint8).numpy().tobytes() if plain.ndim else plain[None].view(torch.uint8).numpy())

    def _add_plain(self, value: Any, what: str) -> None:
        try:
            self._note(pickle.dumps(value))  # written, never read
        except Exception:  # whatever an object raises that cannot be written
            self.cannot_tell(f"{what} is an object of {type(value).__name__}, which cannot be written down")
            return
        if callable(value) and not isinstance(value, BuiltinFunctionType):
            self.cannot_tell(f"{what} is an object of {type(value).__name__}, whose state may be anywhere")
        if type(value).__module__ != "builtins":
            self.add(type(value), what)

    def _note(self, content: Any) -> None:
        self.state.update(hashlib.sha256(content).digest())

    def _add_source(self, module: str, what: str, names: dict[str, Any] | None = None) -> None:
        file = getattr(sys.modules.get(module), "__file__", None) or (names or {}).get("__file__")
        if module.partition(".")[0] in ("builtins", "cmmd_toolkit") or (file is None and _is_installed_module(module)):
            return
        if file is None or not Path(file).is_file():
            self.cannot_tell(f"the source file of {what} is not known")
            return
        self._add_file(Path(file).resolve(), module)

    def _add_file(self, file: Path, module: str) -> None:
        if file in self.files:
            return
        if _is_installed(file):
            self._add_package(module.partition(".")[0])
            return
        content = file.read_bytes()
        self.files[file] = content
        if _has_changed(module, file, content):
            self.cannot_tell(f"{file.name} has changed since it was imported")
        for name in imported_names(content, _package_of(module)):
            imported = sys.modules.get(name)
            own = getattr(imported, "__file__", None) if isinstance(imported, ModuleType) else None
            if own and name.partition(".")[0] != "cmmd_toolkit":  # whose code is in every key
                self._add_file(Path(own).resolve(), name)

    def _add_package(self, name: str) -> None:
        if name in self.packages or name in sys.stdlib_module_names:
            return
        version = getattr(sys.modules.get(name), "__version__", None)
        distributions = () if isinstance(version, str) else metadata.packages_distributions().get(name, ())
        self.packages[name] = version if isinstance(version, str) else ", ".join(map(metadata.version, distributions))


def title_of(value: Any) -> str:
    """Where a function, class or object comes from; of one in a file that was named by its path, the file's name."""
    named = value if hasattr(value, "__qualname__") else type(value)
    module = named.__module__ or ""
    if module.startswith(FILE_MODULE):
        module = Path(getattr(sys.modules.get(module), "__file__", None) or module).name
    return f"{module}.{named.__qualname__}"


def _parts(value: Any) -> "list[Any] | None":
    """What a collection or a wrapped function is made of, None for anything else."""
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.items()]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if callable(value) and hasattr(value, "__wrapped__"):  # of functools.cache
        return [value.__wrapped__]
    if isinstance(value, dict):
        return list(value.items())
    return list(value) if isinstance(value, tuple | list) else None


def _has_changed(module: str, file: Path, content: bytes) -> bool:
    """Whether a file is no longer what its module was made from: then its code is not the one that runs."""
    loaded, digest = id(sys.modules.get(module)), hashlib.sha256(content).digest()
    known = _first_seen.get(module)
    if known is None or known[0] != loaded:
        _first_seen[module] = known = loaded, digest
    return known[1] != digest or (module != "__main__" and _is_compiled_from_another(file))


def _is_compiled_from_another(file: Path) -> bool:
    """Whether the bytecode that the import left is of a file of another date or size; False where it left none."""
    try:
        head, now = Path(cache_from_source(str(file))).read_bytes()[:16], file.stat()
    except (OSError, NotImplementedError):
        return False
    checked_by_hash, date, size = struct.unpack("<III", head[4:]) if len(head) == 16 else (1, 0, 0)
    return not checked_by_hash and (date, size) != (int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)


def _is_weights(value: Any) -> bool:
    """What a function may compute with and its source does not show."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    kinds = [*([torch.nn.Module, torch.Tensor] if torch else []), *([numpy.ndarray] if numpy else [])]
    return isinstance(value, tuple(kinds))


def _names_of(code: Any) -> set[str]:
    """Names that a function uses, those of functions inside it too."""
    inner = (_names_of(own) for own in code.co_consts if inspect.iscode(own))
    return set(code.co_names).union(*inner)


def _attributes(module: "nn.Module") -> dict[str, Any]:
    """What a module holds beside torch's own bookkeeping, parameters, buffers and submodules."""
    from torch import nn

    own = {*vars(nn.Module()), "training"}
    return {name: value for name, value in vars(module).items() if name not in own}


def _is_installed(file: Path) -> bool:
    return any(folder in file.parents for folder in _INSTALLED)


def _is_installed_module(name: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None)
    return name in sys.builtin_module_names or (file is not None and _is_installed(Path(file).resolve()))


def _package_of(module: str) -> str:
    """What relative imports of a module begin at."""
    package = getattr(sys.modules.get(module), "__package__", None)
    return package if isinstance(package, str) else module.rpartition(".")[0]


def imported_names(content: bytes, package: str) -> Iterator[str]:
    """The full names of the modules that a source file imports, and of what might be modules."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
