"""Every code block of README and docs/ runs: commands in this process, on small sets, as a reader with offline caches.

What cannot run here says so in the source (tests/helpers/documents.py); its options and imports are checked.
"""

import ast
import importlib
import re
import shlex
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

import click
import pytest
from doc_world import make_checkpoints, make_hub_cache, make_sets, make_shards, make_weights
from documents import REASONS, ROOT, RUN_LANGUAGES, SHOWN_LANGUAGES, Block, blocks_of, pages

from cmmd_toolkit.backbones.files import INCEPTION_NAME
from cmmd_toolkit.cli.main import main as cmmd
from dit_generators.cli.main import main as dit_gen
from examples import run_example

PROGRAMS = {"cmmd": cmmd, "dit-gen": dit_gen, "cmmd_toolkit": cmmd, "dit_generators": dit_gen}
SMALL_PAGES = ("reproduce", "offline")  # they run Inception: fewer pictures
# A block that is not run is a promise that nobody keeps: each is counted here, and a new one is a choice to defend.
NOT_RUN = {"hours": 8, "install": 5, "network": 3, "processes": 4}


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory, inception_weights: Path) -> Path:
    """The caches of a reader who has fetched every published network: hub/, torch/, store/."""
    folder = tmp_path_factory.mktemp("caches")
    make_hub_cache(folder / "hub", folder)
    kept = folder / "torch" / "hub" / "checkpoints" / INCEPTION_NAME
    kept.parent.mkdir(parents=True)
    kept.symlink_to(inception_weights)
    return folder


@pytest.fixture
def reader(caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder, as the current one."""
    for name in ("huggingface_hub.constants", "huggingface_hub.file_download.constants"):
        monkeypatch.setattr(f"{name}.HF_HUB_CACHE", str(caches / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(caches / "torch"))
    monkeypatch.setenv("CMMD_STORE", str(caches / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", pages())
def test_the_blocks_of_a_page_run(page: str, reader: Path, caches: Path) -> None:
    run_page([block for block in blocks_of(page) if not block.slow], reader, caches)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if any(block.slow for block in blocks_of(page))])
def test_the_slow_blocks_of_a_page_run(page: str, reader: Path, caches: Path) -> None:
    run_page(blocks_of(page), reader, caches)


def test_what_is_not_run_is_counted() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    assert [block.place for block in blocks if block.not_run and block.not_run not in REASONS] == []
    assert Counter(block.not_run for block in blocks if block.not_run) == NOT_RUN


def test_every_block_has_a_language() -> None:
    known = (*RUN_LANGUAGES, *SHOWN_LANGUAGES)
    assert [block.place for page in pages() for block in blocks_of(page) if block.language not in known] == []


def run_page(blocks: list[Block], folder: Path, caches: Path) -> None:
    """All blocks of a page in order, in one folder; its Python blocks share their names."""
    todo = [block for block in blocks if block.language in RUN_LANGUAGES]
    if any(not block.not_run for block in todo):
        text = "".join(block.text for block in todo)
        make_sets(folder, 5 if any(part in todo[0].page for part in SMALL_PAGES) else 24, text)
        make_checkpoints(folder)
        make_weights(folder, caches)
        if "shards/" in text:
            make_shards(folder)
    names: dict[str, object] = {"__name__": "__page__"}
    for block in todo:
        if block.language == "bash":
            run_commands(block)
        elif block.not_run:
            check_imports(block)
        else:
            exec(compile(block.text, block.place, "exec"), names)


def run_commands(block: Block) -> None:
    for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            if words and block.not_run:
                check_options(words, block)
            elif words:
                run_command(words, block)


def run_command(words: list[str], block: Block) -> None:
    """Run `cmmd ...`, `dit-gen ...` or an example; what has a limit may end with 1, which is what it is for."""
    program, *arguments = words
    is_example = program == "python" and arguments[0].startswith("examples/")
    assert is_example or program in PROGRAMS, f"{block.place}: {program} is no command of this package; why not run?"
    with pytest.raises(SystemExit) as stopped:
        (run_example if is_example else in_process)(*words)
    limited = any(word.startswith("--fail-") or word.endswith("ci_gate.py") for word in words)
    assert stopped.value.code in ({0, None, 1} if limited else {0, None}), f"{block.place}: {shlex.join(words)}"


def in_process(program: str, *arguments: str) -> NoReturn:
    PROGRAMS[program].main(list(arguments))
    sys.exit(0)


def check_options(words: list[str], block: Block) -> None:
    """That a command which is not run would be understood."""
    missing = [word for word in words if word.endswith(".py") and not (ROOT / word).is_file()]
    assert not missing, f"{block.place}: there is no {missing[0]}"
    start = next((i for i, word in enumerate(words) if word in PROGRAMS), len(words))
    rest = [*takewhile(lambda word: word != ">", words[start + 1 :])]
    if not rest:
        return
    command: click.Command = PROGRAMS[words[start]]
    try:
        while isinstance(command, click.Group):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(command.name, rest, resilient_parsing=False)
    except (KeyError, IndexError, click.ClickException) as error:
        raise AssertionError(f"{block.place}: {shlex.join(words)}: {error}") from error


def check_imports(block: Block) -> None:
    """That the names which a block imports from these packages are there."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PROGRAMS:
            module = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == [], block.place
