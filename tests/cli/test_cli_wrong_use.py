"""Bad input ends in one or two clear lines and the right exit code, and leaves nothing."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from preimage.cli import output
from preimage.weights import store

STEM = ("--layer", "stem", "--iterations", 2)


@pytest.fixture(autouse=True)
def nothing_is_left(elsewhere):
    before = sorted(elsewhere.iterdir())
    yield
    made = set(elsewhere.rglob("*")) - set(before)
    assert not [path for path in made if "preimage-out" in path.name or ".part-" in path.name]


def huge_header(path: Path) -> None:
    """A PNG that says it has 20000 x 20000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"x"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def test_missing_image(fails):
    assert "missing.jpg" in fails(1, "invert", "missing.jpg", *STEM)


def test_text_named_as_a_photo(fails):
    Path("text.jpg").write_text("not a photo")
    assert "text.jpg: expected an image" in fails(1, "invert", "text.jpg", *STEM)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("invert", "photo.jpg", "--model", "hog", "--size", 1_000_000), "1<=x<=4096"),
        (("encode", "photo.jpg", "--model", "dsift", "--size", 4097), "1<=x<=4096"),
        (("invert", "photo.jpg", *STEM, "--restarts", 100_000), "1<=x<=1000"),
        (("maximize", "--layer", "stem", "--channels", 1, "--restarts", 1001), "1<=x<=1000"),
    ],
)
def test_what_would_fill_the_memory_is_refused(fails, words, said):
    assert f"is not in the range {said}." in fails(2, *words)


def test_one_pixel(fails):
    Image.new("RGB", (1, 1)).save("one.png")
    assert "1x1" in fails(1, "invert", "one.png", *STEM)


def test_a_header_that_promises_too_much(fails):
    huge_header(Path("huge.png"))
    assert "megapixels" in fails(1, "invert", "huge.png", *STEM)


@pytest.mark.parametrize("words", [("rerun",), ("study", "votes"), ("study", "serve")])
def test_a_folder_that_is_not_there(fails, words):
    assert "gone: no such folder; a " in fails(1, *words, "gone")


def test_a_dictionary_that_is_none(fails, photo):
    Path("text.jpg").write_text("no dictionary")
    words = ("--model", "hog", "--method", "hoggle", "--dictionary", "text.jpg")
    message = fails(1, "invert", photo, *words)
    assert "text.jpg: expected a dictionary" in message
    assert "got another kind of file, or a damaged one: train one again" in message


def test_no_end_of_fidelity(fails, photo):
    message = fails(2, "invert", photo, *STEM[:2], "--fidelity", "inf")
    assert "expected a finite number of at least 0, got inf" in message


@pytest.mark.parametrize("command", ["invert", "encode"])
def test_unknown_model_names_the_nearest(fails, photo, command):
    message = fails(2, command, photo, "--model", "alexnot", "--layer", "relu3", "--out", "o")
    assert "did you mean: alexnet" in message


@pytest.mark.parametrize(
    "words",
    [
        ("invert", "photo.png", "--layer"),
        ("encode", "photo.png", "--out", "o", "--layer"),
        ("maximize", "--channels", 1, "--layer"),
        ("caricature", "photo.png", "--layer"),
        ("texture", "photo.png", "--layers"),
        ("style", "photo.png", "photo.png", "--layers"),
        ("style", "photo.png", "photo.png", "--content-layer"),
        ("dream", "photo.png", "--layers"),
        ("stats", "--photos", ".", "--layer"),
        ("bench", "--layers"),
        ("reproduce", "figure6", "--photos", ".", "--count", 1, "--out", "o", "--layers"),
    ],
)
def test_unknown_layer_names_the_nearest_and_where_all_are_listed(fails, photo, words):
    photo.rename("photo.png")
    message = fails(2, *words, "rellu3", "--model", "alexnet")
    nearest, everything = message.splitlines()
    assert "has no layer 'rellu3'; did you mean: relu3" in nearest
    assert everything == "All of them: preimage layers alexnet"


@pytest.mark.parametrize(
    ("exit_code", "words", "told"),
    [
        (2, ("--preset", "bset"), "there is no preset 'bset'; did you mean: best"),
        (1, ("--device", "cuda"), "PyTorch finds no CUDA device here"),
    ],
)
def test_wrong_use_is_said_before_weights_are_fetched(
    fails, photo, tmp_path, monkeypatch, exit_code, words, told
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(store, "fetch", lambda *_, **__: pytest.fail("fetched"))
    assert told in fails(exit_code, "invert", photo, "--model", "vgg16", "--layer", "fc8", *words)


def test_results_whose_place_was_taken_meanwhile_go_beside_it(run, photo, monkeypatch):
    """As when two of the same command run at once."""
    monkeypatch.setattr(output.Output, "check", lambda *_: None)
    for expected in ("out", "out-2", "out-3"):
        answer = run("invert", photo, *STEM, "--out", "out")
        assert answer.code == 0
        assert f"result: {expected}\n" in answer.out
        assert Path(expected, "result.json").is_file()
    assert "out exists and is not empty" in answer.err
    assert "This time the results are in out-3." in answer.err


def test_layers_of_an_unknown_model(fails):
    assert "did you mean: vgg16" in fails(2, "layers", "vgg61")


def test_no_layer_names_some(fails, photo):
    assert "known: stem, block01" in fails(2, "invert", photo)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fidelity", "nan"), ("--fidelity", "inf"), ("--fidelity", -1), ("--fidelity", "much"),
        ("--iterations", 0), ("--iterations", 2.5), ("--restarts", 0), ("--seed", -1),
        ("--channels", "5:2"), ("--channels", "5:5"), ("--channels", "-1:4"), ("--channels", "4"),
        ("--jitter", 0), ("--alpha", 1), ("--beta", 0.5), ("--beta", "nan"),
        ("--neighbourhood", 0), ("--device", "tpu"),
    ],
)  # fmt: skip
def test_option_values_out_of_range(fails, photo, option, value):
    message = fails(2, "invert", photo, *STEM[:2], option, value)
    assert option in message
    assert "preimage invert --help" in message


@pytest.mark.parametrize(
    "words",
    [
        ("--channels", "0:99"),
        ("--neighbourhood", 999),
        ("--preset", "bst"),
        ("--movie", "a.mp4"),
        ("--jitter", 225),
    ],
)
def test_values_that_do_not_fit(fails, photo, words):
    fails(2, "invert", photo, *STEM, *words)


def test_a_mistyped_option_or_command_names_the_nearest(fails):
    assert "--seed" in fails(2, "invert", "--sed", 1)
    assert "invrt" in fails(2, "invrt")
    assert "preimage weights --help" in fails(2, "weights")


def test_neither_image_nor_code_and_both(fails, photo):
    assert "neither" in fails(2, "invert", "--layer", "stem")
    assert "both" in fails(2, "invert", photo, "--code", "code.npy", "--layer", "stem")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 3), np.float32), "[32, 112, 112]"),
        (np.zeros((32, 112, 112), complex), "complex128"),
        (np.full((32, 112, 112), np.nan, np.float32), "NaN"),
        (np.zeros((32, 112, 112), np.float32), "zero"),
        (np.array([{}], dtype=object), "Python objects"),
    ],
    ids=["shape", "complex", "nan", "zero", "objects"],
)
def test_codes_that_are_none(fails, array, words):
    np.save("code.npy", array, allow_pickle=True)
    assert words in fails(1, "invert", "--code", "code.npy", *STEM)


def test_code_files_that_are_none(fails):
    Path("garbage.npy").write_bytes(b"garbage")
    np.savez("archive.npz", code=np.zeros(3))
    np.save("cut.npy", np.zeros(1000))
    os.truncate("cut.npy", 200)
    assert "garbage.npy" in fails(1, "invert", "--code", "garbage.npy", *STEM)
    assert ".npz" in fails(1, "invert", "--code", "archive.npz", *STEM)
    assert "cut.npy" in fails(1, "invert", "--code", "cut.npy", *STEM)
    assert "missing.npy" in fails(1, "invert", "--code", "missing.npy", *STEM)


@pytest.mark.parametrize("command", ["invert", "demo"])
def test_results_never_fall_on_what_is_there(fails, photo, command):
    words = ("invert", photo, *STEM) if command == "invert" else ("demo",)
    Path("full").mkdir()
    Path("full/precious").touch()
    Path("file").touch()
    message = fails(1, *words, "--out", "full")
    assert "or give --overwrite (in Python: overwrite=True)" in message
    assert "file" in fails(1, *words, "--out", "file")
    fails(1, *words, "--out", "file/below")
    assert Path("full/precious").exists()


def test_files_never_fall_on_what_is_there(fails, photo):
    Path("there.gif").touch()
    assert "--movie" in fails(1, "invert", photo, *STEM, "--movie", "there.gif")
    Path("there.npy").touch()
    Path("folder.npy").mkdir()
    assert "--out" in fails(1, "encode", photo, *STEM[:2], "--out", "there.npy")
    assert "is a folder" in fails(1, "encode", photo, *STEM[:2], "--out", "folder.npy")
    both = ("--movie", "a.gif", "--out", "a.gif/b")
    assert "is where --out goes" in fails(2, "invert", photo, *STEM, *both)


@pytest.mark.parametrize("words", [("invert", "photo.png", "--layer", "stem"), ("rerun", "out")])
def test_overwrite_needs_a_place(fails, photo, words):
    photo.rename("photo.png")
    assert "give --out DIR too" in fails(2, *words, "--overwrite")


@pytest.mark.parametrize("name", ["code.txt", "code", ".", "code.npz"])
def test_codes_are_npy(fails, photo, name):
    assert ".npy was expected" in fails(2, "encode", photo, *STEM[:2], "--out", name)


@pytest.mark.parametrize(
    "words",
    [
        ("invert", ""), ("rerun", ""), ("encode", "", "--out", "c.npy"),
        ("glyph", "", "--out", "p"), ("invert", "--code", ""), ("invert", "photo.jpg", "--out", ""),
    ],
)  # fmt: skip
def test_an_empty_name_is_none(fails, words):
    assert "got an empty one" in fails(2, *words)


def test_numbers_that_are_not_whole(fails, photo):
    message = fails(2, "invert", photo, "--iterations", 2.5)
    assert "'2.5' is not a valid whole number" in message


@pytest.mark.parametrize(
    "words",
    [
        ("invert", "{photo}", *STEM, "--out", "{photo}/x"),
        ("invert", "{photo}", *STEM, "--movie", "{photo}/x.gif"),
        ("encode", "{photo}", *STEM[:2], "--out", "{photo}/new/x.npy"),
        ("demo", "--out", "{photo}/x"),
    ],
)
def test_a_place_below_a_file(fails, photo, words):
    message = fails(1, *(str(word).format(photo=photo) for word in words))
    assert f"{photo.name} is a file, not a folder" in message
    assert "permission" not in message


CONTROL = "two\nlines\x1b[31m"


@pytest.mark.parametrize(
    "words",
    [
        ("invert", CONTROL, *STEM),
        ("invert", f"folder/{CONTROL}.png", *STEM),
        ("invert", "--code", f"{CONTROL}.npy", *STEM),
        ("rerun", CONTROL),
        ("rerun", f"./{CONTROL}//"),
        ("invert", CONTROL, "--layer", CONTROL),
        ("layers", CONTROL),
        ("invert", f"--movie={CONTROL}", "photo.png", *STEM),
        (CONTROL,),
        ("invert", f"--{CONTROL}"),
    ],
)
def test_control_characters_do_not_reach_the_terminal(run, words):
    answer = run(*words)
    assert answer.code in (1, 2)
    assert "two\\nlines" in answer.err
    assert "\x1b" not in answer.err
    own = [line for line in answer.err.splitlines()[1:] if not line.startswith(("Try: ", "All of"))]
    assert not own


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written(fails, photo):
    Path("locked").mkdir(mode=0o500)
    assert "permission" in fails(1, "invert", photo, *STEM, "--out", "locked/out")


def test_cuda_where_there_is_none(fails, photo, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "cuda" in fails(1, "invert", photo, *STEM, "--device", "cuda")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte"),
        OSError(28, "No space left on device", "canvas.npy"),
    ],
    ids=["python", "torch", "disk"],
)
def test_a_machine_that_is_too_small(fails, photo, monkeypatch, error):
    def minimise(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("preimage.recipes.inversion.minimise", minimise)
    message = fails(1, "invert", photo, *STEM, "--json")
    memory = "out of memory" in message and "fewer iterations, a smaller --jitter" in message
    assert memory or "canvas.npy: no space left on device" in message


def test_a_mistake_of_our_own_is_not_hidden(run, photo, monkeypatch):
    def minimise(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("preimage.recipes.inversion.minimise", minimise)
    with pytest.raises(RuntimeError, match="a mistake"):
        run("invert", photo, *STEM)


def test_a_folder_with_the_input_is_not_replaced(run, fails, photo):
    assert run("invert", photo, *STEM[:2], "--iterations", 1, "--out", "out").code == 0
    words = ("--out", "out", "--overwrite")
    message = fails(1, "invert", "out/image.png", *STEM[:2], "--iterations", 1, *words)
    assert "out holds out/image.png, which is asked about" in message
    assert run("invert", photo, *STEM[:2], "--iterations", 1, *words).code == 0
