"""Fooling: a small change that gives one image another one's code (Sect. 2.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from preimage.energy import Distance, Energy, Euclidean
from preimage.images import as_picture, to_pixels
from preimage.recipes.inversion import Target
from preimage.recipes.records import (
    Classes,
    Observer,
    Photo,
    check_seeds,
    make_record,
    make_result,
    name_of,
)
from preimage.recipes.settings import Settings
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.canvases import BoxCanvas
from preimage.search.lbfgs import LBFGS
from preimage.search.minimise import minimise
from preimage.search.result import Result
from preimage.search.stages import Stage

FIDELITY = 100.0
"""C: at a code error of 10 %, the loss weighs as much as a change of one grey level a pixel."""
ITERATIONS = 200
FIRST_STEP = 50.0
"""Euclidean length of the first change, in grey levels: a tenth of one for each pixel."""


def fool_settings(fidelity: float = FIDELITY, iterations: int = ITERATIONS) -> Settings:
    """Settings of `fool`; those of the natural image prior are not used.

    Raises:
        UsageError: if a value is out of range.
    """
    return Settings(
        preset="best",
        fidelity=fidelity,
        canvas=BoxCanvas(),
        step_rule=LBFGS(FIRST_STEP),
        stages=(Stage(iterations),),
    )


def fool(
    representation: Representation,
    image: Photo,
    other: Photo,
    *,
    settings: Settings | None = None,
    fidelity: float = FIDELITY,
    iterations: int = ITERATIONS,
    size: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """An image changed as little as possible, with the code of another one.

    x* = argmin 1/(H·W)·‖x − x₀‖² + C·‖Φ(x) − Φ(y)‖²/‖Φ(y)‖²,  0 ≤ x + mean ≤ 255,  from x₀

    Unlike `invert`, whose pre-images are natural, this finds the unnatural ones: what the layer
    takes for `other` need not look like it at all.

    Args:
        representation: Φ.
        image: x₀, a path or a PIL image.
        other: y, whose code is wanted.
        settings: whole settings in place of the next two.
        fidelity: C, how much the code counts against the change, which is in squared grey levels.
        iterations: of L-BFGS, one evaluation each.
        size: where Φ takes images of any size, side of the central square that both are brought
            to; 256 by default.
        seed: of no consequence but for the record: the search starts from the image.
        callbacks: called after every iteration with a `Snapshot`.

    Returns:
        A `Result`. Its record has `relative_error`, ‖Φ(x) − Φ(y)‖/‖Φ(y)‖; `before`, the same of x₀;
        and `change`: `rms` and `largest` in grey levels, `psnr` in dB (null for no change), all of
        the picture as saved.

    Raises:
        UsageError: if a value is out of range.
        PreimageError: if an image can't be read.

    Source: Szegedy et al. 2013 for networks, Tatu et al. 2011 for HOG.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="block15")
        >>> pi.fool(phi, "fox.jpg", "gong.jpg").record["change"]             # doctest: +SKIP
    """
    check_seeds(seed, restarts=1)
    view = view_for(representation, size)
    settings = fool_settings(fidelity, iterations) if settings is None else settings
    ours, theirs = (Target.of(representation, photo, view[0]) for photo in (image, other))
    assert ours.image is not None  # of a photo there always is one
    assert ours.reference is not None
    assert theirs.reference is not None
    start = ours.image.to(representation.device)
    loss = Euclidean(theirs.code)
    outcome = minimise(
        Energy(representation, loss=loss, priors=(Distance(start),), fidelity=settings.fidelity),
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        view=view,
        seeds=[seed],
        start=settings.canvas.parameters_of(start, representation.mean),
        callbacks=callbacks,
    )
    squared = float(outcome.terms[0, outcome.term_names.index("loss")])
    record = make_record(
        "fool",
        representation,
        settings,
        outcome,
        0,
        code=theirs.code[0],
        image=ours.origin,
        seed=seed,
        restart=0,
        measured={
            "as": theirs.origin,
            "relative_error": math.sqrt(squared),
            "squared_error": squared,
            "before": math.sqrt(float(loss.value(ours.code))),
            "change": change_of(outcome.view, start),
        },
        classes=Classes(representation, outcome.view, start).record(0),
        warnings=list(dict.fromkeys([*ours.warnings, *theirs.warnings])),
    )
    return make_result(
        record,
        representation,
        outcome,
        0,
        name=name_of(record["image"], "photo"),
        reference=ours.reference,
        columns={"relative_error": outcome.trace[:, 0, 1].double().sqrt()},
        beside={"as": theirs.reference, "difference-stretched": difference_of(outcome.view, start)},
    )


def change_of(image: Tensor, reference: Tensor) -> dict[str, float | None]:
    """How far a picture is from another, in whole grey levels as they are saved.

    Args:
        image, reference: `[1, C, H, W]` on the same canvas scale.

    Returns:
        `rms` and `largest` in grey levels; `psnr` = 20·log₁₀(255/rms) in dB, None for no change.

    Example:
        >>> import torch
        >>> change_of(torch.full((1, 1, 2, 2), 5.0), torch.zeros(1, 1, 2, 2))
        {'rms': 5.0, 'largest': 5.0, 'psnr': 34.15140352195873}
    """
    # References hold whole grey levels, so the rounded difference is the saved one.
    difference = (image - reference).double().round()
    rms = float(difference.square().mean().sqrt())
    psnr = 20 * math.log10(255 / rms) if rms else None
    return {"rms": rms, "largest": float(difference.abs().max()), "psnr": psnr}


def difference_of(image: Tensor, reference: Tensor) -> Image.Image:
    """The change as a picture around middle grey, its contrast stretched to be seen."""
    difference = image - reference
    largest = float(difference.abs().max()) or 1.0
    return as_picture(to_pixels(difference * (127.5 / largest), (127.5,) * image.shape[1]))
