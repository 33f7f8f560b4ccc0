from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from preimage.experiments import plots


def luminance(colour: str) -> float:
    return float(np.dot(ImageColor.getrgb(colour), (0.299, 0.587, 0.114)))


def example() -> Figure:
    with plots.style():
        figure, (left, right) = plots.grid(2)
        for index in range(3):
            plots.curve(left, [1, 2, 3], [index, 2, 1], [0.1, None, 0.2], f"C = {index}", index)
        plots.beside_the_paper(right, ["a", "b"], [60.0, 8.0], [2.0, None], [55.0, None])
        plots.legend(figure)
    return figure


def test_the_same_figure_is_the_same_files(tmp_path: Path):
    for name in ("first", "second"):
        plots.write(example(), tmp_path / name)
    for suffix in ("png", "svg"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert "C = 2" in (tmp_path / "first.svg").read_text()


def test_series_are_told_apart_without_colour():
    looks = plots.LOOKS
    assert len({(look.marker, look.line) for look in looks}) == len(looks)
    ordered = sorted(luminance(look.colour) for look in looks)
    assert min(b - a for a, b in pairwise(ordered)) > 10
    assert plots.look(len(looks)) == plots.look(0)


def test_values_and_the_papers_are_drawn():
    axes = example().axes[1]
    assert [text.get_text() for text in axes.texts] == ["60.0", "8.0"]
    assert [bar.get_width() for bar in axes.patches] == [60.0, 8.0]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"][-1] == [55]


@pytest.mark.parametrize(("panels", "columns", "rows"), [(1, None, 1), (4, None, 2), (4, 2, 2)])
def test_panels_in_rows(panels, columns, rows):
    with plots.style():
        figure, axes = plots.grid(panels, columns, size=(2, 1))
    assert len(axes) == panels
    assert figure.get_figheight() == rows
    page = io.BytesIO()
    figure.savefig(page)
    assert Image.open(page).height > 0


def test_one_legend_names_every_series_once():
    (legend,) = example().legends
    names = ["C = 0", "C = 1", "C = 2", "measured here", "printed in the paper"]
    assert sorted(text.get_text() for text in legend.get_texts()) == names
