"""Every code block of README and docs/ runs, on small sets, as a reader with offline caches.

Commands run in this process; those of slow blocks in bash, with smaller numbers (tests/helpers/smaller.py).
"""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

import click
import fsspec
import pytest
from doc_world import (
    CLIP_336,
    copy_package,
    make_checkpoints,
    make_digits,
    make_environment,
    make_hub_cache,
    make_sets,
    make_shards,
    make_weights,
    snapshot,
)
from documents import ROOT, RUN_LANGUAGES, SHOWN_LANGUAGES, Block, blocks_of, pages
from hub_server import serving_hub
from s3_server import ACCOUNT, serving_s3
from smaller import SHARED, smaller_commands, smaller_python

from cmmd_toolkit.backbones.files import INCEPTION_NAME
from cmmd_toolkit.backbones.registry import SPECS
from cmmd_toolkit.cli.main import main as cmmd
from dit_generators.cli.main import main as dit_gen
from examples import run_example

PROGRAMS = {"cmmd": cmmd, "dit-gen": dit_gen, "cmmd_toolkit": cmmd, "dit_generators": dit_gen}
SMALL_PAGES = ("reproduce", "offline")  # they run Inception: fewer pictures


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
    """Of its slow blocks, that their commands would be understood and that what they import is there."""
    blocks = blocks_of(page)
    for block in (own for own in blocks if own.slow):
        check_commands(block) if block.language == "bash" else check_imports(block)
    run_page([block for block in blocks if not block.slow], reader, caches)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if any(block.slow for block in blocks_of(page))])
def test_the_slow_blocks_of_a_page_run(page: str, reader: Path, caches: Path) -> None:
    run_page(blocks_of(page), reader, caches)


def test_every_block_has_a_language() -> None:
    known = (*RUN_LANGUAGES, *SHOWN_LANGUAGES)
    assert [block.place for page in pages() for block in blocks_of(page) if block.language not in known] == []


def run_page(blocks: list[Block], folder: Path, caches: Path) -> None:
    """All blocks of a page in order, in one folder; its Python blocks share their names."""
    todo = [block for block in blocks if block.language in RUN_LANGUAGES]
    if not todo:
        return
    text = "".join(block.text for block in todo)
    make_world(folder, caches, text, 5 if any(part in todo[0].page for part in SMALL_PAGES) else 24)
    with ExitStack() as servers:
        environment = surroundings(text, folder, caches, servers) if any(block.slow for block in todo) else {}
        names: dict[str, object] = {"__name__": "__page__"}
        for block in todo:
            if block.language == "python":
                exec(compile(smaller_python(block.text) if block.slow else block.text, block.place, "exec"), names)
            elif block.slow:
                run_in_bash(block, environment)
            else:
                run_commands(block)


def make_world(folder: Path, caches: Path, text: str, count: int) -> None:
    """All that the text speaks of."""
    make_sets(folder, count, text.replace("PICTURES", "pictures/"))
    make_checkpoints(folder)
    make_weights(folder, caches, text)
    if "shards/" in text:
        make_shards(folder)
    if "cmmd_toolkit/backbones/" in text:
        (folder / "cmmd_toolkit" / "backbones").mkdir(parents=True)
    if "study digits/" in text:
        make_digits(folder)
    if "pip install" in text:
        copy_package(folder)
    (folder / "home" / ".config" / "fish" / "completions").mkdir(parents=True)
    for name in ("benchmarks", "examples"):
        (folder / name).symlink_to(ROOT / name)


def surroundings(text: str, folder: Path, caches: Path, servers: ExitStack) -> dict[str, str]:
    """What a command of a slow block finds: a home, caches, the servers that the text asks, this package or none."""
    found = {**os.environ, "HOME": str(folder / "home"), "HF_HUB_CACHE": str(caches / "hub")}
    found |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    if "pip install" in text:
        found |= make_environment(folder)
        if not re.search(r"pip install (-e )?'?\.[\s\[]", text):  # a reader who installed it before
            subprocess.run(["pip", "install", "--quiet", "."], env=found, check=True)
    if "make test" in text:
        found["PYTEST_ADDOPTS"] = "tests/test_help_texts.py"
    if "s3://" in text:
        found |= ACCOUNT | {"AWS_ENDPOINT_URL": servers.enter_context(serving_s3())}
        fill_bucket(folder / "real", found["AWS_ENDPOINT_URL"])
    if "hf download" in text:
        models = (SPECS["clip"].default_model, CLIP_336)
        hub = {f"models/{model}": snapshot(caches / "hub", model) for model in models}
        found |= {"HF_ENDPOINT": servers.enter_context(serving_hub(hub)), "HF_HUB_OFFLINE": "0"}
    return found


def fill_bucket(real: Path, address: str) -> None:
    system = fsspec.filesystem("s3", key="a", secret="b", endpoint_url=address)
    system.mkdir("bucket")
    system.put(str(real), "bucket/real", recursive=True)


def run_in_bash(block: Block, environment: dict[str, str]) -> None:
    if "DATA" in block.text and not SHARED.is_dir():
        pytest.skip("needs the shared data (set CMMD_SHARED)")
    script = smaller_commands(block.text)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.place}: {script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def run_commands(block: Block) -> None:
    for words in commands_of(block):
        run_command(words, block)


def commands_of(block: Block) -> Iterator[list[str]]:
    for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
        for command in line.split(" && "):
            if words := shlex.split(command, comments=True):
                yield words


def check_commands(block: Block) -> None:
    for words in commands_of(block):
        check_options(words, block)


def run_command(words: list[str], block: Block) -> None:
    """Run `cmmd ...`, `dit-gen ...` or an example; what has a limit may end with 1, which is what it is for."""
    program, *arguments = words
    is_example = program == "python" and arguments[0].startswith("examples/")
    assert is_example or program in PROGRAMS, f"{block.place}: run {program} with -m slow"
    with pytest.raises(SystemExit) as stopped:
        (run_example if is_example else in_process)(*words)
    limited = any(word.startswith("--fail-") or word.endswith("ci_gate.py") for word in words)
    assert stopped.value.code in ({0, None, 1} if limited else {0, None}), f"{block.place}: {shlex.join(words)}"


def in_process(program: str, *arguments: str) -> NoReturn:
    PROGRAMS[program].main(list(arguments))
    sys.exit(0)


def check_options(words: list[str], block: Block) -> None:
    """That a command would be understood."""
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
