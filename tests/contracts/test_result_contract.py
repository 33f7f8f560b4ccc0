"""What every result promises: the record of docs/results.md and the folder that holds it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import preimage as pi
from preimage.files import sha256_of_file
from preimage.recipes import PRESETS
from preimage.search import Result
from preimage.search.result import SCHEMA, load_record
from toys import MEAN, SIDE, photo_file, small_layer

FIELDS = {
    "schema", "task", "image", "representation", "weights", "settings", "seed", "restart",
    "relative_error", "squared_error", "energy", "classes", "iterations", "seconds",
    "seconds_per_iteration", "device", "versions", "warnings",
}  # fmt: skip
PARTS = {
    "image": {"path", "sha256"},
    "representation": {"model", "layer", "code_shape", "receptive_field", "stride"},
    "weights": {"source", "sha256", "licence"},
    "energy": {"total", "loss", "bounded_range", "total_variation"},
    "classes": {"reference", "result", "consistent"},
}
SETTINGS = {"preset", "fidelity", "alpha", "beta", "B", "B_plus", "V", "jitter", "iterations"}
TRACE = [
    "iteration", "energy", "loss", "bounded_range", "total_variation", "relative_error",
]  # fmt: skip
FILES = {"image.png", "reference.png", "figure.png", "trace.csv", "canvas.npy", "result.json"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A result of every kind that recipes make."""
    folder = tmp_path_factory.mktemp("results")
    photos = [photo_file(folder, seed) for seed in range(2)]
    toy = small_layer()
    made: dict[str, Any] = {
        f"photo, {preset.name}": pi.invert(toy, photos[0], preset=preset.name, iterations=4)
        for preset in PRESETS
    }
    made["code"] = pi.invert(toy, code=pi.encode(toy, photos[0])[0], iterations=3)
    batch = pi.invert(toy, photos, restarts=2, seed=5, iterations=3)
    assert isinstance(batch, list)
    made |= {f"batch {i}": result for i, result in enumerate(batch)}
    made["stretched"] = pi.invert(toy, photos[1], iterations=2, display_stretched=True)
    made["narrowed"] = pi.invert(toy, photos[1], iterations=2, neighbourhood=3, channels=(0, 6))
    stem = pi.representation("efficientnet-lite0", layer="stem")
    made["classifier"] = pi.invert(stem, photos[0], iterations=2)
    made["classifier, code"] = pi.invert(stem, code=pi.encode(stem, photos[0])[0], iterations=2)
    return made


KINDS = [
    *(f"photo, {preset.name}" for preset in PRESETS),
    "code", "batch 0", "batch 1", "batch 2", "batch 3", "stretched", "narrowed", "classifier",
    "classifier, code",
]  # fmt: skip

every_result = pytest.mark.parametrize("kind", KINDS)


@every_result
def test_the_record_has_exactly_the_fields_of_the_layout(
    kind: str, results: dict[str, Result]
) -> None:
    record = results[kind].record
    assert set(record) == FIELDS
    for part, names in PARTS.items():
        assert record[part] is None or set(record[part]) == names, part
    assert set(record["settings"]) > SETTINGS
    assert record["schema"] == SCHEMA == 1
    assert record["task"] == "invert"


@every_result
def test_the_record_is_plain_json_without_nan(kind: str, results: dict[str, Result]) -> None:
    record = results[kind].record
    assert json.loads(json.dumps(record, allow_nan=False)) == json.loads(json.dumps(record))


@every_result
def test_errors_are_fractions_and_one_is_the_others_square(
    kind: str, results: dict[str, Result]
) -> None:
    record = results[kind].record
    assert 0 <= record["relative_error"] < 10
    assert record["relative_error"] ** 2 == pytest.approx(record["squared_error"], rel=1e-6)
    assert record["squared_error"] == record["energy"]["loss"]
    assert results[kind].relative_error == record["relative_error"]


@every_result
def test_the_energy_is_the_priors_plus_fidelity_times_the_loss(
    kind: str, results: dict[str, Result]
) -> None:
    record = results[kind].record
    energy, fidelity = record["energy"], record["settings"]["fidelity"]
    priors = energy["bounded_range"] + energy["total_variation"]
    assert energy["total"] == pytest.approx(priors + fidelity * energy["loss"], rel=1e-5)
    assert results[kind].energy == energy["total"]


@every_result
def test_times_and_counts_agree(kind: str, results: dict[str, Result]) -> None:
    result, record = results[kind], results[kind].record
    assert record["iterations"] == record["settings"]["iterations"] == len(result.trace)
    assert record["seconds"] > 0
    assert record["seconds_per_iteration"] == pytest.approx(
        record["seconds"] / record["iterations"], abs=1e-3
    )
    assert set(record["versions"]) == {"preimage", "torch", "numpy", "python"}
    assert record["device"] == "cpu"
    assert record["warnings"] == []


@every_result
def test_the_image_is_the_centre_of_the_canvas_as_pixels_never_stretched(
    kind: str, results: dict[str, Result]
) -> None:
    result = results[kind]
    side = result.image.height
    top, left = ((n - side) // 2 for n in result.canvas.shape[-2:])
    view = result.canvas[:, top : top + side, left : left + side].astype(np.float64)
    mean = MEAN if result.record["representation"]["model"] == "toy" else (127.0,) * 3
    pixels = np.clip(np.round(view + np.array(mean)[:, None, None]), 0, 255)
    assert np.array_equal(np.asarray(result.image), pixels.transpose(1, 2, 0).astype(np.uint8))
    assert result.canvas.dtype == np.float32
    margin = max(stage["jitter"] for stage in result.record["settings"]["stages"]) - 1
    assert result.canvas.shape == (3, side + margin, side + margin)


@every_result
def test_the_folder_holds_all_of_it_and_can_be_read_back(
    kind: str, results: dict[str, Result], tmp_path: Path
) -> None:
    result = results[kind]
    folder = result.save(tmp_path / "out")
    assert folder == tmp_path / "out"
    files = {path.name for path in folder.iterdir()}
    assert files == (FILES if result.reference else FILES - {"reference.png"} | {"code.npy"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert load_record(folder) == json.loads(json.dumps(result.record))
    with Image.open(folder / "image.png") as image:
        assert image.size == result.image.size
        assert np.array_equal(np.asarray(image), np.asarray(result.image))
    assert np.array_equal(np.load(folder / "canvas.npy"), result.canvas)


@every_result
def test_the_trace_has_a_row_an_iteration_under_the_layouts_names(
    kind: str, results: dict[str, Result], tmp_path: Path
) -> None:
    result = results[kind]
    with (result.save(tmp_path / "out") / "trace.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == TRACE
    assert [int(row[0]) for row in rows] == list(range(1, result.record["iterations"] + 1))
    saved = np.array(rows, dtype=np.float64)
    np.testing.assert_allclose(saved[:, 1:], result.trace, rtol=1e-8)
    fidelity = result.record["settings"]["fidelity"]
    energy, loss, bounded, variation, error = saved[:, 1:].T
    np.testing.assert_allclose(energy, bounded + variation + fidelity * loss, rtol=1e-5)
    np.testing.assert_allclose(error, np.sqrt(loss), rtol=1e-6)


@every_result
def test_it_shows_itself(kind: str, results: dict[str, Result]) -> None:
    result = results[kind]
    assert result._repr_png_().startswith(b"\x89PNG")
    captions = " ".join(tile.caption for tile in result.tiles())
    assert f"{100 * result.relative_error:.1f} %" in captions
    preset, iterations = result.record["settings"]["preset"], result.record["iterations"]
    assert f"\n{preset}, {iterations} iterations" in captions
    assert ("stretched" in captions) == (kind == "stretched")
    assert len(result.tiles()) == (1 if result.reference is None else 2)


def test_a_photo_is_recorded_by_path_and_digest(results: dict[str, Result]) -> None:
    image = results["photo, best"].record["image"]
    assert image["sha256"] == sha256_of_file(image["path"])


def test_what_comes_from_a_code_has_the_code_and_no_reference(results: dict[str, Result]) -> None:
    result = results["code"]
    assert result.record["image"] is None
    assert result.reference is None
    assert result.code is not None
    assert list(result.code.shape) == result.record["representation"]["code_shape"] == [12, 8, 8]


def test_a_batch_is_recorded_image_by_image_restart_by_restart(results: dict[str, Result]) -> None:
    records = [results[f"batch {i}"].record for i in range(4)]
    assert [Path(r["image"]["path"]).name for r in records] == ["photo0.png"] * 2 + [
        "photo1.png"
    ] * 2
    assert [(r["seed"], r["restart"]) for r in records] == [(5, 0), (5, 1)] * 2


def test_classes_are_null_without_a_classifier_and_named_with_one(
    results: dict[str, Result],
) -> None:
    assert results["photo, best"].record["classes"] is None
    assert results["photo, best"].record["weights"] is None
    record = results["classifier"].record
    classes = record["classes"]
    for scores in (classes["reference"], classes["result"]):
        assert len(scores) == 5
        assert all(set(score) == {"index", "label", "probability"} for score in scores)
        assert all(0 <= score["probability"] <= 1 for score in scores)
        assert scores == sorted(scores, key=lambda score: -score["probability"])
    same = classes["reference"][0]["index"] == classes["result"][0]["index"]
    assert classes["consistent"] is same
    assert len(record["weights"]["sha256"]) == 64
    assert record["weights"]["licence"]


def test_without_a_reference_there_is_no_consistency(results: dict[str, Result]) -> None:
    classes = results["classifier, code"].record["classes"]
    assert classes["reference"] is None
    assert classes["consistent"] is None
    assert len(classes["result"]) == 5


def test_geometry_of_the_layer_is_in_the_record(results: dict[str, Result]) -> None:
    representation = results["classifier"].record["representation"]
    assert representation == {
        "model": "efficientnet-lite0", "layer": "stem", "code_shape": [32, 112, 112],
        "receptive_field": 3, "stride": 2,
    }  # fmt: skip


def test_the_reference_is_the_photo_as_the_network_saw_it(results: dict[str, Result]) -> None:
    result = results["photo, best"]
    assert result.reference is not None
    assert result.reference.size == (SIDE, SIDE)
    photo = small_layer().photo(result.record["image"]["path"])[0].numpy()
    shown = np.asarray(result.reference).transpose(2, 0, 1) - np.array(MEAN)[:, None, None]
    np.testing.assert_allclose(photo, shown, atol=1e-4)
