"""Presets: named settings with their sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from preimage.errors import UsageError, nearest
from preimage.recipes.settings import Settings
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.canvases import PixelCanvas, SpectralCanvas
from preimage.search.stages import Stage
from preimage.search.step_rules import Adam, WindowedAdaGrad

View = tuple[int, int]


@dataclass(frozen=True)
class Preset:
    """A named way to choose settings for a representation.

    Attributes:
        name: what the user types.
        source: where the settings come from.
        settings: settings for a representation, the height and width of what it sees, and its C, T
            and α.
    """

    name: str
    source: str
    settings: Callable[[Representation, View, float, int, float], Settings]


def _paper(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    return Settings(
        preset="paper",
        fidelity=fidelity,
        jitter=jitter,
        alpha=alpha,
        canvas=PixelCanvas(B_plus=160.0),
        step_rule=WindowedAdaGrad(eta=view[0] * view[1] * 0.05 * 80.0**2 / alpha),
        stages=(Stage(300, jitter=jitter), Stage(50, rate=0.1)),
    )


def _best(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    return Settings(
        preset="best",
        fidelity=fidelity,
        jitter=jitter,
        alpha=alpha,
        B_plus=None,
        canvas=SpectralCanvas(exponent=1.25),
        step_rule=Adam(0.02),
        stages=(Stage(60, jitter=jitter), Stage(290, decay="cosine")),
    )


def _quick(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    settings = _best(representation, view, fidelity, jitter, alpha).scaled_to(100)
    return replace(settings, preset="quick")


PRESETS: tuple[Preset, ...] = (
    Preset("best", "docs/solvers.md: the lowest energy known here in 350 iterations", _best),
    Preset("paper", "Mahendran & Vedaldi 2016, Algorithm 1, and the authors' program", _paper),
    Preset("quick", "docs/solvers.md: `best` in 100 iterations", _quick),
)


def settings_for(
    representation: Representation,
    preset: str = "best",
    *,
    view: View | None = None,
    iterations: int | None = None,
    fidelity: float | None = None,
    jitter: int | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    neighbourhood: int | None = None,
    channels: tuple[int, int] | None = None,
) -> Settings:
    """A preset's settings for a representation, with single values replaced.

    Args:
        representation: Φ; it suggests C and T.
        preset: a name of `PRESETS`.
        view: height and width of the images; by default Φ's own, or else the default of `invert`.
        iterations: total; the stages are scaled to it.
        fidelity, jitter, alpha, beta, neighbourhood, channels: see `Settings`.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.

    Example:
        >>> import preimage as pi
        >>> phi = pi.representation("efficientnet-lite0", layer="block05")
        >>> settings_for(phi, "paper").stages[0].iterations
        300
    """
    table = {entry.name: entry for entry in PRESETS}
    if preset not in table:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, list(table))}")
    defaults = representation.defaults
    settings = table[preset].settings(
        representation,
        view_for(representation) if view is None else view,
        defaults.fidelity if fidelity is None else fidelity,
        defaults.jitter if jitter is None else jitter,
        6.0 if alpha is None else alpha,
    )
    if iterations is not None:
        settings = settings.scaled_to(iterations)
    return replace(
        settings,
        beta=settings.beta if beta is None else beta,
        neighbourhood=neighbourhood,
        channels=channels,
    )
