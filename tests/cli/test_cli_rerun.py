from __future__ import annotations

import json
import shutil
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
    assert "image           the same, pixel for pixel\n" in answer.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda pixels: np.where(pixels < 128, pixels + 3, pixels - 3),
            "differs by up to 3 of 255",
        ),
        (lambda pixels: pixels[:, 1:], "of another size than the saved one"),
        (None, "cannot be compared: saved has no readable image.png"),
    ],
)
def test_another_image_is_told(run, saved, change, words):
    pixels = np.asarray(Image.open(saved / "image.png"))
    (saved / "image.png").unlink()
    if change is not None:
        Image.fromarray(change(pixels).astype(np.uint8)).save(saved / "image.png")
    assert f"image           {words}" in run("rerun", saved).out


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
        {"representation": "efficientnet-lite0"},
        {"representation": {"model": ["hog"], "layer": None}},
        {"representation": {"model": "efficientnet-lite0", "layer": ["stem"]}},
        {"representation": {"model": "efficientnet-lite0", "layer": "steam"}},
        {"representation": {"model": "efficientnet-lite0", "layer": "stem", "options": {"a": 1}}},
        {"representation": {"model": "hog", "layer": None, "options": {"cell": "x"}}},
        {"representation": {"model": "hog", "layer": None, "options": {"model": "x"}}},
        {"representation": {"model": "hog", "layer": None, "options": []}},
        {"seed": -1},
        {"seed": 10**30},
        {"restart": "x"},
        {"relative_error": None},
        {"relative_error": 10**400},
        {"image": "fox.jpg"},
        {"image": {"path": 3}},
        {"task": "two\nlines" * 100},
        {"schema": "two\nlines" * 100},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_damaged_records_are_refused(fails, saved, changes):
    edit(saved, **changes)
    message = fails(1, "rerun", saved)
    first, *more = message.splitlines()
    assert first.startswith("preimage: saved")
    assert more in ([], ["All of them: preimage layers efficientnet-lite0"])


@pytest.mark.parametrize(
    "changes",
    [
        {"fidelity": -1}, {"fidelity": "x"}, {"neighbourhood": 999}, {"channels": [0, 999]},
        {"stages": []}, {"stages": 3}, {"canvas": 3}, {"step_rule": None}, {"alpha": [2]},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_settings_are_refused(fails, saved, changes):
    record = json.loads((saved / "result.json").read_text())
    edit(saved, settings={**record["settings"], **changes})
    assert fails(1, "rerun", saved).startswith("preimage: saved: ")


@pytest.mark.parametrize("value", ["x", None, [], True, float("inf")], ids=str)
@pytest.mark.parametrize(("part", "key"), [("step_rule", "rho"), ("stages", "jitter")])
def test_damaged_numbers_deep_in_the_settings_are_refused(fails, saved, part, key, value):
    settings = json.loads((saved / "result.json").read_text())["settings"]
    inner = settings[part][0] if part == "stages" else settings[part]
    assert key in inner
    inner[key] = value
    edit(saved, settings=settings)
    assert fails(1, "rerun", saved).startswith("preimage: saved: ")


def test_a_module_of_your_own_is_not_in_the_folder(fails, saved):
    edit(saved, representation={"model": "module", "layer": "conv1"})
    message = fails(1, "rerun", saved)
    assert "saved: made with a module of your own: call pi.invert with it" in message


@pytest.mark.parametrize("part", ["weights", "versions"])
def test_what_is_only_compared_may_be_damaged(run, saved, part):
    edit(saved, **{part: ["x"]})
    answer = run("rerun", saved)
    assert answer.code == 0
    assert "warning" in answer.out


def test_a_folder_of_several_results_names_one(fails, saved):
    Path("several").mkdir()
    for name in ("000-fox-restart0", "001-fox-restart1"):
        shutil.copytree(saved, Path("several", name))
    message = fails(1, "rerun", "several")
    assert "several holds several results: preimage rerun several/000-fox-restart0" in message


def test_a_photo_is_no_folder(fails, photo):
    message = fails(1, "rerun", photo)
    assert "not a directory" in message
    assert "Errno" not in message


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
