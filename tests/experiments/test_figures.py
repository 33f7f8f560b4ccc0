"""What single figures show, beyond what every experiment promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpm_toy
from preimage.errors import PreimageError, UsageError
from preimage.experiments.experiment import Request
from preimage.experiments.figure13_parts import marked
from preimage.experiments.reproduce import reproduce
from preimage.images import Tile
from preimage.recipes import hoggle_training as training
from preimage.representations import Geometry
from preimage.search.result import load_record
from toys import SIDE, small_layer

MODEL = "efficientnet-lite0"


def rows_of(name: str, out: Path, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = reproduce(name, Request(out, iterations=2, **options))["rows"]
    return rows


def test_figure4_has_the_published_settings_without_and_with_jitter(tmp_path):
    rows = rows_of("figure4", tmp_path)
    assert [(row["preset"], row["jitter"], row["seed"]) for row in rows] == [
        ("paper", 1, 0), ("paper", 8, 0), ("best", 1, 0),
    ]  # fmt: skip
    assert {(row["objective"], row["layer"]) for row in rows} == {("tree frog", "logits")}
    assert all(0 <= row["probability"] <= 1 and row["rank"] >= 1 for row in rows)


def test_figure13_inverts_the_central_cells(tmp_path, real_photos):
    (row,) = rows_of("figure13", tmp_path, photos=real_photos, model=MODEL, layers=("stem",))
    assert row["part"] == "central 5x5 cells"
    record = load_record(tmp_path / "cases" / row["case"])
    assert record["settings"]["neighbourhood"] == 5


def test_the_box_is_around_what_the_central_cells_see():
    grey = Tile(np.full((SIDE, SIDE), 128, np.uint8), "conv1")
    # Cells 5 to 9 of 16, 2 pixels apart, see 5 pixels each.
    toy = small_layer("conv1")
    pixels = np.asarray(marked(grey, toy).image)
    rows, columns = (pixels != 128).any(-1).nonzero()
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (8, 20)
    assert tuple(pixels[8, 8]) == (230, 30, 30)
    whole = small_layer("conv1", geometry=Geometry(receptive_field=31, stride=2, offset=0.0))
    assert marked(grey, whole) is grey


def test_figure14_halves_the_channels(tmp_path, real_photos):
    rows = rows_of("figure14", tmp_path, photos=real_photos, model=MODEL, layers=("stem",))
    assert [row["part"] for row in rows] == ["channels 0:16", "channels 16:32"]
    found = [load_record(tmp_path / "cases" / row["case"])["settings"] for row in rows]
    assert [settings["channels"] for settings in found] == [[0, 16], [16, 32]]


def test_figure15_takes_the_papers_components(tmp_path):
    folder = tmp_path / "detectors"
    folder.mkdir()
    for name in ("bicycle", "toy"):
        dpm_toy.save(folder / f"{name}_final.mat")
    (folder / "README").touch()
    rows = rows_of("figure15", tmp_path / "out", detectors=folder)
    assert [(row["component"], row["preset"]) for row in rows] == [
        ("bicycle, component 2", "paper"), ("toy, component 1", "paper"),
        ("bicycle, component 2", "best"), ("toy, component 1", "best"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="bicycle, component 2: there is no preset 'quick'"):
        rows_of("figure15", tmp_path / "out", detectors=folder, preset="quick")
    empty = tmp_path / "empty"
    empty.mkdir()
    expected = "expected a folder of voc-release5's detectors"
    with pytest.raises(PreimageError, match=f"{expected}, got one without files"):
        rows_of("figure15", tmp_path / "out", detectors=empty)
    (empty / "notes.txt").touch()
    with pytest.raises(PreimageError, match=r"expected detectors of voc-release5, .* found none"):
        rows_of("figure15", tmp_path / "out", detectors=empty)
    with pytest.raises(PreimageError, match=rf"nowhere: {expected} \(no such file or directory\)"):
        rows_of("figure15", tmp_path / "out", detectors=tmp_path / "nowhere")


def test_figure15_has_hoggle_where_there_is_a_dictionary(
    tmp_path, real_photos, small_dictionary, monkeypatch
):
    folder = tmp_path / "detectors"
    folder.mkdir()
    dpm_toy.save(folder / "toy_final.mat")

    def report(**options: Any) -> dict[str, Any]:
        request = Request(
            tmp_path / "out", detectors=folder, iterations=2, preset="best", **options
        )
        return reproduce("figure15", request)

    (tmp_path / "no dictionary").touch()
    with pytest.raises(PreimageError, match="no dictionary: expected a dictionary"):
        report(dictionary=tmp_path / "no dictionary")
    assert not (tmp_path / "out").exists()  # it is refused before anything is searched
    without = report()
    assert [row["method"] for row in without["rows"]] == ["maximization"]
    assert "HOGgle, is left out: give --dictionary FILE, or --photos DIR" in without["notes"][0]
    assert without["settings"]["dictionary"] is None
    given = report(dictionary=small_dictionary)
    assert given["rows"][0] == without["rows"][0]
    row = given["rows"][1]
    assert (row["component"], row["method"], row["preset"]) == ("toy, component 1", "HOGgle", None)
    record = load_record(tmp_path / "out" / "cases" / row["case"])
    assert (record["method"], record["score"]) == ("hoggle", row["score"])
    digest = record["settings"]["dictionary"]["sha256"]
    assert given["settings"]["dictionary"]["sha256"] == digest
    none = (
        r"HOGgle needs photos to learn from, and there are none \(1 file .*give a larger folder, or"
    )
    with pytest.raises(PreimageError, match=none):
        report(photos=folder)
    monkeypatch.setattr(training, "ATOMS", 16)
    train = training.train
    monkeypatch.setattr(training, "train", lambda photos, **all: train(photos, atoms=16, **all))
    learned = report(photos=real_photos, seed=3)
    assert "16 atoms learned here from 6 photos of the folder; the" in learned["notes"][0]
    assert learned["rows"][1]["method"] == "HOGgle"
    assert learned["rows"][1]["case"] != row["case"]


def test_figure16_shares_a_canvas_where_cells_see_little(tmp_path):
    options = {"model": MODEL, "layers": ("stem",)}
    rows = rows_of("figure16", tmp_path, **options)
    assert [row["objective"] for row in rows] == [str(channel) for channel in range(9)]
    records = [load_record(tmp_path / "cases" / row["case"]) for row in rows]
    assert {record["case"]["batch"] for record in records} == {9}
    assert all(record["canvas"]["channels"] == list(range(9)) for record in records)


def test_figure18_has_four_starts_of_each_channel(tmp_path):
    rows = rows_of("figure18", tmp_path, model=MODEL, layers=("stem",))
    assert [(row["objective"], row["seed"]) for row in rows] == [
        (channel, seed) for channel in "01" for seed in range(4)
    ]
    assert len({row["prior"] for row in rows}) == 4


def test_classes_need_a_model_that_has_some(tmp_path):
    with pytest.raises(UsageError, match="unknown model 'alexnte'; did you mean: alexnet"):
        reproduce("figure19", Request(tmp_path, model="alexnte"))


def test_figure20_ends_with_the_class_scores(tmp_path, real_photos):
    rows = rows_of("figure20", tmp_path, photos=real_photos)
    assert [row["layer"] for row in rows] == [
        "stem", "block03", "block05", "block08", "block11", "block16", "logits",
    ]  # fmt: skip
    assert all(row["growth"] > 0 for row in rows)
