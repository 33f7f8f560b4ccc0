"""DSIFT beyond the contract: bins, order, and the form of the paper's program."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preimage.representations import Dsift
from preimage.representations.dsift import CLAMP, _Orientations, bands_of
from toys import random_image

Float = torch.float64
CPU = torch.device("cpu")


def ramp(degrees: float) -> Tensor:
    """An image whose every gradient points this way, clockwise from right."""
    v, u = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    return (5 * (u * math.cos(math.radians(degrees)) + v * math.sin(math.radians(degrees))))[
        None, None
    ]


@pytest.mark.parametrize("orientation", range(8))
def test_channels_are_orientation_then_column_then_row(orientation: int) -> None:
    code = Dsift(cell=4)(ramp(45.0 * orientation))[0]
    strengths = code.view(4, 4, 8, *code.shape[1:]).sum((0, 1, 3, 4))
    assert int(strengths.argmax()) == orientation
    assert float(strengths[orientation]) > 20 * float(
        np.delete(strengths.numpy(), orientation).max()
    )


def test_bins_of_columns_and_rows() -> None:
    """A lone edge right of the centre falls into the right-hand bins, whatever the row."""
    image = torch.zeros(1, 1, 13, 13)
    image[..., 9:] = 100
    bins = Dsift(cell=4)(image)[0].view(4, 4, 8)
    assert bins[..., 0].sum(0).argmax() == 2
    assert bool((bins[:, 0] == 0).all())


@given(degrees=st.floats(0, 360, exclude_max=True))
def test_shares_are_bilinear_up_to_the_fast_angle(degrees: float) -> None:
    angle = torch.tensor([[[math.radians(degrees)]]], dtype=Float)
    shares = _Orientations.apply(3 * angle.cos(), 3 * angle.sin()).flatten() / 3
    place = degrees / 45
    away = (torch.arange(8, dtype=Float) - place + 4).remainder(8) - 4
    expected = (1 - away.abs()).clamp(min=0)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.0062 * 4 / math.pi)


@pytest.mark.parametrize(
    ("side", "cell", "step"), [(40, 4, 4), (37, 3, 1), (64, 5, 11), (25, 8, 8)]
)
def test_bands_hold_every_weight_once(side: int, cell: int, step: int) -> None:
    """Put together again they are triangles times the window, as far as the border allows."""
    bands = bands_of(side, cell, step, 2.0, Float, CPU)
    whole = torch.zeros(sum(len(band.weights) for band in bands), side, dtype=Float)
    row = 0
    for band in bands:
        whole[row : row + len(band.weights), band.start : band.stop] = band.weights
        row += len(band.weights)
    count = (side - 1 - 3 * cell) // step + 1
    assert len(whole) == 4 * count
    for index, weights in enumerate(whole.view(count, 4, side).flatten(0, 1)):
        descriptor, bin = divmod(index, 4)
        centre = descriptor * step + bin * cell
        middle = descriptor * step + 1.5 * cell
        pixels = torch.arange(centre - cell + 1, centre + cell)
        triangle = 1 - (pixels - centre).abs() / cell
        window = torch.exp(-0.5 * ((pixels - middle) / (2 * cell)) ** 2)
        expected = torch.zeros(side, dtype=Float)
        expected.index_add_(0, pixels.clamp(0, side - 1), (triangle * window).to(Float))
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)


def test_descriptors_have_unit_length_and_are_clamped_before() -> None:
    code = Dsift()(random_image((1, 1, 64, 64)))
    norms = code.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-5)


def test_the_papers_program_does_not_normalize_again() -> None:
    image = ramp(20)
    once, twice = (Dsift(renormalize=again)(image) for again in (False, True))
    assert float(once.max()) == pytest.approx(CLAMP)
    assert float(once.norm(dim=1).max()) < 1
    again = once / once.norm(dim=1, keepdim=True)
    torch.testing.assert_close(again, twice, rtol=1e-4, atol=1e-6)


def test_contrast_does_not_matter() -> None:
    image = random_image((1, 1, 40, 40))
    torch.testing.assert_close(Dsift()(0.1 * image), Dsift()(image), rtol=1e-3, atol=1e-5)
