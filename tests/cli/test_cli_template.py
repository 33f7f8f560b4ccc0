from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

import dpm_toy


@pytest.fixture
def model(elsewhere: Path) -> Path:
    return dpm_toy.save(elsewhere / "toy_final.mat")


def test_a_result_folder(run, model):
    answer = run("template", model, "--component", 2, "--iterations", 3)
    assert answer.code == 0, answer
    folder = Path("preimage-out/toy-component-2")
    names = {"image.png", "figure.png", "canvas.npy", "code.npy", "trace.csv", "result.json"}
    assert {file.name for file in folder.iterdir()} == names
    record = json.loads((folder / "result.json").read_text())
    assert (record["task"], record["iterations"]) == ("template", 3)
    about = record["template"]
    assert (about["class"], about["component"], about["mirrored"]) == ("toy", 2, True)
    assert about["file"]["path"] == str(model)
    assert np.load(folder / "code.npy").shape == (31 * (12 + 9 + 9),)
    assert Image.open(folder / "image.png").size == (64, 48)
    assert f"{record['score']:.2f}" in answer.out


def test_rerun_gives_the_same_bytes(run, model):
    words = ("--component", 1, "--part", 2, "--iterations", 3, "--seed", 4)
    assert run("template", model, *words, "--out", "first").code == 0
    model.unlink()
    assert run("rerun", "first", "--out", "again").code == 0
    for name in ("image.png", "canvas.npy", "code.npy", "figure.png", "trace.csv"):
        assert Path("first", name).read_bytes() == Path("again", name).read_bytes()


def test_json_writes_nothing(run, model):
    words = ("--component", 1, "--separate", "--preset", "paper", "--iterations", 2, "--json")
    record = run("template", model, *words).json
    assert record["settings"]["preset"] == "paper"
    assert not record["template"]["joint"]
    assert [entry["name"] for entry in record["filters"]] == ["root", "part 1", "part 2"]
    assert not Path("preimage-out").exists()


def test_hoggle(run, fails, model, small_dictionary):
    words = ("template", model, "--component", 2, "--method", "hoggle")
    assert "train one with preimage hoggle train --photos DIR, or" in fails(1, *words)
    words = (*words, "--dictionary", small_dictionary)
    answer = run(*words)
    assert answer.code == 0, answer
    folder = Path("preimage-out/toy-component-2-hoggle")
    assert f"result: {folder}" in answer.out
    record = json.loads((folder / "result.json").read_text())
    assert (record["method"], record["template"]["joint"]) == ("hoggle", False)
    assert f"{record['score']:.2f}" in answer.out
    model.unlink()
    assert run("rerun", folder, "--out", "again").code == 0
    for name in ("image.png", "canvas.npy", "code.npy", "figure.png", "trace.csv"):
        assert (folder / name).read_bytes() == Path("again", name).read_bytes()


def test_hoggle_of_one_part_as_json(run, model, small_dictionary):
    words = ("--method", "hoggle", "--dictionary", small_dictionary, "--part", 2, "--separate")
    record = run("template", model, "--component", 1, *words, "--json").json
    assert [entry["name"] for entry in record["filters"]] == ["part 2"]
    assert not Path("preimage-out").exists()


def test_what_goes_with_one_method_only(fails, model, small_dictionary):
    words = ("template", model, "--component", 1)
    hoggle = (*words, "--method", "hoggle", "--dictionary", small_dictionary)
    assert "inverts every filter by itself: leave --joint out" in fails(2, *hoggle, "--joint")
    for option, value in (("--preset", "best"), ("--fidelity", 3), ("--iterations", 3),
                          ("--seed", 0)):  # fmt: skip
        message = fails(2, *hoggle, option, value)
        assert f"--method hoggle does not search: leave {option} out" in message
    message = fails(2, *words, "--dictionary", small_dictionary)
    assert "--dictionary is for --method hoggle: give that too, or leave it out" in message
    other = "other.safetensors"
    with safe_open(small_dictionary, framework="numpy") as file:
        header = file.metadata()
    # Of a descriptor with 36 numbers a cell.
    atoms = {"code_atoms": np.zeros((32, 36 * 25), np.float32), "pixel_atoms": np.zeros(3)}
    save_file(atoms, other, header)
    message = fails(1, *words, "--method", "hoggle", "--dictionary", other, "--out", "out")
    assert "code_atoms of shape [32, 900] where [32, 775] was said: train one again" in message
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (2, (), "Missing option '--component'"),
        (2, ("--component", 7), "the model of toy has components 1 to 2, got 7"),
        (2, ("--component", 0), "components 1 to 2, got 0"),
        (2, ("--component", 1, "--part", 3), "component 1 of toy has parts 1 to 2, got 3"),
        (2, ("--component", 1, "--part", 1, "--joint"), "a part alone"),
        (2, ("--component", 1, "--preset", "bset"), "did you mean: best?"),
        (2, ("--component", 1, "--fidelity", "nan"), "expected a finite number of at least 0"),
        (1, ("--component", 1, "--out", "toy_final.mat"), "is a file"),
    ],
)
def test_wrong_use(fails, model, code, words, message):
    assert message in fails(code, "template", model, *words)
    assert list(Path.cwd().iterdir()) == [model]


def test_files_that_are_no_model(fails, model):
    text = Path("text.mat")
    text.write_text("hello " * 50)
    cut = Path("cut.mat")
    cut.write_bytes(model.read_bytes()[:2000])
    for file, message in (
        (text, "expected a MATLAB file"),
        (cut, "cut short"),
        (Path("missing.mat"), "cannot be read (no such file or directory)"),
    ):
        assert message in fails(1, "template", file, "--component", 1, "--out", "out")
    assert not Path("out").exists()
