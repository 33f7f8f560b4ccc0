"""What of a deformable part model is visualized: a component with its parts, or one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from preimage.errors import PreimageError, UsageError, one_line
from preimage.recipes.records import origin
from preimage.recipes.views import View
from preimage.weights.dpm import (
    CHANNELS,
    MAX_CELL,
    MAX_COMPONENTS,
    MAX_SIDE,
    Component,
    Part,
    read_dpm,
)


@dataclass(frozen=True)
class Layout:
    """Where root and parts lie, in cells of the parts' octave, of which two are one of the root's.

    Attributes:
        rows, columns: of the whole, even.
        root: row and column of the root's first cell, even.
        parts: row and column of each part's first cell.
    """

    rows: int
    columns: int
    root: tuple[int, int]
    parts: tuple[tuple[int, int], ...]

    @staticmethod
    def of(component: Component) -> Layout:
        """The smallest that holds root and parts."""
        _, height, width = component.root.shape
        places = [part.anchor[::-1] for part in component.parts]
        ends = [
            (row + part.filter.shape[1], column + part.filter.shape[2])
            for (row, column), part in zip(places, component.parts, strict=True)
        ]
        top, left = (-_even(-min(0, *(place[i] for place in places), 0)) for i in (0, 1))
        bottom = max(2 * height, *(end[0] for end in ends), 0)
        right = max(2 * width, *(end[1] for end in ends), 0)
        return Layout(
            rows=_even(bottom - top),
            columns=_even(right - left),
            root=(-top, -left),
            parts=tuple((row - top, column - left) for row, column in places),
        )

    def view(self, cell: int) -> View:
        """Height and width of the whole in pixels."""
        return self.rows * cell, self.columns * cell


def _even(number: int) -> int:
    return number + number % 2


@dataclass(frozen=True)
class Subject:
    """What is visualized: a component of a model, a part of it, or all of it at once.

    Attributes:
        name: the object's class.
        cell: side of a cell, in pixels.
        number: of the component, from 1.
        component: the component.
        part: number of the only part to show, from 1, or None for root and parts.
        joint: whether root and parts share one search.
        file: the model's file, as `records.origin` gives it.
    """

    name: str
    cell: int
    number: int
    component: Component
    part: int | None = None
    joint: bool = False
    file: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        count = len(self.component.parts)
        if self.part is not None and self.joint:
            raise UsageError("a part alone has nothing to be joined with: give part or joint.")
        if self.part is not None and not 1 <= self.part <= count:
            has = f"parts 1 to {count}" if count else "no parts"
            raise UsageError(f"component {self.number} of {self.name} has {has}, got {self.part}.")

    @property
    def title(self) -> str:
        """What it is, in words."""
        part = "" if self.part is None else f", part {self.part}"
        return f"{self.name}, component {self.number}{part}"

    @property
    def view(self) -> View:
        """Height and width of the image that settings are chosen for."""
        if self.joint:
            return Layout.of(self.component).view(self.cell)
        return view_of(self.component.root, self.cell)

    def filters(self) -> list[tuple[int, np.ndarray]]:
        """The filters to show, each with its number; the root is 0."""
        every = [(0, self.component.root)]
        every += [(i, part.filter) for i, part in enumerate(self.component.parts, start=1)]
        return every if self.part is None else [every[self.part]]

    def to_record(self) -> dict[str, Any]:
        """The record's `template`: all but the weights, which are in `code`."""
        component = self.component
        return {
            "class": self.name,
            "component": self.number,
            "part": self.part,
            "joint": self.joint,
            "cell": self.cell,
            "mirrored": component.mirrored,
            "bias": component.bias,
            "root": list(component.root.shape[1:]),
            "parts": [
                {
                    "size": list(part.filter.shape[1:]),
                    "anchor": list(part.anchor),
                    "deformation": list(part.deformation),
                }
                for part in component.parts
            ],
            "file": None if self.file is None else dict(self.file),
        }

    @property
    def code(self) -> np.ndarray:
        """All weights of the component, root first, as one vector."""
        every = (self.component.root, *(part.filter for part in self.component.parts))
        return np.concatenate([weights.ravel() for weights in every])

    @staticmethod
    def from_record(record: Mapping[str, Any], code: np.ndarray) -> Subject:
        """A subject from its record and its code.

        Raises:
            PreimageError: if they do not belong together.
            LookupError, TypeError, ValueError: if the record is damaged.
        """
        sizes = [record["root"], *(part["size"] for part in record["parts"])]
        shapes = [(CHANNELS, *_wholes(size, 1, MAX_SIDE)) for size in sizes]
        counts = [int(np.prod(shape)) for shape in shapes]
        if code.shape != (sum(counts),) or not np.isfinite(code).all():
            raise PreimageError(
                f"expected {sum(counts)} finite weights in code.npy, as many as the record's root "
                f"and parts have, got shape {list(code.shape)}: they do not belong together."
            )
        pieces = np.split(code.astype(np.float32), np.cumsum(counts)[:-1])
        root, *filters = (p.reshape(shape) for p, shape in zip(pieces, shapes, strict=True))
        parts = [
            Part(
                weights,
                _wholes(part["anchor"], -2 * MAX_SIDE, 2 * MAX_SIDE),
                _four(part["deformation"]),
            )
            for weights, part in zip(filters, record["parts"], strict=True)
        ]
        cell, number = _wholes((record["cell"], record["component"]), 1, MAX_COMPONENTS)
        if cell > MAX_CELL:
            raise ValueError(f"expected cells of at most {MAX_CELL} pixels")
        return Subject(
            name=one_line(record["class"], 40),
            cell=cell,
            number=number,
            component=Component(
                root, tuple(parts), _finite(record["bias"])[0], bool(record["mirrored"])
            ),
            part=record["part"],
            joint=bool(record["joint"]),
            file=None if record["file"] is None else dict(record["file"]),
        )


def subject_of(
    file: str | Path, component: int, part: int | None = None, joint: bool = False
) -> Subject:
    """A component of a model's file.

    Raises:
        UsageError: if the model has no such component or part.
        PreimageError: if the file is no such model.
    """
    model = read_dpm(Path(file))
    return Subject(
        name=model.name,
        cell=model.cell,
        number=component,
        component=model.component(component),
        part=part,
        joint=joint,
        file=origin(file),
    )


def _wholes(values: Sequence[Any], least: int, most: int) -> tuple[int, int]:
    first, second = values
    if not all(isinstance(v, int) and least <= v <= most for v in (first, second)):
        raise ValueError(f"expected two whole numbers from {least} to {most}")
    return first, second


def _finite(*values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if not np.isfinite(numbers).all():
        raise ValueError("expected finite numbers")
    return numbers


def _four(values: Sequence[Any]) -> tuple[float, float, float, float]:
    first, second, third, fourth = _finite(*values)
    return first, second, third, fourth


def view_of(weights: np.ndarray | Tensor, cell: int) -> View:
    """Height and width of the image that a filter sees."""
    return weights.shape[-2] * cell, weights.shape[-1] * cell
