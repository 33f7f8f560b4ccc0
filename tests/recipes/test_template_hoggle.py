"""HOGgle of templates: the positive weights alone, every filter by itself, the same again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import dpm_toy
import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes.dictionaries import Dictionary, dictionary_path, load_dictionary
from preimage.recipes.hoggle import pattern
from preimage.recipes.rerun import rerun
from preimage.recipes.template_hoggle import hoggle_template, visualize_by_hoggle
from preimage.recipes.template_subject import subject_of
from preimage.representations.hog import Hog
from preimage.weights.dpm import read_dpm


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return dpm_toy.save(tmp_path / "toy_final.mat")


@pytest.fixture
def dictionary(small_dictionary: Path) -> Dictionary:
    return load_dictionary(small_dictionary)


def test_a_part_is_the_pattern_of_its_positive_weights(file, dictionary):
    result = hoggle_template(file, 1, part=2, dictionary=dictionary)
    weights = read_dpm(file).component(1).parts[1].filter
    # 3x3 cells in the middle of empty ones: every block that reaches one of them.
    code = np.zeros((31, 11, 11), np.float32)
    code[:, 4:7, 4:7] = np.where(weights > 0, weights, 0)
    inner = pattern(code, dictionary)[32:56, 32:56]
    expected = 255 * (inner - inner.min()) / np.ptp(inner)
    np.testing.assert_allclose(result.canvas[0] + 127, expected, atol=1e-3)
    score = float((Hog("hog")(torch.from_numpy(result.canvas)[None])[0].numpy() * weights).sum())
    assert result.record["score"] == pytest.approx(score, rel=1e-4)
    (entry,) = result.record["filters"]
    assert (entry["name"], entry["rho"], entry["score"]) == ("part 2", 24, result.record["score"])
    assert result.image.getextrema() == (0, 255)


def test_negative_weights_are_left_out(file, dictionary):
    subject, hog = subject_of(file, 1), Hog("hog")
    component = subject.component

    def without(weights: np.ndarray) -> np.ndarray:
        return np.maximum(weights, 0)

    parts = tuple(replace(part, filter=without(part.filter)) for part in component.parts)
    positive = replace(component, root=without(component.root), parts=parts)
    results = [
        visualize_by_hoggle(replace(subject, component=each), hog, dictionary)
        for each in (component, positive)
    ]
    np.testing.assert_array_equal(results[0].canvas, results[1].canvas)
    assert results[0].record["score"] < results[1].record["score"]  # the score has all weights


def test_root_and_parts_score_as_the_detector_does(file, dictionary):
    result = hoggle_template(file, 2, dictionary=dictionary)
    component, image = read_dpm(file).component(2), torch.from_numpy(result.canvas)[None]
    hog = Hog("hog")
    total = float((hog(F.avg_pool2d(image, 2))[0].numpy() * component.root).sum())
    fine = hog(image)[0].numpy()
    for part in component.parts:
        column, row = part.anchor
        total += float((fine[:, row : row + 3, column : column + 3] * part.filter).sum())
    assert result.record["score"] == pytest.approx(total, rel=1e-4)
    noise = pi.template(file, 2, joint=False, iterations=1).record["noise_score"]
    assert result.record["noise_score"] == noise
    assert result.image.size == (64, 48)
    assert [entry["name"] for entry in result.record["filters"]] == ["root", "part 1", "part 2"]
    assert [tile.title for tile in result.panels] == [
        "root filter", "root", "with parts", "toy, component 2",
    ]  # fmt: skip
    expected = "; each inverted alone; by HOGgle, contrast stretched"
    assert result.panels[-1].caption.endswith(expected)


def test_the_record_says_what_made_it(file, dictionary):
    record = hoggle_template(file, 1, dictionary=dictionary).record
    assert (record["task"], record["method"], record["iterations"]) == ("template", "hoggle", 0)
    settings = record["settings"]
    assert (settings["preset"], settings["fidelity"]) == (None, 32.0**2)
    assert settings["dictionary"]["sha256"] == dictionary.digest
    assert settings["dictionary"]["path"] == dictionary.path
    energy = record["energy"]
    assert energy["loss"] == pytest.approx(
        -sum(entry["score"] / entry["Z"] for entry in record["filters"]), rel=1e-4
    )


@pytest.mark.parametrize("part", [None, 1])
def test_again_from_the_folder_and_the_dictionary(file, small_dictionary, tmp_path, part):
    place = tmp_path / "d.safetensors"
    shutil.copy(small_dictionary, place)
    result = hoggle_template(file, 2, part=part, dictionary=load_dictionary(place))
    result.save(tmp_path / "out")
    file.unlink()
    again = rerun(tmp_path / "out")
    np.testing.assert_array_equal(again.canvas, result.canvas)
    assert again.record["warnings"] == []
    for key in ("template", "score", "filters", "settings", "method"):
        assert again.record[key] == result.record[key]
    assert again.figure().tobytes() == result.figure().tobytes()


def test_again_with_a_dictionary_that_has_moved(file, small_dictionary, tmp_path, monkeypatch):
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    place = tmp_path / "d.safetensors"
    shutil.copy(small_dictionary, place)
    dictionary = load_dictionary(place)
    folder = hoggle_template(file, 1, part=1, dictionary=dictionary).save(tmp_path / "out")
    place.unlink()
    missing = rf"out: made by HOGgle with the dictionary {dictionary.digest[:12]}, which is neither"
    with pytest.raises(PreimageError, match=missing):
        rerun(folder)
    # Another one at its place is not taken for it.
    replace(dictionary, pixel_atoms=dictionary.pixel_atoms[::-1]).save(place)
    with pytest.raises(PreimageError, match=missing):
        rerun(folder)
    dictionary_path(8).parent.mkdir(parents=True)
    dictionary.save(dictionary_path(8))
    place.write_text("something else")
    assert rerun(folder).record["settings"]["dictionary"]["path"] == str(dictionary_path(8))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "magic"}, "has method 'magic': the record is damaged"),
        ({"method": None}, "damaged"),
        ({"settings": {}}, "has no dictionary: the record is damaged"),
        ({"settings": {"dictionary": {"path": 3, "cell": 8, "sha256": "x"}}}, "damaged"),
        ({"settings": {"dictionary": {}}}, "damaged"),
    ],
)
def test_damaged_records(file, dictionary, tmp_path, changes, words):
    folder = hoggle_template(file, 1, part=1, dictionary=dictionary).save(tmp_path / "out")
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(PreimageError, match=words):
        rerun(folder)


def test_wrong_use(file, dictionary, tmp_path, monkeypatch):
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    with pytest.raises(PreimageError, match="no dictionary for cells of 8 pixels"):
        hoggle_template(file, 1)
    with pytest.raises(UsageError, match="component 1 of toy has parts 1 to 2, got 3"):
        hoggle_template(file, 1, part=3, dictionary=dictionary)
    other = replace(dictionary, header=replace(dictionary.header, cell=4))
    with pytest.raises(PreimageError, match=r"for cells of 4 pixels, the code has cells of 8: "
                       r"give the other one\.$"):  # fmt: skip
        hoggle_template(file, 1, dictionary=other)
