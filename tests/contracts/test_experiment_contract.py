"""What every experiment of the catalogue promises: rows, files, cases, and going on."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import dpm_toy
from preimage.errors import UsageError
from preimage.experiments.cases import CaseStore
from preimage.experiments.catalogue import EXPERIMENTS
from preimage.experiments.experiment import Experiment, Request
from preimage.experiments.reproduce import FOLDERS, FOR_ALL, OPTIONS, find_experiment, reproduce
from preimage.experiments.tables import FIELDS
from preimage.search.result import load_record

STEM = {"model": "efficientnet-lite0", "layers": ("stem",)}
SMALL: dict[str, dict[str, Any]] = {
    **{f"figure{n}": STEM for n in (3, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 21)},
    **{f"figure{n}": {**STEM, "preset": "quick"} for n in (6, 7)},
    "figure20": {"layers": ("stem", "logits"), "model": "efficientnet-lite0"},
}
"""What an experiment needs besides `smallest`: weights that are always there, few layers."""

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
Reports = dict[str, tuple[Request, dict[str, Any]]]


@pytest.fixture(scope="module")
def reports(
    real_photos: Path, small_dictionary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Reports:
    """Every experiment, as small as it can be."""
    smallest = {
        "photos": real_photos, "count": 2, "iterations": 2, "dictionary": small_dictionary,
        "detectors": dpm_toy.save(tmp_path_factory.mktemp("dpm") / "toy_final.mat").parent,
    }  # fmt: skip
    found: Reports = {}
    for experiment in EXPERIMENTS:
        options = {name: value for name, value in smallest.items() if name in experiment.takes}
        options |= SMALL.get(experiment.name, {})
        request = Request(tmp_path_factory.mktemp(experiment.name), **options)
        found[experiment.name] = request, reproduce(experiment.name, request)
    return found


def test_names_are_those_of_the_paper() -> None:
    names = [experiment.name for experiment in EXPERIMENTS]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("table", "figure")) for name in names)
    with pytest.raises(UsageError, match=r"no experiment 'tabel2'; did you mean: table2"):
        find_experiment("tabel2")


@every_experiment
def test_the_catalogue_tells_a_person_what_to_expect(experiment: Experiment) -> None:
    assert experiment.question.endswith("?")
    assert 0 < experiment.quick.minutes <= experiment.paper.minutes
    assert experiment.quick.count <= experiment.paper.count
    assert set(experiment.takes) <= set(OPTIONS)
    assert {column.field for column in experiment.columns} <= set(FIELDS)
    assert "Mahendran & Vedaldi 2016" in experiment.says["source"]
    json.dumps(experiment.says, allow_nan=False)


@every_experiment
def test_rows_are_flat_and_use_the_common_names(experiment: Experiment, reports: Reports) -> None:
    _, report = reports[experiment.name]
    counts = {"mismatches", "disputed"} if experiment.name == "table1" else set()
    assert set(report) == {"name", "question", "rows", "paper", "settings", "notes", *counts}
    assert report["name"] == experiment.name
    assert report["paper"] == experiment.says
    assert report["rows"]
    for row in report["rows"]:
        assert set(row) <= set(FIELDS)
        for value in row.values():
            assert value is None or isinstance(value, str | int | float | bool)
            assert not isinstance(value, float) or math.isfinite(value)
        assert row.get("count", 1) >= 1
        if "relative_error" in row:
            assert row["relative_error"] >= 0
            assert (row["interval"] is None) == (row["count"] == 1)
    shown = {column.field for column in experiment.columns}
    assert shown <= {name for row in report["rows"] for name in row}


@every_experiment
def test_settings_say_what_the_rows_depend_on(experiment: Experiment, reports: Reports) -> None:
    request, report = reports[experiment.name]
    settings = report["settings"]
    assert {"scale", "seed", "device", "versions", *experiment.takes} <= set(settings)
    if "photos" in experiment.takes:
        assert settings["photos"] == str(request.photos)
        assert settings.get("count", 2) == 2
        assert settings["passed_over"] == {}


@every_experiment
def test_the_report_folder_holds_the_same(experiment: Experiment, reports: Reports) -> None:
    request, report = reports[experiment.name]
    folder = request.out / experiment.name
    assert json.loads((folder / "report.json").read_text()) == report
    with (folder / "rows.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(report["rows"])
    for cells, row in zip(read, report["rows"], strict=True):
        assert {name: cells[name] for name in row} == {
            name: "" if value is None else str(value) for name, value in row.items()
        }
    for picture in folder.glob("*.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 100


@every_experiment
def test_every_case_is_a_result_folder(experiment: Experiment, reports: Reports) -> None:
    request, report = reports[experiment.name]
    with (request.out / experiment.name / "cases.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    assert max(row.get("count", 0) for row in report["rows"]) <= len(cases)
    assert {row["case"] for row in report["rows"] if "case" in row} <= {
        case["case"] for case in cases
    }
    for case in cases:
        record = load_record(request.out / "cases" / case["case"])
        assert record["case"]["id"] == case["case"]
        assert str(record.get("relative_error", "")) == case["relative_error"]


@every_experiment
def test_a_second_run_computes_nothing_and_says_the_same(
    experiment: Experiment, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    request, report = reports[experiment.name]
    monkeypatch.setattr(CaseStore, "_compute", refuse)
    assert reproduce(experiment.name, request) == report


@every_experiment
def test_what_all_may_be_given_is_passed_over_with_a_word(
    experiment: Experiment, reports: Reports, tmp_path: Path
) -> None:
    request, report = reports[experiment.name]
    values = {"photos": tmp_path, "count": 1, "detectors": tmp_path}
    assert set(values) == set(FOR_ALL)
    unused = [name for name in FOR_ALL if name not in experiment.takes]
    again = reproduce(experiment.name, replace(request, **{name: values[name] for name in unused}))
    said = [f"{experiment.name} has no use for --{name}." for name in unused]
    assert again == {**report, "notes": report["notes"] + said}
    assert reproduce(experiment.name, request) == report


@every_experiment
def test_options_it_has_no_use_for_are_refused(experiment: Experiment, tmp_path: Path) -> None:
    values = {
        "photos": tmp_path, "count": 1, "model": "hog", "layers": ("a",), "preset": "paper",
        "iterations": 1, "dictionary": tmp_path, "study": tmp_path, "models": ("hog",),
        "layers_per_model": 2, "detectors": tmp_path,
    }  # fmt: skip
    assert set(values) == set(OPTIONS)
    needed = dict.fromkeys(set(FOLDERS) & set(experiment.takes), tmp_path)
    for name in experiment.optional:
        del needed[name]
    for option in set(OPTIONS) - set(experiment.takes) - set(FOR_ALL):
        given = {**needed, option: values[option]}
        typed = option.replace("_", "-")
        with pytest.raises(UsageError, match=f"has no use for --{typed}: leave it out"):
            reproduce(experiment.name, Request(tmp_path / "out", **given))
    for name in needed:
        with pytest.raises(UsageError, match=f"needs a folder of {name}: give --{name} DIR"):
            reproduce(experiment.name, Request(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
