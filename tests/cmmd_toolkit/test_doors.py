"""What is no plain data is refused at every door: arrays, records, provenance, damaged containers."""

import io
import json
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import gaussian, smooth_picture

import cmmd_toolkit as c
from cmmd_toolkit.common.json_text import json_text
from cmmd_toolkit.errors import CmmdError

X = gaussian(40, 4)


# ---- arrays and tensors ------------------------------------------------------------------------------


class Broken:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise KeyError("no array today")


def masked_tensor() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a prototype
        return torch.masked.masked_tensor(torch.rand(40, 4), torch.rand(40, 4) > 0.5)


def nested_tensor() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(3, 3)])


def quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.rand(40, 4), 0.1, 0, torch.qint8)


REFUSED = {
    "masked": np.ma.masked_greater(X, 1),
    "list of masked rows": [np.ma.masked_greater(row, 1) for row in X],
    "list of lists with a masked number": [[np.ma.masked_equal(1.0, 1.0), 2.0], [3.0, 4.0]],
    "complex": X + 1j,
    "object": X.astype(object),
    "text": X.astype(str),
    "ragged": [[1.0, 2.0], [3.0]],
    "ragged tensors": [torch.zeros(3), torch.zeros(4)],
    "sparse": torch.from_numpy(X).to_sparse(),
    "meta": torch.zeros(40, 4, device="meta"),
    "quantised": quantised(),
    "nested": nested_tensor(),
    "masked tensor": masked_tensor(),
    "broken": Broken(),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_plain_array_is_refused_in_one_line(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    values = REFUSED[kind]
    for call in (
        lambda: c.Features(values),
        lambda: c.GaussianStatistics(values, np.eye(4)),
        lambda: c.GaussianStatistics(np.zeros(40), values),
        lambda: c.squared_mmd(reference=X, generated=values),
        lambda: c.frechet_distance(reference=values, generated=X),
        lambda: c.compare(X, values, metric="mmd", backbone="mini"),
        lambda: c.compare(X, {"a": values}, metric="mmd"),
        lambda: c.rank(X, {"a": values, "b": X}),
        lambda: c.plan(values, X),
        lambda: c.explain(X, {"a": values}),
        lambda: c.embed(values, backbone="mini"),
        lambda: c.embed([values, values], backbone="mini"),
    ):
        with pytest.raises(CmmdError) as refused:
            call()
        assert "\n" not in str(refused.value)
    assert len(recwarn) == 0


def test_tensors_that_hold_plain_numbers_are_taken_whatever_they_are_wrapped_in() -> None:
    plain = torch.from_numpy(X)
    for tensor in (plain.requires_grad_(), torch.nn.Parameter(plain.detach()), torch._neg_view(-plain.detach())):
        assert c.squared_mmd(reference=tensor, generated=X, bandwidth=1.0).value == pytest.approx(
            c.squared_mmd(reference=X, generated=X, bandwidth=1.0).value
        )
    assert np.array_equal(c.Features(list(plain.detach())).values, c.Features(X).values)
    assert len(c.Features(plain.detach().bfloat16())) == 40


def test_pixels_under_a_mask_are_no_pictures() -> None:
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    assert len(c.embed(batch, backbone="mini")) == 4
    for images in (np.ma.masked_array(batch, mask=True), [np.ma.masked_array(row, mask=True) for row in batch]):
        with pytest.raises(CmmdError, match="expected an array without a mask"):
            c.embed(images, backbone="mini")


@pytest.mark.parametrize("option", ["backbone", "recipe", "weights", "model", "metric", "device"])
@pytest.mark.parametrize("value", [3, 1.5, b"x", object(), [None], {"a": 1}])
def test_an_option_that_is_no_name_is_refused(option: str, value: Any) -> None:
    pictures = [np.zeros((8, 8, 3), np.uint8)] * 3
    given = {"backbone": "mini", "metric": "mmd", option: value}
    with pytest.raises(CmmdError):
        c.compare(pictures, pictures, **given)


def test_a_picture_object_that_is_closed_or_damaged_is_one_line(tmp_path: Path) -> None:
    from PIL import Image

    smooth_picture(0).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with Image.open(tmp_path / "a.png") as closed:
        pass
    with Image.open(tmp_path / "b.png") as cut:
        for image in (closed, cut):
            with pytest.raises(c.PictureError, match="picture 0: damaged picture"):
                c.embed([image], backbone="mini")


# ---- provenance and names ----------------------------------------------------------------------------

BAD_PROVENANCE: list[Any] = [
    [1, 2],
    3,
    "text",
    {1: "x"},
    {"backbone": 3},
    {"source": ["a"]},
    {"dim": "256"},
    {"dim": True},
    {"skipped": -1},
    {"a": float("nan")},
    {"a": [{"b": float("inf")}]},
    {"a": 2**70},
    {"a": object()},
    {"a": Path("x")},
]


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("provenance", [*BAD_PROVENANCE, nest(40), nest(5000)], ids=lambda value: type(value).__name__)
def test_a_provenance_that_no_report_can_hold_is_refused(provenance: Any) -> None:
    for call in (
        lambda: c.Features(X, provenance),
        lambda: c.GaussianStatistics(np.zeros(4), np.eye(4), 9, provenance),
    ):
        with pytest.raises(c.ArgumentError, match="provenance"):
            call()


@pytest.mark.parametrize("names", ["a" * 40, [1] * 40, 3, [None] * 40, {"a": 1}])
def test_names_are_text(names: Any) -> None:
    with pytest.raises(c.ArgumentError, match="names: expected a tuple of text"):
        c.Features(X, {}, names)


def with_header(data: bytes, changes: dict[str, Any]) -> bytes:
    """A `.safetensors` with other metadata."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


@pytest.mark.parametrize(
    "changes",
    [
        *({"provenance": json.dumps(value)} for value in BAD_PROVENANCE[:12] if value != {1: "x"}),
        {"provenance": '{"a": NaN}'},
        {"provenance": '{"a": 1e999}'},
        {"provenance": "[" * 100_000},
        {"provenance": '{"a":' * 500 + "1" + "}" * 500},
        {"provenance": "\ud800"},
        {"names": "3"},
        {"names": "[1, 2]"},
        {"names": '{"a": 1}'},
        {"names": "[" * 100_000},
        {"n": "9" * 5000},
        {"n": "-3"},
        {"n": "x"},
        {"pictures": "[]"},
    ],
    ids=lambda changes: ascii(next(iter(changes))),
)
@pytest.mark.parametrize("kind", ["features", "statistics"])
def test_stored_metadata_of_wrong_types_is_one_line(tmp_path: Path, kind: str, changes: dict[str, str]) -> None:
    features, path = c.Features(X, {"backbone": "mini"}), tmp_path / "stored.safetensors"
    (features if kind == "features" else features.statistics()).save(path)
    if kind == "features" and "n" in changes:
        return  # no part of features
    path.write_bytes(with_header(path.read_bytes(), changes))
    for call in (lambda: c.compare(path, X, metric="fd"), lambda: c.compare(X, path, metric="fd").to_json()):
        with pytest.raises(c.InputError, match=r"stored\.safetensors: ") as refused:
            call()
        assert "\n" not in str(refused.value)


def test_a_name_with_a_line_break_is_shown_in_one_line() -> None:
    sides = [c.Features(X, {"backbone": name}) for name in ("a\nb", "c\u2028d")]
    with pytest.raises(c.InputError) as refused:
        c.compare(*sides)
    assert len(str(refused.value).splitlines()) == 1


def test_a_report_with_a_number_that_json_lacks_is_written_with_null_and_the_reason() -> None:
    text = json_text({"results": [{"value": float("nan"), "ends": (1.0, float("-inf"))}], "warnings": ("w",)})
    document = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert document["results"] == [{"ends": [1.0, None], "value": None}]
    assert document["warnings"] == [
        "w",
        "results[0].value is nan, for which JSON has no number: null in this file",
        "results[0].ends[1] is -inf, for which JSON has no number: null in this file",
    ]


# ---- damaged containers ------------------------------------------------------------------------------


def batch() -> np.ndarray:
    return np.stack([np.asarray(smooth_picture(seed)) for seed in range(4)])


def test_a_header_that_speaks_of_fewer_pictures_than_there_are_is_damage(tmp_path: Path) -> None:
    """One wrong digit, which neither NumPy nor the checksum of an .npz notices, since the rest is never read."""
    np.save(tmp_path / "a.npy", batch())
    np.savez(tmp_path / "b.npz", arr_0=batch())
    for name in ("a.npy", "b.npz"):
        data = (tmp_path / name).read_bytes()
        assert data.count(b"(4, 40, 48, 3)") == 1
        (tmp_path / name).write_bytes(data.replace(b"(4, 40, 48, 3)", b"(3, 40, 48, 3)"))
        with pytest.raises(c.InputError, match=r"header s"):
            c.embed(tmp_path / name, backbone="mini")


def test_a_count_of_pictures_that_is_none_is_refused(tmp_path: Path) -> None:
    for count in (2.5, np.inf, -7, np.array([1, 2]), "x", 1j, np.uint64(2**63)):
        np.savez(tmp_path / "s.npz", mu=np.zeros(4), sigma=np.eye(4), n=count)
        with pytest.raises(c.InputError, match=r"s\.npz: "):
            c.GaussianStatistics.load(tmp_path / "s.npz")
    np.savez(tmp_path / "s.npz", mu=np.zeros(4), sigma=np.eye(4), n=-1)
    assert c.GaussianStatistics.load(tmp_path / "s.npz").n is None


def test_an_entry_of_a_zip_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    picture = io.BytesIO()
    smooth_picture(0).save(picture, "PNG")
    for kind, words in (
        (0o010000, "not a regular file"),
        (0o020000, "not a regular file"),
        (0o120000, "a symbolic link"),
    ):
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            entry = zipfile.ZipInfo("a.png")
            entry.external_attr = (kind | 0o644) << 16
            archive.writestr(entry, picture.getvalue())
        with pytest.raises(c.InputError, match=f"entry 'a.png' is {words}"):
            c.embed(tmp_path / "set.zip", backbone="mini")
