"""The site: links, the pages of the interface, and what pages load. `make docs` builds it, strictly."""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest
from documents import ROOT, pages

import cmmd_toolkit

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_NAMED = re.compile(r"^::: (\S+)$", re.MULTILINE)


@pytest.mark.parametrize("page", pages())
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    targets = [first or second for first, second in _LINK.findall(text)]
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [target for target in local if not ((ROOT / page).parent / target).exists()] == []


@pytest.mark.parametrize("package", ["cmmd_toolkit", "dit_generators", "cmmd_toolkit.torchmetrics"])
def test_the_page_of_a_package_describes_every_public_name(package: str) -> None:
    page = ROOT / "docs" / "api" / f"{package.rsplit('.', 1)[-1]}.md"
    described = _NAMED.findall(page.read_text())
    public = sorted(f"{package}.{name}" for name in importlib.import_module(package).__all__)
    assert sorted(described) == public, f"write '::: {package}.NAME' into {page}"


def test_a_page_that_loads_from_another_host_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    hook = importlib.import_module("docs.hooks.own_host")
    for loaded in (
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/a.css">',
        '<img srcset="a.png 1x, https://host.example/b.png 2x">',
        "<style>@import 'https://host.example/a.css'</style>",
        "<p style=\"background: url('http://host.example/a.png')\">",
    ):
        assert len(hook.foreign_loads(loaded)) == 1, loaded
    for own in (
        '<a href="https://arxiv.org/abs/1706.08500">',
        '<img src="images/a.png">',
        '<link rel="canonical" href="https://a.example">',
    ):
        assert hook.foreign_loads(own) == []


def test_the_page_of_the_commands_lists_what_all_take_with_its_defaults() -> None:
    griffe = pytest.importorskip("griffe", reason="needs the extra docs")
    extension = griffe.load_extensions(str(ROOT / "docs" / "hooks" / "run_options.py"))
    package = griffe.load("cmmd_toolkit", search_paths=[ROOT], extensions=extension)
    for command in ("compare", "contrast", "explain", "plan", "rank", "embed"):
        described = package[f"commands.{command if command != 'embed' else 'compare'}.{command}"].parameters
        taken = inspect.signature(getattr(cmmd_toolkit, command)).parameters
        assert [own.name for own in described] == list(taken)
        assert described["batch_size"].default == "32"


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(Path(ROOT / "README.md").read_text().splitlines()) <= 250
