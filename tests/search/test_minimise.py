"""The one loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from preimage.energy import Energy, Euclidean, InnerProduct
from preimage.errors import PreimageError, UsageError
from preimage.representations import Defaults, Representation
from preimage.search import (
    LBFGS,
    Adam,
    Canvas,
    FrameCanvas,
    Momentum,
    NormalizedMomentum,
    Outcome,
    PixelCanvas,
    PyramidCanvas,
    Snapshot,
    SpectralCanvas,
    Stage,
    StepRule,
    UniformNoise,
    WindowedAdaGrad,
    minimise,
)
from preimage.search.canvases.colours import RANGES
from preimage.search.jitter import Views
from toys import MEAN, SIDE, fingerprint, random_image, small_energy, small_layer

STAGES = (Stage(8, jitter=4), Stage(4, rate=0.5, decay="cosine"))
STILL = (Stage(12),)
GENTLE = PixelCanvas(noise=UniformNoise(scale=0.1))

WAYS: dict[str, tuple[Canvas, StepRule, tuple[Stage, ...]]] = {
    "paper": (PixelCanvas(), WindowedAdaGrad(5e4), STAGES),
    "pixel, adam": (PixelCanvas(), Adam(2.0), STAGES),
    "pixel, momentum": (GENTLE, Momentum(1000.0), STAGES),
    "pixel, lbfgs": (GENTLE, LBFGS(first_step=100.0), STILL),
    "pyramid": (PyramidCanvas(), NormalizedMomentum(1.0), STAGES),
    "frame": (FrameCanvas(), NormalizedMomentum(0.03), STAGES),
    "spectral, lbfgs": (SpectralCanvas(), LBFGS(first_step=0.3), STILL),
    **{f"spectral, {r}": (SpectralCanvas(range=r), Adam(0.02), STAGES) for r in RANGES},
}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

Way = tuple[Canvas, StepRule, tuple[Stage, ...]]


def search(way: Way, energy: Energy | None = None, **options: Any) -> Outcome:
    canvas, step_rule, stages = way
    return minimise(
        energy or small_energy(), canvas=canvas, step_rule=step_rule, stages=stages, **options
    )


@every_way
def test_it_lowers_the_energy(way: Way) -> None:
    canvas, rule, stages = way
    longer = (canvas, rule, tuple(Stage(4 * s.iterations, s.jitter, s.rate) for s in stages))
    outcome = search(longer)
    assert float(outcome.terms[0, 0]) < 0.8 * float(outcome.trace[0, 0, 0])


@every_way
def test_a_problem_takes_the_same_path_in_a_batch_as_alone(way: Way) -> None:
    together = search(way, small_energy(count=3), seeds=[7, 8, 9])
    for i in range(3):
        alone = search(way, small_energy(seed=i), seeds=[7 + i])
        torch.testing.assert_close(together.trace[:, i], alone.trace[:, 0], rtol=1e-3, atol=1e-4)
        assert float((together.image[i] - alone.image[0]).abs().max()) < 0.5
        torch.testing.assert_close(together.terms[i], alone.terms[0], rtol=1e-3, atol=1e-4)


@every_way
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_image(way: Way) -> None:
    first, again, other = (search(way, seeds=[seed]) for seed in (1, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.trace, again.trace)
    assert not torch.equal(first.image, other.image)


@every_way
def test_the_random_numbers_of_others_neither_matter_nor_are_touched(way: Way) -> None:
    first, energy = search(way), small_energy()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(search(way, energy).image, first.image)
    assert torch.equal(torch.get_rng_state(), state)


@every_way
def test_callbacks_observe_and_do_not_steer(way: Way) -> None:
    seen: list[Snapshot] = []
    images: list[Tensor] = []

    def watch(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        images.append(snapshot.image.clone())

    watched, alone = search(way, callbacks=[watch, lambda _: torch.rand(3)]), search(way)
    assert torch.equal(watched.image, alone.image)
    assert torch.equal(watched.trace, alone.trace)
    assert [s.iteration for s in seen] == list(range(1, 13))
    assert {s.iterations for s in seen} == {12}
    for snapshot, terms in zip(seen, watched.trace, strict=True):
        assert torch.equal(snapshot.terms, terms)
    assert all(image.shape == watched.image.shape for image in images)
    assert not torch.equal(images[0], images[-1])


def test_a_snapshots_terms_speak_about_its_image() -> None:
    energy = small_energy()

    def check(snapshot: Snapshot) -> None:
        expected = energy.evaluate(snapshot.image, snapshot.image)
        torch.testing.assert_close(snapshot.terms, expected)

    search((PixelCanvas(), Adam(2.0), STILL), energy, callbacks=[check])


@every_way
def test_the_outcome_is_measured_on_the_centre_crop_without_jitter(way: Way) -> None:
    energy = small_energy()
    outcome = search(way, energy)
    margin = max(stage.jitter for stage in way[2]) - 1
    assert outcome.image.shape == (1, 3, SIDE + margin, SIDE + margin)
    first = margin // 2
    centre = outcome.image[..., first : first + SIDE, first : first + SIDE]
    assert torch.equal(outcome.view, centre)
    torch.testing.assert_close(outcome.terms, energy.evaluate(outcome.image, outcome.view))
    assert outcome.term_names == ("energy", "loss", "bounded_range", "total_variation")
    assert outcome.trace.shape == (12, 1, 4)
    assert outcome.seconds > 0
    assert not outcome.image.requires_grad


def test_priors_see_the_whole_canvas_and_the_loss_the_crop() -> None:
    outcome = search((PixelCanvas(), Adam(2.0), STAGES))
    energy = small_energy()
    bounded, variation = (prior.value(outcome.image) for prior in energy.priors)
    torch.testing.assert_close(outcome.terms[:, 2], bounded)
    torch.testing.assert_close(outcome.terms[:, 3], variation)
    torch.testing.assert_close(outcome.terms[:, 0], bounded + variation + 10 * outcome.terms[:, 1])


def test_the_first_row_of_the_trace_is_the_start() -> None:
    energy = small_energy()
    start = PixelCanvas().start((3, SIDE, SIDE), [5])
    outcome = search((PixelCanvas(B_plus=None), Adam(2.0), STILL), energy, seeds=[5])
    torch.testing.assert_close(outcome.trace[0], energy.evaluate(start, start))


def test_a_given_start_is_used_and_left_as_it_was() -> None:
    start = random_image((1, 3, SIDE, SIDE), scale=300.0)
    before = start.clone()
    first: list[Tensor] = []
    search(
        (PixelCanvas(B_plus=160.0), Adam(2.0), STILL),
        start=start,
        callbacks=[lambda s: first.append(s.image.clone())],
    )
    assert torch.equal(start, before)
    length = first[0].norm(dim=1)
    assert float(length.max()) <= 160 * (1 + 1e-5), "the start is projected too"
    torch.testing.assert_close(first[0] / length, start / start.norm(dim=1))


def test_jitter_does_not_depend_on_the_canvas_that_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two canvases with one seed are compared over the same views."""
    seen: list[Any] = []
    plain = Views.crop

    def crop(self: Views, image: Tensor, places: Any) -> Tensor:
        seen.append(places)
        return plain(self, image, places)

    monkeypatch.setattr(Views, "crop", crop)
    for canvas in (PixelCanvas(), SpectralCanvas()):
        search((canvas, Adam(0.01), (Stage(10, jitter=4),)), seeds=[3])
    assert len(seen) == 22
    assert seen[:11] == seen[11:]
    assert len({tuple(places[0]) for places in seen}) > 3


class Ramp(Representation):
    """Φ(x) = x, which takes an image of any size."""

    model, layer, channels, input_size = "ramp", None, 3, None
    mean, geometry, defaults = MEAN, None, Defaults(1.0, 1)

    def __call__(self, image: Tensor) -> Tensor:
        return 1.0 * image


def test_a_representation_of_any_size_is_told_its_view() -> None:
    target = random_image((1, 3, 6, 9))
    energy = Energy(Ramp(), Euclidean(target), fidelity=100.0)
    outcome = search((PixelCanvas(), Adam(2.0), STAGES), energy, view=(6, 9))
    assert outcome.image.shape == (1, 3, 9, 12)
    assert outcome.view.shape == (1, 3, 6, 9)
    with pytest.raises(UsageError, match="any size: say which with `view`"):
        search((PixelCanvas(), Adam(2.0), STAGES), energy)


def test_without_priors_it_inverts_an_invertible_representation() -> None:
    target = random_image((2, 3, 8, 8), scale=30.0)
    energy = Energy(Ramp(), Euclidean(target), priors=(), fidelity=1.0)
    way = (PixelCanvas(), LBFGS(first_step=100.0), (Stage(30),))
    outcome = search(way, energy, seeds=[0, 1], view=8)
    torch.testing.assert_close(outcome.view, target, rtol=0, atol=0.05)
    assert outcome.term_names == ("energy", "loss")


def test_with_fidelity_zero_the_priors_alone_flatten_the_image() -> None:
    outcome = search(
        (PixelCanvas(), LBFGS(first_step=1000.0), (Stage(60),)), small_energy(fidelity=0.0)
    )
    assert float(outcome.terms[0, 0]) < 1e-3 * float(outcome.trace[0, 0, 0])


def test_the_inner_product_raises_the_component_asked_for() -> None:
    phi = small_layer("fc")
    target = torch.zeros(1, 10)
    target[0, 3] = 1
    energy = Energy(phi, InnerProduct(target, 1.0), fidelity=1.0)
    outcome = search((SpectralCanvas(), Adam(0.05), (Stage(40),)), energy)
    assert float(energy.representation(outcome.view)[0, 3]) > -float(outcome.trace[0, 0, 1]) + 0.5


def test_lbfgs_ends_at_the_lowest_energy_it_has_seen() -> None:
    outcome = search((GENTLE, LBFGS(first_step=100.0), (Stage(30),)))
    assert float(outcome.terms[0, 0]) <= float(outcome.trace[:, 0, 0].min()) * (1 + 1e-5)


def test_it_works_where_the_caller_has_turned_gradients_off() -> None:
    way = WAYS["pixel, adam"]
    expected = search(way).image
    with torch.no_grad():
        assert torch.equal(search(way).image, expected)


@pytest.mark.parametrize("at", [1, 9, 12])
def test_an_energy_that_is_not_finite_is_reported_with_its_iteration(at: int) -> None:
    class Breaking(Ramp):
        calls = 0

        def __call__(self, image: Tensor) -> Tensor:
            self.calls += 1
            return image * (float("nan") if self.calls == at else 1.0)

    energy = Energy(Breaking(), Euclidean(random_image((1, 3, 8, 8))))
    with pytest.raises(PreimageError, match=f"not finite from iteration {at} on"):
        search((PixelCanvas(), Adam(2.0), STAGES), energy, view=8)


def test_steps_that_are_far_too_long_end_in_the_same_words() -> None:
    way = (PixelCanvas(B_plus=None), Momentum(1e30), (Stage(30),))
    with pytest.raises(PreimageError, match=r"not finite .* lower the step rule's rate"):
        search(way)


def test_a_search_needs_stages_and_a_seed_for_each_problem() -> None:
    canvas, rule, _ = WAYS["paper"]
    with pytest.raises(UsageError, match="at least one stage"):
        search((canvas, rule, ()))
    with pytest.raises(UsageError, match="2 problems need 2 seeds, got 3"):
        search(WAYS["paper"], small_energy(count=2), seeds=[0, 1, 2])


@pytest.mark.parametrize("fidelity", [-1.0, float("nan"), float("inf")])
def test_fidelity_must_be_a_number_of_at_least_zero(fidelity: float) -> None:
    with pytest.raises(UsageError, match=r"fidelity C must be a number of at least 0"):
        small_energy(fidelity=fidelity)


def test_the_gradient_of_the_loss_is_its_slope() -> None:
    phi = small_layer()
    phi.network.double()
    phi._scale = phi._scale.double()
    view = random_image((2, 3, SIDE, SIDE), 1, dtype=torch.float64)
    target = phi(random_image((2, 3, SIDE, SIDE), 2, dtype=torch.float64))
    energy = Energy(phi, Euclidean(target), fidelity=7.0)
    along, h = random_image(view.shape, 3, scale=1.0, dtype=torch.float64), 1e-6
    gradient = energy.loss_and_gradient(view)[1]
    ahead, behind = (energy.loss_and_gradient(view + s * h * along)[0] for s in (1, -1))
    torch.testing.assert_close(
        (gradient * along).flatten(1).sum(1), 7 * (ahead - behind) / (2 * h), rtol=1e-4, atol=1e-8
    )


@every_way
def test_nobodys_model_is_changed(way: Way) -> None:
    energy = small_energy()
    network = energy.representation.network  # type: ignore[attr-defined]
    before = fingerprint(network)
    search(way, energy)
    assert fingerprint(network) == before
