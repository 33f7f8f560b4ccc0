"""The study's figure, after Fig. 8: which setting wins, layer by layer."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from preimage.errors import PreimageError, counted
from preimage.files import replacing
from preimage.study.tally import Row, Tally

COLOURS = ("#7fa8d1", "#c4622d", "#8fb8a8", "#d9b44a", "#7a6a9c", "#5c5c5c")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo")
"""Six settings differ in grey too; more repeat them."""

WIDTH = 0.8
"""Of the bars of a layer together, where layers are 1 apart."""


def figure(tally: Tally) -> Figure:
    """The fraction of votes each setting won at each layer, with its 95 % interval.

    Unlike the paper's, the figure has error bars, and a line where chance is.

    Args:
        tally: the votes, counted.

    Raises:
        PreimageError: if no vote counts yet.

    Source: Fig. 8.
    """
    if not tally.counted:
        raise PreimageError(
            f"no figure: none of {counted(tally.votes, 'vote')} counts yet; the first five of each "
            "subject do not."
        )
    places = list(dict.fromkeys((row.model, row.layer) for row in tally.rows))
    picture = Figure(figsize=(max(5.6, 1.5 + 1.25 * len(places)), 3.9), layout="constrained")
    axes = picture.add_subplot()
    width = WIDTH / len(tally.settings)
    for number, setting in enumerate(tally.settings):
        rows = [row for row in tally.rows if row.setting == setting and row.fraction is not None]
        shift = (number - (len(tally.settings) - 1) / 2) * width
        x = [places.index((row.model, row.layer)) + shift for row in rows]
        axes.bar(
            x,
            [row.fraction or 0.0 for row in rows],
            0.92 * width,
            yerr=list(zip(*(_arms(row) for row in rows), strict=True)) or None,
            label=_words(setting),
            color=COLOURS[number % len(COLOURS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
            linewidth=0,
            error_kw={"ecolor": "#1d1f23", "elinewidth": 1.2, "capsize": 3},
        )
    axes.axhline(0.5, color="#1d1f23", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.text(len(places) - 0.42, 0.51, "chance", ha="right", fontsize=8, color="#646872")
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, len(places) - 0.4)
    models = {model for model, _ in places}
    axes.set_xticks(range(len(places)), [_name(place, len(models)) for place in places])
    axes.set_ylabel("fraction of votes, 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    people = counted(sum(s.counted > 0 for s in tally.subjects), "subject")
    title = f"Found easier to understand: {counted(tally.counted, 'vote')} of {people}"
    axes.set_title(title, loc="left", fontsize=11)
    columns = min(len(tally.settings), 4)
    picture.legend(loc="outside lower center", ncols=columns, frameon=False)
    return picture


def save_figure(tally: Tally, path: str | Path) -> None:
    """Write the figure as a PNG, whole or not at all.

    Raises:
        PreimageError: if no vote counts yet, or the file can't be written.
    """
    picture = figure(tally)
    with replacing(path) as temporary:
        picture.savefig(temporary, dpi=150)


def _arms(row: Row) -> tuple[float, float]:
    """From the fraction down and up to the ends of its interval."""
    assert row.interval is not None  # rows without votes are not drawn
    assert row.fraction is not None
    return max(0.0, row.fraction - row.interval[0]), max(0.0, row.interval[1] - row.fraction)


def _words(name: str) -> str:
    """A name to be shown as it is: Matplotlib sets formulas between dollars, and leaves names that
    begin with an underscore out of legends."""
    escaped = name.replace("$", r"\$")
    return f" {escaped}" if name.startswith("_") else escaped


def _name(place: tuple[str, str | None], models: int) -> str:
    model, layer = place
    if layer is None:
        return _words(model)
    return _words(layer if models == 1 else f"{model}\n{layer}")
