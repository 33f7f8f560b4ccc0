"""What every prior of the table promises."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from preimage.energy.priors import PRIORS, BoundedRange, Distance, Prior, TotalVariation
from preimage.errors import UsageError
from toys import random_image

VARIANTS: dict[type[Prior], tuple[Prior, ...]] = {
    BoundedRange: (BoundedRange(), BoundedRange(alpha=2.0, B=30.0), BoundedRange(alpha=3.5)),
    Distance: (Distance(), Distance(B=30.0), Distance(torch.zeros(1, 1, 1, 1), B=7.0)),
    TotalVariation: tuple(TotalVariation(beta=beta) for beta in (1.0, 1.5, 2.0, 2.5, 3.0)),
}
"""Each prior with the exponents that take different paths through its code."""

ALL = [pytest.param(p, id=repr(p)) for kind in PRIORS for p in VARIANTS.get(kind, (kind(),))]

every_prior = pytest.mark.parametrize("prior", ALL)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))


def gradient_of(prior: Prior, image: Tensor) -> Tensor:
    into = torch.zeros_like(image)
    prior.add_gradient(image, into)
    return into


def test_the_table_lists_every_prior_once_under_its_own_name() -> None:
    assert {kind.__module__ for kind in PRIORS} == {"preimage.energy.priors"}
    names = [kind.name for kind in PRIORS]
    assert len(set(names)) == len(names)
    assert {kind for kind in Prior.__subclasses__() if kind.__module__ == Prior.__module__} == set(
        PRIORS
    )


@every_prior
@given(shape=shapes, seed=st.integers(0, 1000))
def test_value_is_one_number_of_at_least_zero_per_problem(
    prior: Prior, shape: tuple[int, ...], seed: int
) -> None:
    value = prior.value(random_image(shape, seed))
    assert value.shape == shape[:1]
    assert bool((value >= 0).all())


@every_prior
@given(shape=shapes, seed=st.integers(0, 1000))
def test_closed_form_gradient_is_that_of_autograd(
    prior: Prior, shape: tuple[int, ...], seed: int
) -> None:
    image = random_image(shape, seed, dtype=torch.float64)
    by_autograd = torch.zeros_like(image)
    value = Prior.add_gradient(prior, image, by_autograd)
    torch.testing.assert_close(gradient_of(prior, image), by_autograd, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(prior.value(image), value, rtol=1e-12, atol=0)


@every_prior
@given(shape=shapes, seed=st.integers(0, 1000))
def test_closed_form_gradient_is_the_slope_of_the_value(
    prior: Prior, shape: tuple[int, ...], seed: int
) -> None:
    image = random_image(shape, seed, dtype=torch.float64)
    along = random_image(shape, seed + 1, scale=1.0, dtype=torch.float64)
    h = 1e-4
    slope = (prior.value(image + h * along) - prior.value(image - h * along)) / (2 * h)
    promised = (gradient_of(prior, image) * along).flatten(1).sum(1)
    torch.testing.assert_close(promised, slope, rtol=1e-5, atol=1e-7)


@every_prior
def test_problems_of_a_batch_do_not_mix(prior: Prior) -> None:
    batch = random_image((3, 2, 5, 6), dtype=torch.float64)
    one_by_one = [batch[i : i + 1] for i in range(3)]
    torch.testing.assert_close(prior.value(batch), torch.cat([prior.value(x) for x in one_by_one]))
    torch.testing.assert_close(
        gradient_of(prior, batch), torch.cat([gradient_of(prior, x) for x in one_by_one])
    )


@every_prior
@pytest.mark.parametrize("level", [0.0, 100.0])
@pytest.mark.parametrize("side", [1, 6])
def test_flat_images_have_a_finite_value_and_gradient(
    prior: Prior, level: float, side: int
) -> None:
    flat = torch.full((2, 3, side, side), level)
    assert torch.isfinite(prior.value(flat)).all()
    assert torch.isfinite(gradient_of(prior, flat)).all()


@every_prior
def test_the_image_of_the_mean_colour_costs_nothing_and_stays(prior: Prior) -> None:
    grey = torch.zeros(1, 3, 5, 4)
    assert prior.value(grey).item() == 0
    assert not gradient_of(prior, grey).any()


@every_prior
def test_add_gradient_adds_to_what_is_there_and_returns_the_value(prior: Prior) -> None:
    image = random_image((2, 3, 6, 5), dtype=torch.float64)
    before = random_image((2, 3, 6, 5), seed=1, dtype=torch.float64)
    into, kept = before.clone(), image.clone()
    value = prior.add_gradient(image, into)
    torch.testing.assert_close(into - before, gradient_of(prior, image))
    torch.testing.assert_close(value, prior.value(image))
    assert torch.equal(image, kept)
    assert not value.requires_grad


@every_prior
def test_the_value_is_per_pixel_so_that_it_does_not_grow_with_the_canvas(prior: Prior) -> None:
    tile = random_image((1, 3, 16, 16), dtype=torch.float64)
    # Mirrored copies meet without a step, so they add no difference of their own.
    wide = torch.cat([tile, tile.flip(-1)], dim=-1)
    torch.testing.assert_close(prior.value(wide), prior.value(tile), rtol=0.15, atol=0)


@every_prior
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_numbers_that_make_no_prior_are_refused(prior: Prior, bad: float) -> None:
    for field in fields(prior):
        with pytest.raises(UsageError, match=r"must be a .*number.*, got"):
            type(prior)(**{field.name: bad})


@every_prior
def test_a_prior_without_a_closed_form_gets_its_gradient_by_autograd(prior: Prior) -> None:
    class Lazy(Prior):
        name = "lazy"

        def value(self, image: Tensor) -> Tensor:
            return 2 * prior.value(image)

    image = random_image((2, 3, 6, 5), dtype=torch.float64)
    torch.testing.assert_close(gradient_of(Lazy(), image), 2 * gradient_of(prior, image))
    assert not image.requires_grad


def test_the_distance_is_to_the_image_it_was_given() -> None:
    image, reference = (random_image((2, 3, 6, 5), seed, dtype=torch.float64) for seed in (0, 1))
    prior = Distance(reference, B=4.0)
    expected = (image - reference).square().sum((1, 2, 3)) / (6 * 5 * 16)
    torch.testing.assert_close(prior.value(image), expected)
    torch.testing.assert_close(gradient_of(prior, image), 2 * (image - reference) / (6 * 5 * 16))
    assert not prior.value(reference).any()
    with pytest.raises(UsageError, match="a tensor of finite numbers, got others"):
        Distance(reference / 0)
