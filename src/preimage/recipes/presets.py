"""Presets: named settings with their sources."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from preimage.errors import UsageError, nearest
from preimage.recipes.settings import Settings
from preimage.recipes.views import View, view_for
from preimage.representations import Representation
from preimage.representations.catalogue import hand_crafted
from preimage.search.canvases import FrameCanvas, PixelCanvas, PyramidCanvas
from preimage.search.softening import Softening
from preimage.search.stages import Stage
from preimage.search.step_rules import NormalizedMomentum, WindowedAdaGrad


@dataclass(frozen=True)
class Preset:
    """A named way to choose settings for a representation.

    Attributes:
        name: what the user types.
        source: where the settings come from.
        settings: settings for a representation, the height and width of what it sees, and its C, T
            and α.
        published: search with the derivatives the paper had, where Φ leaves the choice open.
    """

    name: str
    source: str
    settings: Callable[[Representation, View, float, int, float], Settings]
    published: bool = False


def _paper(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    with_jitter, without = Stage(300, jitter=jitter), Stage(50, rate=0.1)
    # The last 50 undo the jitter, which the paper's inversions of HOG and DSIFT do without.
    still = jitter == 1 and hand_crafted(representation.model) is not None
    return Settings(
        preset="paper",
        fidelity=fidelity,
        alpha=alpha,
        canvas=PixelCanvas(B_plus=160.0),
        step_rule=WindowedAdaGrad(eta=view[0] * view[1] * 0.05 * 80.0**2 / alpha),
        stages=(with_jitter,) if still else (with_jitter, without),
    )


@dataclass(frozen=True)
class Depth:
    """What `best` searches for the layers that see no more than a part of the input.

    Attributes:
        seen: up to this part of the input's side is seen by a component (receptive field / side).
        exponent, range: of the canvas.
        rate: of the step rule.
        pooling: how soft the derivative of max pooling is at first.
    """

    seen: float
    exponent: float
    range: str
    rate: float
    pooling: float


DEPTHS: tuple[Depth, ...] = (
    Depth(seen=0.1, exponent=1.5, range="linear", rate=0.015, pooling=10),
    Depth(seen=0.35, exponent=1.5, range="sigmoid", rate=0.03, pooling=10),
    Depth(seen=0.5, exponent=1.5, range="sigmoid", rate=0.0225, pooling=10),
    Depth(seen=0.65, exponent=1.35, range="sigmoid", rate=0.0225, pooling=10),
    Depth(seen=0.8, exponent=1.2, range="sigmoid", rate=0.0225, pooling=1),
    Depth(seen=1.0, exponent=1.2, range="sigmoid", rate=0.0225, pooling=0.03),
    Depth(seen=math.inf, exponent=1.0, range="sigmoid", rate=0.015, pooling=1),
)
"""Chosen by measurement (docs/solvers.md).

The first layers fix the colours themselves, black and white too, which a sigmoid only approaches;
below them it reaches strong colours in fewer steps. A steep spectrum moves the low frequencies
fast, which suits a layer that fixes them; a deep layer leaves them open: they must not run ahead.
Far from the image, the mean of max pooling's windows says too little about their maximum, and the
last pooling (AlexNet's pool5) had better keep nearly its own derivative. Where the geometry is not
known, a layer is taken to see what that one sees.
"""

EARLY_FROM = 0.5
EARLY: tuple[Depth, ...] = (
    Depth(seen=1.7, exponent=1.5, range="sigmoid", rate=0.015, pooling=1),
    Depth(seen=math.inf, exponent=1.2, range="sigmoid", rate=0.015, pooling=1),
)
"""For layers that see more of the input than `EARLY_FROM`, but come early in their network.

Chosen by measurement on EfficientNet-Lite0 (docs/solvers.md): the codes of such layers fix light
and colour, which the low frequencies carry; on 7x7 places (from block12 on) less firmly.
"""


@dataclass(frozen=True)
class HandCraftedSearch:
    """What `best` searches for a hand-crafted code: a pyramid, with a falling rate from the start.

    Attributes:
        models: whose codes.
        step_rule: its steps.
    """

    models: tuple[str, ...]
    step_rule: NormalizedMomentum


PYRAMIDS: tuple[HandCraftedSearch, ...] = (
    HandCraftedSearch(
        ("hog",), NormalizedMomentum(0.6, rho=0.8, beta2=0.9, growth=0.02, ahead=0.6)
    ),
    HandCraftedSearch(
        ("hogb", "hog-relu", "dsift"),
        NormalizedMomentum(0.5, rho=2 / 3, beta2=0.6, growth=0.25, ahead=0.12),
    ),
)
"""Chosen by measurement (docs/hand_crafted.md).

The derivative of hard bins is not that of the code: a step in a wrong direction must not live long
in the momentum. The other codes have no such noise, and a long memory gets further.
"""


def _hand_crafted_best(
    search: HandCraftedSearch, fidelity: float, jitter: int, alpha: float
) -> Settings:
    falling = Stage(300, decay="cosine")
    with_jitter = (Stage(100, jitter=jitter), replace(falling, iterations=200))
    return Settings(
        preset="best",
        fidelity=fidelity,
        alpha=alpha,
        canvas=PyramidCanvas(amplitude=1.0),
        step_rule=search.step_rule,
        stages=(falling,) if jitter == 1 else with_jitter,
    )


def depth_seen(representation: Representation, view: View) -> Depth:
    """The row of `DEPTHS` for the part of the image that a layer's components see."""
    seen = _seen(representation, view)
    return next(depth for depth in DEPTHS if seen <= depth.seen)


def _depth_of(representation: Representation, view: View) -> Depth:
    seen = _seen(representation, view)
    if seen > EARLY_FROM and representation.defaults.early:
        return next(depth for depth in EARLY if seen <= depth.seen)
    return depth_seen(representation, view)


def _seen(representation: Representation, view: View) -> float:
    geometry = representation.geometry
    return 1.0 if geometry is None else geometry.receptive_field / min(view)


def _best(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    for search in PYRAMIDS:
        if representation.model in search.models:
            return _hand_crafted_best(search, fidelity, jitter, alpha)
    depth = _depth_of(representation, view)
    return Settings(
        preset="best",
        fidelity=fidelity,
        alpha=alpha,
        canvas=FrameCanvas(exponent=depth.exponent, amplitude=0.01, range=depth.range),
        step_rule=NormalizedMomentum(depth.rate, rho=2 / 3, beta2=0.8, growth=0.15, ahead=0.12),
        stages=(Stage(20, jitter=jitter), Stage(330, decay="root")),
        softening=Softening(pooling=(depth.pooling, 0.03)),
    )


def _quick(
    representation: Representation, view: View, fidelity: float, jitter: int, alpha: float
) -> Settings:
    settings = _best(representation, view, fidelity, jitter, alpha).scaled_to(100)
    canvas = settings.canvas
    if isinstance(canvas, FrameCanvas):
        canvas = replace(canvas, levels=3)
    return replace(settings, preset="quick", canvas=canvas)


BESIDE_PLACES = 0.75
"""Rate of waves beside places, over that of waves alone; chosen so that those keep the rates that
were measured for them before the momentum's memory grew."""


PRESETS: tuple[Preset, ...] = (
    Preset("best", "docs/solvers.md, docs/hand_crafted.md: the lowest energy known here", _best),
    Preset(
        "paper",
        "Mahendran & Vedaldi 2016, Algorithm 1, and the authors' program",
        _paper,
        published=True,
    ),
    Preset("quick", "docs/solvers.md: `best` in 100 iterations, with three levels", _quick),
)


def _named(preset: str) -> Preset:
    table = {entry.name: entry for entry in PRESETS}
    if preset not in table:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, list(table))}")
    return table[preset]


def representation_for(representation: Representation, preset: str) -> Representation:
    """Φ as a preset searches with it: the same codes, with the derivatives that belong to it.

    Unlike `settings_for`, this concerns Φ itself: `paper` searches HOG with the derivative of its
    hard bins, as the paper did, unless another gradient was asked for by name.

    Raises:
        UsageError: if there is no such preset.

    Example:
        >>> import preimage as pi
        >>> representation_for(pi.representation("hog"), "paper").options["gradient"]
        'exact'
        >>> representation_for(pi.representation("hog"), "best").options["gradient"]
        'straight-through'
    """
    return representation.as_published() if _named(preset).published else representation


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
    defaults = representation.defaults
    settings = _named(preset).settings(
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
