"""An experiment made of the shared parts, as docs/experiments.md shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import preimage as pi
from preimage.experiments import plots
from preimage.experiments import reproduce as module
from preimage.experiments.cases import Case, Inversion
from preimage.experiments.experiment import Experiment, Report, Request, Size
from preimage.experiments.reproduce import reproduce
from preimage.experiments.rows import mean_row
from preimage.experiments.tables import Column, percent
from toys import made_result, photo_file


def by_fidelity(request: Request) -> Report:
    searched = []
    for layer in request.layers or ("stem",):
        phi = pi.representation(request.model or "efficientnet-lite0", layer)
        for fidelity in (1.0, 100.0):
            settings = pi.settings_for(
                phi, request.preset or "best", fidelity=fidelity, iterations=request.iterations
            )
            method = Inversion(phi, settings)
            cases = [Case(method, photo, request.seed) for photo in request.sample.targets]
            searched.append(request.store.finish(cases, f"{phi.name}, C = {fidelity:g}"))
    rows = tuple(mean_row(found) for found in searched)
    with plots.style():
        figure, (axes,) = plots.grid()
        plots.curve(axes, [1, 100], [float(str(row["relative_error"])) for row in rows])
    cases_of_all = tuple(done for found in searched for done in found)
    return Report(rows, {"note": "toy"}, cases_of_all, {"by-fidelity": figure}, ("made up",))


MADE_UP = Experiment(
    name="figure99",
    question="Does it fall with C?",
    run=by_fidelity,
    quick=Size(count=1, minutes=1),
    paper=Size(count=3, minutes=2),
    cut="the other layers",
    takes=("photos", "count", "model", "layers", "preset", "iterations"),
    columns=(Column("fidelity", "C"), Column("relative_error", "error", percent)),
    says={"source": "nobody"},
)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPERIMENTS", (MADE_UP,))


def test_rows_figures_and_notes(tmp_path):
    photo_file(tmp_path)
    request = Request(tmp_path / "out", photos=tmp_path, layers=("stem",), iterations=2, seed=3)
    report = reproduce("figure99", request)
    assert [row["fidelity"] for row in report["rows"]] == [1, 100]
    assert {row["layer"] for row in report["rows"]} == {"stem"}
    assert report["settings"]["layers"] == ["stem"]
    assert report["settings"]["note"] == "toy"
    assert report["notes"] == [
        "made up",
        "2 iterations in place of each preset's: these are not the presets' errors",
        "scale quick: 1 photo in place of 3; the other layers",
    ]  # fmt: skip
    written = {path.name for path in (tmp_path / "out" / "figure99").iterdir()}
    assert written == {
        "report.json", "rows.csv", "cases.csv", "by-fidelity.png", "by-fidelity.svg",
    }  # fmt: skip
    records = [
        json.loads(path.read_text()) for path in (tmp_path / "out" / "cases").glob("*/result.json")
    ]
    assert {record["seed"] for record in records} == {3}
    assert {record["settings"]["iterations"] for record in records} == {2}


def test_the_papers_size_leaves_nothing_out(tmp_path):
    for seed in range(3):
        photo_file(tmp_path, seed)
    request = Request(tmp_path / "out", photos=tmp_path, scale="paper", iterations=1)
    report = reproduce("figure99", request)
    assert report["notes"] == [
        "made up", "1 iteration in place of each preset's: these are not the presets' errors",
    ]  # fmt: skip
    assert [row["count"] for row in report["rows"]] == [3, 3]


def test_a_report_that_fails_leaves_the_older_one(tmp_path, monkeypatch):
    photo_file(tmp_path)
    request = Request(tmp_path / "out", photos=tmp_path, iterations=1)
    before = reproduce("figure99", request)

    def failing(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        reproduce("figure99", request)
    folder = tmp_path / "out" / "figure99"
    assert json.loads((folder / "report.json").read_text()) == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cases", "figure99"}


@dataclass(frozen=True)
class Channel:
    """A target that is no photo."""

    number: int

    @property
    def name(self) -> str:
        return f"channel {self.number}"

    @property
    def digest(self) -> str:
        return f"channel {self.number}"


@dataclass(frozen=True)
class Painting:
    """A method that is no inversion."""

    identity: Any

    def results(self, targets: Any, seed: int) -> Any:
        return [
            made_result(settings={}, seconds=2.0, seed=seed, relative_error=target.number / 10)
            for target in targets
        ]


def test_targets_and_methods_of_other_kinds(tmp_path):
    def run(request: Request) -> Report:
        cases = [Case(Painting({"task": "paint"}), Channel(number)) for number in range(3)]
        found = replace(request.store, batch=2).finish(cases, "channels")
        assert [done.seconds for done in found] == [1, 1, 2]
        rows = tuple({"count": 1, "relative_error": done.relative_error} for done in found)
        return Report(rows, cases=tuple(found))

    experiment = replace(MADE_UP, run=run, takes=(), quick=Size(0, 1), paper=Size(0, 1))
    module.EXPERIMENTS = (experiment,)
    report = reproduce("figure99", Request(tmp_path / "out"))
    assert [row["relative_error"] for row in report["rows"]] == [0, 0.1, 0.2]
    lines = (tmp_path / "out" / "figure99" / "cases.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == [
        "target", "channel 0", "channel 1", "channel 2",
    ]  # fmt: skip


def test_a_place_that_is_somebodys_own_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "out" / "figure99").mkdir(parents=True)
    (tmp_path / "out" / "figure99" / "thesis.txt").touch()
    never = replace(MADE_UP, run=lambda request: pytest.fail("searched"))
    monkeypatch.setattr(module, "EXPERIMENTS", (never,))
    photo_file(tmp_path)
    request = Request(tmp_path / "out", photos=tmp_path, iterations=1)
    with pytest.raises(pi.PreimageError, match=r"thesis.txt, which preimage has not written"):
        reproduce("figure99", request)


def test_a_scale_that_is_none(tmp_path):
    request = Request(Path("out"), photos=tmp_path, scale="papre")
    with pytest.raises(pi.UsageError, match="there is no scale 'papre'; did you mean: paper"):
        reproduce("figure99", request)
