from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage import Result, representation
from preimage.recipes.rerun import rerun

SEARCHED = ("image.png", "canvas.npy", "trace.csv", "reference.png")


@pytest.fixture
def saved(run, photo) -> Path:
    """A result folder, from its second restart's seed."""
    words = ("--layer", "stem", "--iterations", 3, "--seed", 4, "--out", "saved")
    assert run("invert", photo, *words).code == 0
    return Path("saved")


def edit(folder: Path, **changes: object) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_same_bytes_from_the_folder_alone(run, saved, photo):
    photo.unlink()
    answer = run("rerun", saved, "--out", "again")
    assert answer.code == 0
    for name in SEARCHED:
        assert (saved / name).read_bytes() == Path("again", name).read_bytes()
    before, after = (json.loads(Path(f, "result.json").read_text()) for f in ("saved", "again"))
    for record in (before, after):
        for key in ("seconds", "seconds_per_iteration"):
            del record[key]
    assert before == after
    assert answer.out.count(f"{100 * before['relative_error']:.1f} %") == 2


def test_json_prints_the_record_and_writes_nothing(run, saved):
    before = set(Path.cwd().iterdir())
    answer = run("rerun", saved, "--json")
    assert answer.json["seed"] == 4
    assert set(Path.cwd().iterdir()) == before


def test_a_restart_is_found_by_its_own_seed(run, photo):
    words = ("--layer", "stem", "--iterations", 3, "--restarts", 2, "--seed", 7)
    run("invert", photo, *words, "--out", "both")
    folder = next(Path("both").glob("001-*"))
    result = rerun(folder)
    assert (result.record["seed"], result.record["restart"]) == (7, 1)
    np.testing.assert_allclose(result.canvas, np.load(folder / "canvas.npy"), atol=2.0)


def test_a_code_is_searched_again(run, photo):
    run("encode", photo, "--layer", "stem", "--out", "code.npy")
    words = ("--layer", "stem", "--iterations", 3, "--out", "from-code")
    run("invert", "--code", "code.npy", *words)
    result = rerun("from-code")
    assert result.record["image"] is None
    assert np.array_equal(result.canvas, np.load("from-code/canvas.npy"))


def test_the_saved_reference_is_read_back_to_the_pixel(saved):
    phi = representation("efficientnet-lite0", "stem")
    pixels = phi.photo(saved / "reference.png")[0].permute(1, 2, 0).numpy() + 127
    assert np.array_equal(pixels, np.asarray(Image.open(saved / "reference.png"), np.float32))


def test_what_differs_is_named(run, saved):
    edit(saved, versions={"torch": "1.0"})
    answer = run("rerun", saved)
    assert "warning         made with torch 1.0, rerun with" in answer.out


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 99},
        {"task": "dream"},
        {"settings": None},
        {"settings": {"preset": "best"}},
        {"settings": {"canvas": {"kind": "Popen"}}},
        {"representation": {"model": "module", "layer": "0"}},
        {"seed": -1},
        {"restart": "x"},
    ],
    ids=lambda changes: next(iter(changes.items())),
)
def test_damaged_records_are_refused(fails, saved, changes):
    edit(saved, **changes)
    fails(1, "rerun", saved)


def test_folders_that_are_none(fails, saved):
    fails(1, "rerun", "nowhere")
    (saved / "reference.png").write_bytes(b"no picture")
    assert "reference.png" in fails(1, "rerun", saved)
    Image.new("RGB", (10, 10)).save(saved / "reference.png")
    assert "224x224" in fails(1, "rerun", saved)
    (saved / "reference.png").unlink()
    assert "neither" in fails(1, "rerun", saved)
    Path(saved, "result.json").write_text("{")
    assert "result.json" in fails(1, "rerun", saved)


def test_rerun_gives_a_result(saved):
    assert isinstance(rerun(saved), Result)
