"""Features and statistics: round trips, pytorch-fid's layout, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian
from safetensors.numpy import save_file

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics, InputError
from cmmd_toolkit.features.stored_file import is_stored, load_stored


def test_features_come_back_as_they_were(tmp_path: Path) -> None:
    features = Features(gaussian(5, 3), {"backbone": "clip", "dim": 3}, tuple("abcde"))
    features.save(tmp_path / "x.safetensors")
    loaded = Features.load(tmp_path / "x.safetensors")
    assert np.array_equal(loaded.values, features.values)
    assert (loaded.provenance, loaded.names) == (features.provenance, features.names)
    assert np.array_equal(np.asarray(loaded), features.values)
    assert len(loaded) == 5


def test_a_changed_byte_of_a_stored_file_is_damage(tmp_path: Path) -> None:
    path, features = tmp_path / "x.safetensors", Features(gaussian(5, 3), {"backbone": "clip"}, tuple("abcde"))
    for stored in (features, features.statistics()):
        stored.save(path)
        whole = path.read_bytes()
        for at in range(8, len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            try:
                loaded = load_stored(path)
            except InputError:
                continue
            assert b"sha256" not in path.read_bytes()  # the name of the checksum itself was hit
            assert type(loaded) is type(stored)


def test_statistics_are_numpys_mean_and_covariance(tmp_path: Path) -> None:
    x = gaussian(50, 4)
    statistics = Features(x).statistics()
    assert np.allclose(statistics.mean, x.astype(np.float32).mean(axis=0, dtype=np.float64), rtol=1e-12)
    assert np.allclose(statistics.cov, np.cov(x.astype(np.float32), rowvar=False), rtol=1e-9)
    assert (statistics.n, statistics.dim) == (50, 4)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_statistics_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    statistics = Features(gaussian(50, 4)).statistics()
    path = tmp_path / f"x{suffix}"
    statistics.save(path)
    loaded = GaussianStatistics.load(path)
    assert np.array_equal(loaded.mean, statistics.mean)
    assert np.array_equal(loaded.cov, statistics.cov)
    assert loaded.n == 50


def test_npz_is_read_by_pytorch_fid_itself(tmp_path: Path) -> None:
    from pytorch_fid.fid_score import compute_statistics_of_path

    statistics = Features(gaussian(50, 4)).statistics()
    statistics.save(tmp_path / "x.npz")
    mean, cov = compute_statistics_of_path(str(tmp_path / "x.npz"), None, 50, 4, "cpu")
    assert np.array_equal(mean, statistics.mean)
    assert np.array_equal(cov, statistics.cov)


def test_a_file_without_a_count_has_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", mu=np.zeros(3), sigma=np.eye(3))
    assert load_stored(tmp_path / "x.npz").n is None
    GaussianStatistics(np.zeros(3), np.eye(3)).save(tmp_path / "y.npz")
    assert load_stored(tmp_path / "y.npz").n is None


def test_an_adm_batch_with_statistics_counts_as_pictures(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "x.npz", arr_0=images, mu=np.zeros(3), sigma=np.eye(3))
    assert not is_stored(tmp_path / "x.npz")


def test_saving_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="ends in .safetensors"):
        Features(gaussian(3, 2)).save(tmp_path / "x.txt")
    with pytest.raises(InputError, match="does not exist"):
        Features(gaussian(3, 2)).save(tmp_path / "no" / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((3, 2), np.inf), "NaN or infinity in row 0"),
        (np.zeros((0, 2)), "expected numbers"),
        (np.zeros(3), r"expected numbers of shape \(N, D\)"),
    ],
)
def test_features_refuse_what_is_no_matrix(values: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Features(values)
    with pytest.raises(ArgumentError, match="one name per row"):
        Features(np.zeros((3, 2)), names=("a",))


@pytest.mark.parametrize(
    ("mean", "cov", "message"),
    [
        (np.zeros(3), np.eye(2), "expected a mean"),
        (np.array([0, np.nan]), np.eye(2), "NaN or infinity"),
        (np.zeros(2), np.array([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
    ],
)
def test_statistics_refuse_what_is_no_gaussian(mean: np.ndarray, cov: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        GaussianStatistics(mean, cov)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    save_file({"weight": np.zeros((2, 2), np.float32)}, tmp_path / "model.safetensors")
    np.savez(tmp_path / "object.npz", mu=np.array([{}], dtype=object), sigma=np.eye(2), allow_pickle=True)
    Features(gaussian(3, 2)).save(tmp_path / "features.safetensors")
    for name, message in (
        ("junk.safetensors", "not a readable safetensors file"),
        ("model.safetensors", "expected features, or mean and cov, found weight"),
        ("object.npz", "only pickle can read"),
        ("absent.npz", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            load_stored(tmp_path / name)
    with pytest.raises(InputError, match="holds features, not statistics"):
        GaussianStatistics.load(tmp_path / "features.safetensors")
