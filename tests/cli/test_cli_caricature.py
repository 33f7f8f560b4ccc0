from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from preimage.search.result import load_record


def short(photo, *words):
    return ("caricature", photo, "--layer", "stem", "--iterations", 2, *words)


def test_a_result_folder_a_summary_and_the_same_again(run, photo):
    answer = run(*short(photo, "--out", "out", "--seed", 3))
    assert (answer.code, answer.err) == (0, "")
    record = load_record("out")
    assert record["task"] == "caricature"
    assert f"{record['growth']:.2f} times the reference's" in answer.out
    assert run("rerun", "out", "--out", "again").code == 0
    for name in ("canvas.npy", "trace.csv", "reference.png", "figure.png"):
        assert Path("out", name).read_bytes() == Path("again", name).read_bytes()
    assert load_record("again")["seed"] == 3


def test_options_reach_the_settings(run, photo, elsewhere):
    words = ("--json", "--preset", "paper", "--strength", 7, "--jitter", 3)
    record = run(*short(photo, *words)).json
    settings = record["settings"]
    assert (settings["preset"], settings["fidelity"], settings["jitter"]) == ("paper", 7, 3)
    assert list(elsewhere.iterdir()) == []


def test_several_images_and_a_movie(run, photo):
    answer = run(*short(photo, photo, "--movie", "film.gif", "--json"))
    assert len(json.loads(answer.out)["results"]) == 2
    with Image.open("film.gif") as film:
        assert film.size == (448, 224)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--preset", "papr"), 2, "did you mean: paper"),
        (("--strength", "-1"), 2, "expected a finite number above 0, got -1"),
        (("--strength", "0"), 2, "expected a finite number above 0, got 0"),
        (("--layer", "stemm"), 2, "did you mean: stem"),
        (("--movie", "film.mp4"), 2, ".gif"),
    ],
)
def test_wrong_use(fails, photo, elsewhere, words, code, expected):
    assert expected in fails(code, *short(photo, *words))
    assert list(elsewhere.iterdir()) == []
