"""The start of the authors' program, and Eq. 7's jitter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from preimage.search import PixelCanvas, Stage, UniformNoise
from preimage.search.jitter import Views
from preimage.search.starts import centred, seeded
from toys import random_image


@given(
    seed=st.integers(0, 2**31),
    b=st.floats(1, 200),
    scale=st.sampled_from([1.0, 0.01]),
    side=st.integers(3, 40),
)
def test_the_noise_has_its_95_percent_quantile_at_b_over_root_3(
    seed: int, b: float, scale: float, side: int
) -> None:
    noise = UniformNoise(b, scale).draw((3, side, side), seeded([seed]))
    values = np.sort(noise.double().numpy().ravel())
    # MATLAB sorts and takes the element at ⌈0.95·n⌉.
    quantile = values[int(np.ceil(0.95 * len(values))) - 1]
    assert quantile == pytest.approx(scale * b / np.sqrt(3), rel=1e-5)


def test_the_noise_is_uniform_and_symmetric() -> None:
    noise = UniformNoise(80.0).draw((3, 120, 120), seeded([0])).numpy().ravel()
    end = np.abs(noise).max()
    assert end == pytest.approx(80 / np.sqrt(3) / 0.9, rel=0.01)
    assert stats.kstest(noise, stats.uniform(-end, 2 * end).cdf).pvalue > 0.01


def test_the_pixel_canvas_starts_from_this_noise() -> None:
    noise = UniformNoise().draw((3, 9, 8), seeded([4, 5]))
    assert torch.equal(PixelCanvas().start((3, 9, 8), [4, 5]), noise)


@given(height=st.integers(1, 5), width=st.integers(1, 5), more=st.integers(0, 4))
def test_a_centred_start_has_the_image_in_the_middle_of_zeros(
    height: int, width: int, more: int
) -> None:
    image = random_image((2, 3, height, width))
    canvas = centred(image, (height + more, width + more))
    assert canvas.shape == (2, 3, height + more, width + more)
    top = more // 2
    assert torch.equal(canvas[..., top : top + height, top : top + width], image)
    assert int((canvas != 0).sum()) == int((image != 0).sum())


@pytest.mark.parametrize("jitter", [1, 2, 4, 5])
def test_jitter_is_uniform_over_its_t_positions_in_each_direction(jitter: int) -> None:
    views = Views((20 + jitter - 1, 20 + jitter - 1), (20, 20))
    places = np.array(list(views.places(Stage(4000, jitter=jitter), seeded([0]))))[:, 0]
    assert set(places.ravel()) == set(range(jitter))
    counts = np.zeros((jitter, jitter))
    np.add.at(counts, tuple(places.T), 1)
    # Rows, columns and pairs of both: the two directions are independent.
    for table in (counts.ravel(), counts.sum(0), counts.sum(1)):
        if len(table) > 1:
            assert stats.chisquare(table).pvalue > 0.001


@given(
    view=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    widest=st.integers(1, 7),
    data=st.data(),
)
def test_the_views_of_a_stage_lie_on_the_canvas_around_its_centre(
    view: tuple[int, int], widest: int, data: st.DataObject
) -> None:
    jitter = data.draw(st.integers(1, widest))
    margin = widest - 1
    views = Views((view[0] + margin, view[1] + margin), view)
    places = np.array(list(views.places(Stage(200, jitter=jitter), seeded([1, 2]))))
    assert places.shape == (200, 2, 2)
    assert places.min() >= 0
    assert places.max() <= margin
    assert places.max() - places.min() <= jitter - 1
    (row, column), _ = views.centre(2)
    assert row == column == margin // 2
    if jitter == 1:
        assert (places == row).all()
    assert abs((places.min() + places.max()) / 2 - margin / 2) <= 1


def test_jitter_reads_the_canvas_as_equation_7_says() -> None:
    """[jitter(x; τ)](v, u) = x(v + τ₂, u + τ₁)."""
    image = torch.arange(2 * 7 * 6.0).view(2, 1, 7, 6)
    views = Views((7, 6), (5, 5))
    crop = views.crop(image, [[2, 0], [1, 1]])
    for problem, (down, across) in enumerate([(2, 0), (1, 1)]):
        for v in range(5):
            for u in range(5):
                assert crop[problem, 0, v, u] == image[problem, 0, v + down, u + across]


@given(
    count=st.integers(1, 4),
    view=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    margin=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    same=st.booleans(),
    data=st.data(),
)
def test_paste_is_the_adjoint_of_crop(
    count: int,
    view: tuple[int, int],
    margin: tuple[int, int],
    same: bool,
    data: st.DataObject,
) -> None:
    """⟨crop(x), y⟩ = ⟨x, paste(y)⟩."""
    canvas = (view[0] + margin[0], view[1] + margin[1])
    place = st.tuples(st.integers(0, margin[0]), st.integers(0, margin[1])).map(list)
    places = [data.draw(place)] * count if same else [data.draw(place) for _ in range(count)]
    views = Views(canvas, view)
    x = random_image((count, 2, *canvas), seed=1, dtype=torch.float64)
    y = random_image((count, 2, *view), seed=2, dtype=torch.float64)
    pasted = views.paste(y, places, x.shape[1:])
    crop = views.crop(x, places)
    assert crop.shape == y.shape
    torch.testing.assert_close((crop * y).sum(), (x * pasted).sum())
    torch.testing.assert_close(views.crop(pasted, places), y)


@given(seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=4), jitter=st.integers(1, 6))
def test_a_problem_sees_the_same_views_in_any_batch(seeds: list[int], jitter: int) -> None:
    views, stage = Views((37, 37), (32, 32)), Stage(9, jitter=jitter)
    together = np.array(list(views.places(stage, seeded(seeds))))
    for i, seed in enumerate(seeds):
        assert np.array_equal(
            together[:, i], np.array(list(views.places(stage, seeded([seed]))))[:, 0]
        )
