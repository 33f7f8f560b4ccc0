"""Parts of a code: masks, the receptive-field box of Fig. 13, the groups of Fig. 14."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.recipes.inversion import as_mask, box_of, groups_of
from preimage.recipes.rerun import rerun
from preimage.representations import Geometry
from preimage.search.result import BOX
from toys import picture, random_image, small_layer


def test_the_box_is_what_can_change_the_cells_that_count() -> None:
    geometry = Geometry(receptive_field=15, stride=4, offset=1.0)
    phi = small_layer("relu2", geometry=geometry)
    image = random_image((1, 3, 32, 32)).requires_grad_()
    mask = torch.zeros(1, 12, 8, 8)
    mask[..., 3:5, 4:6] = 1
    (gradient,) = torch.autograd.grad((phi(image) * mask).square().sum(), image)
    rows, columns = (gradient.abs().sum((0, 1)) > 0).nonzero().T
    left, top, right, bottom = box_of(mask, geometry, (32, 32))
    assert left <= int(columns.min())
    assert right >= int(columns.max())
    assert top <= int(rows.min())
    assert bottom >= int(rows.max())
    # Max pooling looks at one of four: the box may be a little larger than what is used.
    assert int(columns.max()) - int(columns.min()) >= right - left - 4


def test_cells_that_see_everything_have_no_box() -> None:
    geometry = Geometry(receptive_field=99, stride=4, offset=1.0)
    assert box_of(torch.ones(1, 1, 8, 8), geometry, (32, 32)) is None
    assert box_of(torch.ones(1, 10), geometry, (32, 32)) is None


def test_the_figure_shows_the_box_and_the_image_does_not() -> None:
    geometry = Geometry(receptive_field=7, stride=4, offset=1.0)
    phi = small_layer("relu2", geometry=geometry)
    result = pi.invert(phi, picture(0), iterations=2, neighbourhood=2)
    assert result.box == (10, 10, 20, 20)
    for tile, plain in zip(result.tiles(), (result.reference, result.image), strict=True):
        assert tile.image.getpixel((10, 15)) == BOX
        assert plain.getpixel((10, 15)) != BOX
    assert "central 2x2 cells\nred box: what that part sees" in result.tiles()[-1].caption
    stretched = pi.invert(phi, picture(0), iterations=2, neighbourhood=2, display_stretched=True)
    assert "cells, contrast stretched\nred box: what" in stretched.tiles()[-1].caption
    assert pi.invert(phi, picture(0), iterations=2).box is None


@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 1, 1), (8, 8), (8,), ()])
def test_a_mask_that_broadcasts_says_what_counts(shape: tuple[int, ...]) -> None:
    mask = np.random.default_rng(0).integers(0, 2, shape) if shape else np.array(1)
    phi = small_layer("relu2")
    result = pi.invert(phi, picture(0), mask=mask, iterations=3)
    assert isinstance(result, pi.Result)
    whole = np.broadcast_to(mask, (12, 8, 8)).astype(np.float32)
    assert result.record["mask"]["part"] == pytest.approx(float((whole > 0).mean()))
    margin = (result.canvas.shape[-1] - 32) // 2
    view = torch.from_numpy(result.canvas)[None, :, margin : margin + 32, margin : margin + 32]
    code, target = phi(view)[0].numpy() * whole, phi(phi.photo(picture(0)))[0].numpy() * whole
    expected = np.linalg.norm(code - target) / np.linalg.norm(target)
    assert result.record["relative_error"] == pytest.approx(expected, rel=1e-3)


def test_the_masks_of_the_figures_are_masks() -> None:
    phi = small_layer("relu2")
    mask = np.zeros((12, 8, 8))
    mask[2:9, 2:6, 2:6] = 1
    by_mask = pi.invert(phi, picture(0), mask=mask, iterations=3)
    by_name = pi.invert(phi, picture(0), neighbourhood=4, channels=(2, 9), iterations=3)
    np.testing.assert_array_equal(by_mask.canvas, by_name.canvas)


def test_a_mask_is_saved_with_the_result(tmp_path: Path) -> None:
    mask = torch.arange(10) % 2
    result = pi.invert(small_layer("fc"), picture(0), mask=mask, iterations=2)
    result.save(tmp_path / "out")
    assert np.array_equal(np.load(tmp_path / "out" / "mask.npy"), mask.numpy())


def test_a_mask_from_a_result_folder_is_searched_again(tmp_path: Path) -> None:
    phi = pi.representation("efficientnet-lite0", layer="stem")
    mask = np.zeros((112, 112))
    mask[30:60, 40:90] = 1
    picture(0).save(tmp_path / "photo.png")
    result = pi.invert(phi, tmp_path / "photo.png", mask=mask, iterations=2)
    result.save(tmp_path / "out")
    again = rerun(tmp_path / "out")
    assert np.array_equal(again.canvas, result.canvas)
    assert again.record["mask"] == result.record["mask"]
    (tmp_path / "out" / "mask.npy").unlink()
    with pytest.raises(PreimageError, match=r"mask\.npy: cannot be read"):
        rerun(tmp_path / "out")


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((3, 8, 8)), r"the mask's shape \[3, 8, 8\] does not broadcast to the code's"),
        (np.ones((1, 12, 8, 8)), "does not broadcast"),
        (np.full((8, 8), -1.0), "numbers of at least 0"),
        (np.full((8, 8), np.nan), "numbers of at least 0"),
        (np.array(["x"]), "numbers of at least 0"),
        (np.zeros((8, 8)), "zero wherever it counts"),
    ],
)
def test_masks_that_are_none(mask: np.ndarray, words: str) -> None:
    with pytest.raises(PreimageError, match=words):
        pi.invert(small_layer("relu2"), picture(0), mask=mask, iterations=1)


def test_a_mask_and_a_neighbourhood_are_too_much() -> None:
    with pytest.raises(UsageError, match="either a mask or a neighbourhood"):
        pi.invert(small_layer("relu2"), picture(0), mask=np.ones((8, 8)), neighbourhood=3)


def test_groups_are_equal_and_cover_all_channels() -> None:
    assert groups_of(96, 2) == [(0, 48), (48, 96)]
    assert groups_of(10, 3) == [(0, 3), (3, 6), (6, 10)]
    for groups in (0, 11):
        with pytest.raises(UsageError, match="the groups must be 1 to 10"):
            groups_of(10, groups)


def test_a_tensor_of_truth_values_is_a_mask() -> None:
    settings = pi.settings_for(small_layer())
    assert as_mask(torch.tensor([True, False]), (2,), settings).tolist() == [1.0, 0.0]
