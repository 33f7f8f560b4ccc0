"""Templates of HOG detectors: images that a deformable part model likes best (Sect. 6.1, Fig. 15).

Every filter w of a component has a score, ⟨w, Φ_HOG(x)⟩; its image maximizes it under the natural
image prior. The root's image is laid out at twice its size and the parts' images at their places
over it, as the detector does; or root and parts are maximized at once, in one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from preimage.errors import PreimageError, UsageError, nearest
from preimage.images import Tile, as_picture, stretch
from preimage.recipes.records import Observer, check_seeds, make_record, make_result, origin
from preimage.recipes.settings import Settings
from preimage.recipes.template_search import Found, jointly, separately
from preimage.recipes.template_subject import Layout, Subject, View
from preimage.representations import Representation, representation
from preimage.representations.glyphs import GLYPH, draw_glyphs
from preimage.representations.grey import MEAN_GREY
from preimage.representations.hog import Hog
from preimage.search.canvases import PixelCanvas, SpectralCanvas
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.step_rules import NormalizedMomentum, WindowedAdaGrad
from preimage.weights.dpm import read_dpm

__all__ = ["PRESETS", "Layout", "Subject", "template", "template_settings", "visualize"]

PRESETS = ("best", "paper")


def template_settings(
    view: View,
    preset: str = "best",
    *,
    fidelity: float | None = None,
    iterations: int | None = None,
) -> Settings:
    """Settings for the filters of a component.

    Args:
        view: height and width of the root's image, or of the whole in a joint search.
        preset: `paper`, Algorithm 1 on pixels without the last 50 iterations, as Sect. 3.4 says of
            maximization; or `best`, a grey spectral canvas (docs/templates.md).
        fidelity: C. Eq. 9 divides the loss by ρ², the priors are means over the image; so it is
            C = ρ² that makes them comparable (Sect. 3.3), which is `paper`'s.
        iterations: total; the stages are scaled to it.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.

    Example:
        >>> template_settings((56, 88), "paper").iterations
        300
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, PRESETS)}")
    settings = _paper(view) if preset == "paper" else _best(view)
    if fidelity is not None:
        settings = replace(settings, fidelity=fidelity)
    return settings if iterations is None else settings.scaled_to(iterations)


def _paper(view: View) -> Settings:
    return Settings(
        preset="paper",
        fidelity=float(max(view) ** 2),
        canvas=PixelCanvas(B_plus=160.0),
        step_rule=WindowedAdaGrad(eta=view[0] * view[1] * 0.05 * 80.0**2 / 6.0),
        stages=(Stage(300),),
    )


def _best(view: View) -> Settings:
    return Settings(
        preset="best",
        fidelity=10.0 * max(view) ** 2,
        canvas=SpectralCanvas(exponent=2.0, amplitude=0.01, range="linear"),
        step_rule=NormalizedMomentum(0.02),
        stages=(Stage(200), Stage(100, decay="cosine")),
    )


def template(
    file: str | Path,
    component: int,
    *,
    part: int | None = None,
    joint: bool | None = None,
    preset: str = "best",
    settings: Settings | None = None,
    seed: int = 0,
    device: str = "cpu",
    callbacks: Sequence[Observer] = (),
    **overrides: Any,
) -> Result:
    """The image that a component of a deformable part model likes best (Sect. 6.1, Fig. 15).

    x* = argmin R_α(x) + R_TVβ(x) − C·⟨w, Φ_HOG(x)⟩/Z,  Z = M·ρ²,  M = ⟨|w|, Φ_HOG(noise)⟩

    with ρ the longer side of the image in pixels (Eq. 9). Unlike inversion of max(0, w), it follows
    negative weights too.

    Args:
        file: a model of voc-release5, `CLASS_final.mat`.
        component: its number, from 1.
        part: number of one part, from 1, to show it alone.
        joint: search for one image at the parts' resolution for the sum of all scores; the root
            sees it at half its size. Otherwise each filter has an image of its own, and the parts'
            are laid over the root's. By default joint, but separate with `paper` and for one part.
        preset: `best` or `paper`.
        settings: whole settings in place of a preset.
        seed: a whole number from 0; part p on its own starts from seed + p.
        device: where to compute.
        callbacks: called after every iteration with a `Snapshot`.
        overrides: `fidelity` and `iterations` in place of the preset's.

    Returns:
        A `Result`; its record's `score` is what the composition, or the part, scores at its place
        without the bias.

    Raises:
        UsageError: if a preset or a value is unknown or out of range, or the model has no such
            component or part.
        PreimageError: if the file is no such model.

    Example:
        >>> import preimage as pi
        >>> pi.template("bicycle_final.mat", 2, joint=True).save("out")      # doctest: +SKIP
    """
    check_seeds(seed, 1)
    model = read_dpm(Path(file))
    subject = Subject(
        name=model.name,
        cell=model.cell,
        number=component,
        component=model.component(component),
        part=part,
        joint=part is None and preset != "paper" if joint is None else joint,
        file=origin(file),
    )
    if settings is None:
        settings = template_settings(subject.view, preset, **overrides)
    elif overrides or preset != "best":
        raise UsageError("give either whole settings or a preset with overrides, not both.")
    hog = representation("hog", cell=model.cell).to(device)
    return visualize(subject, hog, settings, seed, callbacks)


def visualize(
    subject: Subject,
    hog: Representation,
    settings: Settings,
    seed: int,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """The result for a subject; see `template`.

    Raises:
        PreimageError: if Φ is not HOG with the subject's cells.
    """
    if not isinstance(hog, Hog) or hog.cell != subject.cell:
        raise PreimageError(f"the model's filters are for hog with cells of {subject.cell} pixels.")
    if subject.joint:
        found = jointly(subject, hog, settings, seed, callbacks)
    else:
        found = separately(subject, hog, settings, seed, callbacks)
    code = torch.from_numpy(subject.code)
    record = make_record(
        "template",
        hog,
        settings,
        found.outcome,
        0,
        code=code,
        image=None,
        seed=seed,
        restart=0,
        measured={
            "template": subject.to_record(),
            "score": found.score,
            "noise_score": found.noise_score,
            "filters": found.filters,
        },
        classes=None,
    )
    result = make_result(record, hog, found.outcome, 0, name=subject.title, code=code)
    return replace(result, panels=_panels(subject, result, found))


def _panels(subject: Subject, result: Result, found: Found) -> tuple[Tile, ...]:
    """The figure: filters as glyphs, the root's image where it has one, and the whole."""
    stretched = "contrast stretched"
    name, value = result.headline
    own = found.filters[0]["score"]
    shown = _stretched(found.outcome.view[0])
    if subject.part is not None:
        weights = subject.component.parts[subject.part - 1].filter
        return (
            Tile(_glyphs(weights), "filter", "positive weights"),
            Tile(shown, subject.title, f"{name} {value}; {stretched}"),
        )
    tiles = [Tile(_glyphs(subject.component.root), "root filter", "positive weights")]
    if found.root is not None:
        seen = "the whole at half its size" if subject.joint else f"score {own:.2f}"
        tiles.append(Tile(_stretched(found.root[0]), "root", f"{seen}; {stretched}"))
    how = "searched at once" if subject.joint else "each searched alone"
    tiles.append(Tile(_glyphs_of_all(subject), "with parts", "positive weights"))
    tiles.append(Tile(shown, subject.title, f"{name} {value}; {how}; {stretched}"))
    return tuple(tiles)


TAIL = 0.005
"""Of the pixels at either end, which a stretched picture shows black or white alike: a few extremes
would leave little contrast for the rest."""


def _stretched(image: Tensor) -> Image.Image:
    ends = torch.quantile(image, torch.tensor([TAIL, 1 - TAIL]))
    return as_picture(stretch(image.clamp(*ends.tolist()), (MEAN_GREY,)))


def _glyphs(weights: np.ndarray, side: int = GLYPH) -> Image.Image:
    return draw_glyphs(np.maximum(weights, 0), side)


def _glyphs_of_all(subject: Subject) -> Image.Image:
    """The parts' glyphs laid over the root's, whose cells are twice as large."""
    layout = Layout.of(subject.component)
    whole = Image.new("L", (layout.columns * GLYPH, layout.rows * GLYPH))
    every = [(_glyphs(subject.component.root, 2 * GLYPH), layout.root)]
    for part, place in zip(subject.component.parts, layout.parts, strict=True):
        every.append((_glyphs(part.filter), place))
    for glyphs, (row, column) in every:
        whole.paste(glyphs, (column * GLYPH, row * GLYPH))
    return whole
