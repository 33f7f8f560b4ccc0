"""Presets of maximization: named settings with their sources (docs/maximization.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from preimage.energy import BoundedRange, TotalVariation
from preimage.errors import UsageError, nearest
from preimage.recipes.settings import MaximizationSettings
from preimage.recipes.views import View, view_for
from preimage.representations import Representation
from preimage.search.canvases import BlurredCanvas, PhaseCanvas, PixelCanvas, SpectralCanvas
from preimage.search.stages import Stage
from preimage.search.starts import UniformNoise
from preimage.search.step_rules import Adam, NAdam, WindowedAdaGrad
from preimage.search.views import RandomViews

PAPER_PRIORS = (BoundedRange(alpha=6.0), TotalVariation(beta=2.0))
FAINT = UniformNoise(scale=0.1)


@dataclass(frozen=True)
class MaximizationPreset:
    """A named way to choose settings for a representation.

    Attributes:
        name: what the user types.
        source: where the settings come from.
        settings: settings for what Φ sees (height, width), its T, and whether its code is a map.
    """

    name: str
    source: str
    settings: Callable[[View, int, bool], MaximizationSettings]


def _best(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    if is_map:
        return MaximizationSettings(
            preset="best",
            fidelity=1.0,
            canvas=SpectralCanvas(exponent=1.0, range="sigmoid"),
            step_rule=Adam(0.03),
            stages=(Stage(128, jitter=jitter), Stage(64, decay="cosine")),
            priors=(TotalVariation(beta=2.0),),
        )
    return MaximizationSettings(
        preset="best",
        fidelity=4.0,
        # Colour differences at half the step, or the image ends in the colours of a rainbow.
        canvas=SpectralCanvas(exponent=1.5, range="sigmoid", chroma=0.5),
        step_rule=Adam(0.05),
        stages=(Stage(192), Stage(64, decay="cosine")),
        # A steep spectrum makes objects rather than textures, and would saturate without a bound.
        priors=PAPER_PRIORS,
        views=RandomViews(),
    )


def _paper(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    return MaximizationSettings(
        preset="paper",
        fidelity=1.0,
        canvas=PixelCanvas(B_plus=160.0),
        step_rule=WindowedAdaGrad(eta=view[0] * view[1] * 0.05 * 80.0**2 / 6.0),
        stages=(Stage(300, jitter=jitter),),
        priors=PAPER_PRIORS,
    )


def _simonyan(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    return MaximizationSettings(
        preset="simonyan",
        fidelity=1.0,
        canvas=PixelCanvas(B_plus=None, noise=FAINT),
        step_rule=Adam(1.0),
        stages=(Stage(256),),
        priors=(BoundedRange(alpha=2.0),),
    )


def _yosinski(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    return MaximizationSettings(
        preset="yosinski",
        fidelity=1.0,
        canvas=BlurredCanvas(sigma=1.0, clipped=0.3, noise=FAINT),
        step_rule=Adam(1.0),
        stages=(Stage(256),),
        priors=(BoundedRange(alpha=2.0),),
    )


def _olah(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    return MaximizationSettings(
        preset="olah",
        fidelity=1.0,
        canvas=SpectralCanvas(exponent=1.0, range="sigmoid"),
        step_rule=Adam(0.05, beta1=0.9, beta2=0.999),
        stages=(Stage(256, jitter=13),),
        views=RandomViews(count=1, smallest=0.91, largest=1.11, rotation=5.0, noise=0.0),
    )


def _maco(view: View, jitter: int, is_map: bool) -> MaximizationSettings:
    return MaximizationSettings(
        preset="maco",
        fidelity=1.0,
        canvas=PhaseCanvas(contrast=1.0, range="sigmoid"),
        step_rule=NAdam(0.5),
        stages=(Stage(256),),
        views=RandomViews(),
    )


MAXIMIZATION_PRESETS: tuple[MaximizationPreset, ...] = (
    MaximizationPreset("best", "docs/maximization.md: the most probable and natural here", _best),
    MaximizationPreset("paper", "Mahendran & Vedaldi 2016, Sect. 6.2", _paper),
    MaximizationPreset("simonyan", "Simonyan et al. 2014: an L2 prior on pixels", _simonyan),
    MaximizationPreset("yosinski", "Yosinski et al. 2015: blur, small pixels off, L2", _yosinski),
    MaximizationPreset("olah", "Olah et al. 2017: decorrelated canvas, scale, turn, jitter", _olah),
    MaximizationPreset("maco", "Fel et al. 2023: photos' magnitudes, phases searched", _maco),
)


def maximization_settings_for(
    representation: Representation,
    preset: str = "best",
    *,
    is_map: bool,
    view: View | None = None,
    iterations: int | None = None,
    fidelity: float | None = None,
    jitter: int | None = None,
    diversity: float | None = None,
) -> MaximizationSettings:
    """A preset's settings for a representation, with single values replaced.

    Args:
        representation: Φ; it suggests T.
        preset: a name of `MAXIMIZATION_PRESETS`.
        is_map: whether a code has positions, `[D, h, w]`.
        view: height and width of what Φ sees; by default its own.
        iterations: total; the stages are scaled to it.
        fidelity, diversity: see `MaximizationSettings`.
        jitter: T, in place of the one that the preset takes from the representation.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.
    """
    table = {entry.name: entry for entry in MAXIMIZATION_PRESETS}
    if preset not in table:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, list(table))}")
    settings = table[preset].settings(
        view_for(representation) if view is None else view,
        representation.defaults.jitter,
        is_map,
    )
    if jitter is not None:
        first, *others = settings.stages
        settings = replace(settings, stages=(replace(first, jitter=jitter), *others))
    if iterations is not None:
        settings = settings.scaled_to(iterations)
    return replace(
        settings,
        fidelity=settings.fidelity if fidelity is None else fidelity,
        diversity=settings.diversity if diversity is None else diversity,
    )
