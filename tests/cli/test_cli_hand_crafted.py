"""hog, hogb, hog-relu and dsift from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import preimage as pi
from preimage.search.result import load_record

MODELS = ("hog", "hogb", "hog-relu", "dsift")
every_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture
def grey(elsewhere: Path) -> Path:
    """A grey photo, higher than wide."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 7)).astype(np.uint8))
    path = elsewhere / "grey.png"
    coarse.resize((61, 83), Image.Resampling.BICUBIC).save(path)
    return path


def canvas(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("L"), np.float32))[None, None] - 127


@every_model
def test_encode_takes_the_whole_photo(run, grey, model):
    answer = run("encode", grey, "--model", model, "--out", "code.npy", "--json")
    phi = pi.representation(model)
    code = np.load("code.npy")
    assert np.array_equal(code, phi(canvas(grey))[0].numpy())
    described = answer.json["representation"]
    assert described["code_shape"] == list(code.shape)
    assert described["layer"] is None
    assert described["options"]["cell"] == 8
    assert answer.err == ""


def test_cells_step_and_size(run, grey):
    run("encode", grey, "--model", "hog", "--cell", 4, "--out", "hog.npy")
    run("encode", grey, "--model", "dsift", "--cell", 5, "--step", 3, "--out", "dsift.npy")
    run("encode", grey, "--model", "hogb", "--size", 40, "--out", "hogb.npy")
    assert np.load("hog.npy").shape == (31, 21, 15)
    assert np.load("dsift.npy").shape == (128, 23, 16)
    assert np.load("hogb.npy").shape == (31, 5, 5)


def test_a_colour_photo_is_converted_and_said_to_be(run, photo, grey):
    answer = run("encode", photo, "--model", "hog", "--out", "code.npy")
    assert answer.code == 0
    assert "grey" in answer.err
    assert np.array_equal(np.load("code.npy"), pi.representation("hog")(canvas(photo))[0].numpy())
    words = ("--model", "hog", "--size", 32, "--iterations", 2, "--json")
    assert "grey" in run("invert", photo, *words).json["warnings"][0]
    assert run("invert", grey, *words).json["warnings"] == []
    several = run("invert", photo, grey, *words[:-1])
    assert several.out.count("grey values") == 1


@every_model
def test_invert_and_rerun(run, grey, model):
    words = ("--model", model, "--size", 48, "--iterations", 5, "--cell", 6)
    assert run("invert", grey, *words, "--out", "first").code == 0
    record = load_record("first")
    assert record["representation"]["options"]["cell"] == 6
    assert run("rerun", "first", "--out", "again").code == 0
    for name in ("image.png", "canvas.npy", "trace.csv"):
        assert Path("first", name).read_bytes() == Path("again", name).read_bytes()
    assert Image.open("first/reference.png").size == (48, 48)
    assert load_record("again")["warnings"] == []


def test_the_default_size_is_that_of_table_2(run, grey):
    answer = run("invert", grey, "--model", "hog", "--iterations", 1, "--json")
    assert answer.json["representation"]["code_shape"] == [31, 32, 32]


def test_a_folder_is_named_without_a_layer(run, grey):
    run("invert", grey, "--model", "hog", "--size", 32, "--iterations", 1)
    assert Path("preimage-out/grey-hog/result.json").exists()


@every_model
def test_a_code_of_a_whole_photo_is_inverted_and_rerun(run, grey, model):
    run("encode", grey, "--model", model, "--out", "code.npy")
    words = ("--model", model, "--iterations", 3, "--out", "out", "--movie", "film.gif")
    assert run("invert", "--code", "code.npy", *words).code == 0
    width, height = Image.open("out/image.png").size
    assert height > width
    with Image.open("film.gif") as film:
        assert film.height / film.width == pytest.approx(height / width, rel=0.02)
    assert run("rerun", "out", "--out", "again").code == 0
    assert Path("out/canvas.npy").read_bytes() == Path("again/canvas.npy").read_bytes()


def test_the_figure_has_glyphs_between_reference_and_pre_image(run, grey):
    words = ("--size", 48, "--iterations", 1)
    widths = {}
    for model in ("hogb", "dsift"):
        run("invert", grey, "--model", model, *words, "--out", model)
        widths[model] = Image.open(f"{model}/figure.png").width
    assert widths["hogb"] > 1.4 * widths["dsift"]


def test_glyphs_of_a_photo_and_of_its_code(run, grey):
    answer = run("glyph", grey, "--model", "hogb", "--out", "new/photo.png", "--json")
    assert answer.json["code_shape"] == [31, 10, 8]
    assert answer.json["picture"] == {"path": "new/photo.png", "width": 168, "height": 210}
    run("encode", grey, "--model", "hogb", "--out", "code.npy")
    assert "8 x 10 glyphs" in run("glyph", "--code", "code.npy", "--out", "code.png").out
    pictures = [np.asarray(Image.open(name)) for name in ("new/photo.png", "code.png")]
    assert np.array_equal(*pictures)
    run("glyph", "--code", "code.npy", "--out", "small.png", "--glyph", 9)
    assert Image.open("small.png").size == (72, 90)


def test_bench_measures_them_as_they_are(run):
    (record,) = run("bench", "--model", "hog", "--iterations", 2, "--json").json["records"]
    assert (record["model"], record["layer"]) == ("hog", None)
    assert record["ratio"] > 0.5
    printed = run("bench", "--model", "hogb", "--iterations", 1).out
    assert "hogb" in printed
    assert "pyramid canvas" in printed


def small(name: str, width: int, height: int) -> str:
    Image.new("L", (width, height), 100).save(name)
    return name


@every_model
def test_images_smaller_than_a_block(fails, model):
    message = fails(1, "encode", small("small.png", 9, 40), "--model", model, "--out", "c.npy")
    assert "at least" in message
    assert "9x40" in message
    assert "at least" in fails(1, "invert", "small.png", "--model", model, "--size", 6)


def test_flat_images_have_codes_and_no_inversion(run, fails):
    run("encode", small("flat.png", 60, 50), "--model", "hog", "--out", "flat.npy")
    assert not np.load("flat.npy").any()
    assert "zero" in fails(1, "invert", "flat.png", "--model", "hog", "--iterations", 2)
    assert run("glyph", "flat.png", "--out", "flat-glyphs.png").code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--cell", 0), "--cell"),
        (("--cell", "x"), "--cell"),
        (("--size", 0), "--size"),
        (("--step", 4), "no option 'step'"),
        (("--layer", "relu3"), "has no layers"),
    ],
)
def test_options_that_do_not_fit(fails, grey, words, expected):
    for command in (("invert", grey), ("encode", grey, "--out", "code.npy")):
        assert expected in fails(2, *command, "--model", "hog", *words)


def test_cells_larger_than_the_image(fails, grey):
    message = fails(1, "encode", grey, "--model", "hog", "--cell", 100, "--out", "code.npy")
    assert "cells of 100 pixels" in message


def test_options_of_hand_crafted_models_are_none_of_a_networks(fails, photo):
    words = ("invert", photo, "--layer", "stem")
    assert "'cell'" in fails(2, *words, "--cell", 4)
    assert "--size" in fails(2, *words, "--size", 100)


def test_unknown_names_find_hand_crafted_models(fails, photo):
    message = fails(2, "encode", photo, "--model", "hogg", "--out", "code.npy")
    assert "did you mean: hog" in message
    assert "hog has no layers" in fails(2, "layers", "hog")


def test_codes_that_do_not_fit(run, fails, grey):
    run("encode", grey, "--model", "dsift", "--out", "dsift.npy")
    np.save("line.npy", np.zeros(31, np.float32))
    assert "[31, " in fails(1, "invert", "--code", "dsift.npy", "--model", "hog")
    assert "[D, h, w]" in fails(1, "invert", "--code", "line.npy", "--model", "hog")
    run("encode", grey, "--model", "hog", "--out", "hog.npy")
    assert "size" in fails(2, "invert", "--code", "hog.npy", "--model", "hog", "--size", 64)


def test_glyphs_of_something_else(run, fails, grey):
    run("encode", grey, "--model", "dsift", "--out", "dsift.npy")
    assert "[31, h, w]" in fails(1, "glyph", "--code", "dsift.npy", "--out", "g.png")
    assert "neither" in fails(2, "glyph", "--out", "g.png")
    assert "both" in fails(2, "glyph", grey, "--code", "dsift.npy", "--out", "g.png")
    assert "--cell" in fails(2, "glyph", "--code", "dsift.npy", "--cell", 4, "--out", "g.png")
    assert "dsift" in fails(2, "glyph", grey, "--model", "dsift", "--out", "g.png")
    assert "--overwrite" in fails(1, "glyph", grey, "--out", "grey.png")
    assert "a name that ends in .png" in fails(2, "glyph", grey, "--out", "glyphs.jpg")


def test_a_record_whose_options_were_changed(run, fails, grey):
    run("invert", grey, "--model", "hog", "--size", 32, "--iterations", 1, "--out", "out")
    record = load_record("out")
    for options in ({"cell": "wide"}, {"cells": 8}, ["cell"], {"cell": 8, "gradient": 5}):
        record["representation"]["options"] = options
        Path("out/result.json").write_text(json.dumps(record))
        fails(1, "rerun", "out")
