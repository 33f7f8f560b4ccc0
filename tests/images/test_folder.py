from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from preimage.errors import PreimageError
from preimage.images.folder import MOST_NAMED, files_in, usable
from toys import photo_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """photo0 and photo1, between them what is no photo."""
    photo_file(tmp_path, 0)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "photo0.png").rename(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    photo_file(tmp_path, 1).rename(tmp_path / "z.png")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "inner").mkdir()
    return tmp_path


def test_files_by_name_without_hidden_ones_and_folders(folder):
    assert [path.name for path in files_in(folder)] == ["a.png", "b.png", "notes.txt", "z.png"]


def test_what_is_no_photo_is_passed_over_counted_and_named(folder):
    photos = usable(files_in(folder))
    assert [path.name for path in photos.paths] == ["a.png", "z.png"]
    assert [file.name for file in photos.unusable] == ["b.png", "notes.txt"]
    assert "damaged or cut short" in photos.unusable[0].why
    assert photos.unusable[1].why.startswith("expected an image (JPEG, ")
    assert photos.note is not None
    assert photos.note.startswith("2 files were passed over: b.png (")
    assert str(folder) not in photos.note


def test_it_stops_when_there_are_enough(folder):
    photos = usable(files_in(folder), 1)
    assert [path.name for path in photos.paths] == ["a.png"]
    assert [path.name for path in photos.rest] == ["b.png", "notes.txt", "z.png"]
    assert photos.note is None


def test_small_photos_are_passed_over(tmp_path):
    Image.new("L", (50, 39)).save(tmp_path / "small.png")
    (small,) = usable(files_in(tmp_path), least_side=40).unusable
    assert small.why == "50x39 pixels, less than 40"
    assert usable(files_in(tmp_path), least_side=39).paths


def test_a_note_names_only_some(tmp_path):
    for number in range(MOST_NAMED + 2):
        (tmp_path / f"{number}.txt").write_text("x")
    note = usable(files_in(tmp_path)).note
    assert note is not None
    assert note.startswith("7 files were passed over: 0.txt (")
    assert note.endswith("), ...")
    assert "5.txt" not in note


def test_no_folder_a_file_and_nothing_in_it(tmp_path):
    with pytest.raises(PreimageError, match=r"expected a folder of photos \(no such file"):
        files_in(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(PreimageError, match="expected a folder of photos, got a file"):
        files_in(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PreimageError, match="got one without files"):
        files_in(tmp_path / "empty")
