"""`compare` and `embed`: from pictures to a report, with every kind of input and every warning."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import gaussian, shared_path, smooth_picture, write_pictures
from PIL import Image

from cmmd_toolkit import (
    ArgumentError,
    CmmdError,
    Features,
    GaussianStatistics,
    InputError,
    PictureError,
    compare,
    embed,
    frechet_distance,
    squared_mmd,
)


@pytest.fixture
def clip(clip_folder: Path) -> dict[str, object]:
    return {"backbone": "clip", "weights": clip_folder}


def unit(features: Features) -> np.ndarray:
    return features.values / np.linalg.norm(features.values, axis=1, keepdims=True)


def test_values_are_those_of_the_metrics_on_the_embeddings(real: Path, fake: Path, clip: dict) -> None:
    report = compare(real, fake, **clip)
    x, y = embed(real, **clip), embed(fake, **clip)
    assert report.value("fd") == pytest.approx(float(frechet_distance(reference=x, generated=y)), rel=1e-9)
    assert report.value("mmd") == pytest.approx(float(squared_mmd(reference=unit(x), generated=unit(y))), abs=1e-12)
    assert [result.metric for result in report.results] == ["fd", "mmd"]
    assert (report.results[0].n_reference, report.results[0].n_generated) == (8, 6)
    assert report.results[1].parameters["bandwidth_rule"] == "median"
    assert report.results[1].parameters["normalized"] is True


def test_the_released_recipe_is_biased_with_bandwidth_ten_times_1000(real: Path, fake: Path, clip: dict) -> None:
    report = compare(real, fake, recipe="google-cmmd", metric="cmmd", **clip)
    x, y = (embed(side, recipe="google-cmmd", **clip) for side in (real, fake))
    expected = 1000 * float(squared_mmd(reference=unit(x), generated=unit(y), bandwidth=10, estimator="biased"))
    assert report.value("cmmd") == pytest.approx(expected, abs=1e-9)
    assert any("the published numbers used 336 x 336" in warning for warning in report.warnings)


def test_results_do_not_depend_on_batch_size_or_threads(real: Path, fake: Path, clip: dict) -> None:
    values = [
        [result.value for result in compare(real, fake, batch_size=size, workers=workers, **clip).results]
        for size, workers in ((1, 1), (3, 2), (64, 4))
    ]
    assert np.allclose(values, values[0], rtol=1e-5, atol=1e-7)


def test_two_runs_give_the_same_bytes_but_for_the_time(real: Path, fake: Path, clip: dict) -> None:
    texts = []
    for _ in range(2):
        document = json.loads(compare(real, fake, **clip).to_json())
        document["provenance"].pop("created")
        texts.append(json.dumps(document))
    assert texts[0] == texts[1]


def test_stored_features_and_statistics_stand_in_for_folders(
    real: Path, fake: Path, clip: dict, tmp_path: Path
) -> None:
    direct = compare(real, fake, metric="fd", **clip).value("fd")
    features = embed(real, **clip)
    features.save(tmp_path / "real.safetensors")
    features.statistics().save(tmp_path / "real.npz")
    for reference in (tmp_path / "real.safetensors", tmp_path / "real.npz", features, features.statistics()):
        report = compare(reference, fake, metric="fd", **clip)
        assert report.value("fd") == pytest.approx(direct, rel=1e-6)
    assert compare(tmp_path / "real.safetensors", fake, weights=clip["weights"]).results[0].backbone == "clip"


def test_stored_inception_features_bring_their_dims(real: Path, fake: Path, inception_weights: Path) -> None:
    stored = embed(real, backbone="inception", weights=inception_weights, dims=64)
    assert compare(stored, fake, metric="fid", weights=inception_weights).results[0].parameters["dim"] == 64


def test_statistics_of_no_inception_layer_are_named(real: Path, inception_weights: Path) -> None:
    odd = GaussianStatistics(np.zeros(5), np.eye(5))
    with pytest.raises(InputError, match="features of different width: 5, but the other side has 2048"):
        compare(odd, real, backbone="inception", metric="fd", weights=inception_weights)


def test_embedding_by_a_recipe_takes_the_recipes_backbone(real: Path, inception_weights: Path) -> None:
    features = embed(real, recipe="clean-fid", weights=inception_weights, dims=64)
    assert (features.provenance["backbone"], features.provenance["preprocessing"]) == ("inception", "clean-fid")


def test_a_negative_value_is_explained(real: Path, clip: dict) -> None:
    assert any("negative mmd" in warning for warning in compare(real, real, **clip).warnings)


def test_several_backbones_and_sets_make_a_full_table(
    real: Path, fake: Path, clip_folder: Path, inception_weights: Path
) -> None:
    weights = {"clip": clip_folder, "inception": inception_weights}
    names = ["clip", "inception"]
    report = compare(real, [fake, real], backbone=names, weights=weights, dims=64, metric="mmd")
    rows = [(Path(result.generated).name, result.backbone) for result in report.results]
    assert rows == [("fake", "clip"), ("fake", "inception"), ("real", "clip"), ("real", "inception")]
    assert report.value("mmd", backbone="inception", generated=str(fake)) == report.results[1].value
    with pytest.raises(ArgumentError, match="found 4; name backbone"):
        report.value("mmd")


def test_arrays_and_iterables_are_sets_too(real: Path, fake: Path, clip: dict) -> None:
    batch = np.stack([np.asarray(smooth_picture(100 + i)) for i in range(6)])
    expected = compare(real, fake, metric="mmd", **clip).value("mmd")
    for generated in (batch, batch.transpose(0, 3, 1, 2), (smooth_picture(100 + i) for i in range(6))):
        assert compare(real, generated, metric="mmd", **clip).value("mmd") == pytest.approx(expected, abs=1e-9)


def test_a_subset_is_seeded(real: Path, fake: Path, clip: dict) -> None:
    one, same, other = (
        compare(real, fake, max_images=4, seed=seed, metric="mmd", **clip).value("mmd") for seed in (0, 0, 5)
    )
    assert one == same
    assert one != other


def test_unusable_pictures_stop_the_run_or_are_listed(real: Path, fake: Path, clip: dict) -> None:
    (fake / "zz.png").write_text("hello")
    with pytest.raises(PictureError, match=r"zz.png: is not a picture"):
        compare(real, fake, **clip)
    report = compare(real, fake, on_error="skip", **clip)
    assert report.results[0].n_generated == 6
    assert report.sets[1]["skipped"][0]["name"] == "zz.png"
    assert any("1 unusable picture skipped" in warning for warning in report.warnings)
    for path in sorted(fake.iterdir())[1:]:
        path.write_text("hello")
    with pytest.raises(InputError, match="fake: only one usable picture"):
        compare(real, fake, on_error="skip", **clip)
    (fake / "000.png").write_text("hello")
    with pytest.raises(InputError, match="no usable picture; all 7 were skipped"):
        compare(real, fake, on_error="skip", **clip)


def test_a_clean_pair_has_no_warning(tmp_path: Path, clip: dict) -> None:
    sides = [write_pictures(tmp_path / name, 80, first_seed=seed) for name, seed in (("a", 0), ("b", 500))]
    assert compare(*sides, metric="fd", **clip).warnings == ()


def test_every_oddity_is_said_in_words(tmp_path: Path, clip: dict) -> None:
    real = write_pictures(tmp_path / "real", 8, suffix=".jpg")
    fake = write_pictures(tmp_path / "fake", 3, first_seed=100)
    Image.new("RGBA", (48, 40), (1, 2, 3, 4)).save(fake / "alpha.png")
    smooth_picture(5, (20, 20)).save(fake / "small.png")
    (tmp_path / "copy").mkdir()
    shutil.copy(real / "000.jpg", tmp_path / "copy" / "a.jpg")
    smooth_picture(77).save(tmp_path / "copy" / "b.jpg")
    report = compare(real, [fake, tmp_path / "copy"], **clip)
    said = "\n".join(report.warnings)
    for words in (
        "JPEG against lossless",
        "1 picture converted: alpha placed over white",
        "mixed resolutions (2 sizes, 20x20 to 48x40)",
        "exact duplicates: 1 of 2 pictures",
        "very unequal sizes",
        "fewer pictures than the 24 feature dimensions",
    ):
        assert words in said
    assert said.count("fewer pictures than") == 1


def test_other_resolutions_are_said(tmp_path: Path, clip: dict) -> None:
    one, other = write_pictures(tmp_path / "one", 3), tmp_path / "other"
    other.mkdir()
    for i in range(3):
        smooth_picture(i + 9, (20, 20)).save(other / f"{i}.png")
    assert any("different resolutions" in warning for warning in compare(one, other, **clip).warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "fidd"}, "unknown metric 'fidd'; did you mean fid"),
        ({"metric": "fid"}, "'fid' is not defined on clip; use `metric='fd'`"),
        ({"recipe": "pytorchfid"}, "unknown recipe 'pytorchfid'; did you mean pytorch-fid"),
        ({"recipe": "pytorch-fid"}, "recipe pytorch-fid is defined on inception, not on clip"),
        ({"recipe": "google-cmmd", "metric": "fd"}, "recipe google-cmmd does not define fd"),
        ({"dims": 64}, "only inception has a choice of dimensions"),
        ({"bandwidth": -1}, "bandwidth: expected a finite number > 0"),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"max_images": 1}, "max_images: expected a whole number of at least 2, got 1"),
        ({"on_error": "ignore"}, "on_error: expected fail or skip"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"backbone": ["clip", "siglip"]}, "weights: with several backbones say which, clip="),
        ({"weights": {"siglip": "x"}}, "siglip is not among the backbones of this run"),
    ],
)
def test_bad_options_are_refused_in_words(options: dict, message: str, real: Path, fake: Path, clip: dict) -> None:
    with pytest.raises(CmmdError, match=message):
        compare(real, fake, **{**clip, **options})


def test_sides_that_do_not_fit_are_refused(real: Path, clip: dict, inception_weights: Path, tmp_path: Path) -> None:
    features = embed(real, **clip)
    statistics = features.statistics()
    narrow = Features(gaussian(5, 7))
    inception = embed(real, backbone="inception", weights=inception_weights, dims=64)
    one = write_pictures(tmp_path / "one", 1)
    for reference, generated, options, message in (
        (statistics, features, {"metric": "mmd"}, "mean and covariance only, and it needs"),
        (features, narrow, {}, "features of different width: 7, but the other side has 24"),
        (features, inception, {}, "stored features of different backbones"),
        (features, real, {"backbone": "inception"}, "made with backbone clip, not inception"),
        (features, features, {"backbone": ["clip", "inception"]}, "stored features belong to one backbone"),
        (one, real, {}, "holds one picture; a distance of distributions needs at least two"),
        (real, [], {}, "expected at least one set"),
        (real, tmp_path / "absent", {}, "absent: no such file or folder"),
        (statistics, GaussianStatistics(np.zeros(3), np.eye(3)), {}, "features of different width"),
    ):
        with pytest.raises(CmmdError, match=message):
            compare(reference, generated, **options)


def test_statistics_drop_mmd_aloud(real: Path, fake: Path, clip: dict) -> None:
    report = compare(embed(real, **clip).statistics(), fake, **clip)
    assert [result.metric for result in report.results] == ["fd"]
    assert any("'mmd' was left out" in warning for warning in report.warnings)


def test_other_preprocessing_or_weights_of_stored_features_show(
    real: Path, fake: Path, inception_weights: Path, clip_folder: Path, clip: dict, tmp_path: Path
) -> None:
    stored = embed(real, backbone="inception", weights=inception_weights, dims=64)
    with pytest.raises(InputError, match="made with preprocessing pytorch-fid, but the other side uses clean-fid"):
        compare(stored, fake, recipe="clean-fid", weights=inception_weights, dims=64)
    changed = embed(real, **clip)
    other = Features(changed.values, {**changed.provenance, "weights_sha256": ["0"]})
    report = compare(other, fake, **clip)
    assert any("made with different weights" in warning for warning in report.warnings)


@pytest.mark.slow
def test_snapshots_of_a_generator_in_training_come_out_in_order() -> None:
    weights = shared_path("weights", "inception-fid-768.safetensors")
    reference = shared_path("data", "landscapes")
    snapshots = [shared_path("data", "stylegan2_landscapes", f"snapshot-{tick}") for tick in ("68", "20", "04", "00")]
    report = compare(
        reference, snapshots, backbone="inception", dims=192, weights=weights, metric=["fd", "mmd"], max_images=200
    )
    for metric in ("fd", "mmd"):
        values = [result.value for result in report.results if result.metric == metric]
        assert values[-1] == max(values), metric
        assert values[-2] > max(values[:2]), metric
