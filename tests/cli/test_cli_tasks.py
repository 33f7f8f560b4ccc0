"""texture, style, dream, fool, and invert --groups: folders, records, rerun, wrong use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage.recipes.records import HEADLINES
from preimage.recipes.rerun import TASKS
from preimage.search.result import load_record
from toys import picture

NET = ("--model", "efficientnet-lite0")
EARLY = (*NET, "--layers", "stem,block01")
FILES = {"image.png", "reference.png", "figure.png", "trace.csv", "canvas.npy", "result.json"}


@pytest.fixture
def texture(elsewhere) -> str:
    picture(1, 96, 80).save("texture.png")
    return "texture.png"


def commands(photo: Path, texture: str) -> dict[str, tuple[object, ...]]:
    return {
        "caricature": (photo, "--layer", "stem", "--iterations", 2),
        "texture": (texture, *EARLY, "--size", "48x40", "--source-size", 64, "--iterations", 3),
        "style": (
            photo, texture, *EARLY, "--content-layer", "block02", "--size", 64, "--iterations", 3,
        ),
        "fool": (photo, "--as", texture, "--layer", "stem", "--iterations", 3),
        "dream": (texture, *EARLY, "--octaves", 2, "--iterations", 2, "--tile", 64),
    }  # fmt: skip


MORE = {"style": {"style.png"}, "fool": {"as.png", "difference-stretched.png"}}

every_task = pytest.mark.parametrize("task", ["texture", "style", "fool", "dream"])


def test_every_task_can_be_rerun():
    assert set(TASKS) == set(HEADLINES)


@every_task
def test_a_folder_a_record_a_summary_and_the_same_again(run, photo, texture, task):
    answer = run(task, *commands(photo, texture)[task], "--seed", 2, "--out", "out")
    assert (answer.code, answer.err) == (0, "")
    expected = FILES | MORE.get(task, set())
    files = {path.name for path in Path("out").iterdir()}
    assert files == (expected - {"canvas.npy"} if task == "dream" else expected)
    record = load_record("out")
    assert record["task"] == task
    assert HEADLINES[task](record)[1] in answer.out
    again = run("rerun", "out", "--out", "again")
    assert again.code == 0, again.err
    for name in files - {"result.json"}:
        assert Path("out", name).read_bytes() == Path("again", name).read_bytes(), name
    now = load_record("again")
    for each in (record, now):
        del each["seconds"], each["seconds_per_iteration"]
    assert now == record


@every_task
def test_json_alone_writes_nothing(run, photo, texture, elsewhere, task):
    before = set(elsewhere.iterdir())
    answer = run(task, *commands(photo, texture)[task], "--json")
    assert answer.json["task"] == task
    assert set(elsewhere.iterdir()) == before


def test_a_movie_of_a_dream_has_one_size_and_all_octaves(run, photo, texture):
    words = ("dream", *commands(photo, texture)["dream"], "--json")
    answer = run(*words, "--movie", "films/dream.gif")
    assert answer.code == 0
    sizes = answer.json["octaves"]["sizes"]
    assert [size["width"] for size in sizes] == [69, 96]
    with Image.open("films/dream.gif") as film:
        assert film.size == (96, 80)
        # Two iterations of each tile and the result.
        assert film.n_frames == 2 * sum(size["tiles"] for size in sizes) + 1
    plain = run(*words)
    assert plain.json["growth"] == answer.json["growth"]


@pytest.mark.parametrize("task", ["texture", "style", "fool"])
def test_a_movie(run, photo, texture, task):
    answer = run(task, *commands(photo, texture)[task], "--json", "--movie", "film.gif")
    assert answer.code == 0
    with Image.open("film.gif") as film:
        assert film.n_frames in (3, 4)  # equal ones become one


def test_a_texture_has_the_size_asked_for(run, photo, texture):
    run("texture", *commands(photo, texture)["texture"], "--out", "out")
    assert Image.open("out/image.png").size == (48, 40)
    assert Image.open("out/reference.png").size == (64, 64)
    assert np.load("out/canvas.npy").shape == (3, 40, 48)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("texture", "T", *NET, "--layers", "stem,block1"), 2, "did you mean: block1"),
        (("texture", "T", *NET, "--layers", "stem,logits"), 2, "logits has no positions"),
        (("texture", "T", *NET, "--layers", "stem,,"), 2, "expected different names A,B,C"),
        (("texture", "T", *NET, "--layers", "stem,stem"), 2, "expected different names A,B,C"),
        (("texture", "T", "--model", "hog"), 2, "hog is no network and has no layers"),
        (("dream", "T", "--model", "hogb"), 2, "hogb is no network and has no layers"),
        (("dream", "T", "--strength", "0"), 2, "expected a finite number above 0, got 0"),
        (("texture", "T", *NET, "--layers", ""), 2, "expected different names A,B,C, got ''"),
        (("texture", "T", "--model", "vgg61"), 2, "did you mean: vgg16"),
        (("texture", "T", *EARLY, "--weights", "1,x"), 2, "numbers with commas between them"),
        (
            ("texture", "T", *EARLY, "--weights", "1"),
            2,
            "2 weights, one a layer and not all zero, got 1.",
        ),
        (("texture", "T", *EARLY, "--size", "0"), 2, "PX or WIDTHxHEIGHT"),
        (("texture", "T", *EARLY, "--size", "64x5"), 2, "at least 7, got 5"),
        (("texture", "T", *EARLY, "--preset", "beste"), 2, "did you mean: best"),
        (("texture", "T", *NET, "--layers", "block08"), 1, "expected at least 147 pixels"),
        (("style", "T", "T", *EARLY, "--content-layer", "blok"), 2, "did you mean"),
        (("style", "T", "gone.png", *EARLY), 1, "gone.png"),
        (("fool", "T", "--layer", "stem"), 2, "--as"),
        (("fool", "T", "--as", "gone.png", "--layer", "stem"), 1, "gone.png"),
        (("dream", "T", "--tile", "10"), 2, "a tile must be at least 64"),
        (("dream", "T", "--scale", "1"), 2, "the scale must be a number from 1.05"),
        (("dream", "T", "--size", "5"), 2, "the size must be at least 32"),
        (("dream", "T", "--layers", "pool"), 2, "pool has no positions"),
        (("invert", "T", "--layer", "stem", "--groups", "99"), 2, "groups must be 1 to 32"),
        (
            ("invert", "T", "--layer", "stem", "--groups", "2", "--channels", "0:3"),
            2,
            "--groups goes neither",
        ),
    ],
)
def test_wrong_use(fails, texture, elsewhere, words, code, expected):
    message = fails(code, *(texture if word == "T" else word for word in words))
    assert expected in message
    assert [path.name for path in elsewhere.iterdir()] == [texture]


def test_a_huge_photo_is_dreamt_small_unless_asked(run, elsewhere):
    Image.new("RGB", (9000, 90), (200, 30, 90)).save("wide.png")
    words = (*EARLY, "--octaves", 1, "--iterations", 1, "--size", 300, "--json")
    record = run("dream", "wide.png", *words).json
    assert record["octaves"]["sizes"][-1]["width"] == 300
    assert "brought down from 9000x90 to 300x32" in record["warnings"][0]


def test_damaged_folders(run, fails, photo, texture):
    names = {"texture": "image.png", "style": "style.png", "fool": "as.png", "dream": "reference"}
    for task, name in names.items():
        run(task, *commands(photo, texture)[task], "--out", task)
        for path in Path(task).glob(f"{name}*"):
            path.unlink()
        message = fails(1, "rerun", task)
        assert name in message
    record = json.loads(Path("dream", "result.json").read_text())
    for bad in ({}, {"count": "x", "scale": 1.4, "tile": 64}, [1]):
        Path("dream", "result.json").write_text(json.dumps({**record, "octaves": bad}))
        fails(1, "rerun", "dream")


def test_groups_of_channels_side_by_side(run, photo, elsewhere):
    words = ("--layer", "stem", "--iterations", 2, "--groups", 2, "--preset", "quick")
    answer = run("invert", photo, *words, "--out", "out")
    assert answer.code == 0
    assert re.search(r"channels .*\n.*\n.* 0:16 .*\n.* 16:32 ", answer.out)
    folders = sorted(path for path in (elsewhere / "out").iterdir() if path.is_dir())
    seconds = sum(load_record(folder)["seconds"] for folder in folders)
    assert f"all together: {seconds:.1f} s, 2 iterations each, cpu\n" in answer.out
    ranges = [load_record(folder)["settings"]["channels"] for folder in folders]
    assert ranges == [[0, 16], [16, 32]]
    # One reference, two pre-images.
    with (
        Image.open(elsewhere / "out" / "figure.png") as sheet,
        Image.open(folders[0] / "figure.png") as single,
    ):
        assert sheet.width > 1.3 * single.width
        assert sheet.width < 1.7 * single.width
