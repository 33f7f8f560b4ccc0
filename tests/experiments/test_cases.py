from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import preimage
from preimage.errors import PreimageError, UsageError
from preimage.experiments import cases as module
from preimage.experiments.cases import Case, CaseStore, Inversion, batch_for
from preimage.experiments.photos import PhotoTarget, first_photos
from preimage.experiments.rows import mean_row
from preimage.experiments.tables import FIELDS
from preimage.files import sha256_of_file
from preimage.recipes import invert, settings_for
from preimage.search import Result
from toys import photo_file, small_layer


@pytest.fixture
def targets(tmp_path: Path) -> list[PhotoTarget]:
    photos = [photo_file(tmp_path, seed) for seed in range(5)]
    return [PhotoTarget(photo, sha256_of_file(photo)) for photo in photos]


def inversion(iterations: int = 3, **overrides: Any) -> Inversion:
    toy = small_layer()
    return Inversion(toy, settings_for(toy, "paper", iterations=iterations, **overrides))


@dataclass(frozen=True)
class Counted:
    """A method that keeps the names of what it was asked for, batch by batch."""

    method: Inversion
    asked: list[list[str]]

    @property
    def identity(self) -> Any:
        return self.method.identity

    def results(self, targets: Sequence[Any], seed: int) -> Sequence[Result]:
        self.asked.append([target.name for target in targets])
        return self.method.results(targets, seed)


def errors(found: Sequence[module.Finished]) -> list[float]:
    return [done.relative_error for done in found]


def test_an_id_changes_with_all_that_the_result_depends_on(targets, monkeypatch):
    case = Case(inversion(), targets[0])
    others = [
        Case(inversion(4), targets[0]), Case(inversion(fidelity=2.0), targets[0]),
        Case(inversion(), targets[1]), Case(inversion(), targets[0], seed=1),
        Case(Inversion(small_layer("relu1"), inversion().settings), targets[0]),
    ]  # fmt: skip
    assert len({case.id, *(other.id for other in others)}) == 6
    renamed = replace(targets[0], path=Path("other.png"))
    assert Case(inversion(), renamed).id == case.id
    monkeypatch.setattr(preimage, "__version__", "99")
    assert Case(inversion(), targets[0]).id != case.id


def test_a_case_is_a_result_folder_and_is_not_computed_twice(targets, tmp_path):
    asked: list[list[str]] = []
    store = CaseStore(tmp_path / "out")
    cases = [Case(Counted(inversion(), asked), target) for target in targets]
    first = store.finish(cases[:3], "toy")
    assert asked == [["photo0"], ["photo1"], ["photo2"]]
    again = store.finish(cases, "toy")
    assert asked[3:] == [["photo3"], ["photo4"]]
    assert errors(again)[:3] == errors(first)
    alone = invert(small_layer(), targets[4].path, settings=inversion().settings)
    assert again[4].relative_error == alone.relative_error
    files = {path.name for path in again[4].folder.iterdir()}
    assert files >= {"result.json", "image.png", "reference.png", "canvas.npy", "trace.csv"}
    assert again[4].picture().size == (32, 32)
    assert again[4].folder == tmp_path / "out" / "cases" / cases[4].id


def test_batches_are_the_same_whatever_is_there(targets, tmp_path):
    """Neighbours decide about roundings, so they must not depend on what was finished before."""
    asked: list[list[str]] = []
    store = CaseStore(tmp_path / "out", batch=2)
    cases = [Case(Counted(inversion(), asked), target) for target in targets]
    store.finish(cases[1:2], "one of the first batch")
    asked.clear()
    found = store.finish(cases, "toy")
    assert asked == [["photo0", "photo1"], ["photo2", "photo3"], ["photo4"]]
    assert [done.record["case"]["batch"] for done in found] == [2, 1, 2, 2, 1]
    whole = CaseStore(tmp_path / "whole", batch=2).finish(cases, "toy")
    np.testing.assert_allclose(errors(found), errors(whole), rtol=1e-5)
    assert found[2].seconds == found[2].record["seconds"] / 2


def test_methods_and_seeds_are_not_mixed_in_a_batch(targets, tmp_path):
    asked: list[list[str]] = []
    one, other = (Counted(inversion(n), asked) for n in (2, 3))
    cases = [Case(one, targets[0]), Case(one, targets[1], 1), Case(other, targets[2], 1)]
    found = CaseStore(tmp_path / "out", batch=4).finish(cases, "toy")
    assert asked == [["photo0"], ["photo1"], ["photo2"]]
    assert [done.record["seed"] for done in found] == [0, 1, 1]


def test_a_damaged_or_foreign_folder_is_named_with_what_to_do(targets, tmp_path):
    store = CaseStore(tmp_path / "out")
    case, other = (Case(inversion(), target) for target in targets[:2])
    (done,) = store.finish([case], "toy")
    store.folder_of(other).parent.mkdir(exist_ok=True)
    done.folder.rename(store.folder_of(other))
    with pytest.raises(PreimageError, match=r"holds the result of something else; remove .* and"):
        store.finish([other], "toy")
    record = store.folder_of(other) / "result.json"
    record.write_text("{")
    with pytest.raises(PreimageError, match=r"can't be read as a record.* remove .* and run again"):
        store.finish([other], "toy")
    record.write_text(json.dumps({"schema": 0}))
    with pytest.raises(PreimageError, match=r"this version reads schema 1\. remove"):
        store.finish([other], "toy")


def test_a_failure_names_the_photo(targets, tmp_path):
    targets[1].path.write_text("gone")
    with pytest.raises(PreimageError, match=r"^photo1: .*expected an image"):
        CaseStore(tmp_path / "out").finish([Case(inversion(), t) for t in targets], "toy")
    assert len(list((tmp_path / "out" / "cases").iterdir())) == 1


def test_a_folder_is_one_process_alone(tmp_path):
    store = CaseStore(tmp_path / "out")
    with store.locked():
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool, pytest.raises(PreimageError, match="another run is at work"):
            pool.apply(enter, (tmp_path / "out",))
    enter(tmp_path / "out")


def enter(out: Path) -> None:
    with CaseStore(out).locked():
        pass


def test_what_a_killed_run_has_left_is_cleared_away(tmp_path):
    left = tmp_path / "out" / "cases" / ".0123456789.abc"
    left.mkdir(parents=True)
    (left / "image.png").touch()
    with CaseStore(tmp_path / "out").locked():
        assert not left.exists()


def fails_after(store: CaseStore, *cases: Case) -> None:
    with store.locked():
        store.finish(cases, "toy")
        raise UsageError("no such layer")


def test_a_failure_before_the_first_case_leaves_no_folder(targets, tmp_path):
    with pytest.raises(UsageError):
        fails_after(CaseStore(tmp_path / "deep" / "out"))
    assert not (tmp_path / "deep").exists()
    (tmp_path / "there").mkdir()
    store, done = CaseStore(tmp_path / "there"), Case(inversion(), targets[0])
    with pytest.raises(UsageError):
        fails_after(store)
    assert list(store.out.iterdir()) == []
    for cases in ((done,), ()):
        with pytest.raises(UsageError):
            fails_after(store, *cases)
        assert store.has(done)


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(PreimageError, match=r"can't be written: .* is a file"),
        CaseStore(tmp_path / "file").locked(),
    ):
        pass


def test_progress_is_told(targets, tmp_path):
    told: list[Any] = []

    class Watch:
        def __init__(self, label: str, total: int) -> None:
            told.append((label, total))

        def __enter__(self) -> Any:
            return told.append

        def __exit__(self, *_: object) -> None:
            told.append("end")

    CaseStore(tmp_path / "out", batch=2, progress=Watch).finish(
        [Case(inversion(), target) for target in targets[:3]], "toy"
    )
    assert told == [("toy", 3), 2, 1, "end"]


def test_a_row_of_means(targets, tmp_path):
    cases = [Case(inversion(), target) for target in targets[:3]]
    found = CaseStore(tmp_path / "out").finish(cases, "toy")
    row = mean_row(found)
    assert set(row) <= set(FIELDS)
    assert (row["model"], row["layer"], row["preset"], row["count"]) == ("toy", "relu2", "paper", 3)
    np.testing.assert_allclose(row["relative_error"], np.mean(errors(found)))
    np.testing.assert_allclose(row["squared_error"], np.mean(np.square(errors(found))), rtol=1e-6)
    energy = [done.record["energy"] for done in found]
    prior = [terms["bounded_range"] + terms["total_variation"] for terms in energy]
    np.testing.assert_allclose(row["prior"], np.mean(prior))


def test_the_first_photos(tmp_path):
    for seed in range(3):
        photo_file(tmp_path, seed)
    (tmp_path / "photo0.txt").write_text("x")
    sample = first_photos(tmp_path, 2)
    assert [target.name for target in sample.targets] == ["photo0", "photo1"]
    assert sample.targets[0].digest == sha256_of_file(tmp_path / "photo0.png")
    with pytest.raises(PreimageError) as refused:
        first_photos(tmp_path, 9)
    assert str(refused.value).startswith(
        f"{tmp_path}: expected 9 photos, found 3 (1 file was passed over: photo0.txt (expected"
    )
    assert str(refused.value).endswith("give a larger folder or --count 3.")


def test_batches_only_where_they_gain():
    assert batch_for("cpu") == 1
    assert batch_for("cuda") > 1
