"""Features of several backbones: one pass, one file, and what is compared when sets hold different ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import gaussian, smooth_picture
from safetensors.numpy import save_file

from cmmd_toolkit import (
    ArgumentError,
    Features,
    FeatureSet,
    InputError,
    compare,
    embed,
    explain,
    frechet_distance,
    plan,
    rank,
    squared_mmd,
)
from cmmd_toolkit.cli.main import main
from cmmd_toolkit.common.safetensors_file import read_safetensors
from cmmd_toolkit.features import stored_file
from cmmd_toolkit.features.stored_file import load_stored

BOTH = ["mini", "inception"]


def made(seed: int = 0, rows: int = 60, backbones: str = "clip siglip", names: bool = True) -> FeatureSet:
    """Features of 6 dimensions under siglip, and of 5 under the others."""
    every = tuple(f"{i}.png" for i in range(rows)) if names else ()
    return FeatureSet(
        {
            name: Features(gaussian(rows, 6 if name == "siglip" else 5, seed=seed), {}, every)
            for name in backbones.split()
        }
    )


def test_one_pass_over_a_stream_gives_what_each_backbone_gives_alone(real: Path, inception_weights: Path) -> None:
    options: dict[str, Any] = {"weights": {"inception": inception_weights}, "dims": 64, "store": False, "workers": 1}
    pictures = [smooth_picture(seed) for seed in range(6)]
    both = embed(iter(pictures), backbone=BOTH, **options)
    assert isinstance(both, FeatureSet)
    assert list(both) == BOTH
    assert (both.count, len(both.names), len(both.record or ())) == (6, 6, 6)
    for name, dims in (("mini", None), ("inception", 64)):
        weights = inception_weights if dims else None
        alone = embed(pictures, backbone=name, weights=weights, dims=dims, store=False, workers=1)
        assert isinstance(alone, Features)
        assert np.array_equal(alone.values, both[name].values)
        assert both[name].provenance["backbone"] == name
        assert both[name].record is both.record


def test_a_name_gives_features_and_a_list_a_set(real: Path) -> None:
    assert isinstance(embed(real, backbone="mini"), Features)
    for names in (["mini"], ("mini",), {"mini"}):
        found = embed(real, backbone=names)
        assert isinstance(found, FeatureSet)
        assert list(found) == ["mini"]


def test_a_set_comes_back_as_it_was(tmp_path: Path) -> None:
    path, own = tmp_path / "x.safetensors", made(backbones="siglip clip openclip:ViT-B-32/laion2b")
    own.save(path)
    loaded = FeatureSet.load(path)
    assert list(loaded) == list(own)
    assert loaded.names == own.names
    for name, features in own.items():
        assert np.array_equal(loaded[name].values, features.values)
        assert dict(loaded[name].provenance) == dict(features.provenance)
    whole = path.read_bytes()
    own.save(path)
    assert path.read_bytes() == whole


def test_a_set_of_one_is_a_file_of_features(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    made(backbones="clip").save(path)
    assert isinstance(load_stored(path), Features)
    assert list(FeatureSet.load(path)) == ["clip"]
    Features(gaussian(5, 3)).save(path)
    with pytest.raises(InputError, match="without the name of their backbone; read them with Features.load"):
        FeatureSet.load(path)


def test_features_of_several_are_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    made().save(path)
    assert Features.load(path, backbone="siglip").dim == 6
    with pytest.raises(InputError, match=r"several backbones \(clip, siglip\); choose one, as in Features.load\(path"):
        Features.load(path)
    with pytest.raises(InputError, match="holds features of clip, siglip, not of mini"):
        Features.load(path, backbone="mini")
    made(backbones="clip").save(path)
    assert Features.load(path, backbone="clip").dim == 5
    with pytest.raises(InputError, match="made with backbone clip, not siglip"):
        Features.load(path, backbone="siglip")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "expected `Features` by the names of backbones"),
        ([Features(gaussian(4, 2))], "expected `Features` by the names of backbones, got list"),
        ({"clip": gaussian(4, 2)}, "clip: expected Features, got ndarray"),
        ({"": Features(gaussian(4, 2))}, "expected the names of backbones"),
        ({"a": Features(gaussian(4, 2)), "b": Features(gaussian(5, 2))}, "b: expected features of the same pictures"),
        ({"a": Features(gaussian(2, 2), {}, ("x", "y")), "b": Features(gaussian(2, 2), {}, ("y", "x"))}, "other names"),
        ({"a": Features(gaussian(4, 2), {"backbone": "b"})}, "made with backbone b; use that name"),
    ],
)
def test_what_is_no_set_of_the_same_pictures_is_refused(features: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        FeatureSet(features)


def test_every_changed_byte_of_a_set_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    made(rows=3).save(path)
    whole = path.read_bytes()
    for at in range(8, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            load_stored(path)
        except InputError:
            continue
        assert b"sha256" not in path.read_bytes()  # the name of the checksum itself was hit


@pytest.mark.parametrize("backbones", ["null", "[]", '["clip"]', '{"clip": 1}', '["clip", "mini"]', '["clip", "clip"]'])
def test_a_list_that_is_not_that_of_the_tensors_is_refused(backbones: str, tmp_path: Path) -> None:
    tensors = {"features.clip": np.zeros((3, 2), np.float32), "features.siglip": np.zeros((3, 2), np.float32)}
    save_file(tensors, tmp_path / "x.safetensors", {"backbones": backbones, "provenance": "{}"})
    with pytest.raises(InputError, match=r"x.safetensors: expected the features of"):
        load_stored(tmp_path / "x.safetensors")


def test_many_names_leave_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The format takes 100 MB of header, which a million pictures with long names come near to."""
    path, own = tmp_path / "x.safetensors", made()
    monkeypatch.setattr(stored_file, "_LONGEST_HEADER", 100)
    own.save(path)
    tensors, header = read_safetensors(path)
    assert "names" not in header
    assert json.loads(tensors["names"].tobytes()) == list(own.names)
    assert FeatureSet.load(path).names == own.names


def test_sets_are_compared_on_all_that_they_share(tmp_path: Path) -> None:
    x, y = made(0), made(1)
    report = compare(x, y)
    assert [result.backbone for result in report.results] == ["clip", "clip", "siglip", "siglip"]
    for name in x:
        assert report.value("mmd", backbone=name) == compare(x[name], y[name]).value("mmd")
    assert [result.backbone for result in compare(x, y, backbone="siglip").results] == ["siglip", "siglip"]
    x.save(tmp_path / "x.safetensors")
    again = compare(tmp_path / "x.safetensors", y)
    assert [own.value for own in again.results] == [own.value for own in report.results]


def test_what_only_one_set_holds_is_left_out_and_said() -> None:
    report = compare(made(0, backbones="clip siglip").with_source("a"), made(1, backbones="mini clip").with_source("b"))
    assert {result.backbone for result in report.results} == {"clip"}
    said = [text for text in report.warnings if "are left out" in text]
    assert said == [
        "a: stored features of siglip are left out, which the other sets do not hold; compared on clip",
        "b: stored features of mini are left out, which the other sets do not hold; compared on clip",
    ]
    assert not any("left out" in text for text in compare(made(0), made(1)).warnings)


def test_backbones_that_a_set_lacks_are_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"different backbones \(clip, siglip, mini\); embed all sets with one"):
        compare(made(0), made(1, backbones="mini"))
    with pytest.raises(InputError, match=r"holds features of clip, siglip, not of dinov2; choose among them as `back"):
        compare(made(0), made(1), backbone="dinov2")
    with pytest.raises(InputError, match="features without the name of their backbone, beside those of clip, siglip"):
        compare(made(0), gaussian(60, 5))
    assert {own.backbone for own in compare(made(0), gaussian(60, 5), backbone="clip").results} == {"clip"}
    with pytest.raises(InputError, match="features of different width"):
        compare(made(0), gaussian(60, 5), backbone="siglip")


def test_a_metric_takes_one_backbone() -> None:
    for metric in (squared_mmd, frechet_distance):
        with pytest.raises(
            ArgumentError, match=r"got a FeatureSet \(of several backbones; choose one, as in features\['clip"
        ):
            metric(reference=made(0), generated=made(1)["clip"])


def test_a_network_of_the_users_own_is_chosen_like_any_other() -> None:
    x, y = made(0, backbones="clip my-net"), made(1, backbones="clip my-net")
    assert {own.backbone for own in compare(x, y, backbone="my-net").results} == {"my-net"}


def test_rank_plan_and_explain_take_sets_of_several(real: Path) -> None:
    x, y, z = made(0, 80), made(1, 80), made(2, 80)
    assert [order.backbone for order in rank(x, {"y": y, "z": z}).orders] == ["clip", "siglip"]
    assert [need.backbone for need in plan(x, y).needs] == ["clip", "siglip"]
    sections = explain(x, y, top=2).sections
    assert [section.backbone for section in sections] == ["clip", "siglip"]
    assert all(entry.name.endswith(".png") for section in sections for entry in section.alien)


def test_a_subset_is_the_same_pictures_under_all() -> None:
    x = made(0, rows=200)
    report = compare(x, made(1, rows=200), max_images=100, seed=3)
    assert {result.n_reference for result in report.results} == {100}
    part = x.subset(np.array([5, 7]))
    assert part.names == ("5.png", "7.png")
    assert all(np.array_equal(part[name].values, x[name].values[[5, 7]]) for name in x)


def test_the_command_line_embeds_once_for_all(
    real: Path, fake: Path, inception_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        return int(stopped.value.code or 0), *capsys.readouterr()

    weights = "--weights", f"inception={inception_weights}"
    networks = "--backbone", "mini", "--backbone", "inception", *weights, "--dims", 64
    target = tmp_path / "real.safetensors"
    code, out, _ = run("embed", real, *networks, "--out", target)
    assert (code, out) == (0, f"{target}: 8 pictures, mini 256 dimensions, inception 64 dimensions\n")
    code, out, _ = run("compare", target, fake, *weights, "--metric", "mmd")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("fake ")] == ["mini", "inception"]
    code, out, err = run("compare", target, fake, "--backbone", "mini", "--metric", "mmd")
    assert code == 0, err
    assert [line.split()[1] for line in out.splitlines() if line.startswith("fake ")] == ["mini"]
    code, _, err = run("compare", target, fake, "--backbone", "clip")
    assert code == 2
    assert "holds features of mini, inception, not of clip; choose among them as --backbone" in err
    for extra in (("--stats", "--out", target), ("--out", tmp_path / "x.npz")):
        code, _, err = run("embed", real, *networks, *extra)
        assert code == 2
        assert "of one backbone, got mini, inception" in err
