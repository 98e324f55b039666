"""Addresses: memory, a web server, an S3 server and a hub of this machine; ranges, tries, secrets."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import hub_server
import numpy as np
import pytest
from archives import contents, write_parquet, write_tar
from gcs_server import BUCKET, serving_gcs
from hub_server import serving_hub
from pictures import names_of, pixels_of, write_pictures
from s3_server import ACCOUNT, serving_s3
from web_server import Server, serving

from cmmd_toolkit import InputError, PictureError, compare, embed, explain, plan
from cmmd_toolkit.pictures.sources import open_images, remote

OPTIONS = {"backbone": "mini", "device": "cpu", "metric": "mmd"}


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Every kind of source of the same eight pictures below one folder."""
    root = tmp_path / "served"
    real = write_pictures(root / "real" / "dog", 4).parent
    write_pictures(real / "two words", 4, first_seed=4)
    files = contents(real)
    (real / "note.md").write_text("x")
    write_tar(root / "real.tar", files)
    write_tar(root / "real.tar.gz", files, "w:gz")
    write_parquet(root / "real.parquet", files)
    batch = np.stack(pixels_of(real))
    np.savez(root / "stored.npz", batch)
    np.savez_compressed(root / "packed.npz", batch)
    np.save(root / "real.npy", batch)
    (root / "real.txt").write_text("".join(f"real/{name}\n" for name in files))
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "../real.zip", "dog", "two words"], cwd=real, check=True)
    return root


SOURCES = (
    *("real", "real/", "real.zip", "real.tar", "real.tar.gz", "real.parquet", "real.txt"),
    *("real.npy", "stored.npz", "packed.npz"),
)


@pytest.fixture
def web(places: Path) -> Iterator[Server]:
    with serving(places) as server:
        yield server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.01, 0.01, 0.01))


def check_source(url: str, places: Path, own: str) -> None:
    """Pixels, names and a draw are those of the file here."""
    here = places / own
    assert names_of(url) == [name.removeprefix("./") for name in names_of(here)]
    for pixels, other in zip(pixels_of(url), pixels_of(here), strict=True):
        assert np.array_equal(pixels, other)
    drawn, expected = open_images(url).subset(3, seed=1), open_images(here).subset(3, seed=1)
    assert [name for name, _ in drawn] == [name for name, _ in expected]
    for (_, load), (_, other_load) in zip(drawn, expected, strict=True):
        assert np.array_equal(load().pixels, other_load().pixels)


@pytest.mark.parametrize("own", SOURCES)
def test_every_kind_is_read_from_a_web_server(own: str, web: Server, places: Path) -> None:
    check_source(f"{web.url}/{own}", places, own)


@pytest.mark.parametrize("own", SOURCES)
def test_every_kind_is_read_from_memory(own: str, places: Path) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(places), "/sets", recursive=True)
    try:
        check_source(f"memory://sets/{own}", places, own)
    finally:
        system.rm("/sets", recursive=True)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server of this machine."""
    with serving_s3() as address:
        yield address


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_kind_is_read_from_s3(s3: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ACCOUNT, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3")
    system.mkdir("sets")
    system.put(str(places), "sets/here", recursive=True)
    for own in SOURCES:
        check_source(f"s3://sets/here/{own}", places, own)
    with pytest.raises(InputError, match=r"s3://sets/gone: no pictures .* among its 0 files; check the address"):
        open_images("s3://sets/gone")
    with pytest.raises(InputError, match=r"s3://sets/gone\.zip: cannot be read \(nothing is there\)"):
        open_images("s3://sets/gone.zip")
    with pytest.raises(InputError, match=r"s3://: does not name a folder"):
        open_images("s3://")


# ---- what is read --------------------------------------------------------------------------------------


READ = """
import json, sys
from cmmd_toolkit import CmmdError
from cmmd_toolkit.pictures.sources import open_images
for address in sys.argv[1:]:
    try:
        print(json.dumps([load().pixels.tobytes().hex() for _, load in open_images(address)]))
    except CmmdError as error:
        print(json.dumps(str(error)))
"""


def test_every_kind_is_read_from_a_hub(places: Path) -> None:
    """By the file system of huggingface_hub, whose requests a server of this machine answers as the hub does."""
    with serving_hub(places) as endpoint:
        inside = [f"hf://datasets/{hub_server.NAME}/{name}" for name in (*SOURCES, "none.zip")]
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", READ, *inside, "hf://datasets/no/where"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    *found, absent, nowhere = map(json.loads, done.stdout.splitlines())
    assert found == [[pixels.tobytes().hex() for pixels in pixels_of(places / "real")]] * len(SOURCES)
    assert absent == f"{inside[-1]}: cannot be read (nothing is there); check the address"
    assert nowhere == "hf://datasets/no/where: cannot be read (nothing is there); check the address"


def test_every_kind_is_read_from_google_cloud_storage(places: Path) -> None:
    """By gcsfs, whose requests a server of this machine answers as Google's does."""
    with serving_gcs(places) as address:
        inside = [f"gs://{BUCKET}/{name}" for name in (*SOURCES, "none.zip", "nowhere", "private.zip")]
        command = [sys.executable, "-c", READ, *inside]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=google(address))
    *found, absent, nowhere, private = map(json.loads, done.stdout.splitlines())
    assert found == [[pixels.tobytes().hex() for pixels in pixels_of(places / "real")]] * len(SOURCES)
    assert absent == f"{inside[-3]}: cannot be read (nothing is there); check the address"
    assert nowhere.startswith(f"{inside[-2]}: no pictures ")
    refused = rf"{inside[-1]}: cannot be read \(no permission: Forbidden: .*\); check your credentials"
    assert re.fullmatch(refused, private)


def google(address: str) -> dict[str, str]:
    """The environment in which gcsfs asks there, without an account; its question about kinds of buckets, which goes
    by another protocol, is left out."""
    kinds = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    return {**os.environ, **kinds, "STORAGE_EMULATOR_HOST": address, "FSSPEC_GS_TOKEN": "anon"}


@pytest.mark.slow
def test_google_cloud_storage_out_of_reach_is_one_line(fake: Path) -> None:
    """gcsfs logs a traceback for every request that fails."""
    with serving_gcs(fake) as address:
        pass
    command = [sys.executable, "-m", "cmmd_toolkit", "compare", f"gs://{BUCKET}/a", str(fake), "--backbone", "mini"]
    done = subprocess.run(command, capture_output=True, text=True, env=google(address))
    assert done.returncode == 2
    assert re.fullmatch(rf"cmmd: error: gs://{BUCKET}/a: cannot be read \(Cannot connect .*\n", done.stderr)


def test_archives_are_read_by_ranges_and_never_whole(web: Server, places: Path) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (40, 256, 256, 3), dtype=np.uint8)
    np.save(places / "large.npy", batch)
    np.savez(places / "large.npz", batch)
    for own in ("real.zip", "large.npz", "large.npy"):
        del web.asked[:]
        for _, load in open_images(f"{web.url}/{own}").subset(2, seed=0):
            load()
        assert all(found for path, found in web.asked if path == f"/{own}"), "each request has a range"
        size = (places / own).stat().st_size
        ranges = [list(map(int, found.removeprefix("bytes=").split("-"))) for _, found in web.asked if found]
        assert sum(last - first + 1 for first, last in ranges) < size / 2


def test_a_part_of_a_zip_is_a_set(web: Server, places: Path) -> None:
    check_source(f"{web.url}/real.zip:dog", places, "real.zip:dog")


def test_shards_and_several_parquet_files_are_one_set(web: Server, places: Path) -> None:
    files = [item for item in contents(places / "real").items() if item[0].endswith(".png")]
    for i in range(2):
        write_tar(places / f"s-{i}.tar", dict(files[i::2]))
        write_parquet(places / f"s-{i}.parquet", dict(files[i::2]))
    check_source(f"{web.url}/s-{{0..1}}.tar", places, "s-{0..1}.tar")
    check_source(f"{web.url}/s-{{0..1}}.parquet", places, "s-{0..1}.parquet")


def test_every_command_takes_addresses(web: Server, places: Path, fake: Path, tmp_path: Path) -> None:
    url = f"{web.url}/real"
    report = compare(url, fake, **OPTIONS)
    assert report.value("mmd") == compare(places / "real", fake, **OPTIONS).value("mmd")
    explanation = explain(url, f"{web.url}/real.tar", backbone="mini", top=2)
    explanation.save_sheet(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    with pytest.raises(InputError, match="is a set, not a report; give a generated set, too"):
        plan(f"{url}?token=hidden")
    features = embed(url, backbone="mini")
    features.save(tmp_path / "real.safetensors")
    assert compare(tmp_path / "real.safetensors", fake, metric="mmd").value("mmd") == report.value("mmd")
    with pytest.raises(InputError, match=r"/real\.safetensors: holds features or statistics"):
        open_images(f"{web.url}/real.safetensors")


def test_a_list_names_pictures_anywhere(web: Server, places: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.txt"
    mixed.write_text(f"{web.url}/real/dog/000.png?token=hidden\n{places}/real/dog/001.png\n")
    assert names_of(mixed) == [f"{web.url}/real/dog/000.png", f"{places}/real/dog/001.png"]
    assert len(pixels_of(mixed)) == 2
    (places / "out.txt").write_text("../x.png\n/etc/x.png\nreal/dog/gone.png\nreal/dog/000.png\n")
    features = embed(f"{web.url}/out.txt", backbone="mini", on_error="skip")
    assert features.names == ("real/dog/000.png",)
    assert features.record is not None
    reasons = [reason for _, reason in features.record.skipped]
    assert [reason.split(": ")[0] for reason in reasons] == [f"{web.url}/out.txt, line {n}" for n in (1, 2, 3)]
    assert "nothing is there" in reasons[2]


# ---- what fails ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_a_picture_that_fails_is_tried_again(web: Server) -> None:
    source = open_images(f"{web.url}/real")
    (name, load) = next(iter(source))
    web.faults += [503, 500]
    assert load().pixels.shape == (40, 48, 3)
    web.faults += [503] * 4
    with pytest.raises(PictureError, match=rf"^{web.url}/real/{name}: cannot be read \(503.*use `on_error='skip'`$"):
        load()
    assert not web.faults
    del web.asked[:]
    web.faults += [404]
    with pytest.raises(PictureError, match="nothing is there"):
        load()
    assert len(web.asked) == 1, "what is not there is not asked for again"


@pytest.mark.usefixtures("quick")
def test_a_server_that_goes_away_is_one_line_a_picture(places: Path) -> None:
    with serving(places) as server:
        sources = [open_images(f"{server.url}/{own}") for own in SOURCES if own not in ("real/", "packed.npz")]
        url = server.url
    for source in sources:
        with pytest.raises(InputError, match=rf"{url}/.*cannot be read \(") as caught:
            [load() for _, load in source]
        assert "\n" not in str(caught.value)
    for own in ("real", "real.zip"):
        line = rf"^{url}/{own}: cannot be read \(Cannot connect .*\); check the network and the address$"
        with pytest.raises(InputError, match=line):
            open_images(f"{url}/{own}")


def test_a_folder_that_cannot_be_listed_is_never_left_out(places: Path) -> None:
    with serving(places) as server:
        (places / "real" / "index.html").write_text('<a href="dog/">dog</a> <a href="gone/">gone</a>')
        with pytest.raises(InputError, match=rf"^{server.url}/real: cannot be read \(nothing is there\)"):
            open_images(f"{server.url}/real")


def test_a_server_without_ranges_is_told_so(places: Path) -> None:
    with serving(places, ranges=False) as server:
        for own in ("real.zip", "stored.npz", "real.npy", "real.parquet"):
            with pytest.raises(InputError, match=r"its server does not support reading parts of a file; copy it here"):
                pixels_of(f"{server.url}/{own}")
        assert len(pixels_of(f"{server.url}/real")) == 8


@pytest.mark.usefixtures("quick")
def test_no_secret_of_an_address_is_shown(web: Server, fake: Path, tmp_path: Path) -> None:
    secret = "hidden-0123"
    host = web.url.removeprefix("http://")
    url = f"http://user:{secret}@{host}/real.zip?X-Amz-Signature={secret}"
    report = compare(url, fake, command=f"cmmd compare '{url}' fake/", **OPTIONS)
    assert secret not in report.to_json() + str(report)
    assert f"http://{host}/real.zip" in report.to_json()
    features = embed(url, backbone="mini")
    features.save(tmp_path / "a.safetensors")
    assert secret.encode() not in (tmp_path / "a.safetensors").read_bytes()
    for faulty in (url.replace(".zip", "-gone.zip"), f"http://user:{secret}@127.0.0.1:9/a/?key={secret}"):
        with pytest.raises(InputError) as caught:
            open_images(faulty)
        assert secret not in str(caught.value)
        assert caught.value.__suppress_context__


def test_a_protocol_without_its_package_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # what import finds where it is not installed
    with pytest.raises(InputError, match=r"gs://a/b: gs:// needs the package gcsfs; pip install 'cmmd-toolkit\[gcs\]'"):
        open_images("gs://a/b")
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(InputError, match=r"needs the package aiohttp; pip install 'cmmd-toolkit\[http\]'"):
        open_images("https://example.org/a/")
    with pytest.raises(InputError, match=r"nonsense://a/b: cannot be opened \(Protocol not known"):
        open_images("nonsense://a/b")


def test_a_file_address_is_a_path(real: Path) -> None:
    assert names_of(f"file://{real}") == names_of(real)


def test_the_command_line_ends_in_one_line(web: Server, fake: Path) -> None:
    command = [sys.executable, "-m", "cmmd_toolkit", "compare", f"{web.url}/gone.zip?key=hidden", str(fake)]
    done = subprocess.run([*command, "--backbone", "mini"], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 2
    assert done.stderr == f"cmmd: error: {web.url}/gone.zip: cannot be read (nothing is there); check the address\n"
