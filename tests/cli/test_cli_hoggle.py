from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preimage.recipes import hoggle_training as training
from preimage.recipes.dictionaries import dictionary_path, load_dictionary
from preimage.search.result import load_record


def test_train_into_the_cache_and_invert(run, fails, real_photos, photo):
    invert = ("invert", photo, "--model", "hog", "--method", "hoggle")
    message = fails(1, *invert)
    assert "train one with preimage hoggle train --photos DIR, or give --dictionary" in message
    answer = run("hoggle", "train", "--photos", real_photos, "--atoms", 16, "--count", 2)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        f"{dictionary_path(8)}: 16 atoms for cells of 8 pixels, learned from "
        f"{16 * training.BLOCKS_PER_ATOM} blocks of 2 photos\n"
    )
    answer = run(*invert, "--out", "out")
    assert answer.code == 0
    record = load_record("out")
    assert record["method"] == "hoggle"
    digest = load_dictionary(dictionary_path(8)).digest
    assert record["settings"]["dictionary"]["sha256"] == digest
    assert f"relative error  {100 * record['relative_error']:.1f} %" in answer.out
    assert "iterations" not in answer.out
    figure = Image.open("out/figure.png")
    assert figure.width > 3 * 200


def test_train_into_a_file(run, fails, real_photos, photo):
    words = ("hoggle", "train", "--photos", real_photos, "--atoms", 8, "--cell", 16, "--count", 1)
    record = run(*words, "--out", "d.safetensors", "--json").json["dictionary"]
    assert (record["path"], record["cell"], record["photos"]) == ("d.safetensors", 16, 1)
    assert record["sha256"] == load_dictionary("d.safetensors").digest
    assert "d.safetensors exists" in fails(1, *words, "--out", "d.safetensors")
    assert run(*words, "--out", "d.safetensors", "--overwrite").code == 0
    assert "a name that ends in .safetensors" in fails(2, *words, "--out", "d.npz")
    assert fails(2, "hoggle").startswith("preimage: Missing command.\n")
    invert = ("invert", photo, "--model", "hog", "--method", "hoggle", "--dictionary",
              "d.safetensors")  # fmt: skip
    message = fails(1, *invert)
    assert "this dictionary is for cells of 16 pixels, the code has cells of 8" in message
    assert run(*invert, "--cell", 16, "--json").json["representation"]["options"]["cell"] == 16


def test_a_code(run, fails, small_dictionary, photo):
    run("encode", photo, "--model", "hog", "--size", 64, "--out", "code.npy")
    words = ("--model", "hog", "--method", "hoggle", "--dictionary", small_dictionary)
    assert run("invert", "--code", "code.npy", *words, "--out", "out").code == 0
    assert np.array_equal(np.load("out/code.npy"), np.load("code.npy"))
    assert run("rerun", "out", "--out", "again").code == 0
    assert Path("out/image.png").read_bytes() == Path("again/image.png").read_bytes()


def test_what_goes_with_one_method_only(fails, photo, small_dictionary):
    hoggle = ("invert", photo, "--model", "hog", "--method", "hoggle")
    for option, value in (("--iterations", 3), ("--preset", "best"), ("--restarts", 1),
                          ("--seed", 0), ("--movie", "a.gif")):  # fmt: skip
        message = fails(2, *hoggle, option, value)
        assert f"--method hoggle does not search: leave {option} out" in message
    wrong = ("invert", photo, "--model", "hogb", "--method", "hoggle")
    assert "hoggle inverts hog, not hogb" in fails(2, *wrong)
    assert "--dictionary is for --method hoggle" in fails(
        2, "invert", photo, "--model", "hog", "--dictionary", small_dictionary
    )
    assert "search" in fails(2, "invert", photo, "--model", "hog", "--method", "magic")


def test_folders_that_nothing_can_be_learned_from(run, fails, real_photos):
    folder = Path("photos")
    train = ("hoggle", "train", "--photos", folder)
    assert "no such file" in fails(1, *train)
    folder.mkdir()
    assert "got one without files" in fails(1, *train)
    Image.new("L", (300, 39)).save(folder / "small.png")
    (folder / "notes.txt").write_text("x")
    message = fails(1, *train)
    assert "photos: expected photos to learn from; 2 files were passed over: notes.txt (" in message
    assert "small.png (300x39 pixels, less than 40)" in message
    (folder / "coffee.png").write_bytes((real_photos / "coffee.png").read_bytes())
    assert "expected 2048 blocks with contrast to learn 512 atoms from" in fails(
        1, *train, "--count", 3
    )
    assert "has 3 files" in fails(2, *train, "--count", 4)
    assert "--cell 51 or less" in fails(2, *train, "--cell", 100)
    answer = run(*train, "--atoms", 8)
    assert answer.code == 0
    assert answer.err.startswith("preimage: 2 files were passed over: notes.txt (")


def test_a_damaged_dictionary(fails, photo):
    Path("d.safetensors").write_bytes(b"no dictionary at all")
    message = fails(1, "invert", photo, "--model", "hog", "--method", "hoggle", "--dictionary",
                    "d.safetensors")  # fmt: skip
    assert "d.safetensors: expected a dictionary of `preimage hoggle train`, got " in message
    Path("d.safetensors").write_text(json.dumps({}))


@pytest.mark.parametrize("words", [("hoggle", "train"), ("hoggle",)])
def test_help(run, words):
    assert run(*words, "--help").code == 0
