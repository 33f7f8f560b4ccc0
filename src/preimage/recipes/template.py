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

from preimage.errors import UsageError, nearest
from preimage.recipes.records import Observer, check_seeds
from preimage.recipes.settings import Settings, check_overrides
from preimage.recipes.template_result import check_hog, template_result
from preimage.recipes.template_search import jointly, searching, separately
from preimage.recipes.template_subject import Subject, subject_of
from preimage.recipes.views import View
from preimage.representations import Representation, representation
from preimage.search.canvases import PixelCanvas, SpectralCanvas
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.step_rules import NormalizedMomentum, WindowedAdaGrad

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
    check_overrides(overrides, template, template_settings)
    check_seeds(seed, 1)
    joint = part is None and preset != "paper" if joint is None else joint
    subject = subject_of(file, component, part, joint)
    if settings is None:
        settings = template_settings(subject.view, preset, **overrides)
    elif overrides or preset != "best":
        raise UsageError("give either whole settings or a preset with overrides, not both.")
    hog = representation("hog", cell=subject.cell).to(device)
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
    hog = check_hog(subject, hog)
    find = jointly if subject.joint else separately
    found = find(subject, hog, settings, seed, searching(settings, callbacks))
    return template_result(subject, hog, settings, found, seed)
