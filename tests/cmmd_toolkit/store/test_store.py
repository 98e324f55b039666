"""The feature store: equal numbers, nothing computed twice, nothing stale, never a reason to fail."""

import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import smooth_picture, write_pictures
from PIL import Image

from cmmd_toolkit import ArgumentError, Backbone, Features, PictureError, compare, embed, explain, load_backbone
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.common import row_collector
from cmmd_toolkit.common.arguments import parse_size
from cmmd_toolkit.common.versions import library_versions
from cmmd_toolkit.store import key as key_of
from cmmd_toolkit.store.key import key_digest, network_key
from cmmd_toolkit.store.store import list_tables, store_folder, trim
from cmmd_toolkit.store.table import read_state, remove_damaged


def embedded(source: Any, store: Any, seen: list[str], **options: Any) -> tuple[Features, int]:
    """Features under mini, and how many pictures its network has seen for them."""
    del seen[:]
    features = embed(source, backbone="mini", device="cpu", store=store, **options)
    return features, len([name for name in seen if name != "a grey picture"])


def assert_equal(first: Features, second: Features, tolerance: float = 0.0) -> None:
    """To the bit where a network saw equal batches; else to `tolerance` (docs/precision.md)."""
    np.testing.assert_allclose(first.values, second.values, rtol=0, atol=tolerance)
    assert first.record is not None
    assert second.record is not None
    assert first.record.kinds == second.record.kinds
    assert np.array_equal(first.record.kind_of, second.record.kind_of)
    assert np.array_equal(first.record.sizes, second.record.sizes)
    assert np.array_equal(first.record.digests, second.record.digests)


def test_a_second_run_computes_nothing_and_gives_equal_bits(tmp_path: Path, real: Path, seen: list[str]) -> None:
    first, made = embedded(real, tmp_path / "store", seen)
    assert made == 8
    second, made = embedded(real, tmp_path / "store", seen)
    assert made == 0
    assert_equal(first, second)
    without, made = embedded(real, False, seen)
    assert made == 8
    assert_equal(first, without)


def test_only_what_is_new_is_computed(tmp_path: Path, real: Path, seen: list[str]) -> None:
    store = tmp_path / "store"
    embedded(real, store, seen)
    smooth_picture(77).save(real / "0.png")
    smooth_picture(78).save(real / "003.png")  # another picture under an old name
    grown, made = embedded(real, store, seen, batch_size=3)
    assert made == 2
    assert set(seen) - {"a grey picture"} == {"0.png", "003.png"}
    assert_equal(grown, embedded(real, False, seen, batch_size=2)[0], 1e-6)


def test_renamed_moved_zipped_and_listed_pictures_are_recognised(tmp_path: Path, real: Path, seen: list[str]) -> None:
    store = tmp_path / "store"
    first, _ = embedded(real, store, seen)
    moved = tmp_path / "other" / "deep"
    moved.mkdir(parents=True)
    for file in sorted(real.iterdir()):
        shutil.copy(file, moved / f"z{file.name}")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(real.iterdir()):
            archive.write(file, f"inner/{file.name}")
    for source in (moved.parent, tmp_path / "set.zip", sorted(real.iterdir())):
        again, made = embedded(source, store, seen)
        assert made == 0
        assert_equal(first, again)


def test_pixels_without_a_file_are_recognised_by_themselves(tmp_path: Path, seen: list[str]) -> None:
    store, batch = tmp_path / "store", np.stack([np.asarray(smooth_picture(i)) for i in range(4)])
    first, made = embedded(batch, store, seen)
    assert made == 4
    again, made = embedded([Image.fromarray(own) for own in batch[::-1]], store, seen)
    assert made == 0
    assert np.array_equal(again.values, first.values[::-1])
    turned = np.ascontiguousarray(batch.reshape(4, batch.shape[2], batch.shape[1], 3))
    if turned.shape != batch.shape:  # equal bytes in another shape
        assert embedded(turned, store, seen)[1] == 4


def test_every_command_shares_the_store(tmp_path: Path, real: Path, fake: Path, seen: list[str]) -> None:
    options: dict[str, Any] = {"backbone": "mini", "device": "cpu", "store": tmp_path / "store"}
    report = compare(real, fake, **options)
    del seen[:]
    again = compare(real, fake, **options)
    explain(real, fake, **options)
    assert set(seen) <= {"a grey picture"}
    assert again.value("mmd", generated=str(fake)) == report.value("mmd", generated=str(fake))


def test_several_backbones_compute_only_what_each_lacks(
    tmp_path: Path, real: Path, fake: Path, clip_folder: Path, seen: list[str]
) -> None:
    options: dict[str, Any] = {"weights": {"clip": clip_folder}, "device": "cpu", "store": tmp_path / "store"}
    compare(real, fake, backbone="mini", device="cpu", store=tmp_path / "store")
    del seen[:]
    both = compare(real, fake, backbone=["mini", "clip"], **options)
    assert len([name for name in seen if name != "a grey picture"]) == 14
    alone = compare(real, fake, backbone=["mini", "clip"], **{**options, "store": False})
    assert [own.value for own in both.results] == [own.value for own in alone.results]


# ---- nothing stale ---------------------------------------------------------------------------------


def _with_provenance(loaded: Backbone, **changes: Any) -> Backbone:
    return dataclasses.replace(loaded, provenance={**loaded.provenance, **changes})


def test_each_part_of_the_key_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    mini = load_backbone("mini", device="cpu")
    base = key_digest(network_key(mini, "upright", 100))
    assert key_digest(network_key(mini, "upright", 100)) == base
    others = [
        network_key(mini, "plain", 100),
        network_key(mini, "upright", 99),
        network_key(dataclasses.replace(mini, device="cuda"), "upright", 100),
        network_key(mini.at("bf16"), "upright", 100),
        network_key(_with_provenance(mini, weights_sha256="0" * 64), "upright", 100),
        network_key(_with_provenance(mini, preprocessing="other"), "upright", 100),
        network_key(_with_provenance(mini, dim=64), "upright", 100),
        network_key(_with_provenance(mini, backbone="clip"), "upright", 100),
    ]
    for name in key_of._LIBRARIES:
        with monkeypatch.context() as patch:
            patch.setattr(key_of, "library_versions", partial(dict, library_versions(), **{name: "0.0"}))
            others.append(network_key(mini, "upright", 100))
    with monkeypatch.context() as patch:
        patch.setattr(key_of, "code_digest", lambda: "other code")
        others.append(network_key(mini, "upright", 100))
    digests = [key_digest(other) for other in others]
    assert base not in digests
    assert len(set(digests)) == len(digests)


def test_where_weights_lie_does_not_decide_but_their_content_and_configuration_do(
    tmp_path: Path, clip_folder: Path
) -> None:
    copy = Path(shutil.copytree(clip_folder, tmp_path / "copy"))
    keys = [key_digest(_clip_key(folder)) for folder in (clip_folder, copy)]
    assert keys[0] == keys[1]
    text = (copy / "config.json").read_text()
    assert '"layer_norm_eps": 1e-05' in text
    (copy / "config.json").write_text(text.replace('"layer_norm_eps": 1e-05', '"layer_norm_eps": 0.1'))
    assert key_digest(_clip_key(copy)) != keys[0]


def _clip_key(folder: Path) -> dict[str, Any]:
    return network_key(load_backbone("clip", weights=folder, device="cpu"), "upright", 100)


def test_a_lower_limit_of_pixels_refuses_what_is_stored(tmp_path: Path, real: Path, seen: list[str]) -> None:
    embedded(real, tmp_path / "store", seen)
    with pytest.raises(PictureError, match="more than 100, "):
        embedded(real, tmp_path / "store", seen, max_pixels=100)


def test_unusable_pictures_are_refused_and_skipped_as_without_a_store(
    tmp_path: Path, real: Path, seen: list[str]
) -> None:
    (real / "bad.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(PictureError, match=r"bad\.png"):
            embedded(real, tmp_path / "store", seen)
        features, _ = embedded(real, tmp_path / "store", seen, on_error="skip")
        assert features.provenance["skipped"] == 1
        assert len(features) == 8


# ---- damage, races, kills --------------------------------------------------------------------------


def table(store: Path) -> Path:
    (found,) = store.glob("*.sqlite")
    return found


def test_a_damaged_row_is_computed_again_and_check_removes_it(tmp_path: Path, real: Path, seen: list[str]) -> None:
    store = tmp_path / "store"
    first, _ = embedded(real, store, seen)
    with sqlite3.connect(table(store)) as connection:
        (row,) = connection.execute("SELECT row FROM pictures WHERE rowid = 3").fetchone()
        spoilt = row[:-2] + bytes([row[-2] ^ 1]) + row[-1:]
        connection.execute("UPDATE pictures SET row = ? WHERE rowid = 3", (spoilt,))
        (row,) = connection.execute("SELECT row FROM pictures WHERE rowid = 5").fetchone()
        connection.execute("UPDATE pictures SET row = ? WHERE rowid = 4", (row,))  # of another picture
    connection.close()
    ((state,), _) = list_tables(store)
    again, made = embedded(real, store, seen)
    assert made == 2
    assert_equal(first, again, 1e-6)
    assert remove_damaged(state) == 0


@pytest.mark.parametrize("content", [b"", b"no database at all, but longer than a header" * 40, None])
def test_a_damaged_file_is_no_reason_to_fail(
    content: bytes | None, tmp_path: Path, real: Path, fake: Path, seen: list[str]
) -> None:
    store = tmp_path / "store"
    options: dict[str, Any] = {"backbone": "mini", "device": "cpu"}
    expected = compare(real, fake, store=False, **options)
    compare(real, fake, store=store, **options)
    whole = table(store).read_bytes()
    table(store).write_bytes(whole[: len(whole) // 2] if content is None else content)
    report = compare(real, fake, store=store, **options)
    assert [own.value for own in report.results] == [own.value for own in expected.results]
    said = [warning for warning in report.warnings if "feature store" in warning]
    assert len(said) == (0 if content == b"" else 1)  # an empty file is a new database
    with pytest.raises(SystemExit) as stopped:
        main(["cache", "--store", str(store), "check"])
    assert stopped.value.code == 0
    assert not [own for own in compare(real, fake, store=store, **options).warnings if "feature store" in own]


def test_a_store_that_cannot_be_made_or_is_full_is_no_reason_to_fail(
    tmp_path: Path, real: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(row_collector, "IN_MEMORY", 100)  # features go to a file, which is not looked for in the store
    report = compare(real, fake, backbone="mini", device="cpu", store=tmp_path / "file" / "store")
    assert any("feature store" in own and "not used" in own for own in report.warnings)

    from cmmd_toolkit.store.table import FeatureTable

    def full(self: FeatureTable) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FeatureTable, "commit", full)
    report = compare(real, fake, backbone="mini", device="cpu", store=tmp_path / "store")
    assert any("disk is full" in own for own in report.warnings)


def test_processes_and_threads_share_a_store(tmp_path: Path, real: Path, seen: list[str]) -> None:
    script = (
        "import sys\nfrom cmmd_toolkit import embed\n"
        "print(embed(sys.argv[1], backbone='mini', device='cpu', store=sys.argv[2]).values.sum())\n"
    )
    command = [sys.executable, "-c", script, str(real), str(tmp_path / "store")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    failures: list[Exception] = []

    def work() -> None:
        try:
            embed(real, backbone="mini", device="cpu", store=tmp_path / "store")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printed = {process.communicate()[0] for process in processes}
    assert failures == []
    assert len(printed) == 1
    assert all(process.returncode == 0 for process in processes)
    assert embedded(real, tmp_path / "store", seen)[1] == 0


def test_a_killed_run_keeps_what_it_committed(tmp_path: Path, seen: list[str]) -> None:
    pictures = write_pictures(tmp_path / "pictures", 40)
    script = (
        "import os, sys\nfrom cmmd_toolkit import embed\nimport cmmd_toolkit.store.store as store\n"
        "store._ROWS_PER_COMMIT = 8\nfrom cmmd_toolkit import Backbone\nseen, real = [], Backbone.embed\n"
        "def counted(self, batch, names=()):\n"
        "    seen.extend(names)\n    if len(seen) > 30: os.kill(os.getpid(), 9)\n    return real(self, batch, names)\n"
        "Backbone.embed = counted\n"
        "embed(sys.argv[1], backbone='mini', device='cpu', store=sys.argv[2], batch_size=4)\n"
    )
    command = [sys.executable, "-c", script, str(pictures), str(tmp_path / "store")]
    assert subprocess.run(command, check=False).returncode == -9
    features, made = embedded(pictures, tmp_path / "store", seen)
    assert made == 16
    assert_equal(features, embedded(pictures, False, seen)[0], 1e-6)


# ---- where it is, how large it is ------------------------------------------------------------------


def test_where_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_folder(tmp_path) == store_folder(str(tmp_path)) == tmp_path
    assert store_folder(False) is None
    monkeypatch.setenv("CMMD_STORE", "off")
    assert store_folder() is None
    monkeypatch.setenv("CMMD_STORE", str(tmp_path / "x"))
    assert store_folder() == tmp_path / "x"
    monkeypatch.delenv("CMMD_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_folder() is not None
    with pytest.raises(ArgumentError, match="store: expected a folder"):
        store_folder(3)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="is a file"):
        compare("a", "b", store=tmp_path / "file")


def test_the_limit_removes_what_was_used_longest_ago_and_never_what_is_in_use(
    tmp_path: Path, real: Path, clip_folder: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    embed(real, backbone="clip", weights=clip_folder, device="cpu", store=store)
    embedded(real, store, seen)
    assert [state.key["network"]["backbone"] for state in list_tables(store)[0]] == ["mini", "clip"]
    monkeypatch.setenv("CMMD_STORE_LIMIT", "10KB")
    assert embedded(real, store, seen)[1] == 0
    assert [state.key["network"]["backbone"] for state in list_tables(store)[0]] == ["mini"]
    assert len(trim(store, 0)) == 1
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("1000", 1000), ("2kB", 2000), ("1.5 GB", 15 * 10**8)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--to") == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1.2.3", "5 apples"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ArgumentError, match="expected a size"):
        parse_size(text, "--to")


def test_the_command_lists_checks_and_trims(tmp_path: Path, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "store")
    run(capsys, "embed", real, "--backbone", "mini", "--device", "cpu", "--out", tmp_path / "x.npz", "--store", store)
    assert "mini, 256 dimensions         8" in run(capsys, "cache", "--store", store, "list").out
    assert "mini, 256 dimensions: 8 pictures, whole" in run(capsys, "cache", "--store", store, "check").out
    assert "removed in 1 tables" in run(capsys, "cache", "--store", store, "trim", "--to", "1kB").out
    assert "0 B in 0 tables" in run(capsys, "cache", "--store", store, "list").out
    refused = run(capsys, "cache", "--store", store, "trim", "--to", "much", code=2)
    assert refused.err.count("\n") == 1
    both = ("--no-store", "--store", store)
    assert "cannot be combined with" in run(capsys, "compare", real, real, "--backbone", "mini", *both, code=2).err


def run(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert (stopped.value.code or 0) == code
    return capsys.readouterr()


def test_a_limit_that_is_no_size_is_refused_before_a_picture_is_read(
    tmp_path: Path, real: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMMD_STORE_LIMIT", "plenty")
    with pytest.raises(ArgumentError, match="CMMD_STORE_LIMIT plenty: expected a size"):
        embed(real, backbone="mini", device="cpu", store=tmp_path / "store")
    assert seen == []


def test_a_table_that_another_process_has_removed_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        read_state(tmp_path / "gone.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_trim_counts_damaged_tables_and_removes_them_first(
    tmp_path: Path, real: Path, clip_folder: Path, seen: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    embedded(real, store, seen)
    ruined = store / "clip-0.sqlite"
    ruined.write_bytes(b"no database" * 100_000)
    (store / "new-0.sqlite").write_bytes(b"")  # another process may be about to fill it
    assert trim(store, 2 * 10**6) == []
    assert ruined.exists()
    said = run(capsys, "cache", "--store", store, "trim", "--to", "1MB").out
    assert "1.1 MB removed in 1 tables: 1 damaged" in said
    assert sorted(path.suffix for path in store.iterdir()) == [".json", ".sqlite", ".sqlite"]
    os.utime(store / "new-0.sqlite", (0, 0))
    assert len(trim(store, 0)) == 1
    assert list(store.iterdir()) == []
