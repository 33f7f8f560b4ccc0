"""HOGgle with a small dictionary of real photos, and with one made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes import hoggle_training as training
from preimage.recipes.dictionaries import Dictionary, dictionary_path, load_dictionary
from preimage.recipes.hoggle import blocks_of, hoggle, pattern, standardized
from preimage.recipes.rerun import rerun
from preimage.search.result import load_record
from toys import picture


@pytest.fixture
def dictionary(small_dictionary: Path) -> Dictionary:
    return load_dictionary(small_dictionary)


@pytest.fixture
def hog() -> pi.Representation:
    return pi.representation("hog")


def test_blocks_are_channel_by_channel_row_by_row():
    code = np.arange(31 * 6 * 7).reshape(31, 6, 7).astype(np.float32)
    blocks = blocks_of(code)
    assert blocks.shape == (2 * 3, 31 * 25)
    np.testing.assert_array_equal(blocks[4], code[:, 1:6, 1:6].reshape(-1))


def test_standardized_rows_have_mean_0_and_length_1():
    rows = np.array([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]])
    unit = standardized(rows)
    np.testing.assert_allclose(unit.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), [1, 0])


def test_pattern_is_the_mean_of_overlapping_patches(dictionary):
    """Plain loops over an image of 7 x 6 cells, with codes by the definition's minimum."""
    header = dictionary.header
    code = pi.encode(pi.representation("hog"), picture(0, 56, 48))[0].numpy()
    blocks = standardized(blocks_of(code))
    total, count = np.zeros((48, 56)), np.zeros((48, 56))
    shown = pattern(code, dictionary)
    for number, (row, column) in enumerate((r, c) for r in range(2) for c in range(3)):
        weights = lasso(dictionary.code_atoms.T, blocks[number], header.penalty)
        patch = (weights @ dictionary.pixel_atoms).reshape(40, 40)
        here = np.s_[8 * row : 8 * row + 40, 8 * column : 8 * column + 40]
        total[here] += patch
        count[here] += 1
    np.testing.assert_allclose(shown, total / count, atol=2e-4)


def lasso(columns: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    """argmin ½‖target − columns·a‖² + penalty·‖a‖₁ by proximal gradient steps."""
    columns = columns.astype(np.float64)
    step = 1 / np.linalg.norm(columns, 2) ** 2
    weights = np.zeros(columns.shape[1])
    for _ in range(5000):
        moved = weights + step * columns.T @ (target - columns @ weights)
        weights = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0)
    return weights


def test_it_shows_the_photo_better_than_noise_does(hog, dictionary, real_photos):
    """On a photo it was not trained on: the pattern goes with the photo's own."""
    result = hoggle(hog, real_photos / "astronaut.png", dictionary=dictionary)
    assert 0.3 < result.relative_error < 0.95
    photo, shown = (
        np.asarray(image.convert("L"), np.float64) for image in (result.reference, result.image)
    )
    # Slow changes of light are not in the code.
    fine = [image - gaussian_filter(image, 12) for image in (photo, shown)]
    assert np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1] > 0.3


def test_the_error_is_that_of_the_true_hog(hog, dictionary, real_photos):
    result = hoggle(hog, real_photos / "coffee.png", dictionary=dictionary)
    target = pi.encode(hog, real_photos / "coffee.png", 256)[0]
    found = hog(torch.from_numpy(result.canvas)[None])[0]
    error = float((found - target).norm() / target.norm())
    assert result.relative_error == pytest.approx(error, rel=1e-5)
    assert result.record["squared_error"] == pytest.approx(error**2, rel=1e-5)
    assert (result.image.getextrema(), result.image.mode) == ((0, 255), "L")


def test_it_is_an_ordinary_result(hog, dictionary, real_photos, tmp_path):
    result = hoggle(hog, real_photos / "coffee.png", dictionary=dictionary, size=64)
    result.save(tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert (record["task"], record["method"], record["iterations"]) == ("invert", "hoggle", 0)
    assert record["settings"]["dictionary"]["sha256"] == dictionary.digest
    assert record["settings"]["dictionary"]["atoms"] == 32
    assert record["settings"]["preset"] is None
    assert record["warnings"] == ["the photo is in colour; hog sees its grey values"]
    searched = pi.invert(hog, picture(), size=64, iterations=1)
    assert isinstance(searched, pi.Result)
    assert set(record) == {*searched.record, "method"}
    settings = ("canvas", "step_rule", "neighbourhood", "channels", "weights")
    assert set(record["settings"]) >= {*searched.record["settings"]} - {*settings}
    energy = record["energy"]
    assert set(energy) == set(searched.record["energy"])
    prior = energy["bounded_range"] + energy["total_variation"]
    assert energy["total"] == pytest.approx(prior + 100 * record["squared_error"], rel=1e-5)
    header = "iteration,energy,loss,bounded_range,total_variation,relative_error\n"
    assert (tmp_path / "out" / "trace.csv").read_text() == header
    assert result.tiles()[-1].title == "hog hoggle"
    again = rerun(tmp_path / "out")
    assert np.array_equal(again.canvas, result.canvas)
    for key in ("relative_error", "settings", "method", "image"):
        assert again.record[key] == result.record[key]


def test_a_code_instead_of_a_photo_and_sizes_that_are_no_multiple(hog, dictionary):
    image = picture(0, 61, 83)
    code = pi.encode(hog, image)[0]
    from_code = hoggle(hog, code=code, dictionary=dictionary)
    assert from_code.record["image"] is None
    assert from_code.image.size == (64, 80)
    odd = hoggle(hog, image, dictionary=dictionary, size=61)
    assert odd.image.size == (61, 61)
    assert np.isfinite(odd.relative_error)
    several = hoggle(hog, [image, image.rotate(90)], dictionary=dictionary, size=61)
    assert several[0].relative_error == pytest.approx(odd.relative_error, rel=1e-6)
    assert np.array_equal(np.array(several[0].image), np.array(odd.image))


def test_wrong_use(hog, dictionary, tmp_path, monkeypatch):
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="HOGgle inverts hog, not hogb"):
        hoggle(pi.representation("hogb"), picture(), dictionary=dictionary)
    with pytest.raises(UsageError, match="either images or a code"):
        hoggle(hog, dictionary=dictionary)
    with pytest.raises(UsageError, match="no image was given"):
        hoggle(hog, [], dictionary=dictionary)
    with pytest.raises(PreimageError, match="is for cells of 8 pixels, the code has cells of 4"):
        hoggle(pi.representation("hog", cell=4), picture(), dictionary=dictionary)
    with pytest.raises(PreimageError, match="blocks of 5x5 cells, this code has 4x4"):
        hoggle(hog, picture(), dictionary=dictionary, size=32)
    with pytest.raises(PreimageError, match=r"no dictionary for cells of 8 .*train --photos DIR,"):
        hoggle(hog, picture())
    with pytest.raises(PreimageError, match=r"hoggle train --photos DIR --cell 4, or"):
        hoggle(pi.representation("hog", cell=4), picture())


def test_what_is_trained_into_the_cache_is_found(hog, dictionary, tmp_path, monkeypatch):
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path))
    dictionary_path(8).parent.mkdir()
    dictionary.save(dictionary_path(8))
    found = hoggle(hog, picture(), size=64)
    assert found.record["settings"]["dictionary"]["sha256"] == dictionary.digest


def test_a_seed_that_no_library_takes_is_refused(real_photos):
    with pytest.raises(UsageError, match="seed from 0 to 4294967295, got 32 and 4294967296"):
        training.train(sorted(real_photos.iterdir()), atoms=32, seed=2**32)


def test_training_repeats_and_its_seed_matters(real_photos, small_dictionary, tmp_path):
    photos = [real_photos / f"{name}.png" for name in ("chelsea", "coffee", "gravel")]
    training.train(photos, atoms=32).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == small_dictionary.read_bytes()
    other = training.train(photos, atoms=32, seed=1)
    assert other.digest != load_dictionary(small_dictionary).digest


def test_atoms_are_pairs_of_length_1(dictionary):
    """Both halves of an atom are used, and no atom is longer than 1."""
    assert dictionary.code_atoms.shape == (32, 775)
    assert dictionary.pixel_atoms.shape == (32, 1600)
    halves = [np.linalg.norm(part, axis=1) for part in (dictionary.code_atoms,
                                                        dictionary.pixel_atoms)]  # fmt: skip
    np.testing.assert_allclose(np.hypot(*halves), 1, atol=1e-3)
    assert min(half.min() for half in halves) > 0.05


def test_training_says_how_far_it_is(real_photos):
    told: list[int] = []
    training.train([real_photos / "coffee.png"], atoms=16, progress=told.append)
    assert sum(told) == training.steps(16)


def test_what_it_cannot_be_trained_on(real_photos, tmp_path):
    with pytest.raises(PreimageError, match="expected photos to learn from, got none"):
        training.train([])
    with pytest.raises(PreimageError, match=r"2048 blocks with contrast to learn 512 atoms from, "
                       r"got \d+ in 1 photo: give more photos, or --atoms \d+"):  # fmt: skip
        training.train([real_photos / "coffee.png"])
    Image.new("L", (300, 300), 90).save(tmp_path / "flat.png")
    with pytest.raises(PreimageError, match="to learn 4 atoms from, got 0 in 1 photo:"):
        training.train([tmp_path / "flat.png"], atoms=4)
    with pytest.raises(UsageError, match=r"cells of 52 pixels are larger .* give --cell 51"):
        training.train([real_photos / "coffee.png"], cell=52, atoms=1)
    with pytest.raises(UsageError, match="at least 1 atom"):
        training.train([real_photos / "coffee.png"], atoms=0)


def test_the_file_is_safetensors_with_a_header_in_json(dictionary, small_dictionary):
    with safe_open(small_dictionary, framework="numpy") as file:
        header = json.loads(file.metadata()["hoggle"])
        assert set(file.keys()) == {"code_atoms", "pixel_atoms"}
    assert header["versions"].keys() == {"preimage", "numpy", "scikit-learn"}
    del header["versions"]
    assert header == {
        "format": 1, "model": "hog", "cell": 8, "block": 5, "patch": 40, "atoms": 32,
        "penalty": training.PENALTY, "photos": 3, "blocks": 32 * training.BLOCKS_PER_ATOM,
        "seed": 0,
    }  # fmt: skip


DAMAGE = {
    "format": ({"format": 2}, "one of format 2 where this version reads 1"),
    "another field": ({"extra": 1}, "a header with other fields"),
    "atoms": ({"atoms": 33}, r"code_atoms of shape \[32, 775\] where \[33, 775\] was said"),
    "block": ({"block": 4, "patch": 32}, r"code_atoms of shape"),
    "patch": ({"patch": 41}, "one for something else than blocks of hog"),
    "model": ({"model": "hogb"}, "one for something else than blocks of hog"),
    "no number": ({"cell": "8"}, "a header with sizes out of range"),
    "too large": ({"atoms": 1 << 40}, "a header with sizes out of range"),
    "penalty": ({"penalty": float("nan")}, "a header with a penalty out of range"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_headers(case, dictionary, tmp_path):
    changes, message = DAMAGE[case]
    header = {**vars(dictionary.header), **changes}
    atoms = {"code_atoms": dictionary.code_atoms, "pixel_atoms": dictionary.pixel_atoms}
    save_file(atoms, tmp_path / "d.safetensors", {"hoggle": json.dumps(header)})
    with pytest.raises(PreimageError, match=rf"d\.safetensors: .*{message}.*: train one again"):
        load_dictionary(tmp_path / "d.safetensors")


def test_damaged_files(dictionary, small_dictionary, tmp_path):
    path = tmp_path / "d.safetensors"
    with pytest.raises(PreimageError, match=r"cannot be read \(no such file"):
        load_dictionary(path)
    whole = small_dictionary.read_bytes()
    for content in (b"", b"{}", whole[:100], whole[:-1000], b"\xff" * 5000, whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(PreimageError, match="expected a dictionary of `preimage hoggle train`"):
            load_dictionary(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(PreimageError, match="safetensors without a HOGgle dictionary"):
        load_dictionary(path)
    with safe_open(small_dictionary, framework="numpy") as file:
        header = file.metadata()
    whole_numbers = {"code_atoms": np.zeros((32, 775), np.int32), "pixel_atoms": np.zeros(3)}
    save_file(whole_numbers, path, header)
    with pytest.raises(PreimageError, match="code_atoms of int32 where float32 was expected"):
        load_dictionary(path)
    infinite = dictionary.pixel_atoms.copy()
    infinite[0, 0] = np.inf
    replace(dictionary, pixel_atoms=infinite).save(path)
    with pytest.raises(PreimageError, match="pixel_atoms with NaN or infinite values"):
        load_dictionary(path)
    with pytest.raises(PreimageError, match="cannot be read"):
        load_dictionary(tmp_path)
