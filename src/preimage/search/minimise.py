"""The one loop: every search of the package is a call of `minimise`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from preimage.energy import Energy
from preimage.errors import PreimageError, UsageError
from preimage.representations.softening import HARD, Softness
from preimage.search.canvases import Canvas
from preimage.search.jitter import Views
from preimage.search.softening import Softening
from preimage.search.stages import Stage, total_iterations
from preimage.search.starts import seeded
from preimage.search.step_rules import StepRule
from preimage.search.views import RandomViews


@dataclass(frozen=True)
class Snapshot:
    """What a callback sees after an iteration; it observes, it never steers.

    Attributes:
        iteration: counted from 1.
        iterations: how many there will be.
        terms: `[N, terms]` of this iteration, named by `Energy.term_names`.
        image: the rendered canvas those terms speak about, `[N, C, H, W]`; copy it to keep it.
    """

    iteration: int
    iterations: int
    terms: Tensor
    image: Tensor


@dataclass(frozen=True)
class Outcome:
    """What a search leaves.

    Attributes:
        image: the rendered canvas of every problem, `[N, C, H, W]` on the canvas scale.
        view: its centre crop, `[N, C, h, w]`, which is the result.
        terms: `[N, terms]` of the final canvas, measured on the view without jitter.
        term_names: names of the terms, `energy` first.
        trace: `[iterations, N, terms]`: what the search saw, jitter included.
        seconds: wall-clock time of the loop.
    """

    image: Tensor
    view: Tensor
    terms: Tensor
    term_names: tuple[str, ...]
    trace: Tensor
    seconds: float


def minimise(
    energy: Energy,
    *,
    canvas: Canvas,
    stages: Sequence[Stage],
    step_rule: StepRule,
    softening: Softening | None = None,
    seeds: Sequence[int] = (0,),
    view: int | tuple[int, int] | None = None,
    views: RandomViews | None = None,
    start: Tensor | None = None,
    callbacks: Sequence[Callable[[Snapshot], None]] = (),
) -> Outcome:
    """Search for images of low energy, every problem of the batch by itself.

    The canvas is the view plus jitter − 1 pixels in each direction, for the stage with the most
    jitter. Each problem has its own start, its own jitter and its own step state, drawn from its
    own seed, so it takes the same path in any batch up to the rounding of batched kernels.

    Args:
        energy: what is minimised; its loss holds one target per problem.
        canvas: the parameterization that is searched.
        stages: stretches of iterations, run in order.
        step_rule: how the parameters follow the gradient.
        softening: of Φ's derivatives; by default they are its own.
        seeds: one whole number per problem.
        view: side (or height and width) of what the representation sees; by default its own
            input size.
        views: random transformations of that view, over which the loss is averaged; by default
            the representation sees the view itself.
        start: parameters to start from, `[N, ...]`; by default the canvas draws them.
        callbacks: called after every iteration with a `Snapshot`.

    Raises:
        UsageError: if there is no stage, the number of seeds is not that of the targets, or the
            jitter is larger than the view.
        PreimageError: if the energy becomes NaN or infinite.

    Example:
        >>> outcome = minimise(energy, canvas=PixelCanvas(), stages=[Stage(300)],
        ...                    step_rule=Adam(2.0))                          # doctest: +SKIP
    """
    loop = _Loop(energy, canvas, stages, step_rule, softening, seeds, view, views, start)
    began = time.perf_counter()
    for stage in stages:
        loop.run(stage, callbacks)
    return loop.finish(time.perf_counter() - began)


class _Loop:
    """State of one search."""

    def __init__(
        self,
        energy: Energy,
        canvas: Canvas,
        stages: Sequence[Stage],
        step_rule: StepRule,
        softening: Softening | None,
        seeds: Sequence[int],
        view: int | tuple[int, int] | None,
        random_views: RandomViews | None,
        start: Tensor | None,
    ) -> None:
        phi = energy.representation
        count = len(energy.loss.target)
        if not stages:
            raise UsageError("a search needs at least one stage.")
        if len(seeds) != count:
            raise UsageError(f"{count} problems need {count} seeds, got {len(seeds)}.")
        height, width = _view_size(view, phi.input_size)
        margin = max(stage.jitter for stage in stages) - 1
        if margin >= min(height, width):
            raise UsageError(
                f"jitter T = {margin + 1} shifts the view past its own side: give at most "
                f"{min(height, width)}."
            )
        device = energy.loss.target.device
        self.energy, self.canvas, self.step_rule = energy, canvas, step_rule
        self.softening = softening
        self.shape = (phi.channels, height + margin, width + margin)
        self.mean = phi.mean
        self.views = Views(self.shape[1:], (height, width))
        # The start, the jitter and the views have generators of their own, so that a longer start
        # or another canvas does not shift the jitter.
        self.jitter = seeded([seed + 2**32 for seed in seeds])
        self.random_views = random_views
        self.chances = seeded([seed + 2**33 for seed in seeds])
        parameters = canvas.start(self.shape, seeds) if start is None else start.clone()
        self.parameters = parameters.to(device)
        canvas.constrain_(self.parameters)
        self.state = step_rule.begin(self.parameters)
        self.total = total_iterations(stages)
        self.trace = torch.zeros(self.total, count, len(energy.term_names), device=device)
        self.iteration = 0

    def run(self, stage: Stage, callbacks: Sequence[Callable[[Snapshot], None]]) -> None:
        """All iterations of a stage."""
        self.step_rule.begin_stage(self.state)
        for i, places in enumerate(self.views.places(stage, self.jitter)):
            image = self.canvas.render(self.parameters, self.shape, self.mean)
            terms, gradient = self._evaluate(image, places)
            self.trace[self.iteration] = terms
            self.iteration += 1
            for callback in callbacks:
                callback(Snapshot(self.iteration, self.total, terms, image))
            gradient = self.canvas.pull_back(gradient, image, self.mean, self.parameters)
            self.step_rule.step_(
                self.parameters, gradient, terms[:, 0], stage.rate_at(i), self.state
            )
            self.canvas.constrain_(self.parameters)
        self._check_finite()

    def _evaluate(self, image: Tensor, places: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Terms at this image, `[N, terms]`, and the gradient with respect to it."""
        loss, view_gradient = self._look(self.views.crop(image, places))
        gradient = self.views.paste(view_gradient, places, self.shape)
        return self.energy.stack(loss, self.energy.add_gradient(image, gradient)), gradient

    def _softness(self) -> Softness:
        return HARD if self.softening is None else self.softening.at(self.iteration / self.total)

    def _look(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """ℓ of each problem and C·∂ℓ/∂view, averaged over random views where there are any."""
        if self.random_views is None:
            return self.energy.loss_and_gradient(view, self._softness())
        look = partial(self.energy.loss_and_gradient, softness=self._softness())
        return self.random_views.mean(look, view, self.chances)

    def _check_finite(self) -> None:
        good = torch.isfinite(self.trace[: self.iteration, :, 0]).all(1)
        if not bool(good.all()):
            first = int((~good).nonzero()[0]) + 1
            remedy = (
                "lower C, alpha or beta, or check that the representation is finite."
                if first == 1
                else "lower the step rule's rate, or check that the representation is finite."
            )
            raise PreimageError(f"the energy is not finite from iteration {first} on: {remedy}")

    def _final_terms(self, image: Tensor, view: Tensor) -> Tensor:
        terms = self.energy.evaluate(image, view)
        if not bool(torch.isfinite(terms).all()):
            raise PreimageError(
                "the final canvas has no finite energy: lower the step rule's rate."
            )
        return terms

    def finish(self, seconds: float) -> Outcome:
        """The result, measured without jitter on the centre crop."""
        self.step_rule.finish_(self.parameters, self.state)
        image = self.canvas.render(self.parameters, self.shape, self.mean).detach().clone()
        view = self.views.crop(image, self.views.centre(len(image))).contiguous()
        return Outcome(
            image=image,
            view=view,
            terms=self._final_terms(image, view),
            term_names=self.energy.term_names,
            trace=self.trace,
            seconds=seconds,
        )


def _view_size(view: int | tuple[int, int] | None, input_size: int | None) -> tuple[int, int]:
    if view is None:
        view = input_size
    if view is None:
        raise UsageError("this representation takes images of any size: say which with `view`.")
    return (view, view) if isinstance(view, int) else view
