"""Training reads pictures with the decoder of scoring."""

from pathlib import Path

import numpy as np
import pytest
from pictures import smooth_picture
from PIL import Image

from cmmd_toolkit.pictures.sources import open_images
from dit_generators import errors
from dit_generators.data.pictures import load_pictures

EDGE = 24


def write_awkward(folder: Path) -> None:
    """One square picture of every kind that two decoders could read differently."""
    folder.mkdir()
    image = smooth_picture(5, (EDGE, EDGE))
    deep = np.random.default_rng(1).integers(0, 65536, (EDGE, EDGE)).astype(np.uint16)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray((deep >> 8).astype(np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(folder / "grey16.png")
    Image.fromarray(deep).save(folder / "grey16.tif")
    alpha.save(folder / "alpha.png")
    alpha.convert("LA").save(folder / "grey-alpha.png")
    image.quantize(16).save(folder / "palette.png", transparency=3)
    image.save(folder / "turned.jpg", exif=exif)
    image.save(folder / "turned.png", exif=exif)
    image.save(folder / "turned.tif", tiffinfo={0x0112: 8})
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("1").save(folder / "bilevel.bmp")


def test_training_and_scoring_see_equal_pixels(tmp_path: Path) -> None:
    write_awkward(tmp_path / "set")
    scored = {name: load().pixels for name, load in open_images(tmp_path / "set")}
    trained = load_pictures(tmp_path / "set", EDGE)
    assert len(trained) == len(scored) == 10
    for file, pixels in zip(trained.files, trained.pixels, strict=True):
        assert np.array_equal(pixels, scored[Path(file).name]), file


def test_what_scoring_refuses_training_refuses_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.new("F", (EDGE, EDGE)).save(tmp_path / "set" / "float.tif")
    with pytest.raises(errors.DataError, match=r"float\.tif: pixels of type F .* no defined white"):
        load_pictures(tmp_path / "set", EDGE)
