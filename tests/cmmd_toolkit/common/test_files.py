"""Files appear whole or not at all, leave nothing behind, and special files are refused before they hang."""

import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian
from safetensors.numpy import load_file

from cmmd_toolkit import ArgumentError, CmmdError, Features, GaussianStatistics, InputError, compare, embed, plan
from cmmd_toolkit.common.files import atomic_path, check_writable, path_of
from cmmd_toolkit.common.safetensors_file import write_safetensors


def test_writers_of_one_target_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    target, failures = tmp_path / "r.safetensors", []

    def write(seed: int) -> None:
        try:
            for _ in range(50):
                Features(np.full((50, 8), seed, np.float32)).save(target)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(np.unique(Features.load(target).values)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("name", ["o.safetensors", "o.npz"])
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    """A limit on the size of files stands for the disk; it holds for a whole process."""
    code = (
        "import resource, sys, numpy as np\n"
        "from cmmd_toolkit import CmmdError, Features\n"
        "features = Features(np.random.default_rng(0).standard_normal((99, 64)))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "stored = features if sys.argv[1].endswith('safetensors') else features.statistics()\n"
        "try: stored.save(sys.argv[1])\n"
        "except CmmdError as error: print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", code, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert (
        done.stdout == f"{tmp_path / name}: could not be written (File too large); free space or choose another place\n"
    )
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_safetensors_are_the_format_and_equal_for_equal_contents(tmp_path: Path) -> None:
    tensors = {
        "bytes": np.arange(5, dtype=np.uint8),
        "big": np.arange(3, dtype=">i2"),
        "doubles": np.arange(6.0).reshape(2, 3).T,
        "none": np.zeros((0, 3), np.float32),
        "one": np.float32(7).reshape(()),
    }
    for name, order in (("a", sorted(tensors)), ("b", sorted(tensors, reverse=True))):
        write_safetensors({key: tensors[key] for key in order}, tmp_path / name, {"z": "1", "a": "é"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = load_file(tmp_path / "a")
    assert sorted(found) == sorted(tensors)
    assert all(np.array_equal(found[key], tensors[key]) for key in tensors)


def test_a_stored_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    Features(gaussian(3, 2)).save(tmp_path / "f.safetensors")
    assert (tmp_path / "f.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---- names and kinds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_an_empty_name_is_never_the_current_folder(name: str, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(real)
    x = gaussian(30, 3)
    for call in (
        lambda: compare(name, real, backbone="mini"),
        lambda: compare(real, [real, name], backbone="mini"),
        lambda: embed(name, backbone="mini"),
        lambda: embed([name], backbone="mini"),
        lambda: plan(name),
        lambda: plan(x, name),
        lambda: Features.load(name),
        lambda: GaussianStatistics.load(name),
        lambda: Features(x).save(name),
        lambda: compare(x, x + 1, metric="mmd").save(name),
    ):
        with pytest.raises(InputError, match="expected the name of a file or folder, got"):
            call()


@pytest.mark.parametrize("name", [3, None, b"x", ["a"], {}])
def test_a_name_is_text_or_a_path(name: object) -> None:
    with pytest.raises(ArgumentError, match="expected the name of a file or folder, got"):
        path_of(name)  # type: ignore[arg-type]


def special(folder: Path) -> list[Path]:
    """A pipe, a socket, a device, a link to itself and a link to nothing, each under every suffix."""
    made = []
    for suffix in ("", ".png", ".npz", ".npy", ".zip", ".safetensors", ".json"):
        pipe, sock, device, loop, nothing = (folder / (name + suffix) for name in "psdln")
        os.mkfifo(pipe)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(sock))
        device.symlink_to("/dev/zero")
        loop.symlink_to(loop)
        nothing.symlink_to(folder / "absent")
        made += [pipe, sock, device, loop, nothing]
    return made


def test_special_files_are_refused_at_once_as_set_weights_and_report(
    tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    (tmp_path / "x").mkdir()
    for path in special(Path("x")):
        for call in (
            lambda path=path: compare(real, path, backbone="mini"),
            lambda path=path: embed(path, backbone="mini"),
            lambda path=path: embed(real, backbone="mini", weights=path),
            lambda path=path: embed(real, backbone="inception", dims=64, weights=path),
            lambda path=path: embed(real, backbone="clip", weights=path),
            lambda path=path: plan(path),
            lambda path=path: Features.load(path),
        ):
            with pytest.raises(CmmdError) as refused:
                call()
            assert "\n" not in str(refused.value)


def test_a_folder_of_weights_with_a_pipe_in_it_is_refused_at_once(tmp_path: Path, real: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "config.json").write_text("{}")
    os.mkfifo(tmp_path / "w" / "model.safetensors")
    with pytest.raises(CmmdError, match=r"w/model\.safetensors: not a regular file but a pipe"):
        embed(real, backbone="clip", weights=tmp_path / "w")


def test_a_pipe_with_a_name_or_a_socket_is_no_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("p")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
    for name, kind in (("p", "a pipe"), ("s", "a socket")):
        with pytest.raises(InputError, match=f"{name}: expected a file to write, got {kind}"):
            check_writable(Path(name))


def test_the_pipe_of_a_shell_is_written_to() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader:
        with atomic_path(Path(f"/dev/fd/{writing}")) as temporary:
            temporary.write_text("report")
        os.close(writing)
        assert reader.read() == "report"
