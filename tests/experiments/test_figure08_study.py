"""Figure 8: a study made of new pre-images, and its votes counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from preimage import PreimageError, UsageError
from preimage.experiments.experiment import Request
from preimage.experiments.figure08_study import FIDELITIES, figure8
from preimage.experiments.reproduce import reproduce
from preimage.study import Ballots, load_study
from preimage.study.questions import questions_for


@pytest.fixture(scope="module")
def made(real_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """The study of one layer of two photos, nobody asked yet."""
    request = Request(
        tmp_path_factory.mktemp("figure8"), photos=real_photos, count=2,
        model="efficientnet-lite0", layers=("stem",), iterations=1,
    )  # fmt: skip
    reproduce("figure8", request)
    return request


@pytest.fixture
def request_(made: Request, tmp_path: Path) -> Request:
    """The same in a folder of its own."""
    return replace(made, out=shutil.copytree(made.out, tmp_path / "out"))


def vote(folder: Path, favourite: str, subjects: int = 1) -> None:
    """Subjects who always choose one setting where they see it, and else the left."""
    study = load_study(folder)
    ballots, best = Ballots(study), study.settings.index(favourite)
    for subject in range(subjects):
        name = f"{subject:016x}"
        for number, asked in enumerate(questions_for(study, name)):
            ballots.cast(name, number, "right" if asked.right == best else "left")


def test_without_votes_there_is_a_study_to_serve(made):
    report = reproduce("figure8", made)
    study = load_study(made.out / "study")
    assert study.settings == ("no prior", "C = 100", "C = 1")
    assert [(item.layer, item.photo) for item in study.items] == [
        ("stem", "astronaut.png"), ("stem", "brick.png"),
    ]  # fmt: skip
    rows = {row["setting"]: row for row in report["rows"]}
    assert {name: row["fidelity"] for name, row in rows.items()} == dict(FIDELITIES)
    assert all((row["won"], row["shown"], row["count"]) == (0, 0, 2) for row in rows.values())
    assert all(row["preset"] == "paper" for row in rows.values())
    assert f"preimage study serve {made.out / 'study'}" in report["notes"][0]
    assert {path.name for path in (made.out / "figure8").iterdir()} == {
        "report.json", "rows.csv", "cases.csv", "study.png",
    }  # fmt: skip


def test_votes_are_drawn_and_kept(request_):
    vote(request_.out / "study", "C = 1", subjects=12)
    report = reproduce("figure8", request_)
    rows = {row["setting"]: row for row in report["rows"]}
    assert rows["C = 1"]["fraction"] == 1
    assert rows["C = 1"]["lowest"] < 1 == rows["C = 1"]["highest"]
    assert rows["no prior"]["won"] + rows["C = 100"]["won"] + rows["C = 1"]["won"] == 12
    assert report["settings"] | {"votes": 72, "counted": 12, "subjects": 12} == report["settings"]
    assert (request_.out / "figure8" / "figure8.svg").is_file()
    alone = Request(request_.out.parent / "other", study=request_.out / "study")
    counted = reproduce("figure8", alone)
    assert [row["won"] for row in counted["rows"]] == [row["won"] for row in report["rows"]]
    assert counted["rows"][0]["relative_error"] is None
    assert counted["notes"] == []
    assert not any(path.name[0] != "." for path in (alone.out / "cases").iterdir())


def test_votes_on_other_pictures_are_not_lost(request_):
    vote(request_.out / "study", "C = 1")
    with pytest.raises(PreimageError, match="holds votes on other pictures: count them with --st"):
        reproduce("figure8", replace(request_, seed=1))
    assert len(Ballots(load_study(request_.out / "study")).all()) == 6


def test_a_study_nobody_was_asked_is_made_anew(request_):
    before = load_study(request_.out / "study").digest
    reproduce("figure8", replace(request_, seed=1))
    assert load_study(request_.out / "study").digest != before


def test_what_a_study_settles(request_):
    with pytest.raises(UsageError, match="--study has its pictures already: leave --layers out"):
        figure8(replace(request_, photos=None, model=None, study=request_.out / "study"))
    with pytest.raises(PreimageError, match=r"holds no study\.json"):
        reproduce("figure8", Request(request_.out, study=request_.out))
