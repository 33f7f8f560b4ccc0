"""Settings of a search: frozen, saved whole with every result, read back for a rerun."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from inspect import Parameter, signature
from typing import Any, TypeVar

from preimage.energy import BoundedRange, Prior, TotalVariation
from preimage.energy.energy import check_fidelity
from preimage.errors import PreimageError, UsageError, nearest
from preimage.search.canvases import (
    BlurredCanvas,
    BoxCanvas,
    Canvas,
    FrameCanvas,
    PhaseCanvas,
    PixelCanvas,
    PyramidCanvas,
    SpectralCanvas,
)
from preimage.search.lbfgs import LBFGS
from preimage.search.softening import Softening
from preimage.search.stages import Stage, scale_stages, total_iterations
from preimage.search.starts import UniformNoise
from preimage.search.step_rules import (
    Adam,
    Momentum,
    NAdam,
    NormalizedMomentum,
    StepRule,
    WindowedAdaGrad,
)
from preimage.search.views import RandomViews

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        PixelCanvas,
        PyramidCanvas,
        BoxCanvas,
        SpectralCanvas,
        FrameCanvas,
        PhaseCanvas,
        BlurredCanvas,
        UniformNoise,
        WindowedAdaGrad,
        NormalizedMomentum,
        Adam,
        NAdam,
        Momentum,
        LBFGS,
        Stage,
        Softening,
        RandomViews,
        BoundedRange,
        TotalVariation,
    )
}
"""Dataclasses that may stand inside settings, by the `kind` they are saved under."""


Own = TypeVar("Own", bound="SearchSettings")
Check = tuple[str, str, bool]


@dataclass(frozen=True)
class SearchSettings:
    """What every search needs besides its target and its seed; each task adds its own.

    Attributes:
        preset: name of the preset these settings began as.
        fidelity: C of Eq. 1.
        canvas, step_rule, stages: the search.
        softening: of Φ's derivatives, or None.

    Raises:
        UsageError: if C is out of range, or a part is not what it should be.
    """

    preset: str
    fidelity: float
    canvas: Canvas
    step_rule: StepRule
    stages: tuple[Stage, ...]
    softening: Softening | None = None

    def __post_init__(self) -> None:
        for name, wanted, good in self._checks():
            if not good:
                raise UsageError(f"{name} must be {wanted}, got {getattr(self, name)!r}.")
        check_fidelity(self.fidelity)
        _plain(self)  # what no record could hold is refused before the search, not after it

    def _checks(self) -> tuple[Check, ...]:
        """Name of a part, what it must be, and whether it is: parts may come from a file."""
        staged = isinstance(self.stages, tuple) and all(isinstance(s, Stage) for s in self.stages)
        return (
            ("preset", "a name", isinstance(self.preset, str)),
            ("fidelity", "a number", _number(self.fidelity)),
            ("canvas", "a canvas", isinstance(self.canvas, Canvas)),
            ("step_rule", "a step rule", isinstance(self.step_rule, StepRule)),
            ("stages", "one or more stages", staged and bool(self.stages)),
            ("softening", "a softening", isinstance(self.softening, Softening | None)),
        )

    @property
    def iterations(self) -> int:
        """Iterations of all stages together."""
        return total_iterations(self.stages)

    @property
    def jitter(self) -> int:
        """T of Eq. 7 of the stage with the most; the canvas is T − 1 larger than the view."""
        return max(stage.jitter for stage in self.stages)

    @property
    def B_plus(self) -> float | None:
        """Radius of the hard ball (Eq. 6), or None where the canvas bounds colours otherwise."""
        return self.canvas.B_plus if isinstance(self.canvas, PixelCanvas) else None

    def scaled_to(self: Own, iterations: int) -> Own:
        """The same settings with the stages scaled to a total of iterations."""
        return replace(self, stages=scale_stages(self.stages, iterations))

    def to_dict(self) -> dict[str, Any]:
        """As JSON: plain values, every part with its `kind`, and what follows from the parts."""
        derived = {"jitter": self.jitter, "B_plus": self.B_plus, "iterations": self.iterations}
        return {**_plain(self), **derived}

    @classmethod
    def from_dict(cls: type[Own], record: Mapping[str, Any]) -> Own:
        """Settings from `to_dict`.

        Raises:
            PreimageError: if something in them is unknown or out of range.
        """
        try:
            values = {field.name: _built(record[field.name]) for field in fields(cls)}
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise PreimageError(f"these settings are not from this version: {error}") from error


@dataclass(frozen=True)
class Settings(SearchSettings):
    """Everything an inversion needs besides the code and the seed.

    Attributes:
        alpha, B: exponent and scale of the bounded range (Eq. 5).
        beta, V: exponent and scale of TV^β.
        neighbourhood: side of the central square of cells that counts, or None for all.
        channels: first and one past the last channel that counts, or None for all.
        weights: of the loss's parts, where it has several: the layers of a texture or a style.

    Raises:
        UsageError: as for `SearchSettings`, or if a prior's setting is out of range.
    """

    alpha: float = 6.0
    beta: float = 2.0
    B: float = 80.0
    V: float = 80.0 / 6.5
    neighbourhood: int | None = None
    channels: tuple[int, int] | None = None
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Made once here, because the priors refuse values out of range.
        assert self.priors

    def _checks(self) -> tuple[Check, ...]:
        channels, weights = self.channels, self.weights
        pair = isinstance(channels, tuple) and len(channels) == 2 and all(map(_whole, channels))
        return (
            *super()._checks(),
            *((name, "a number", _number(getattr(self, name))) for name in NUMBERS),
            ("neighbourhood", "a whole number", _whole(self.neighbourhood, optional=True)),
            ("channels", "two whole numbers (first, one past the last)", channels is None or pair),
            ("weights", "numbers of at least 0", weights is None or _weights(weights)),
        )

    @property
    def priors(self) -> tuple[Prior, ...]:
        """The natural image prior of Eq. 1."""
        return (
            BoundedRange(alpha=self.alpha, B=self.B),
            TotalVariation(beta=self.beta, V=self.V),
        )


@dataclass(frozen=True)
class MaximizationSettings(SearchSettings):
    """Everything a maximization needs besides what is maximized and the seed.

    Attributes:
        priors: R of Eq. 1, each with its own settings; none is allowed.
        views: random transformations of what the network sees, or None.
        diversity: weight of the term that pushes restarts apart, 0 for none.

    Raises:
        UsageError: as for `SearchSettings`, or if the diversity is negative.
    """

    priors: tuple[Prior, ...] = ()
    views: RandomViews | None = None
    diversity: float = 0.0

    def _checks(self) -> tuple[Check, ...]:
        prior = isinstance(self.priors, tuple) and all(isinstance(p, Prior) for p in self.priors)
        diverse = _number(self.diversity) and 0 <= self.diversity < math.inf
        return (
            *super()._checks(),
            ("priors", "a list of priors", prior),
            ("views", "random views", isinstance(self.views, RandomViews | None)),
            ("diversity", "a number of at least 0", diverse),
        )


BY_NAME = Parameter.KEYWORD_ONLY
INTERNAL = ("view", "is_map")
"""What functions of settings are told by the recipes, and not by who calls these."""


def check_overrides(
    given: Iterable[str], recipe: Callable[..., Any], settings: Callable[..., Any]
) -> None:
    """Refuse overrides that a recipe's function of settings does not take.

    Args:
        given: their names.
        recipe: whose they are; the message offers its own arguments too.
        settings: what they are handed to.

    Raises:
        UsageError: if one is unknown; the message lists the nearest names.
    """
    allowed, own = (
        [name for name, each in signature(function).parameters.items() if each.kind == BY_NAME]
        for function in (settings, recipe)
    )
    allowed = [name for name in allowed if name not in INTERNAL]
    for name in given:
        if name not in allowed:
            raise UsageError(
                f"{recipe.__name__} has no setting {name!r}; {nearest(name, [*allowed, *own])}"
            )


NUMBERS = ("alpha", "beta", "B", "V")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _weights(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        _number(each) and math.isfinite(each) and each >= 0 for each in value
    )


def _whole(value: Any, optional: bool = False) -> bool:
    return (optional and value is None) or (isinstance(value, int) and not isinstance(value, bool))


def _plain(value: Any) -> Any:
    """Nested dataclasses as dicts with their kind, by which `_built` finds them again."""
    if isinstance(value, SearchSettings):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "__dataclass_fields__"):
        kind = type(value).__name__
        if kind not in KINDS:
            raise _unsaved(kind)
        content = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": kind, **content}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise _unsaved(type(value).__name__)


def _unsaved(kind: str) -> UsageError:
    return UsageError(
        f"settings with {kind} can't be saved: make it a dataclass of plain values and add it to "
        "preimage.recipes.settings.KINDS, by its name, first."
    )


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_built(item) for item in value)
    if isinstance(value, dict):
        content = {key: _built(item) for key, item in value.items() if key != "kind"}
        return KINDS[value["kind"]](**content)
    return value
