"""Textures and styles: cross-channel correlations of several layers (Eq. 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from preimage.energy import Energy, Euclidean, Gram, Together
from preimage.errors import PreimageError, UsageError, counted, nearest
from preimage.images import as_picture, load_photo, to_pixels
from preimage.models import catalogue as models
from preimage.recipes.records import (
    Observer,
    Photo,
    check_seeds,
    make_record,
    make_result,
    name_of,
    origin,
)
from preimage.recipes.settings import Settings
from preimage.recipes.views import SIZE, check_representation
from preimage.representations import SeveralLayers
from preimage.representations.catalogue import check_listed
from preimage.search.canvases import BoxCanvas, Canvas, SpectralCanvas
from preimage.search.lbfgs import LBFGS
from preimage.search.minimise import Outcome, minimise
from preimage.search.result import Result
from preimage.search.stages import Stage

TEXTURE_LAYERS: dict[str, tuple[str, ...]] = {
    "vgg16": ("relu1_1", "pool1", "pool2", "pool3", "pool4"),
    "alexnet": ("relu1", "relu2", "relu3"),
    "efficientnet-lite0": ("stem", "block01", "block03", "block05"),
}
"""By architecture, the layers whose correlations make a texture; vgg16's are Gatys et al.'s."""

STYLE_LAYERS: dict[str, tuple[str, ...]] = {
    "vgg16": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "alexnet": ("relu1", "relu2", "relu3", "relu4"),
    "efficientnet-lite0": ("stem", "block01", "block03", "block05"),
}
CONTENT_LAYER: dict[str, str] = {
    "vgg16": "relu4_2",
    "alexnet": "relu5",
    "efficientnet-lite0": "block07",
}
"""By architecture, the layer whose code a style transfer keeps."""


@dataclass(frozen=True)
class TexturePreset:
    """How a texture is searched.

    Attributes:
        canvas: what is searched.
        first_step: length of L-BFGS's first step in the canvas's units.
        source: where the settings come from.
    """

    canvas: Canvas
    first_step: float
    source: str


TEXTURES: dict[str, TexturePreset] = {
    "best": TexturePreset(
        SpectralCanvas(exponent=0.7, amplitude=0.1, range="sigmoid"),
        first_step=5.0,
        source="docs/texture.md: L-BFGS on spectral coefficients, the lowest loss known here",
    ),
    "gatys": TexturePreset(
        BoxCanvas(), first_step=100.0, source="Gatys et al. 2015: L-BFGS on pixels within bounds"
    ),
}

TEXTURE_FIDELITY = 1e5
"""C for textures: the prior's few units must not count against a thousandth of the loss; Gatys et
al. have no prior at all."""
STYLE_FIDELITY = 300.0
"""C for styles: that of an inversion, which a style transfer is."""
STYLE_WEIGHT = 3.0
ITERATIONS, STYLE_ITERATIONS = 150, 100
"""Of a texture, from noise; and of a style, which begins with the photo."""


def texture_settings(
    preset: str = "best",
    *,
    fidelity: float = TEXTURE_FIDELITY,
    iterations: int = ITERATIONS,
    weights: Sequence[float] | None = None,
) -> Settings:
    """A preset's settings for textures and styles.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.
    """
    if preset not in TEXTURES:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, TEXTURES)}")
    chosen = TEXTURES[preset]
    return Settings(
        preset=preset,
        fidelity=fidelity,
        canvas=chosen.canvas,
        step_rule=LBFGS(chosen.first_step),
        stages=(Stage(iterations),),
        weights=None if weights is None else tuple(weights),
    )


Layers = TypeVar("Layers", str, tuple[str, ...])


def layers_for(model: str, table: Mapping[str, Layers]) -> Layers:
    """The layers that a table has for a network.

    Raises:
        UsageError: if there is no such network, or it is not in the table.

    Example:
        >>> layers_for("vgg16.torchvision", CONTENT_LAYER)
        'relu4_2'
    """
    check_listed(model)
    architecture = models.resolve(model).architecture.name
    if architecture not in table:
        raise UsageError(f"{model} has no layers by default here: name them.")
    return table[architecture]


def texture(
    representation: SeveralLayers,
    image: Photo,
    *,
    size: int | tuple[int, int] = SIZE,
    source_size: int = SIZE,
    preset: str = "best",
    settings: Settings | None = None,
    weights: Sequence[float] | None = None,
    iterations: int = ITERATIONS,
    seed: int = 0,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """A new image with an image's texture, from noise (Eq. 8).

    x* = argmin R_α(x) + R_TVβ(x) + C·Σ_l w_l ‖ψ∘Φ_l(x) − ψ∘Φ_l(x_tex)‖²_F/‖ψ∘Φ_l(x_tex)‖²_F

    Unlike `invert`, it asks which features occur together, and not where.

    Args:
        representation: the layers, from `several_layers`.
        image: the texture, a path or a PIL image.
        size: side of the new image, or its height and width, in pixels.
        source_size: side of the central square that the photo is brought to.
        preset: a key of `TEXTURES`.
        settings: whole settings in place of a preset, weights and iterations.
        weights: w_l, one a layer; by default all 1.
        iterations: of L-BFGS, one evaluation each.
        seed: a whole number from 0.
        callbacks: called after every iteration with a `Snapshot`.

    Returns:
        A `Result`; its record's `part_of_start` is the final loss over the start's, and
        `gram_errors` has ‖ψ∘Φ_l − ψ∘Φ_l(x_tex)‖/‖ψ∘Φ_l(x_tex)‖ by layer.

    Raises:
        UsageError: if the sizes are smaller than what the deepest layer sees, or a setting is
            unknown or out of range.
        PreimageError: if the image can't be read or is smaller than that.

    Source: Gatys, Ecker & Bethge, *Texture synthesis using CNNs* (2015).

    Example:
        >>> import preimage as pi
        >>> phi = pi.several_layers("vgg16", ["relu1_1", "pool1", "pool2"])  # doctest: +SKIP
        >>> pi.texture(phi, "grass.jpg", size=512).save("out")               # doctest: +SKIP
    """
    check_representation(representation)
    check_seeds(seed, restarts=1)
    view = (size, size) if isinstance(size, int) else size
    check_sizes(representation, (*view, source_size))
    if settings is None:
        settings = texture_settings(preset, iterations=iterations, weights=weights)
    source = _photo(representation, image, source_size)
    file = origin(image)
    with torch.no_grad():
        codes = representation.codes(source.to(representation.device))
    loss = Together(
        [Gram(code) for code in codes],
        representation.shapes(view),
        _weights(settings, len(codes)),
    )
    outcome = _minimise(representation, loss, settings, view, seed, callbacks)
    final, start = float(outcome.terms[0, 1]), float(outcome.trace[0, 0, 1])
    return _result(
        "texture",
        representation,
        settings,
        outcome,
        loss,
        image=file,
        source=source,
        seed=seed,
        measured={
            "part_of_start": final / start,
            "gram_errors": _errors(representation, loss, outcome, representation.layers),
        },
    )


def style(
    representation: SeveralLayers,
    content: Photo,
    style_image: Photo,
    *,
    size: int = SIZE,
    preset: str = "best",
    settings: Settings | None = None,
    weight: float = STYLE_WEIGHT,
    iterations: int = STYLE_ITERATIONS,
    seed: int = 0,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """A photo's content in another picture's style: inversion with a texture as its prior.

    x* = argmin R_α(x) + R_TVβ(x) + C·(‖Φ_1(x) − Φ_1(x₀)‖²/‖Φ_1(x₀)‖² + w·mean_l ℓ_l(x)),  from x₀,

    ℓ_l as in `texture`.

    Args:
        representation: the content's layer, then the style's layers, from `several_layers`.
        content, style_image: paths or PIL images.
        size: side of the central squares that both are brought to, and of the result.
        preset, settings, iterations, callbacks: see `texture`.
        weight: w, how much the style counts against the content.
        seed: of no consequence but for the record: the search starts from the photo.

    Returns:
        A `Result`; its record has `content_error`, and `gram_errors` by layer of the style.

    Raises:
        UsageError: if there are not at least two layers, or as `texture`.
        PreimageError: if an image can't be read or is too small.

    Source: Gatys, Ecker & Bethge, *A neural algorithm of artistic style* (2015).

    Example:
        >>> import preimage as pi
        >>> phi = pi.several_layers("vgg16", ["relu4_2", "relu1_1", "relu2_1"])   # doctest: +SKIP
        >>> pi.style(phi, "house.jpg", "painting.jpg").save("out")                # doctest: +SKIP
    """
    check_representation(representation)
    check_seeds(seed, restarts=1)
    check_sizes(representation, (size,))
    count = len(representation.layers) - 1
    if count < 1:
        raise UsageError("a style needs a layer for the content and one or more for the style.")
    if settings is None:
        weights = (1.0, *[weight / count] * count)
        settings = texture_settings(
            preset, fidelity=STYLE_FIDELITY, iterations=iterations, weights=weights
        )
    photo, other = (_photo(representation, each, size) for each in (content, style_image))
    files = [origin(each) for each in (content, style_image)]
    with torch.no_grad():
        kept = representation.codes(photo.to(representation.device))[0]
        codes = representation.codes(other.to(representation.device))[1:]
    loss = Together(
        [Euclidean(kept), *(Gram(code) for code in codes)],
        representation.shapes((size, size)),
        _weights(settings, count + 1),
    )
    start = settings.canvas.parameters_of(photo, representation.mean)
    outcome = _minimise(representation, loss, settings, (size, size), seed, callbacks, start)
    errors = _errors(representation, loss, outcome, representation.layers)
    result = _result(
        "style",
        representation,
        settings,
        outcome,
        loss,
        image=files[0],
        source=photo,
        seed=seed,
        title=f"{representation.model}\ncontent {representation.layers[0]}\n"
        f"style {', '.join(representation.layers[1:])}",
        measured={
            "style": files[1],
            "content_error": errors.pop(representation.layers[0]),
            "gram_errors": errors,
        },
    )
    return replace(result, beside={"style": as_picture(to_pixels(other, representation.mean))})


def check_sizes(representation: SeveralLayers, sizes: Sequence[int]) -> None:
    """Refuse images in which the deepest layer's components see nothing but border.

    Raises:
        UsageError: if a size is no whole number, or below the receptive field.
    """
    least = 1 if representation.geometry is None else representation.geometry.receptive_field
    for size in sizes:
        if not isinstance(size, int) or size < least:
            raise UsageError(
                f"{representation.name} sees {least} pixels at once, so images need at least "
                f"{least}, got {size!r}: give a larger size or shallower layers."
            )


def _photo(representation: SeveralLayers, image: Photo, size: int) -> Tensor:
    picture = load_photo(image, None)
    least = 1 if representation.geometry is None else representation.geometry.receptive_field
    if min(picture.size) < least:
        raise PreimageError(
            f"{image if not isinstance(image, Image.Image) else 'the image'}: expected at least "
            f"{least} pixels, as much as {representation.name} sees at once, got "
            f"{picture.width}x{picture.height}: give a larger image or shallower layers."
        )
    return representation.photo(picture, size)


def _weights(settings: Settings, count: int) -> tuple[float, ...]:
    weights = (1.0,) * count if settings.weights is None else settings.weights
    if len(weights) != count or not math.fsum(weights) > 0:
        raise UsageError(
            f"expected {counted(count, 'weight')}, one a layer and not all zero, got "
            f"{', '.join(f'{weight:g}' for weight in weights) or 'none'}."
        )
    return weights


def _minimise(
    representation: SeveralLayers,
    loss: Together,
    settings: Settings,
    view: tuple[int, int],
    seed: int,
    callbacks: Sequence[Observer],
    start: Tensor | None = None,
) -> Outcome:
    return minimise(
        Energy(representation, loss=loss, priors=settings.priors, fidelity=settings.fidelity),
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        seeds=[seed],
        view=view,
        start=start,
        callbacks=callbacks,
    )


@torch.no_grad()
def _errors(
    representation: SeveralLayers, loss: Together, outcome: Outcome, names: Sequence[str]
) -> dict[str, float]:
    """Relative error of each layer's correlations or code, not squared, by its name."""
    values = loss.values(representation(outcome.view))[0]
    return dict(zip(names, values.sqrt().tolist(), strict=True))


def _result(
    task: str,
    representation: SeveralLayers,
    settings: Settings,
    outcome: Outcome,
    loss: Together,
    *,
    image: dict[str, str] | None,
    source: Tensor,
    seed: int,
    measured: Mapping[str, object],
    title: str = "",
) -> Result:
    record = make_record(
        task,
        representation,
        settings,
        outcome,
        0,
        code=torch.empty(sum(loss.lengths), device="meta"),
        image=image,
        seed=seed,
        restart=0,
        measured=measured,
        classes=None,
    )
    return make_result(
        record,
        representation,
        outcome,
        0,
        name=name_of(record["image"], task),
        title=title,
        reference=as_picture(to_pixels(source, representation.mean)),
    )
