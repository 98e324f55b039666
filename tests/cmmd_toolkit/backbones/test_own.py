"""Networks of the user's own: what may be given, what is said of what cannot be used, and when features are kept."""

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import write_pictures
from torch import Tensor, nn

from cmmd_toolkit import ArgumentError, Backbone, BackboneError, FeatureSet, compare, embed, load_backbone
from cmmd_toolkit.backbones.own import own_backbone
from cmmd_toolkit.backbones.own_code import Fingerprint
from cmmd_toolkit.cli import main as cli

SOURCE = '''
import torch
from helper import STRENGTH

WEIGHTS = torch.arange(36.0).reshape(12, 3)

def colours(images):
    """Means of quarters."""
    small = torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)
    return STRENGTH * small @ WEIGHTS

@torch.no_grad()
def decorated(images):
    return colours(images)

class Net(torch.nn.Module):
    def __init__(self, weights=None):
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        with torch.no_grad():
            self.layer.weight.copy_(torch.arange(12.0).reshape(4, 3) * (0.5 if weights is None else float(weights)))
        torch.nn.init.zeros_(self.layer.bias)

    def forward(self, images):
        return self.layer(images.float().mean(dim=(2, 3)) / 255)

def load(device, weights=None):
    return Net(weights).to(device)

def closure():
    net = Net()
    return lambda images: net(images)

def flat(images):
    return images.float().mean(dim=(2, 3))[:, 0]

def complex_numbers(images):
    return images.float().mean(dim=(2, 3)) * 1j

def nothing(images):
    return None

def odd(images):
    rows = images.float().mean(dim=(2, 3))
    return rows / 0 if images.shape[2] < 100 else rows

def growing(images):
    return images.float().mean(dim=3)[:, 0]

def raising(images):
    raise KeyError("two\\nlines")

class Base(BaseException):
    pass

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def based(images):
    raise Base("not an Exception")

def silent(images):
    raise Silent

def leaving(images):
    raise SystemExit(0)

async def waiting(images):
    return colours(images)

async def made_later():
    return colours

class Waiting:
    async def __call__(self, images):
        return colours(images)

callable_later = Waiting()

print("the file")
def chatty(images):
    print("a line")
    return colours(images)

number = 5
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "helper.py").write_text("STRENGTH = 2.0\n")
    path = tmp_path / "code" / "features.py"
    path.write_text(SOURCE)
    return path


def pictures(count: int, seed: int, side: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side + 4, 3), dtype=np.uint8)


def spread(images: Tensor) -> Tensor:
    """Mean and deviation of each channel."""
    values = images.float().flatten(2)
    return torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)


class Pool(nn.Module):
    def __init__(self, width: int = 4, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(width)
        self.layer, self.dropout, self.scale = nn.Linear(3, width), nn.Dropout(0.5), scale

    def forward(self, images: Tensor) -> Tensor:
        rows: Tensor = self.dropout(self.layer(images.float().mean(dim=(2, 3)) / 255)) * self.scale
        return rows


# ---- what may be given ----------------------------------------------------------------------------


def test_a_function_sees_the_pictures_as_they_are() -> None:
    real, fake = pictures(9, 0), pictures(8, 1)
    report = compare(real, fake, backbone=spread, metric=["fd", "mmd"])
    rows = [spread(torch.from_numpy(own).permute(0, 3, 1, 2)).numpy() for own in (real, fake)]
    expected = compare(rows[0], {"b": rows[1]}, metric=["fd", "mmd"])
    for metric in ("fd", "mmd"):
        assert report.value(metric) == pytest.approx(expected.value(metric), rel=1e-5)
    assert {result.backbone for result in report.results} == {"spread"}
    made = report.provenance["backbones"]["spread"]
    assert (made["dim"], made["preprocessing"]) == (6, "as it is, uint8")
    assert len(made["code_sha256"]) == len(made["probe_sha256"]) == 64


def test_pictures_of_several_sizes_come_by_size_and_in_order() -> None:
    shapes = []

    def sizes(images: Tensor) -> Tensor:
        shapes.append(tuple(images.shape))
        return torch.full((len(images), 1), float(images.shape[2])) + images.float().mean(dim=(1, 2, 3))[:, None] * 1e-6

    mixed = [own for pair in zip(pictures(3, 0, 20), pictures(3, 1, 30), strict=True) for own in pair]
    features = embed(mixed, backbone=sizes, store=False)
    assert features.values[:, 0].round().tolist() == [20, 30] * 3
    assert (3, 3, 20, 24) in shapes
    assert (3, 3, 30, 34) in shapes


@pytest.mark.parametrize("give", [lambda module: module, lambda module: lambda: module, lambda _: Pool])
def test_a_module_a_maker_and_a_class_are_evaluated_frozen(give: Any) -> None:
    module = Pool()
    features = embed(pictures(5, 0), backbone=give(module), store=False)
    assert features.dim == 4
    expected = module.eval()(torch.from_numpy(pictures(5, 0)).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(features.values, expected, rtol=1e-6)


def test_a_given_module_stays_as_it_was() -> None:
    module = Pool()
    embed(pictures(5, 0), backbone=module, store=False)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_backbone_made_by_hand_and_one_that_was_loaded() -> None:
    def prepare(pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(0, 1), dtype=np.float32).reshape(3, 1, 1)

    own = Backbone("means", "by hand", 3, prepare, lambda batch: batch.flatten(1), "cpu", {"weights_sha256": "none"})
    both = embed(pictures(5, 0), backbone=[own, load_backbone("mini", device="cpu"), "mini"])
    assert isinstance(both, FeatureSet)
    assert list(both) == ["means", "mini"]
    np.testing.assert_allclose(both["means"].values, pictures(5, 0).mean(axis=(1, 2)), rtol=1e-5)
    alone = embed(pictures(5, 0), backbone="mini")
    assert np.array_equal(both["mini"].values, alone.values)
    assert dict(both["mini"].provenance) == dict(alone.provenance)
    with pytest.raises(ArgumentError, match="clip is the name of a backbone of this package"):
        embed(pictures(5, 0), backbone=replace(own, name="clip"))


def test_a_file_may_import_its_neighbours_and_weights_reach_a_maker(file: Path) -> None:
    real, fake = pictures(9, 0), pictures(8, 1)
    report = compare(real, fake, backbone=[f"{file}:colours", f"{file}:load"], weights={"features.py:load": "0.25"})
    assert {result.backbone for result in report.results} == {"features.py:colours", "features.py:load"}
    quarter = embed(real, backbone=f"{file}:load", weights="0.25").values
    np.testing.assert_allclose(quarter * 2, embed(real, backbone=f"{file}:load").values, rtol=1e-6)
    with pytest.raises(ArgumentError, match="weights: backbone features.py:colours takes none"):
        embed(real, backbone=f"{file}:colours", weights="x.pt")
    with pytest.raises(ArgumentError, match="model: backbone features.py:load has no published models"):
        embed(real, backbone=f"{file}:load", model="large")
    with pytest.raises(ArgumentError, match="'fid' is not defined on features.py:load"):
        compare(real, fake, backbone=f"{file}:load", metric="fid")
    with pytest.raises(ArgumentError, match="is defined on clip, not on features.py:load"):
        compare(real, fake, backbone=f"{file}:load", recipe="google-cmmd")


# ---- what cannot be used --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "flat",
            r"features.py:flat: expected .* of shape \(1, D\) for a batch of 1, got float32 of shape \(1,\)",
        ),
        ("complex_numbers", "got complex64 of shape"),
        ("nothing", "NoneType"),
        ("growing", r"expected features of shape \(5, 224\) for a batch of 5, got float32 of shape \(5, 20\)"),
        ("odd", "NaN or infinity in its features, first for 0"),
        ("raising", r"KeyError on pictures of shape \(1, 3, 224, 224\): 'two"),
        ("based", "Base on pictures of .*: not an Exception"),
        ("silent", r"Silent on pictures of shape \(1, 3, 224, 224\): Silent$"),
        ("leaving", "SystemExit on pictures"),
        ("waiting", "is asynchronous, it returned a coroutine; give a function without async"),
        ("made_later", "is asynchronous"),
        ("callable_later", "is asynchronous"),
        ("number", "expected a function of a batch of pictures, an nn.Module or a Backbone, got int"),
        ("colour", "has no colour; did you mean colours"),
        ("", "expected the name of a function"),
    ],
)
def test_what_a_file_does_wrongly_is_said_in_one_line(file: Path, name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message) as caught:
        embed(pictures(5, 0), backbone=f"{file}:{name}" if name else str(file))
    assert "\n" not in str(caught.value)


def test_what_a_network_prints_stands_in_no_result(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [write_pictures(tmp_path / name, 4, first_seed=seed) for name, seed in (("a", 0), ("b", 9))]
    with pytest.raises(SystemExit):
        cli.main(["compare", *map(str, sets), "--backbone", f"{file}:chatty", "--metric", "fd", "--json", "-"])
    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "report"
    assert "a line" in said.err


def test_what_a_network_prints_stands_beside_no_look(file: Path, tmp_path: Path) -> None:
    real = write_pictures(tmp_path / "real", 20)
    write_pictures(tmp_path / "run" / "step-1", 20, first_seed=30)
    command = [sys.executable, "-m", "cmmd_toolkit", "watch", real, tmp_path / "run", "--once"]
    told = subprocess.run([*command, "--backbone", f"{file}:chatty"], capture_output=True, text=True, check=True)
    assert "step-1: squared MMD" in told.stdout
    assert not {"the file", "a line"} & set(told.stdout.splitlines())
    assert {"the file", "a line"} <= set(told.stderr.splitlines())


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import no_such_package", "def f(:", "1 / 0"])
def test_a_file_that_cannot_be_run_is_named(tmp_path: Path, code: str) -> None:
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(BackboneError, match=r"broken.py: cannot be run \(") as caught:
        embed(pictures(5, 0), backbone=f"{tmp_path / 'broken.py'}:f")
    assert "\n" not in str(caught.value)


def test_what_is_no_backbone_at_all_is_refused_before_pictures_are_looked_for() -> None:
    for given, message in ((5, "got int 5"), ([["clip"]], "got list"), ("nofile.py:f", "nofile.py: no such file")):
        with pytest.raises((ArgumentError, BackboneError), match=message):
            compare("nowhere", "nowhere", backbone=given)
    with pytest.raises(BackboneError, match="unknown backbone 'palete'"):
        compare(pictures(3, 0), pictures(3, 1), backbone="palete")
    with pytest.raises(ArgumentError, match="two are called Pool"):
        compare(pictures(3, 0), pictures(3, 1), backbone=[Pool(3), Pool(4)])


# ---- what features are found by -------------------------------------------------------------------


def state_of(value: Any) -> tuple[str, str | None, str | None]:
    known = Fingerprint()
    known.add(value)
    return known.state.hexdigest(), known.code_digest(), known.unknown


def test_weights_buffers_attributes_and_code_are_told_apart() -> None:
    base = state_of(Pool())
    assert base == state_of(Pool())
    assert base[2] is None
    changed = Pool()
    with torch.no_grad():
        changed.layer.bias[0] += 1e-7
    buffered = Pool()
    buffered.register_buffer("offset", torch.zeros(1), persistent=False)
    others = [changed, Pool(scale=2.0), Pool(width=5), buffered, nn.Sequential(Pool())]
    assert len({state_of(own)[0] for own in (Pool(), *others)}) == 1 + len(others)
    assert state_of(nn.Linear(2, 2))[1] == state_of(nn.Conv2d(1, 1, 1))[1] != base[1]  # torch's own code has a version


def test_what_cannot_be_told_has_a_reason() -> None:
    hooked = Pool()
    hooked.register_forward_hook(lambda *_: None)
    hidden = Pool()
    hidden.lookup = lambda value: hooked(value)
    made_from_text: dict[str, Any] = {"__name__": "nowhere"}
    exec("def nameless(images): return images.float().mean(dim=(2, 3))", made_from_text)
    for value, reason in (
        (lambda images: hooked(images), "closure"),
        (hooked, "has hooks"),
        (hidden, "attribute lookup of Pool is a closure"),
        (made_from_text["nameless"], "source file of it is not known"),
        (functools.partial(spread), None),
        (functools.cache(spread), None),
        (spread, None),
    ):
        unknown = state_of(value)[2]
        assert (unknown is None) if reason is None else (reason in str(unknown)), value


def test_a_file_that_changed_after_its_import_is_not_trusted(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(pictures(5, 0), backbone=f"{file}:colours", store=False)
    helper = file.with_name("helper.py")
    helper.write_text("STRENGTH = 4.0  # which runs in the next process only\n")
    report = compare(
        write_pictures(tmp_path / "a", 4), write_pictures(tmp_path / "b", 4, first_seed=9), backbone=f"{file}:colours",
        store=tmp_path / "store",
    )  # fmt: skip
    assert any("since helper.py has changed since it was imported" in text for text in report.warnings)
    assert not list(tmp_path.glob("store/*.sqlite"))


def test_a_neighbour_that_is_not_taken_is_named(file: Path, tmp_path: Path) -> None:
    embed(pictures(5, 0), backbone=f"{file}:colours", store=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "helper.py").write_text("STRENGTH = 5.0\n")
    (tmp_path / "other" / "two.py").write_text(SOURCE)
    with pytest.raises(BackboneError, match="imports helper, but .*code/helper.py was loaded instead of"):
        embed(pictures(5, 0), backbone=f"{tmp_path / 'other' / 'two.py'}:colours", store=False)


def test_features_are_kept_and_found_by_code_neighbours_and_weights(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = write_pictures(tmp_path / "set", 4), tmp_path / "store"

    def tables() -> int:
        embed(folder, backbone=f"{file}:{name}", weights=weights, store=store)
        for module in [own for own in sys.modules if own == "helper" or own.startswith("cmmd_own_")]:
            monkeypatch.delitem(sys.modules, module)
        return len(list(store.glob("*.sqlite")))

    name, weights = "colours", None
    assert [tables(), tables()] == [1, 1]
    file.with_name("helper.py").write_text("STRENGTH = 3.0\n")
    assert tables() == 2
    file.write_text(SOURCE + "\n# another line\n")
    assert tables() == 3
    name = "load"
    assert [tables(), tables()] == [4, 4]
    weights = "0.125"
    assert tables() == 5
    name, weights = "closure", None
    assert tables() == 5
    name = "decorated"
    assert tables() == 6


def test_stored_features_are_those_of_the_pictures_and_a_closure_says_why_it_has_none(tmp_path: Path) -> None:
    real, fake = write_pictures(tmp_path / "real", 6), write_pictures(tmp_path / "fake", 5, first_seed=50)
    module, calls = Pool(), []
    first = compare(real, fake, backbone=[spread, module], store=tmp_path / "store")
    second = compare(real, fake, backbone=[spread, module], store=tmp_path / "store")
    assert [own.value for own in first.results] == [own.value for own in second.results]

    def counted(images: Tensor) -> Tensor:
        calls.append(len(images))
        return spread(images)

    for _ in range(2):
        calls.clear()
        report = compare(real, fake, backbone=["mini", counted], store=tmp_path / "store")
        assert sum(calls) == 12  # one of them is the picture by which the network was tried
        assert "counted: its features are not kept in the store, since it is a closure" in report.warnings
    assert len(list((tmp_path / "store").glob("mini-*.sqlite"))) == 1


def test_a_file_of_features_remembers_the_code_that_made_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = pictures(6, 0), pictures(5, 1)
    embed(real, backbone=f"{file}:load").save(tmp_path / "real.safetensors")
    same = compare(tmp_path / "real.safetensors", fake, backbone=f"{file}:load")
    assert not any("different backbone code" in warning for warning in same.warnings)
    file.write_text(SOURCE.replace("/ 255", "/ 256"))
    other = compare(tmp_path / "real.safetensors", fake, backbone=f"{file}:load")
    assert any("made with different backbone code" in warning for warning in other.warnings)
    monkeypatch.chdir(file.parent)
    with pytest.raises(BackboneError, match="features.py:load: a network of a file; give that file, with its path"):
        compare(tmp_path / "real.safetensors", fake)  # what is lying about is not run


def test_a_given_backbone_is_wrapped_once() -> None:
    loaded = own_backbone(spread, "spread", "cpu")
    assert loaded.unknown is None
    assert loaded.embed([np.zeros((3, 9, 9), np.uint8), np.ones((3, 5, 5), np.uint8)]).shape == (2, 6)
