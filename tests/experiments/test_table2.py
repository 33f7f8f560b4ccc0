from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preimage.errors import PreimageError, UsageError
from preimage.experiments.experiment import Request
from preimage.experiments.reproduce import reproduce
from preimage.experiments.table2 import ENTRIES, PHOTO_COLUMNS
from preimage.experiments.tables import cells
from preimage.recipes import hoggle_training as training
from preimage.recipes.dictionaries import load_dictionary
from preimage.search.result import load_record


@pytest.fixture
def request_of(real_photos: Path, small_dictionary: Path, tmp_path: Path) -> Any:
    def made(**options: Any) -> Request:
        given = {"photos": real_photos, "count": 1, "iterations": 2, "dictionary": small_dictionary}
        return Request(tmp_path / "out", **{**given, **options})

    return made


def test_the_papers_figures_are_those_of_table_2():
    assert [(e.method, e.descriptor, e.printed, e.interval) for e in ENTRIES] == [
        ("HOGgle", "HOG", 0.601, 0.023),
        ("natural pre-image", "HOG", 0.366, 0.034),
        ("natural pre-image", "HOGb", 0.116, 0.009),
        ("natural pre-image", "DSIFT", 0.094, 0.017),
    ]


def test_rows_are_method_by_code_by_preset(request_of):
    report = reproduce("table2", request_of(count=2))
    rows = [(row["method"], row["descriptor"], row["preset"]) for row in report["rows"]]
    natural = "natural pre-image"
    assert rows == [
        ("HOGgle", "HOG", None),
        (natural, "HOG", "paper"), (natural, "HOG", "best"),
        (natural, "HOGb", "paper"), (natural, "HOGb", "best"),
        (natural, "DSIFT", "paper"), (natural, "DSIFT", "best"),
    ]  # fmt: skip
    options = [row["options"] for row in report["rows"][-2:]]
    assert options == [
        "cell=8,step=24,window=1.5,renormalize=False", "cell=8,step=8,window=2.0,renormalize=True",
    ]  # fmt: skip
    assert any("every 24 pixels" in note for note in report["notes"])
    out = request_of().out
    errors = [load_record(path)["relative_error"] for path in (out / "cases").iterdir()
              if path.is_dir() and "method" in load_record(path)]  # fmt: skip
    np.testing.assert_allclose(report["rows"][0]["relative_error"], np.mean(errors))
    assert {path.name for path in (out / "table2").iterdir()} == {
        "report.json", "rows.csv", "cases.csv", "table2.png", "table2.svg", "figure5-paper.png",
        "figure5-best.png",
    }  # fmt: skip


def test_one_preset_and_one_model(request_of):
    report = reproduce("table2", request_of(preset="paper", model="hogb"))
    (row,) = report["rows"]
    assert (row["model"], row["preset"], row["iterations"]) == ("hogb", "paper", 2)
    assert report["settings"]["dictionary"] is None
    with pytest.raises(UsageError, match=r"Table 2 has no model 'hogg'; did you mean: hog"):
        reproduce("table2", request_of(model="hogg"))
    with pytest.raises(UsageError, match="there is no preset 'beast'; did you mean: best"):
        reproduce("table2", request_of(preset="beast"))


def test_figure5_is_made_of_the_same_cases(request_of):
    table = reproduce("table2", request_of(preset="best"))
    report = reproduce("figure5", request_of())
    assert [row["relative_error"] for row in report["rows"]] == [
        row["relative_error"] for row in table["rows"]
    ]
    assert {row["photo"] for row in report["rows"]} == {"astronaut"}
    cases = [path for path in (request_of().out / "cases").iterdir() if path.is_dir()]
    assert len(cases) == len(report["rows"]) == 4


def test_a_dictionary_is_trained_once_on_photos_that_are_not_tested(request_of, monkeypatch):
    monkeypatch.setattr(training, "ATOMS", 16)
    asked: list[list[str]] = []
    train = training.train

    def watched(photos: Any, **options: Any) -> Any:
        asked.append([photo.stem for photo in photos])
        return train(photos, atoms=16, **options)

    monkeypatch.setattr(training, "train", watched)
    request = request_of(dictionary=None, model="hog", preset="best")
    first = reproduce("table2", request)
    assert reproduce("table2", request) == first
    assert asked == [["brick", "chelsea", "coffee", "grass", "gravel"]]
    assert "16 atoms learned here from 5 photos" in first["notes"][0]
    (kept,) = (request.out / "dictionaries").iterdir()
    assert load_dictionary(kept).digest == first["settings"]["dictionary"]["sha256"]


def test_no_photos_are_left_to_learn_from(request_of, real_photos, tmp_path):
    with pytest.raises(PreimageError, match="other photos to learn from than the 6 tested, and"):
        reproduce("table2", request_of(count=6, dictionary=None))
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(real_photos / "coffee.png", folder / "a.png")
    (folder / "b.png").write_text("no photo")
    with pytest.raises(PreimageError, match=r"there are none \(1 file was passed over: b\.png"):
        reproduce("table2", request_of(photos=folder, dictionary=None))


def test_a_dictionary_for_other_cells(request_of, real_photos, tmp_path):
    path = tmp_path / "cell16.safetensors"
    training.train([real_photos / "coffee.png"], cell=16, atoms=4).save(path)
    with pytest.raises(PreimageError, match="is for cells of 16 pixels, the paper has 8"):
        reproduce("table2", request_of(dictionary=path))


def test_files_that_are_no_photos_are_in_the_report(request_of, real_photos, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(real_photos, folder)
    (folder / "a.txt").write_text("no photo")
    report = reproduce("table2", request_of(photos=folder, model="hogb", preset="best"))
    assert list(report["settings"]["passed_over"]) == ["a.txt"]
    assert any(
        note.startswith("1 file was passed over: a.txt (expected") for note in report["notes"]
    )
    saved = json.loads((request_of().out / "table2" / "report.json").read_text())
    assert saved == report


def test_names_that_are_no_text(request_of, real_photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    name = os.fsdecode(b"bad\xff\n.png")
    shutil.copy(real_photos / "coffee.png", folder / name)
    report = reproduce("figure5", request_of(photos=folder))
    assert {row["photo"] for row in report["rows"]} == {Path(name).stem}
    rows = (request_of().out / "figure5" / "rows.csv").read_text()
    assert "bad\\udcff" in rows
    assert cells(report["rows"], PHOTO_COLUMNS)[0][0] == "bad\\udcff\\n"
