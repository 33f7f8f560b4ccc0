"""Finding the images of a detector's filters: each by itself, or all at once in one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from preimage.energy import Energy, InnerProduct
from preimage.errors import PreimageError
from preimage.recipes.records import Observer
from preimage.recipes.settings import Settings
from preimage.recipes.template_subject import Layout, Subject, view_of
from preimage.recipes.views import View
from preimage.representations import Representation
from preimage.representations.hog import Hog
from preimage.representations.octaves import HogOctaves
from preimage.search.minimise import Outcome, minimise
from preimage.search.starts import UniformNoise, seeded
from preimage.weights.dpm import CHANNELS


@dataclass(frozen=True)
class Found:
    """What was found for a subject.

    Attributes:
        outcome: one problem; its image is the composition, its terms are sums over all searches.
        score: of the composition or of the part.
        noise_score: the same of white noise.
        filters: what the record says of each search.
        root: what the root sees, if it is shown.
    """

    outcome: Outcome
    score: float
    noise_score: float
    filters: list[dict[str, Any]]
    root: Tensor | None = None


Finder = Callable[[Energy, Tensor, View, Sequence[int]], Outcome]
"""Makes images of a view for weights `[N, ...]`: by the energy that has them, from the seeds."""


def searching(settings: Settings, callbacks: Sequence[Observer]) -> Finder:
    """Images that maximize the scores, as one batch."""

    def find(energy: Energy, weights: Tensor, view: View, seeds: Sequence[int]) -> Outcome:
        return minimise(
            energy,
            canvas=settings.canvas,
            stages=settings.stages,
            softening=settings.softening,
            step_rule=settings.step_rule,
            view=view,
            seeds=seeds,
            callbacks=callbacks,
        )

    return find


@dataclass(frozen=True)
class _Images:
    """Images of templates with their scores, one problem a template.

    Attributes:
        names: of the templates.
        outcome: what was found.
        scores, noise_scores: ⟨w, Φ⟩ of the images and of white noise, `[N]`.
        M, rho: of Eq. 9.
    """

    names: Sequence[str]
    outcome: Outcome
    scores: Tensor
    noise_scores: Tensor
    M: Tensor
    rho: int

    def record(self, problem: int) -> dict[str, Any]:
        """What the record says of one problem."""
        M = float(self.M[problem])
        return {
            "name": self.names[problem],
            "score": float(self.scores[problem]),
            "noise_score": float(self.noise_scores[problem]),
            "M": M,
            "rho": self.rho,
            "Z": M * self.rho**2,
        }


def _found(
    phi: Representation,
    weights: Tensor,
    names: Sequence[str],
    view: View,
    settings: Settings,
    seeds: Sequence[int],
    finder: Finder,
) -> _Images:
    """Images for weights `[N, ...]`, all of one view, and how they score."""
    weights = weights.to(phi.device)
    noise_code = phi(_noise(phi, view, seeds))
    rho = max(view)
    M = (weights.abs() * noise_code).flatten(1).sum(1)
    for name, largest in zip(names, M.tolist(), strict=True):
        if not largest > 0:
            raise PreimageError(f"{name} has no weights but zeros: there is nothing to maximize.")
    loss = InnerProduct(weights, M * rho**2)
    energy = Energy(phi, loss, settings.priors, settings.fidelity)
    outcome = finder(energy, weights, view, seeds)
    with torch.no_grad():
        code = phi(outcome.view)
    return _Images(names, outcome, _scores(weights, code), _scores(weights, noise_code), M, rho)


def _noise(phi: Representation, view: View, seeds: Sequence[int]) -> Tensor:
    """White noise, `[N, C, H, W]`."""
    return UniformNoise().draw((phi.channels, *view), seeded(seeds)).to(phi.device)


def _scores(weights: Tensor, code: Tensor) -> Tensor:
    return (weights * code).flatten(1).double().sum(1)


def separately(
    subject: Subject,
    hog: Hog,
    settings: Settings,
    seed: int,
    finder: Finder,
) -> Found:
    """An image for each filter; filters of one size are one batch."""
    filters = subject.filters()
    images: dict[int, Tensor] = {}
    records: dict[int, dict[str, Any]] = {}
    outcomes = []
    for shape in dict.fromkeys(weights.shape for _, weights in filters):
        numbers = [number for number, weights in filters if weights.shape == shape]
        weights = torch.from_numpy(np.stack([w for _, w in filters if w.shape == shape]))
        view = view_of(weights[0], subject.cell)
        seeds = [seed + number for number in numbers]
        names = [f"part {number}" if number else "root" for number in numbers]
        found = _found(hog, weights, names, view, settings, seeds, finder)
        outcomes.append(found.outcome)
        for problem, number in enumerate(numbers):
            images[number] = found.outcome.view[problem : problem + 1]
            records[number] = found.record(problem)
    filter_records = [records[number] for number, _ in filters]
    if subject.part is not None:
        (only,) = filter_records
        (image,) = images.values()
        return Found(_together(outcomes, image), only["score"], only["noise_score"], filter_records)
    whole = _composition(subject, [images[number] for number, _ in filters])
    octaves, weights, view = _octaves(subject, hog)
    noise = _noise(hog, view, [seed])
    weights = weights.to(hog.device)
    score, noise_score = (float(_scores(weights, octaves(x))) for x in (whole, noise))
    return Found(_together(outcomes, whole), score, noise_score, filter_records, images[0])


def jointly(
    subject: Subject,
    hog: Hog,
    settings: Settings,
    seed: int,
    finder: Finder,
) -> Found:
    """One image for the sum of all scores."""
    octaves, weights, view = _octaves(subject, hog)
    names = ["root and parts"]
    found = _found(octaves, weights, names, view, settings, [seed], finder)
    record = found.record(0)
    top, left = (place * subject.cell // 2 for place in Layout.of(subject.component).root)
    height, width = view_of(subject.component.root, subject.cell)
    halved = F.avg_pool2d(found.outcome.view, 2)
    root = halved[..., top : top + height, left : left + width]
    return Found(found.outcome, record["score"], record["noise_score"], [record], root)


def _octaves(subject: Subject, hog: Hog) -> tuple[HogOctaves, Tensor, View]:
    """Root and parts as one template: a representation, its weights `[1, D]`, and the view."""
    component, layout = subject.component, Layout.of(subject.component)
    coarse = np.zeros((CHANNELS, layout.rows // 2, layout.columns // 2), np.float32)
    fine = np.zeros((CHANNELS, layout.rows, layout.columns), np.float32)
    row, column = (place // 2 for place in layout.root)
    _add(coarse, component.root, row, column)
    for part, place in zip(component.parts, layout.parts, strict=True):
        _add(fine, part.filter, *place)
    weights = torch.from_numpy(np.concatenate([coarse.ravel(), fine.ravel()]))[None]
    return HogOctaves(hog), weights, layout.view(subject.cell)


def _add(grid: np.ndarray, weights: np.ndarray, row: int, column: int) -> None:
    _, height, width = weights.shape
    grid[:, row : row + height, column : column + width] += weights


def _composition(subject: Subject, images: Sequence[Tensor]) -> Tensor:
    """The parts' images laid over the root's at twice its size, `[1, 1, H, W]`.

    HOG sees neither mean nor contrast of an image: a part gets the contrast of the root's image and
    the mean of what it covers.
    """
    layout, cell = Layout.of(subject.component), subject.cell
    root, *parts = images
    whole = root.new_zeros(1, 1, *layout.view(cell))
    doubled = F.interpolate(root, scale_factor=2, mode="bicubic", align_corners=False)
    _region(whole, doubled, layout.root, cell).copy_(doubled)
    for image, place in zip(parts, layout.parts, strict=True):
        region = _region(whole, image, place, cell)
        levelled = (image - image.mean()) * (root.std() / image.std().clamp(min=1e-6))
        region.copy_(levelled + region.mean())
    return whole


def _region(whole: Tensor, image: Tensor, place: tuple[int, int], cell: int) -> Tensor:
    """Where an image lies in the whole, as a view of it."""
    (row, column), (height, width) = (side * cell for side in place), image.shape[-2:]
    return whole[..., row : row + height, column : column + width]


def _together(outcomes: Sequence[Outcome], image: Tensor) -> Outcome:
    """Several searches as one outcome: an image, and the sums of the terms."""
    return Outcome(
        image=image,
        view=image,
        terms=_sum_over([outcome.terms for outcome in outcomes], 0),
        term_names=outcomes[0].term_names,
        trace=_sum_over([outcome.trace for outcome in outcomes], 1),
        seconds=sum(outcome.seconds for outcome in outcomes),
    )


def _sum_over(tensors: Sequence[Tensor], dimension: int) -> Tensor:
    """The sum over all problems of several batches, kept as one problem."""
    return torch.cat(list(tensors), dimension).sum(dimension, keepdim=True)
