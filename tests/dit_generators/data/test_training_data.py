"""Training data that vanish, change or are damaged: one line that names them, or the same weights as without."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import damages
from dit_models import assert_refused, dit_gen, save_kl
from pictures import write_pictures
from safetensors.torch import load_file, save_file
from training_runs import SMALL, assert_same_end, small_run

from cmmd_toolkit.common.progress import show_progress
from dit_generators.common.files import locked
from dit_generators.data.latents import encode_pictures
from dit_generators.errors import DataError
from dit_generators.weights.autoencoder import load_autoencoder

CPU = torch.device("cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 12)


@pytest.fixture
def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def encode(tmp_path: Path, pixels: Any) -> Any:
    """Encode into tmp_path/cache, or read it from there."""
    autoencoder = load_autoencoder(save_kl(tmp_path / "vae"))

    def whole() -> torch.Tensor:
        latents = encode_pictures(pixels, autoencoder, tmp_path / "cache", CPU, show_progress)
        return torch.from_numpy(np.stack([latents[i] for i in range(len(latents))]))

    return whole


def test_pictures_that_vanish_grow_or_change_while_training_change_nothing(tmp_path, pictures) -> None:
    options = ["--steps", 6, "--save-every", 2]
    assert small_run(pictures, tmp_path / "whole", *options).run()
    run = small_run(pictures, tmp_path / "run", *options)
    shutil.rmtree(pictures)
    write_pictures(pictures, 20, first_seed=50)
    assert run.run()
    assert_same_end(tmp_path / "run", tmp_path / "whole")


def test_going_on_with_changed_pictures_is_refused_by_name(tmp_path, capfd, pictures) -> None:
    command = ["train", pictures, "--out", tmp_path / "run", *SMALL]
    assert dit_gen(capfd, *command, "--steps", 2).code == 0
    write_pictures(pictures, 1, first_seed=99)
    assert_refused(dit_gen(capfd, *command, "--steps", 4), "the pictures differ")
    (pictures / "000.png").unlink()
    assert_refused(dit_gen(capfd, *command, "--steps", 4), "the number of pictures was 12, now 11")


def test_a_picture_that_vanishes_between_listing_and_reading_is_one_line(
    tmp_path, capfd, pictures, monkeypatch
) -> None:
    from dit_generators.data import pictures as data

    found = data.picture_names

    def listed_then_removed(folder: Path) -> Any:
        names = found(folder)
        (folder / "003.png").unlink()
        return names

    monkeypatch.setattr(data, "picture_names", listed_then_removed)
    finished = dit_gen(capfd, "train", pictures, "--out", tmp_path / "run", *SMALL, "--steps", 2)
    assert_refused(finished, "003.png")
    assert not (tmp_path / "run").exists()


def test_no_damage_to_the_index_of_latents_changes_a_latent(tmp_path, encode) -> None:
    expected, index = encode(), tmp_path / "cache" / "index.json"
    content, refused = index.read_bytes(), []
    for damaged in damages(content, 300):
        index.write_bytes(damaged)
        try:
            found = encode()
        except DataError as error:
            refused.append(str(error))
        else:
            assert torch.equal(found, expected)
    assert len(refused) > 100
    assert all(str(tmp_path / "cache") in message and "\n" not in message for message in refused)


def test_no_damage_to_a_shard_of_latents_goes_unnoticed(tmp_path, encode) -> None:
    encode()
    shard = tmp_path / "cache" / "00000.safetensors"
    content = shard.read_bytes()
    for damaged in damages(content, 100):
        if damaged != content:
            shard.write_bytes(damaged)
            with pytest.raises(DataError, match=r"00000\.safetensors: is missing or damaged; remove the folder"):
                encode()
    shard.unlink()
    with pytest.raises(DataError, match="is missing or damaged"):
        encode()


@pytest.mark.parametrize("change", ["nan", "fewer", "another name", "no safetensors"])
def test_a_shard_that_was_written_wrongly_is_refused_although_its_checksum_fits(tmp_path, encode, change) -> None:
    import hashlib

    encode()
    shard, index = tmp_path / "cache" / "00000.safetensors", tmp_path / "cache" / "index.json"
    latents = load_file(shard)["latents"]
    if change == "nan":
        latents[2, 0, 1, 0, 0, 0] = float("nan")
    save_file({"x" if change == "another name" else "latents": latents[: 3 if change == "fewer" else 5]}, shard)
    if change == "no safetensors":
        shard.write_bytes(b"x")
    record = json.loads(index.read_text())
    record["shards"][shard.name] = hashlib.sha256(shard.read_bytes()).hexdigest()
    index.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"00000\.safetensors: .*remove the folder .* to encode again"):
        encode()


def test_an_autoencoder_that_gives_nan_is_named_and_nothing_is_cached(tmp_path, pixels) -> None:
    autoencoder = load_autoencoder(save_kl(tmp_path / "vae"))
    with torch.no_grad():
        next(autoencoder.network.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match=r"vae: encodes a picture as NaN or infinity; use another `autoencoder`"):
        encode_pictures(pixels, autoencoder, tmp_path / "cache", CPU, show_progress)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == []


def test_a_cache_that_is_being_written_is_refused_and_one_that_is_whole_is_read_by_many(tmp_path, encode) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".00000.safetensors.abcdefgh.tmp").mkdir()  # of a killed process
    with locked(tmp_path / "cache"), pytest.raises(Exception, match="another process is writing into it"):
        encode()
    expected = encode()
    with locked(tmp_path / "cache"):
        assert torch.equal(encode(), expected)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["00000.safetensors", "index.json"]
