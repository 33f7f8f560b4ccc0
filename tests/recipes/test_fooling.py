"""Fooling: a small change, another image's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import preimage as pi
from preimage.recipes.fooling import change_of, difference_of
from toys import MEAN, photo_file, picture, small_layer


def fooled(**options: object) -> pi.Result:
    return pi.fool(small_layer("fc"), picture(0), picture(1), iterations=40, **options)


def test_the_code_comes_near_the_other_images_by_a_small_change() -> None:
    result = fooled(fidelity=1e5)
    record, phi = result.record, small_layer("fc")
    assert record["relative_error"] < 0.1 * record["before"]
    image = torch.from_numpy(result.canvas)[None]
    code, target = phi(image), phi(phi.photo(picture(1)))
    expected = float((code - target).norm() / target.norm())
    assert record["relative_error"] == pytest.approx(expected, rel=1e-3)
    pixels = np.asarray(result.image).astype(float) - np.asarray(result.reference)
    assert record["change"]["rms"] == pytest.approx(np.sqrt((pixels**2).mean()), abs=1e-6)
    assert record["change"]["largest"] == np.abs(pixels).max()
    between = np.asarray(result.beside["as"]).astype(float) - np.asarray(result.reference)
    assert record["change"]["rms"] < 0.7 * np.sqrt((between**2).mean())


def test_the_figure_says_what_is_seen(tmp_path: Path) -> None:
    photo, other = photo_file(tmp_path, 0), photo_file(tmp_path, 1)
    result = pi.fool(small_layer("fc"), photo, other, iterations=1)
    tiles = result.tiles()
    assert [tile.title for tile in tiles[:3]] == ["reference", "wanted code", "change"]
    captions = ["photo0.png", "photo1.png", "contrast stretched"]
    assert [tile.caption for tile in tiles[:3]] == captions
    assert tiles[3].caption.splitlines()[1].startswith("changed by ")


def test_the_change_stays_within_black_and_white() -> None:
    result = fooled(fidelity=1e6)
    levels = result.canvas + np.array(MEAN, np.float32)[:, None, None]
    assert levels.min() >= -1e-3
    assert levels.max() <= 255 + 1e-3


def test_fidelity_trades_the_change_for_the_code() -> None:
    careful, bold = fooled(fidelity=10), fooled(fidelity=1e6)
    assert careful.record["change"]["rms"] < bold.record["change"]["rms"]
    assert careful.record["relative_error"] > bold.record["relative_error"]


def test_the_record_has_both_images_and_the_energy_adds_up() -> None:
    record = fooled(fidelity=7).record
    assert set(record["energy"]) == {"total", "loss", "distance"}
    total = record["energy"]["distance"] + 7 * record["energy"]["loss"]
    assert record["energy"]["total"] == pytest.approx(total, rel=1e-5)
    assert record["as"] is None  # pictures in memory have no file
    assert record["squared_error"] == pytest.approx(record["relative_error"] ** 2)


def test_no_change_has_no_psnr() -> None:
    image = torch.zeros(1, 3, 4, 4)
    assert change_of(image, image) == {"rms": 0.0, "largest": 0.0, "psnr": None}
    assert len(set(np.asarray(difference_of(image, image)).flatten().tolist())) == 1


def test_classes_before_and_after() -> None:
    phi = pi.representation("efficientnet-lite0", layer="stem")
    classes = pi.fool(phi, picture(0), picture(1), iterations=2).record["classes"]
    assert classes["reference"]
    assert classes["result"]
