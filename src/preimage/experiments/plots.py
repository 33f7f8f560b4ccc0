"""Plots in the manner of the paper's, readable in grey."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "grid.color": "#d5d8dc",
    "grid.linewidth": 0.6,
    "figure.dpi": 150,
    # The same figure is the same file.
    "svg.hashsalt": "preimage",
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Look:
    """How one of several series is drawn: told apart without its colour.

    Attributes:
        colour: from dark to light over the series, so that grey tells them apart too.
        marker, line: of a curve.
    """

    colour: str
    marker: str
    line: str


LOOKS: tuple[Look, ...] = (
    Look("#12355b", "o", "-"),
    Look("#b5432a", "s", "--"),
    Look("#3c8d6e", "^", "-."),
    Look("#d49a2a", "D", ":"),
    Look("#8fb4d9", "v", "-"),
    Look("#c9c3d6", "P", "--"),
)
INK = "#1c1e21"


@contextmanager
def style() -> Iterator[None]:
    """The house's look, for figures made inside the block."""
    with mpl.rc_context(STYLE):
        yield


def look(index: int) -> Look:
    """The look of series number `index`; they repeat after the last."""
    return LOOKS[index % len(LOOKS)]


Panels = tuple[Figure, list[Axes]]


def grid(
    panels: int = 1, columns: int | None = None, size: tuple[float, float] = (4.2, 3.0)
) -> Panels:
    """A figure with panels in rows; call it within `style`.

    Args:
        panels: how many.
        columns: in a row; None: up to three.
        size: of a panel, in inches.
    """
    across = columns or min(panels, 3)
    rows = math.ceil(panels / across)
    figure = Figure(figsize=(size[0] * across, size[1] * rows), layout="constrained")
    axes = [figure.add_subplot(rows, across, number + 1) for number in range(panels)]
    for panel in axes:
        panel.grid(axis="y")
    return figure, axes


def curve(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    interval: Sequence[float | None] | None = None,
    label: str = "",
    index: int = 0,
) -> None:
    """One series over x, with error bars where intervals are known."""
    chosen = look(index)
    bars = None if interval is None else [half or 0.0 for half in interval]
    axes.errorbar(
        x, y, yerr=bars, label=label, color=chosen.colour, marker=chosen.marker,
        linestyle=chosen.line, markersize=4, linewidth=1.3, capsize=2,
    )  # fmt: skip


def beside_the_paper(
    axes: Axes,
    labels: Sequence[str],
    values: Sequence[float],
    interval: Sequence[float | None],
    printed: Sequence[float | None],
) -> None:
    """One bar a row, from the top, with its error bar and its value, and a tick for the paper's.

    Args:
        axes: where to.
        labels: of the rows.
        values: measured.
        interval: half the confidence interval of each, where it is known.
        printed: what the paper prints for each, where it prints something.
    """
    places = range(len(labels))
    halves = [half or 0.0 for half in interval]
    axes.barh(places, values, 0.62, xerr=halves, color=look(4).colour, label="measured here",
              error_kw={"elinewidth": 1, "capsize": 2, "ecolor": INK})  # fmt: skip
    known = [(value, place) for place, value in enumerate(printed) if value is not None]
    if known:
        x, y = zip(*known, strict=True)
        axes.plot(x, y, linestyle="", marker="|", markersize=15, markeredgewidth=2.2,
                  color=look(1).colour, label="printed in the paper")  # fmt: skip
    # A value stands behind its bar, unless the tick is there.
    room = 0.1 * max([*values, *(value for value, _ in known)])
    for place, value, half, mark in zip(places, values, halves, printed, strict=True):
        end = value + half
        beyond = mark if mark is not None and end - room / 4 < mark < end + room else end
        axes.annotate(f"{value:.1f}", (beyond, place), xytext=(7, 0), textcoords="offset points",
                      va="center", fontsize=8, color=INK)  # fmt: skip
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlim(left=0)
    axes.margins(x=0.12)


def legend(figure: Figure) -> None:
    """One legend for all panels, over them, where it hides nothing."""
    known: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    figure.legend(list(known.values()), list(known), loc="outside upper center", ncols=6)


def legend_above_all(figure: Figure, axes: Axes) -> None:
    """The legend of one panel over the whole figure, whose panels show the same series."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


def names_below(axes: Axes, names: Sequence[str]) -> None:
    """Names in place of numbers on the x axis, slanted so that long ones fit."""
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")


def write(figure: Figure, path: Path) -> None:
    """A figure as `PATH.png` and `PATH.svg`; the same figure gives the same bytes."""
    with style():
        figure.savefig(path.with_name(f"{path.name}.png"), metadata={"Software": None})
        figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
