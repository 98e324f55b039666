"""The public surface: what is exported, and what importing it costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmmd_toolkit
from cmmd_toolkit import errors


def test_every_exported_name_exists_and_the_list_is_sorted() -> None:
    assert cmmd_toolkit.__all__ == sorted(cmmd_toolkit.__all__)
    for name in cmmd_toolkit.__all__:
        assert getattr(cmmd_toolkit, name).__name__ == name
    assert set(cmmd_toolkit.__all__) <= set(dir(cmmd_toolkit))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No cmmd_toolkit attribute nonsense"):
        cmmd_toolkit.nonsense  # noqa: B018


def test_the_mathematics_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np, cmmd_toolkit as c; x = np.random.rand(9, 3)\n"
        "c.frechet_distance(reference=x, generated=x); c.squared_mmd(reference=x, generated=x)\n"
        "assert callable(c.compare) and not {'torch', 'transformers', 'torchvision'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_library_speaks_of_arguments_and_the_command_line_of_flags() -> None:
    """Beside whole commands, such as `cmmd embed` without --stats, and what the shell of both commands is made of."""
    found = []
    for path in sorted(Path(cmmd_toolkit.__file__).parent.rglob("*.py")):
        if path.parent.name != "cli" and path.name not in ("limits.py", "shell.py", "flags.py", "outputs.py"):
            texts = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            rest = (re.sub(r"`cmmd [^`]*`( without --stats)?", "", text) for text in texts if isinstance(text, str))
            found += [(path.name, text) for text in rest if re.search(r"(?<!-)--[a-z]", text)]
    assert not found


def test_every_error_is_a_cmmd_error() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(kind, errors.CmmdError) for kind in kinds)
    assert issubclass(errors.ArgumentError, ValueError)
