"""What may keep a search from finding anything, looked at before it begins."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from preimage.energy import Energy
from preimage.recipes.settings import Settings

SAME = 1e-3
"""Two codes of one image differ by no more than this part of their length, as rounding may."""


def doubts(
    energy: Energy, settings: Settings, view: tuple[int, int], seeds: Sequence[int]
) -> list[list[str]]:
    """For every problem what a user should know: codes that change, a start without a gradient.

    Costs two evaluations of the representation and one gradient, at the images where the search
    starts.

    Args:
        energy: what will be minimised.
        settings: how.
        view: height and width of what the representation sees.
        seeds: one per problem.
    """
    phi, canvas = energy.representation, settings.canvas
    shape = (phi.channels, *view)
    parameters = canvas.start(shape, seeds).to(energy.loss.target.device)
    image = canvas.render(parameters, shape, phi.mean).detach()
    with torch.no_grad():
        first, second = (phi(image).flatten(1).double() for _ in range(2))
    changed = (first - second).norm(dim=1) > SAME * first.norm(dim=1)
    # By Φ's own derivative: a softened one moves dead units too, but does not bring them to life.
    _, gradient = energy.loss_and_gradient(image)
    idle = (gradient.flatten(1) == 0).all(1) & (energy.fidelity > 0)
    alone = "the prior" if settings.softening is None else "the prior and softened derivatives"
    found: list[list[str]] = []
    for unstable, unmoved in zip(changed.tolist(), idle.tolist(), strict=True):
        warnings = []
        if unstable:
            warnings.append(
                f"{phi.name} is not deterministic: one image has two codes (dropout or noise that "
                "eval mode leaves on?); the error has no meaning below their difference"
            )
        if unmoved:
            warnings.append(
                f"{phi.name} has no gradient at the start, only {alone} moved the image at first; "
                "another seed or an earlier layer may help"
            )
        found.append(warnings)
    return found
