"""HOG beyond the contract: hard bins, their two gradients, and the paper's approximation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preimage.errors import PreimageError, UsageError
from preimage.representations import Hog, representation
from preimage.representations.glyphs import draw_glyphs, strokes
from preimage.representations.hog import (
    BILINEAR,
    DIRECTED,
    HARD,
    RELU,
    SPACING,
    Assignment,
    Cells,
    _Histograms,
    cells_of,
    directions,
    normalize,
)
from toys import random_image

Float = torch.float64
CPU = torch.device("cpu")


def gradient_of(phi: Hog, image: Tensor, weights: Tensor) -> Tensor:
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(phi(leaf), leaf, weights)
    return gradient


def at_angle(degrees: float, length: float = 10.0) -> tuple[Tensor, Tensor]:
    angle = torch.tensor([[[np.deg2rad(degrees)]]], dtype=Float)
    return length * angle.cos(), length * angle.sin()


def shared(degrees: float) -> dict[int, float]:
    """What a gradient of length 1 gives to every orientation, bilinearly, by hand."""
    place = degrees / 20 % 18
    before = int(place)
    return {before: 1 - (place - before), (before + 1) % 18: place - before}


@given(degrees=st.floats(0, 360, exclude_max=True))
def test_bilinear_shares_are_the_textbooks(degrees: float) -> None:
    at = directions(*at_angle(degrees))
    found = {
        int(index) % 18: float(share)
        for index, share in zip((at.first, at.second), BILINEAR.shares(at), strict=True)
    }
    for index, expected in shared(degrees).items():
        assert found.get(index, 0.0) == pytest.approx(expected, abs=1e-6)


@given(degrees=st.floats(0, 360, exclude_max=True))
def test_relu_shares_are_the_papers_formula(degrees: float) -> None:
    """max(0, <g, u_k> − a|g|)/(1 − a) over all 18 orientations; the others get nothing."""
    across, down = at_angle(degrees, length=1.0)
    angles = torch.arange(DIRECTED, dtype=Float) * SPACING
    cosines = (across * angles.cos() + down * angles.sin()).flatten()
    expected = ((cosines - np.cos(SPACING)) / (1 - np.cos(SPACING))).clamp(min=0)
    at = directions(across, down)
    found = torch.zeros(DIRECTED, dtype=Float)
    for index, share in zip((at.first, at.second), RELU.shares(at), strict=True):
        found[int(index) % DIRECTED] += torch.as_tensor(share).item()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_tie_goes_to_80_or_260_degrees() -> None:
    assert int(directions(*at_angle(90)).first) == 4
    for down, expected in ((5.0, 4), (-5.0, 13)):
        at = directions(torch.zeros(1, 1, 1), torch.full((1, 1, 1), down))
        assert int(at.first) == expected


def test_each_gradient_is_pooled_into_four_cells_with_weights_that_add_up() -> None:
    height, width, cell = 20, 29, 6
    cells = cells_of(height, width, cell, Float, CPU)
    total = sum(weight for _, weight in cells.corners)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (cells.rows, cells.columns) == ((height + 3) // cell, (width + 3) // cell)


def by_hand(values: Tensor, orientation: Tensor, height: int, width: int, cell: int) -> Tensor:
    """Bilinear pooling, written as its definition."""
    rows, columns = (height + cell // 2) // cell, (width + cell // 2) // cell
    histograms = torch.zeros(DIRECTED, rows, columns, dtype=values.dtype)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            for i in range(rows):
                for j in range(columns):
                    away = (abs((y + 0.5) / cell - 0.5 - i), abs((x + 0.5) / cell - 0.5 - j))
                    weight = max(0, 1 - away[0]) * max(0, 1 - away[1])
                    k = int(orientation[y - 1, x - 1]) % DIRECTED
                    histograms[k, i, j] += weight * values[y - 1, x - 1]
    return histograms


@pytest.mark.parametrize("cell", [1, 3, 4, 7])
def test_pooling_is_its_definition_and_read_is_its_adjoint(cell: int) -> None:
    height, width = 13, 11
    values = random_image((2, height - 2, width - 2), 0, 1.0, Float)
    orientation = torch.randint(0, 19, values.shape, generator=torch.Generator().manual_seed(0))
    cells: Cells = cells_of(height, width, cell, Float, CPU)
    sums = cells.buffer(2, values)
    cells.add(sums, orientation.to(Float), values)
    found = cells.histograms(sums, 2)
    expected = [
        by_hand(v, o, height, width, cell) for v, o in zip(values, orientation, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)
    weights = random_image(found.shape, 1, 1.0, Float)
    back = cells.read(cells.spread(weights), orientation.to(Float))
    torch.testing.assert_close((found * weights).sum(), (values * back).sum())


def test_straight_through_computes_the_true_code() -> None:
    image = random_image((2, 1, 40, 48))
    assert torch.equal(Hog("hog")(image), Hog("hog", gradient="exact")(image))


def test_straight_through_differentiates_the_hard_code_as_if_shares_were_bilinear() -> None:
    """The blocks' derivative at the hard histograms, then the bilinear histograms' derivative."""
    image = random_image((1, 1, 30, 34), dtype=Float)
    hard = Hog("hog", cell=5)
    weights = random_image(hard(image).shape, 1, 1.0, Float)
    at_hard = _histograms(image, HARD).detach().requires_grad_()
    (inner,) = torch.autograd.grad(normalize(at_hard), at_hard, weights)
    leaf = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(_histograms(leaf, BILINEAR), leaf, inner)
    torch.testing.assert_close(gradient_of(hard, image, weights), expected)


def _histograms(image: Tensor, assignment: object) -> Tensor:
    """Histograms by autograd over 18 planes, without the package's own backward pass."""
    cells = cells_of(*image.shape[2:], 5, image.dtype, CPU)
    planes = image[:, 0]
    across = planes[:, 1:-1, 2:] - planes[:, 1:-1, :-2]
    down = planes[:, 2:, 1:-1] - planes[:, :-2, 1:-1]
    length, angle = torch.hypot(across, down), torch.atan2(down, across)
    away = (angle[:, None] - (torch.arange(DIRECTED) * SPACING).view(1, -1, 1, 1)).abs()
    away = torch.minimum(away, (away - 2 * np.pi).abs()) / SPACING
    shares = (away <= 0.5).to(length) if assignment is HARD else (1 - away).clamp(min=0)
    return torch.einsum("nkp,pc->nkc", (shares * length[:, None]).flatten(2), _pool(cells)).view(
        len(image), DIRECTED, cells.rows, cells.columns
    )


def _pool(cells: Cells) -> Tensor:
    """Pooling as a matrix, one column a cell."""
    rows = []
    for pixel in range(len(cells.upper_left)):
        sums = cells.buffer(1, cells.corners[0][1])
        for further, weight in cells.corners:
            sums[cells.upper_left[pixel] + further] += weight[pixel]
        rows.append(cells.histograms(sums, 1)[0, 0].flatten())
    return torch.stack(rows)


def test_the_exact_gradient_of_hard_bins_is_blind_to_direction() -> None:
    """Turning every gradient a little changes no histogram, so it has no derivative there."""
    v, u = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    planes, turn = (6 * u + 0.3 * v)[None].double(), v[None].double()
    cells = cells_of(32, 32, 8, Float, CPU)

    def change(backward: Assignment) -> float:
        """Derivative of what the first orientation has, as every gradient turns."""
        leaf = planes.clone().requires_grad_()
        first = _Histograms.apply(leaf, cells, HARD, backward)[:, 0].sum()
        (gradient,) = torch.autograd.grad(first, leaf)
        return float((gradient * turn).sum())

    assert abs(change(HARD)) < 0.05 * abs(change(BILINEAR))


def test_relu_is_close_to_bilinear() -> None:
    image = random_image((1, 1, 64, 64))
    hogb, relu, hog = (representation(name)(image) for name in ("hogb", "hog-relu", "hog"))
    apart = [float((other - hogb).norm() / hogb.norm()) for other in (relu, hog)]
    assert apart[0] < 0.05
    assert apart[0] < apart[1] / 2.5


def test_a_mirrored_image_has_the_mirrored_code() -> None:
    """Left and right swapped: orientation k becomes 9 − k, the blocks swap sides."""
    image = random_image((1, 1, 48, 64)).round()
    code, mirrored = (Hog("hogb")(x)[0] for x in (image, image.flip(3)))
    order = [
        *((9 - k) % 18 for k in range(18)),
        *(18 + (9 - k) % 9 for k in range(9)),
        *(28, 27, 30, 29),
    ]
    torch.testing.assert_close(mirrored[order].flip(2), code, rtol=0, atol=1e-5)


def test_an_unknown_hog_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        Hog("hogz")


# Glyphs


def test_a_stroke_runs_across_its_gradient() -> None:
    """A gradient to the right is an upright edge; the next one leans with it."""
    upright, *_, flat = strokes(21)[[0, 1, 4]]
    assert upright[:, 10].all()
    assert upright[10, :8].sum() == 0
    assert flat[10].sum() > 5 * flat[:, 10].sum()


def test_each_cell_is_drawn_in_its_place() -> None:
    code = np.zeros((31, 2, 3), np.float32)
    code[0, 1, 2] = 0.4
    picture = np.asarray(draw_glyphs(code, 9))
    assert picture.shape == (18, 27)
    assert picture[9:, 18:].max() == 255
    picture = picture.copy()
    picture[9:, 18:] = 0
    assert not picture.any()


def test_directed_and_undirected_numbers_make_one_stroke_and_texture_none() -> None:
    pictures = []
    for channel in (2, 11, 20):
        code = np.zeros((31, 1, 1), np.float32)
        code[channel] = 0.3
        pictures.append(np.asarray(draw_glyphs(code)))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    texture = np.zeros((31, 1, 1), np.float32)
    texture[27:] = 0.4
    assert not np.asarray(draw_glyphs(texture)).any()


@pytest.mark.parametrize("code", [np.zeros((128, 2, 2)), np.zeros((31, 2)), np.zeros((31, 0, 2))])
def test_other_codes_are_not_drawn(code: np.ndarray) -> None:
    with pytest.raises(PreimageError, match=r"\[31, h, w\]"):
        draw_glyphs(code)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_not_drawn(value: float) -> None:
    with pytest.raises(PreimageError, match="finite"):
        draw_glyphs(np.full((31, 2, 2), value))
