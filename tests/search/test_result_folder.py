"""A result folder is all there or not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage.errors import PreimageError
from preimage.images import Tile
from preimage.search import result as result_room
from preimage.search.result import (
    check_new_folder,
    folder_names,
    load_record,
    new_folder,
    save_all,
    sheet_of,
)
from toys import made_result

SLOW_WRITER = """
import sys, time
import numpy as np
from toys import made_result

def slow_save(path, array):
    with open(path, "wb") as file:
        file.write(b"half of it")
        file.flush()
        time.sleep(60)

np.save = slow_save
made_result().save(sys.argv[1], overwrite=True)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kill_in_mid_write(folder: Path) -> None:
    """Start to save a result there, and end the process while a file is half written."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    writer = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(folder)], env=environment)
    try:
        deadline = time.monotonic() + 40
        while not list(folder.parent.glob(".*/canvas.npy")):
            assert writer.poll() is None, "the writer ended by itself"
            assert time.monotonic() < deadline, "the writer never began"
            time.sleep(0.02)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()


def test_a_process_killed_in_mid_write_leaves_no_folder_of_that_name(tmp_path: Path) -> None:
    kill_in_mid_write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # What it leaves is hidden, is no result, and does not stand in the way of the next one.
    assert all(path.name.startswith(".out.") for path in tmp_path.iterdir())
    made_result().save(tmp_path / "out")
    assert load_record(tmp_path / "out")["schema"] == 1


def test_a_process_killed_while_overwriting_leaves_the_old_result(tmp_path: Path) -> None:
    made_result(seed=1).save(tmp_path / "out")
    before = contents(tmp_path / "out")
    kill_in_mid_write(tmp_path / "out")
    assert contents(tmp_path / "out") == before


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "save", no_space)
    with pytest.raises(PreimageError, match=r"out can't be written: No space left on device\."):
        made_result().save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [no_space, interrupted])
def test_a_failed_overwrite_leaves_the_old_result(
    fault: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_result(seed=1).save(tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr(np, "save", fault)
    with pytest.raises((PreimageError, KeyboardInterrupt)):
        made_result(seed=2).save(tmp_path / "out", overwrite=True)
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_record_that_is_no_json_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        made_result(relative_error=float("nan")).save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_result_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    made_result(seed=1).save(tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(PreimageError, match=r"out exists and is not empty: choose another --out"):
        made_result(seed=2).save(tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_overwriting_leaves_nothing_of_the_old_result(tmp_path: Path) -> None:
    made_result(seed=1).save(tmp_path / "out")
    (tmp_path / "out" / "mask.npy").write_text("of the old one")
    made_result(seed=2).save(tmp_path / "out", overwrite=True)
    assert load_record(tmp_path / "out")["seed"] == 2
    assert not (tmp_path / "out" / "mask.npy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (False, "fox.jpg", "holds fox.jpg, which preimage has not written"),
        (False, "fox.png", "holds no result of preimage"),
        (True, "notes.txt", "holds notes.txt, which preimage has not written"),
        (True, "sub/thesis.txt", "holds sub/thesis.txt, which preimage has not written"),
    ],
)
def test_what_was_not_made_here_is_never_replaced(
    ours: bool, theirs: str, words: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if ours:
        made_result().save(out)
    (out / theirs).parent.mkdir(parents=True, exist_ok=True)
    (out / theirs).write_text("mine")
    before = contents(out)
    with pytest.raises(PreimageError, match=words):
        made_result(seed=2).save(out, overwrite=True)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_and_missing_parents_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made_result().save(tmp_path / "empty")
    made_result().save(tmp_path / "a" / "b" / "c")
    assert load_record(tmp_path / "empty") == load_record(tmp_path / "a" / "b" / "c")


def test_a_relative_folder_is_taken_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert made_result().save("out") == Path("out")
    assert (tmp_path / "out" / "result.json").is_file()


def test_overwriting_through_a_link_replaces_the_folder_behind_it(tmp_path: Path) -> None:
    made_result(seed=1).save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    made_result(seed=2).save(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert load_record(tmp_path / "real")["seed"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_file_is_no_place_for_a_result(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(PreimageError, match=r"Choose another --out|choose another --out"):
            made_result().save(folder, overwrite=True)
    assert (tmp_path / "out").read_text() == "precious"


def test_the_check_beforehand_says_the_same_and_makes_nothing(tmp_path: Path) -> None:
    check_new_folder(tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []
    made_result().save(tmp_path / "out")
    check_new_folder(tmp_path / "out", overwrite=True)
    with pytest.raises(PreimageError, match="not empty"):
        check_new_folder(tmp_path / "out")


def test_files_are_readable_like_any_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        folder = made_result().save(tmp_path / "out")
        assert folder.stat().st_mode & 0o777 == 0o755
        assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())
        assert os.umask(0o022) == 0o022, "the process's mask is as it was"
    finally:
        os.umask(mask)


def test_nothing_is_visible_until_the_block_ends(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as partial:
        (partial / "file").write_text("x")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "file").read_text() == "x"


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_has_come_meanwhile_is_kept_and_so_is_the_work(
    tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "out-2").mkdir()

    def work() -> None:
        with new_folder(tmp_path / "out", overwrite) as partial:
            (partial / "file").write_text("found")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "thesis.txt").write_text("somebody's own")

    with pytest.raises(PreimageError, match=r"(thesis|empty).* What was found is in .*out-3\.$"):
        work()
    assert (tmp_path / "out" / "thesis.txt").read_text() == "somebody's own"
    assert (tmp_path / "out-3" / "file").read_text() == "found"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out-2", "out-3"]


def test_the_working_folder_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path / "results")
    for place in (".", tmp_path / "results"):
        with pytest.raises(PreimageError, match=r"is the working folder.*name a new folder inside"):
            check_new_folder(place)
    check_new_folder("inside")
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(PreimageError, match="where a disk is mounted"):
        check_new_folder("inside")


def test_results_with_names_beyond_ascii_are_written_as_they_are(tmp_path: Path) -> None:
    image = {"path": "Füchse/狐.png", "sha256": "0" * 64}
    folder = made_result(image=image).save(tmp_path / "狐")
    assert "狐" in (folder / "result.json").read_text(encoding="utf-8")
    assert load_record(folder)["image"] == image


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"holds no result\.json: a result folder was expected"),
        ("", "can't be read as a record"),
        ("{", "can't be read as a record"),
        ("[" * 100_000, "can't be read as a record"),
        ("[1, 2]", "schema 'list'; this version reads schema 1"),
        ('{"schema": 2}', "schema 2; this version reads schema 1"),
        ("{}", "schema None"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(
    text: str | None, words: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    with pytest.raises(PreimageError, match=words) as caught:
        load_record(tmp_path)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_record_of_bytes_that_are_no_text_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PreimageError, match="can't be read as a record"):
        load_record(tmp_path)


def test_one_result_is_saved_as_a_folder_and_several_as_one_each(tmp_path: Path) -> None:
    results = [made_result(seed=0, restart=r) for r in range(3)]
    save_all(results[:1], tmp_path / "one")
    assert (tmp_path / "one" / "result.json").is_file()
    save_all(results, tmp_path / "several")
    names = folder_names(results)
    assert len(set(names)) == 3
    assert {path.name for path in (tmp_path / "several").iterdir()} == {"figure.png", *names}
    for name, result in zip(names, results, strict=True):
        assert load_record(tmp_path / "several" / name) == json.loads(json.dumps(result.record))
    with pytest.raises(PreimageError, match="not empty"):
        save_all(results, tmp_path / "several")


def test_names_of_results_say_number_name_and_restart() -> None:
    results = [made_result(restart=4), made_result("code", restart=0)]
    assert folder_names(results) == ["000-photo-restart4", "001-code-restart0"]


def test_names_of_results_are_fit_for_folders_whatever_the_photo_was_called(tmp_path: Path) -> None:
    stems = ("my photo\n(1)", "x" * 250, "狐" * 80, "\udcff")
    results = [made_result(stem, image={"path": f"a/{stem}.png", "sha256": "0"}) for stem in stems]
    names = folder_names(results)
    assert names[0] == "000-my-photo-1--restart0"
    assert all(len(name.encode()) < 80 for name in names)
    save_all(results, tmp_path / "out")
    for name, stem in zip(names, stems, strict=True):
        assert load_record(tmp_path / "out" / name)["image"]["path"] == f"a/{stem}.png"


def test_a_folder_of_results_names_one_of_them(tmp_path: Path) -> None:
    save_all([made_result(restart=r) for r in range(2)], tmp_path)
    with pytest.raises(PreimageError, match=r"several results: .*000-photo-restart0$"):
        load_record(tmp_path)


def test_a_file_in_the_place_of_a_parent_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(PreimageError, match=r"photo\.jpg is a file, not a folder\. Choose"):
        check_new_folder(tmp_path / "photo.jpg" / "new" / "x")


Sheets = list[tuple[list[Tile], int]]


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> Sheets:
    """Tiles and columns of every contact sheet that would be drawn."""
    drawn: Sheets = []

    def spy(tiles: list[Tile], columns: int) -> Image.Image:
        drawn.append((tiles, columns))
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(result_room, "contact_sheet", spy)
    return drawn


def test_the_sheet_shows_each_reference_once_before_its_pre_images(sheets: Sheets) -> None:
    one = made_result()
    other = made_result(image={"path": "other.png", "sha256": "1" * 64})
    sheet_of([one, one, other])
    ((tiles, _),) = sheets
    assert [tile.title == "reference" for tile in tiles] == [True, False, False, True, False]


def test_the_sheet_says_which_restart_is_which(sheets: Sheets) -> None:
    sheet_of([made_result(restart=restart) for restart in range(2)])
    titles = ["reference", "toy relu2\nrestart 0", "toy relu2\nrestart 1"]
    ((tiles, _),) = sheets
    assert [tile.title for tile in tiles] == titles


def test_an_image_and_all_its_restarts_have_a_row(sheets: Sheets) -> None:
    images = [{"path": f"{i}.png", "sha256": str(i) * 64} for i in range(2)]
    for restarts in (1, 2, 5, 6):
        sheet_of([made_result(image=i, restart=r) for i in images for r in range(restarts)])
    assert [columns for _, columns in sheets] == [4, 3, 6, 4]
