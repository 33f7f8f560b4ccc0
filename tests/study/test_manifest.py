"""Studies are made of what the settings share, and their pictures do not give settings away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from preimage.errors import PreimageError, UsageError
from preimage.study import Ballots, Study, cast_votes, load_study, make_study
from preimage.study.manifest import MANIFEST, PICTURES
from toy_study import LAYERS, PHOTOS, SETTINGS, write_result


def test_items_are_the_layers_and_photos_that_all_settings_have(study: Study):
    assert study.settings == SETTINGS
    expected = [(layer, photo) for layer, _ in LAYERS for photo in PHOTOS]
    assert [(item.layer, item.photo) for item in study.items] == expected
    assert {item.model for item in study.items} == {"toy"}
    assert study.questions == 6 + 5
    assert load_study(study.folder) == study


def test_what_is_asked_about_is_not_replaced(folders: list[Path], tmp_path: Path):
    one = next(folders[0].rglob("result.json")).parent
    for place in (folders[0], folders[0].parent, one):
        with pytest.raises(PreimageError, match="is asked about: choose another --out"):
            make_study(place, folders, overwrite=True)
    assert all(list(folder.rglob("result.json")) for folder in folders)


def test_too_many_questions_are_refused_before_anything_is_copied(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("preimage.study.manifest._copy", lambda *_: pytest.fail("copied"))
    with pytest.raises(UsageError, match="--questions 1000: expected 6 to"):
        make_study(tmp_path / "study", folders, questions=1000)


def test_pictures_are_copies_of_the_settings_own(study: Study, folders: list[Path]):
    for number, item in enumerate(study.items):
        for setting, folder in enumerate(folders):
            original = folder / str(item.layer) / item.photo / "image.png"
            copy = study.file_of(study.picture(number, setting))
            assert copy is not None
            np.testing.assert_array_equal(Image.open(copy), Image.open(original))
    files = {path.stem for path in (study.folder / PICTURES).iterdir()}
    assert files == {picture for item in study.items for picture in item.pictures}
    assert len(files) == 18


def test_nothing_about_a_picture_tells_its_setting(folders: list[Path], tmp_path: Path):
    place = folders[0] / "relu1" / "cat.jpg" / "image.png"
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "made by paper")
    with Image.open(place) as image:
        image.copy().save(place, pnginfo=words)
    study = make_study(tmp_path / "study", folders).study
    files = list((study.folder / PICTURES).iterdir())
    assert not any(name in file.name for file in files for name in SETTINGS)
    assert not any(b"made by" in file.read_bytes() for file in files)
    assert not any(Image.open(file).info for file in files)


def test_the_same_folders_make_the_same_study(folders: list[Path], study: Study, tmp_path: Path):
    again = make_study(tmp_path / "again", folders, seed=3).study
    assert again.text() == study.text()
    assert again.digest == study.digest
    assert make_study(tmp_path / "other", folders, seed=4).study.digest != study.digest


def test_layers_stand_from_shallow_to_deep(folders: list[Path], tmp_path: Path):
    for folder in folders:
        write_result(folder / "first", "conv", 3, "cat.jpg", 50)
        write_result(folder / "last", "logits", None, "cat.jpg", 51)
    layers = [item.layer for item in make_study(tmp_path / "s", folders).study.items]
    assert list(dict.fromkeys(layers)) == ["conv", "relu1", "relu2", "logits"]


def test_what_can_not_be_used_is_left_out_and_named(folders: list[Path], tmp_path: Path):
    first, second, third = folders
    shutil.rmtree(second / "relu2" / "fox.jpg")  # two settings have it, one has not
    (third / "broken").mkdir()
    (third / "broken" / "result.json").write_text("{")
    write_result(third / "future", "relu1", 7, "cat.jpg", 50, schema=99)
    write_result(first / "code only", "relu1", 7, "cat.jpg", 51)
    record = json.loads((first / "code only" / "result.json").read_text())
    (first / "code only" / "result.json").write_text(json.dumps({**record, "image": None}))
    (first / "relu1" / "dog.jpg" / "image.png").write_text("no picture")
    write_result(second / "restart", "relu1", 7, "cat.jpg", 52, restart=1)
    write_result(second / ".partial", "relu1", 7, "new.jpg", 53)

    made = make_study(tmp_path / "study", folders)
    assert [(item.layer, item.photo) for item in made.study.items] == [
        ("relu1", "cat.jpg"), ("relu1", "fox.jpg"), ("relu2", "cat.jpg"), ("relu2", "dog.jpg"),
    ]  # fmt: skip
    reasons = {str(path.relative_to(tmp_path / "runs")): why for path, why in made.skipped}
    assert "can't be read" in reasons["quick/broken"]
    assert "schema 99" in reasons["quick/future"]
    assert "names no photo" in reasons["paper/code only"]
    assert "image.png" in reasons["paper/relu1/dog.jpg"]
    assert "restart" in reasons["best/restart"]
    assert reasons["paper/relu2/fox.jpg"] == "best has no result for it."
    assert reasons["best/relu1/dog.jpg"] == "paper has no result for it."
    assert len(reasons) == 9


def test_the_first_restart_is_taken(folders: list[Path], tmp_path: Path):
    place = folders[0] / "relu1" / "cat.jpg"
    shutil.rmtree(place)
    write_result(folders[0] / "a", "relu1", 7, "cat.jpg", 60, restart=1, seed=0)
    write_result(folders[0] / "b", "relu1", 7, "cat.jpg", 61, restart=0, seed=0)
    study = make_study(tmp_path / "study", folders).study
    picture = study.file_of(study.items[0].pictures[0])
    assert picture is not None
    np.testing.assert_array_equal(Image.open(picture), Image.open(folders[0] / "b" / "image.png"))


def test_settings_that_share_nothing_are_refused(folders: list[Path], tmp_path: Path):
    shutil.rmtree(folders[1])
    write_result(folders[1] / "x", "relu9", 7, "cat.jpg", 1)
    with pytest.raises(PreimageError, match="usable results in each: paper 6, best 1, quick 6"):
        make_study(tmp_path / "study", folders)
    assert not (tmp_path / "study").exists()


def test_folders_that_are_no_settings_are_refused(folders: list[Path], tmp_path: Path):
    with pytest.raises(UsageError, match="two or more folders to compare, got 1"):
        make_study(tmp_path / "study", folders[:1])
    with pytest.raises(UsageError, match="two folders are called 'paper'"):
        make_study(tmp_path / "study", [*folders, folders[0]])
    with pytest.raises(PreimageError, match="no such folder"):
        make_study(tmp_path / "study", [*folders, tmp_path / "none"])


@pytest.mark.parametrize("questions", [5, 19])
def test_as_many_questions_as_there_are(folders: list[Path], tmp_path: Path, questions: int):
    assert make_study(tmp_path / "all", folders, questions=18).study.questions == 18
    with pytest.raises(UsageError, match="expected 6 to 18"):
        make_study(tmp_path / "study", folders, questions=questions)
    assert not (tmp_path / "study").exists()


def test_too_few_results_for_a_vote_to_count(folders: list[Path], tmp_path: Path):
    for folder in folders:
        shutil.rmtree(folder / "relu1")
    with pytest.raises(PreimageError, match="make 3 questions"):
        make_study(tmp_path / "study", folders[:2])


def test_a_study_is_not_made_over_another(folders: list[Path], study: Study):
    before = study.text()
    with pytest.raises(PreimageError, match="--overwrite"):
        make_study(study.folder, folders, seed=9)
    assert (study.folder / MANIFEST).read_text() == before
    assert make_study(study.folder, folders, seed=9, overwrite=True).study.seed == 9


def test_votes_are_never_overwritten(folders: list[Path], study: Study):
    Ballots(study).cast("0" * 16, 0, "left")
    with pytest.raises(PreimageError, match="holds votes"):
        make_study(study.folder, folders, overwrite=True)
    assert len(cast_votes(study)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"settings": ["paper"]}, {"settings": ["a", "a", "b"]}, {"settings": 3},
        {"seed": "0"}, {"questions": 500}, {"questions": True}, {"items": [{"model": "x"}]},
        {"items": []}, {"settings": [{}, {}, {}]},
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_refused(study: Study, change: dict[str, object]):
    path = study.folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PreimageError, match="make it again"):
        load_study(study.folder)


@pytest.mark.parametrize("name", ["../../secret", "a" * 31, "A" * 32, 7, "0" * 32 + "\n"])
def test_pictures_with_other_names_are_refused(study: Study, name: object):
    path = study.folder / MANIFEST
    content = json.loads(path.read_text())
    content["items"][0]["pictures"][0] = name
    path.write_text(json.dumps(content))
    with pytest.raises(PreimageError, match="damaged"):
        load_study(study.folder)


def test_what_is_no_study(tmp_path: Path):
    with pytest.raises(PreimageError, match="preimage study make"):
        load_study(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(PreimageError, match="can't be read as a study"):
        load_study(tmp_path)
    (tmp_path / MANIFEST).write_text("[]")
    with pytest.raises(PreimageError, match="no study of this version"):
        load_study(tmp_path)
