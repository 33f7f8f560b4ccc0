from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage.search.result import load_record

FILES = {"image.png", "reference.png", "figure.png", "trace.csv", "canvas.npy", "result.json"}


def short(photo, *words):
    return ("invert", photo, "--layer", "stem", "--iterations", 2, *words)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_image_gives_a_result_folder_and_a_summary(run, photo, elsewhere):
    answer = run(*short(photo, "--out", "out"))
    assert (answer.code, answer.err) == (0, "")
    assert names(elsewhere / "out") >= FILES
    record = load_record("out")
    assert f"{100 * record['relative_error']:.1f} %" in answer.out
    assert answer.out.startswith("result: out\n")
    assert record["classes"]["result"][0]["label"] in answer.out


def test_without_out_a_free_name_is_taken(run, photo, elsewhere):
    for _ in range(2):
        assert run(*short(photo)).code == 0
    stem = f"{photo.stem}-efficientnet-lite0-stem"
    assert names(elsewhere / "preimage-out") == {stem, f"{stem}-2"}


def test_the_parts_of_the_energy_add_up(run, photo):
    answer = run(*short(photo, "--fidelity", 20))
    numbers = r"energy +(\S+) \(20 x loss (\S+), bounded range (\S+), total variation (\S+)\)"
    total, loss, *priors = map(float, re.search(numbers, answer.out).groups())
    assert total == pytest.approx(20 * loss + sum(priors), rel=1e-3)


def test_json_alone_writes_nothing(run, photo, elsewhere):
    answer = run(*short(photo, "--json"))
    assert answer.json["representation"]["layer"] == "stem"
    assert answer.json["iterations"] == 2
    assert answer.err == ""
    assert names(elsewhere) == set()


def test_json_with_out_prints_what_is_saved(run, photo):
    answer = run(*short(photo, "--json", "--out", "out"))
    assert answer.json == json.loads(Path("out/result.json").read_text())


def test_several_results_are_one_folder_each_and_a_table(run, photo, elsewhere):
    answer = run(*short(photo, "--restarts", 2, "--out", "out"))
    assert len([path for path in (elsewhere / "out").iterdir() if path.is_dir()]) == 2
    assert (elsewhere / "out" / "figure.png").is_file()
    assert "relative error" in answer.out
    again = run(*short(photo, "--restarts", 2, "--json"))
    assert [record["restart"] for record in again.json["results"]] == [0, 1]


def test_options_reach_the_settings(run, photo):
    words = {
        "--fidelity": 7, "--jitter": 2, "--alpha": 4, "--beta": 1.5, "--neighbourhood": 5,
        "--channels": "1:9", "--preset": "paper", "--seed": 3,
    }  # fmt: skip
    typed = [word for pair in words.items() for word in pair]
    record = run(*short(photo, "--json", *typed)).json
    settings = record["settings"]
    assert record["seed"] == 3
    assert settings["preset"] == "paper"
    assert settings["channels"] == [1, 9]
    values = [settings[key] for key in ("fidelity", "jitter", "alpha", "beta", "neighbourhood")]
    assert values == [7, 2, 4, 1.5, 5]


def test_the_same_seed_gives_the_same_bytes(run, photo):
    for out in ("one", "two"):
        run(*short(photo, "--out", out))
    for name in ("image.png", "canvas.npy", "trace.csv"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_an_encoded_code_can_be_inverted(run, photo, elsewhere):
    assert run("encode", photo, "--layer", "stem", "--out", "code.npy").code == 0
    words = ("--layer", "stem", "--iterations", 2, "--out", "out")
    answer = run("invert", "--code", "code.npy", *words)
    assert answer.code == 0
    assert "code.npy" in names(elsewhere / "out")
    assert load_record("out")["image"] is None


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_movie_ends_with_the_result(run, photo, restarts):
    run(*short(photo, "--restarts", restarts, "--movie", "film/search.gif", "--out", "out"))
    with Image.open("film/search.gif") as film:
        assert film.n_frames == 3
        assert film.size == (224 * restarts, 224)
        film.seek(2)
        last = np.asarray(film.convert("RGB"), dtype=float)[:, :224]
    folder = Path("out") if restarts == 1 else next(Path("out").glob("000-*"))
    result = np.asarray(Image.open(folder / "image.png"), dtype=float)
    assert np.abs(last - result).mean() < 8  # 256 colours


def test_a_movie_may_lie_in_the_result_folder(run, photo):
    words = short(photo, "--movie", "out/search.gif", "--out", "out")
    assert run(*words).code == 0
    assert Path("out/search.gif").is_file()
    assert run(*words, "--overwrite").code == 0


def test_stretch_changes_the_figure_alone(run, photo):
    run(*short(photo, "--out", "plain"))
    run(*short(photo, "--stretch", "--out", "stretched"))
    plain, stretched = Path("plain"), Path("stretched")
    assert (plain / "image.png").read_bytes() == (stretched / "image.png").read_bytes()
    assert (plain / "figure.png").read_bytes() != (stretched / "figure.png").read_bytes()


def test_overwrite_replaces_a_result(run, photo):
    run(*short(photo, "--out", "out"))
    assert run(*short(photo, "--seed", 1, "--overwrite", "--out", "out")).code == 0
    assert load_record("out")["seed"] == 1
