"""Objectives: what a maximization maximizes, as weights on the components of a code."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from preimage.errors import PreimageError, UsageError, counted, nearest

Shape = Sequence[int]


class Objective(ABC):
    """A weighted sum of components; objectives add up and scale.

    Example:
        >>> str(Channel(12) - 0.5 * Channel(7))
        '12 - 0.5*7'
    """

    @abstractmethod
    def weights(self, shape: Shape) -> Tensor:
        """Φ₀ of Eq. 4: a weight for every component of a code of this shape, without the batch.

        Raises:
            UsageError: if the code has no such component.
        """

    def resolved(self, shape: Shape, labels: Sequence[str] | None) -> Objective:
        """The same with classes by their numbers.

        Raises:
            UsageError: if there is no such class, several, or this layer has no class scores.
        """
        return self

    @abstractmethod
    def __str__(self) -> str:
        """The objective as it would be typed."""

    def to_dict(self) -> dict[str, Any] | None:
        """As JSON, or None where only the weights themselves tell."""
        return None

    def __add__(self, other: Objective) -> Objective:
        return Sum(((1.0, self), (1.0, other)))

    def __sub__(self, other: Objective) -> Objective:
        return Sum(((1.0, self), (-1.0, other)))

    def __mul__(self, factor: float) -> Objective:
        return Sum(((float(factor), self),))

    def __rmul__(self, factor: float) -> Objective:
        return self * factor

    def __neg__(self) -> Objective:
        return self * -1.0


@dataclass(frozen=True)
class Channel(Objective):
    """One component of a code: a class score, or one cell of a channel's map.

    Attributes:
        index: number of the channel, from 0.
        position: row and column of the cell; None is the central one, as in the paper.

    Example:
        >>> Channel(1).weights((3,))
        tensor([0., 1., 0.])
    """

    index: int
    position: tuple[int, int] | None = None

    def weights(self, shape: Shape) -> Tensor:
        if not isinstance(self.index, int) or not 0 <= self.index < shape[0]:
            raise UsageError(
                f"channel {self.index!r} is out of range: this layer has channels 0 to "
                f"{shape[0] - 1}."
            )
        weights = torch.zeros(*shape)
        weights[(self.index, *self._cell(shape))] = 1.0
        return weights

    def _cell(self, shape: Shape) -> tuple[int, ...]:
        extents = tuple(shape[1:])
        if self.position is None:
            return tuple(extent // 2 for extent in extents)
        if len(self.position) != len(extents):
            raise UsageError("this layer's code has no positions: leave the position out.")
        if not all(0 <= at < extent for at, extent in zip(self.position, extents, strict=True)):
            raise UsageError(
                f"position {','.join(map(str, self.position))} is out of range: this layer has "
                f"{counted(extents[0], 'row')} and {counted(extents[1], 'column')}, counted from 0."
            )
        return self.position

    def __str__(self) -> str:
        at = "" if self.position is None else f"@{self.position[0]},{self.position[1]}"
        return f"{self.index}{at}"

    def to_dict(self) -> dict[str, Any]:
        position = None if self.position is None else list(self.position)
        return {"channel": self.index, "position": position}


@dataclass(frozen=True)
class Label(Objective):
    """The score of a class, by its name.

    Attributes:
        name: the class's name, or a part of it that no other class has; letter case is ignored.
    """

    name: str

    def weights(self, shape: Shape) -> Tensor:
        raise UsageError(f"{self} is the name of a class: a representation must resolve it.")

    def resolved(self, shape: Shape, labels: Sequence[str] | None) -> Objective:
        if labels is None:
            raise UsageError(
                f"{self} is the name of a class, and these weights hold no classifier with names: "
                "give the number of a channel."
            )
        if not are_class_scores(shape, labels):
            raise UsageError(
                f"{self} is the name of a class, and this layer has no class scores: leave the "
                "layer out, or give the number of a channel."
            )
        return Channel(find_class(self.name, labels))

    def __str__(self) -> str:
        return f'"{self.name}"'


def _central(shape: Shape) -> int:
    """Number of the central cell among all of a map's, row by row; 0 where there is no map."""
    number = 0
    for extent in shape[1:]:
        number = number * extent + extent // 2
    return number


def are_class_scores(shape: Shape, labels: Sequence[str] | None) -> bool:
    """Whether codes of this shape are a number for each class."""
    return labels is not None and tuple(shape) == (len(labels),)


def find_class(name: str, labels: Sequence[str]) -> int:
    """Number of the class of that name, or of the only one whose name has it as a part.

    Classes with the whole name go before those with some of its words, and these before those with
    any letters of it.

    Raises:
        UsageError: if there is no such class, or several.

    Example:
        >>> find_class("swan", ["goose", "black swan"])
        1
        >>> find_class("burger", ["cheeseburger", "black swan"])
        0
    """
    wanted = re.escape(name.strip().lower())
    lower = [label.lower() for label in labels]
    found: list[int] = []
    for part in (rf"^{wanted}$", rf"\b{wanted}\b", wanted):
        if wanted and not found:
            found = [i for i, label in enumerate(lower) if re.search(part, label)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"there is no class {name!r}; {nearest(name, labels)}")
    named = ", ".join(f"{labels[i]} ({i})" for i in found[:8])
    more = ", ..." if len(found) > 8 else ""
    raise UsageError(f"{name!r} may be {named}{more}: give a whole name or a number.")


def distinct(
    objectives: Sequence[Objective], shape: Shape, labels: Sequence[str] | None
) -> list[Objective]:
    """The objectives, each once: a class can be called by its name, a part of it, or its number.

    Raises:
        UsageError: if one can't be resolved.

    Example:
        >>> names = ["goose", "black swan"]
        >>> [str(each) for each in distinct([Label("swan"), Channel(1), Channel(0)], (2,), names)]
        ['"swan"', '0']
    """
    found: dict[Objective, Objective] = {}
    for each in objectives:
        found.setdefault(each.resolved(shape, labels), each)
    return list(found.values())


@dataclass(frozen=True, eq=False)
class Direction(Objective):
    """A direction in the code: a weight for every channel of the central cell, or for all cells.

    Attributes:
        values: `[D]`, or the code's whole shape.

    Raises:
        PreimageError: if the values are not finite numbers, or all zero.
    """

    values: np.ndarray

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise PreimageError("a direction holds finite real numbers; this one does not.")
        if not values.any():
            raise PreimageError("the direction is zero: it points nowhere.")

    def weights(self, shape: Shape) -> Tensor:
        values = torch.from_numpy(np.asarray(self.values, dtype=np.float32))
        if tuple(values.shape) == tuple(shape):
            return values
        if tuple(values.shape) != (shape[0],):
            whole = "" if len(shape) == 1 else f" or {list(shape)}"
            raise PreimageError(
                f"a direction of this layer has shape [{shape[0]}]{whole}, this one is "
                f"{list(values.shape)}."
            )
        weights = torch.zeros(*shape)
        weights.view(shape[0], -1)[:, _central(shape)] = values
        return weights

    def __str__(self) -> str:
        return "direction"


@dataclass(frozen=True)
class Sum(Objective):
    """Objectives with factors; made by `+`, `-` and `*`.

    Attributes:
        parts: factor and objective of each; sums within are opened up.
    """

    parts: tuple[tuple[float, Objective], ...]

    def __post_init__(self) -> None:
        flat: list[tuple[float, Objective]] = []
        for factor, part in self.parts:
            if not math.isfinite(factor):
                raise UsageError(f"a factor of an objective must be a number, got {factor!r}.")
            inner = part.parts if isinstance(part, Sum) else ((1.0, part),)
            flat += [(factor * each, objective) for each, objective in inner]
        object.__setattr__(self, "parts", tuple(flat))

    def resolved(self, shape: Shape, labels: Sequence[str] | None) -> Objective:
        return Sum(tuple((factor, part.resolved(shape, labels)) for factor, part in self.parts))

    def weights(self, shape: Shape) -> Tensor:
        total = torch.zeros(*shape)
        for factor, part in self.parts:
            total += factor * part.weights(shape)
        if not bool(total.any()):
            raise UsageError(f"the objective {self} is zero: nothing is left to maximize.")
        return total

    def __str__(self) -> str:
        words = ""
        for factor, part in self.parts:
            sign = "-" if factor < 0 else "+"
            scale = "" if abs(factor) == 1 else f"{abs(factor):g}*"
            words += f" {sign} {scale}{part}"
        return words[3:] if words.startswith(" + ") else f"-{words[3:]}"

    def to_dict(self) -> dict[str, Any] | None:
        parts = [part.to_dict() for _, part in self.parts]
        if None in parts:
            return None
        pairs = zip(self.parts, parts, strict=True)
        return {"sum": [{"factor": factor, **(part or {})} for (factor, _), part in pairs]}


def from_dict(record: Mapping[str, Any]) -> Objective:
    """An objective from `to_dict`.

    Raises:
        KeyError, TypeError, ValueError: if it is no objective.
    """
    if "sum" in record:
        return Sum(tuple((float(part["factor"]), from_dict(part)) for part in record["sum"]))
    position = record["position"]
    return Channel(record["channel"], None if position is None else tuple(position))


TERM = re.compile(
    r"""\s*(?P<sign>[+-])?\s*
        (?:(?P<factor>\d+\.?\d*|\.\d+)\s*\*\s*)?
        (?:(?P<channel>\d+)(?:\s*@\s*(?P<row>\d+)\s*,\s*(?P<column>\d+))?
           |(?P<quote>["'])(?P<label>.+?)(?P=quote))\s*""",
    re.VERBOSE,
)


def parse(text: str) -> Objective:
    """An objective as people type it: channels and quoted class names with signs and factors.

    `@ROW,COLUMN` behind a channel chooses a cell.

    Raises:
        UsageError: if it can't be read.

    Example:
        >>> str(parse("12 - 0.5*7@3,4"))
        '12 - 0.5*7@3,4'
    """
    parts: list[tuple[float, Objective]] = []
    at = 0
    while at < len(text) or not parts:
        term = TERM.match(text, at)
        if term is None or (parts and term["sign"] is None):
            raise UsageError(
                f"the objective {text!r} can't be read: expected channels with signs and factors, "
                "as in '12 - 0.5*7', '12@3,4' or '\"goose\" - \"black swan\"'."
            )
        part: Objective = Label(term["label"]) if term["label"] else _channel(term)
        parts.append((float(term["factor"] or 1) * (-1 if term["sign"] == "-" else 1), part))
        at = term.end()
    (factor, only), *others = parts
    return only if not others and factor == 1 else Sum(tuple(parts))


def _channel(term: re.Match[str]) -> Channel:
    position = None if term["row"] is None else (int(term["row"]), int(term["column"]))
    return Channel(int(term["channel"]), position)
