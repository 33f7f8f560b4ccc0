"""Caricature: an image with what a layer sees in it exaggerated (Sect. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from preimage.energy import Energy, InnerProduct
from preimage.energy.losses import squared_norm
from preimage.errors import PreimageError, UsageError, nearest
from preimage.recipes.inversion import Target
from preimage.recipes.presets import (
    BESIDE_PLACES,
    Depth,
    depth_seen,
    representation_for,
    settings_for,
)
from preimage.recipes.records import (
    Classes,
    Observer,
    Photo,
    check_seeds,
    check_strength,
    make_record,
    make_result,
    name_of,
    photos_in,
)
from preimage.recipes.settings import Settings
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.canvases import FrameCanvas, SpectralCanvas
from preimage.search.minimise import minimise
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.starts import centred
from preimage.search.step_rules import NormalizedMomentum


@dataclass(frozen=True)
class CaricaturePreset:
    """How a preset of inversion becomes one of caricatures.

    Attributes:
        strength: C of Eq. 1.
        iterations: of the one stage; the paper has no second one without jitter here (Sect. 3.4).
        decay: of that stage's rate.
    """

    strength: float
    iterations: int
    decay: str


CARICATURES: dict[str, CaricaturePreset] = {
    "best": CaricaturePreset(strength=100.0, iterations=150, decay="cosine"),
    "paper": CaricaturePreset(strength=1.0, iterations=300, decay="none"),
    "quick": CaricaturePreset(strength=100.0, iterations=50, decay="cosine"),
}
"""By the name of the preset of inversion that gives canvas, step rule and jitter."""


def caricature_settings(
    representation: Representation,
    preset: str = "best",
    *,
    view: tuple[int, int] | None = None,
    strength: float | None = None,
    iterations: int | None = None,
    jitter: int | None = None,
) -> Settings:
    """A preset's settings for caricatures, with single values replaced.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.
    """
    if preset not in CARICATURES:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, CARICATURES)}")
    chosen = CARICATURES[preset]
    fidelity = chosen.strength if strength is None else strength
    check_strength(fidelity)
    settings = settings_for(representation, preset, view=view, fidelity=fidelity, jitter=jitter)
    if isinstance(settings.canvas, FrameCanvas):
        where = view_for(representation) if view is None else view
        settings = _from_photo(settings, depth_seen(representation, where))
    stage = Stage(chosen.iterations, jitter=settings.jitter, decay=chosen.decay)
    settings = replace(settings, stages=(stage,))
    return settings if iterations is None else settings.scaled_to(iterations)


def _from_photo(settings: Settings, depth: Depth) -> Settings:
    """What suits a search that begins as a photo, where inversion begins as noise.

    The spectrum alone, because with places beside it deep layers cover the photo with a fine grid,
    and one that keeps within 0-255, where the photo is; as steep as suits what the layer sees,
    because the photo's light and colour are there from the start. The layer's own derivatives: soft
    ones ask for what the photo does not excite, in garish colours. Short averages: every iteration
    has another jitter.
    """
    canvas = SpectralCanvas(depth.exponent, range="sigmoid")
    rule = NormalizedMomentum(depth.rate / BESIDE_PLACES, rho=0.9, beta2=0.6)
    return replace(settings, canvas=canvas, step_rule=rule, softening=None)


def caricature(
    representation: Representation,
    images: Photo | Sequence[Photo],
    *,
    preset: str = "best",
    settings: Settings | None = None,
    strength: float | None = None,
    iterations: int | None = None,
    jitter: int | None = None,
    size: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Observer] = (),
) -> Result | list[Result]:
    """An image with the patterns that excite a layer exaggerated, from the image itself (Eq. 4).

    x* = argmin R_α(x) + R_TVβ(x) − C·⟨Φ(x), Φ₀⟩/‖Φ₀‖²,  Φ₀ = max(0, Φ(x₀)),  from x₀

    Unlike `invert`, it begins with the image and asks for more of what is active, all components
    together, rather than for the same.

    Args:
        representation: Φ, any layer of a network, fully connected ones too, or HOG and DSIFT.
        images: a photo (path or PIL image), or several, all in one batch.
        preset: a key of `CARICATURES`; `best` is the default, `paper` the published settings.
        settings: whole settings in place of a preset and of the next three.
        strength: C, how much the exaggeration counts against the natural image prior.
        iterations, jitter: see `Settings`.
        size: where Φ takes images of any size, side of the central square that photos are brought
            to; 256 by default.
        seed: a whole number from 0; only the jitter is drawn from it.
        callbacks: called after every iteration with a `Snapshot`.

    Returns:
        One `Result` for one image, otherwise a list. Its record's `growth` is
        ⟨Φ(x), Φ₀⟩/‖Φ₀‖², 1 for the image itself.

    Raises:
        UsageError: if a preset or a value is unknown or out of range.
        PreimageError: if an image can't be read, or nothing in it excites the layer.

    Source: Mahendran & Vedaldi 2016, Sect. 7; the idea is Google's Inceptionism (2015).

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="block11")
        >>> pi.caricature(phi, "photo.jpg").record["growth"]                 # doctest: +SKIP
    """
    check_seeds(seed, restarts=1)
    view = view_for(representation, size)
    if settings is None:
        settings = caricature_settings(
            representation,
            preset,
            view=view,
            strength=strength,
            iterations=iterations,
            jitter=jitter,
        )
        representation = representation_for(representation, preset)
    targets = [Target.of(representation, photo, view[0]) for photo in photos_in(images)]
    results = _search(representation, targets, settings, view, seed, callbacks)
    return results[0] if isinstance(images, Photo) else results


def excited(code: Tensor) -> tuple[Tensor, Tensor]:
    """Φ₀ = max(0, Φ(x₀)) and Z = ‖Φ₀‖², `[N]`, of codes `[N, ...]`.

    Raises:
        PreimageError: if no component of a code is positive, so that there is nothing to grow.
    """
    weight = code.clamp(min=0)
    normalization = squared_norm(weight)
    if not bool((normalization > 0).all()):
        raise PreimageError(
            "no activation is positive, so there is nothing to exaggerate: "
            "choose another layer or image."
        )
    return weight, normalization


def start_from(image: Tensor, settings: Settings, mean: Sequence[float]) -> Tensor:
    """Parameters of a canvas with the images `[N, C, h, w]` in its centre, zeros around them."""
    height, width = (side + settings.jitter - 1 for side in image.shape[-2:])
    return settings.canvas.parameters_of(centred(image, (height, width)), mean)


def _search(
    representation: Representation,
    targets: Sequence[Target],
    settings: Settings,
    view: tuple[int, int],
    seed: int,
    callbacks: Sequence[Observer],
) -> list[Result]:
    """All images as one batch."""
    weight, normalization = excited(torch.cat([target.code for target in targets]))
    images = torch.cat([target.image for target in targets if target.image is not None])
    outcome = minimise(
        Energy(
            representation,
            loss=InnerProduct(weight, normalization),
            priors=settings.priors,
            fidelity=settings.fidelity,
        ),
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        view=view,
        seeds=[seed] * len(targets),
        start=start_from(images, settings, representation.mean),
        callbacks=callbacks,
    )
    classes = Classes(representation, outcome.view, images)
    loss = outcome.term_names.index("loss")
    results = []
    for problem, target in enumerate(targets):
        record = make_record(
            "caricature",
            representation,
            settings,
            outcome,
            problem,
            code=target.code[0],
            image=target.origin,
            seed=seed,
            restart=0,
            measured={"growth": -float(outcome.terms[problem, loss])},
            classes=classes.record(problem),
            warnings=target.warnings,
        )
        result = make_result(
            record,
            representation,
            outcome,
            problem,
            name=name_of(record["image"], "photo"),
            reference=target.reference,
            image=target.image,
            columns={"growth": -outcome.trace[:, problem, loss].double()},
        )
        results.append(result)
    return results
