"""Random views: what they show, and that the loop averages over them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from preimage import Adam, PixelCanvas, RandomViews, Stage, UsageError, minimise
from preimage.search.starts import seeded
from toys import random_image, small_energy

STILL = RandomViews(count=1, smallest=1.0, largest=1.0, rotation=0.0, noise=0.0)


def test_the_whole_view_unturned_is_the_view_itself() -> None:
    view = random_image((2, 3, 9, 7))
    seen = STILL.draw(view, seeded([0, 1]))
    torch.testing.assert_close(seen, view, rtol=1e-5, atol=1e-3)


def test_a_crop_shows_a_part_of_the_view_enlarged() -> None:
    across = torch.linspace(-1, 1, 33).expand(1, 1, 33, 33)
    half = replace(STILL, smallest=0.5, largest=0.5)
    seen = half.draw(across, seeded([3]))
    step = seen[0, 0, 0].diff()
    torch.testing.assert_close(step, torch.full((32,), 0.5 * 2 / 32), rtol=1e-3, atol=1e-5)
    assert float(seen.min()) >= -1
    assert float(seen.max()) <= 1


def test_a_crop_larger_than_the_view_shows_the_mean_colour_around_it() -> None:
    seen = replace(STILL, smallest=2.0, largest=2.0).draw(torch.ones(1, 1, 32, 32), seeded([0]))
    assert 0.2 < float(seen.mean()) < 0.3
    assert float(seen[0, 0, 0, 0]) == 0


def test_noise_has_the_size_asked_for_and_is_new_each_time() -> None:
    grainy = replace(STILL, noise=10.0)
    generators = seeded([0])
    first, second = (grainy.draw(torch.zeros(1, 3, 64, 64), generators) for _ in range(2))
    assert float(first.std()) == pytest.approx(10, rel=0.05)
    assert not torch.equal(first, second)


def test_a_problem_sees_the_same_in_a_batch_as_alone() -> None:
    view, views = random_image((3, 3, 8, 8)), RandomViews()
    together = views.draw(view, seeded([5, 6, 7]))
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], views.draw(view[i : i + 1], seeded([5 + i]))
        )


def test_the_mean_over_views_and_its_gradient_are_those_of_autograd() -> None:
    weight = random_image((2, 3, 8, 8), 1, scale=1.0, dtype=torch.float64)
    view = random_image((2, 3, 8, 8), 2, dtype=torch.float64).requires_grad_()
    views = RandomViews(count=3)

    def look(seen: Tensor) -> tuple[Tensor, Tensor]:
        return (seen.square() * weight).flatten(1).sum(1), 2 * seen * weight

    value, gradient = views.mean(look, view, seeded([0, 1]))
    generators = seeded([0, 1])
    seen = [views.draw(view, generators) for _ in range(3)]
    expected = sum((s.square() * weight).flatten(1).sum(1) for s in seen) / 3
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), view)[0])
    assert not value.requires_grad


def search(views: RandomViews | None, count: int = 1, seed: int = 0) -> Tensor:
    return minimise(
        small_energy(count=count),
        canvas=PixelCanvas(),
        stages=[Stage(4, jitter=3)],
        step_rule=Adam(1.0),
        seeds=[seed + i for i in range(count)],
        views=views,
    ).image


def test_the_loop_looks_through_the_views() -> None:
    plain = search(None)
    torch.testing.assert_close(search(STILL), plain, rtol=1e-3, atol=0.05)
    assert not torch.allclose(search(RandomViews()), plain, atol=0.05)


def test_the_loop_repeats_itself_and_does_not_mix_problems() -> None:
    together = search(RandomViews(), count=2)
    assert torch.equal(search(RandomViews(), count=2), together)
    torch.testing.assert_close(search(RandomViews())[0], together[0], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"smallest": 0.0}, "larger than 0"),
        ({"smallest": 0.9, "largest": 0.5}, "the smallest first"),
        ({"rotation": float("nan")}, "numbers of at least 0"),
        ({"noise": -1.0}, "numbers of at least 0"),
        ({"count": 0}, "at least 1 view"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(STILL, **change)
