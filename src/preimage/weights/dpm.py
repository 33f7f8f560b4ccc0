"""Reader of deformable part models: the detectors of voc-release5 (``CLASS_final.mat``).

A model is a grammar of numbered symbols. Its start symbol has one structural rule a component; a
rule's right side is the root and its parts, each a deformation rule around one filter. Filters lie
in numbered blocks, and the left-right mirrored half of the components shares the blocks of the
other half: a ``flip`` says so.

Source: Girshick, Felzenszwalb, McAllester, *Discriminatively trained deformable part models,
release 5*, and the fields of the models that come with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preimage.errors import PreimageError, UsageError, counted, one_line
from preimage.weights.matlab import MatlabValue, read_matlab

Struct = Mapping[str, MatlabValue]

# Real filters have at most 15 cells a side, real models 6 components of 8 parts. Filters can share
# a block, so that a small file could ask for any number of large ones.
MAX_SIDE = 32
MAX_CELL = 16
MAX_COMPONENTS = 64
MAX_PARTS = 32
MAX_WEIGHT = 1e6

CHANNELS = 31
"""Numbers of a cell that tell of the image; DPM's 32nd marks cells outside it."""
TEXTURE = (30, 28, 29, 27)
"""DPM's numbers for the blocks up left, up right, down left and down right, VLFeat's order."""
MIRRORED = (
    *((9 - k) % 18 for k in range(18)),
    *(18 + (9 - k) % 9 for k in range(9)),
    *(28, 27, 30, 29),
)
"""For each of VLFeat's channels the one it becomes when the image is mirrored left-right."""


@dataclass(frozen=True)
class Part:
    """A part's filter and where it belongs.

    Attributes:
        filter: weights, `[31, h, w]` float32, read-only; channels in the order of `hog`.
        anchor: column and row of its first cell relative to the root's, in cells of half the
            root's size.
        deformation: cost of a shift by (dx, dy) cells: the factors of dx², dx, dy² and dy.
    """

    filter: np.ndarray
    anchor: tuple[int, int]
    deformation: tuple[float, float, float, float]


@dataclass(frozen=True)
class Component:
    """One aspect of the object: a root and its parts at twice the root's resolution.

    Attributes:
        root: weights of the root filter, `[31, h, w]` float32, read-only.
        parts: in the file's order.
        bias: added to the score.
        mirrored: whether its filters are another component's, mirrored left-right.
    """

    root: np.ndarray
    parts: tuple[Part, ...]
    bias: float
    mirrored: bool


@dataclass(frozen=True)
class PartModel:
    """A deformable part model.

    Attributes:
        name: the object's class.
        cell: side of a cell of HOG, in pixels of the image at either resolution.
        components: in the file's order; the paper counts them from 1.
    """

    name: str
    cell: int
    components: tuple[Component, ...]

    def component(self, number: int) -> Component:
        """A component by its number, counted from 1 as in the paper.

        Raises:
            UsageError: if there is no such component; says how many there are.
        """
        if not 1 <= number <= len(self.components):
            raise UsageError(
                f"the model of {self.name} has components 1 to {len(self.components)}, "
                f"got {number}."
            )
        return self.components[number - 1]


class _WrongError(Exception):
    """What does not fit, in words; the path is put before it."""


def read_dpm(path: Path) -> PartModel:
    """Reads a deformable part model of voc-release5.

    Args:
        path: a MATLAB file with the struct `model`.

    Returns:
        The model, its filters in the channel order of `preimage.representations.hog`, without the
        truncation feature, and mirrored where the file says so.

    Raises:
        PreimageError: the file can't be read, is no such model, or something in it does not fit
            together; nothing in it is ever run.

    Example:
        >>> read_dpm(Path("bicycle_final.mat")).component(2).root.shape      # doctest: +SKIP
        (31, 7, 11)
    """
    variables = read_matlab(path)
    try:
        return _Grammar(_model(variables)).read()
    except _WrongError as error:
        raise PreimageError(f"{path}: {error}") from error


def mirrored(weights: np.ndarray) -> np.ndarray:
    """The filter that gives a mirrored image the score which this one gives the image.

    Args:
        weights: `[31, h, w]`.

    Example:
        >>> filter = np.arange(31.0 * 6).reshape(31, 2, 3)
        >>> bool((mirrored(mirrored(filter)) == filter).all())
        True
    """
    return weights[list(MIRRORED), :, ::-1]


NO_MODEL = (
    "expected a deformable part model of voc-release5 (a struct `model` with filters, rules, "
    "symbols and blocks), got"
)
FIELDS = ("filters", "rules", "symbols", "blocks", "start", "sbin", "features")


def _model(variables: Struct) -> Struct:
    model = variables.get("model")
    if not isinstance(model, Mapping):
        names = ", ".join(one_line(name, 30) for name in list(variables)[:5])
        raise _WrongError(f"{NO_MODEL} {f'variables {names}' if names else 'nothing'}")
    missing = [name for name in FIELDS if name not in model]
    if missing:
        raise _WrongError(f"{NO_MODEL} a model without {', '.join(missing)}")
    return model


class _Grammar:
    """The parts of a model's struct that lead to its filters; numbers count from 1, as MATLAB's."""

    def __init__(self, model: Struct) -> None:
        self.name = one_line(_text(model.get("class")), 40) or "object"
        self.filters = _structs(model["filters"], "filters")
        self.symbols = _structs(model["symbols"], "symbols")
        self.blocks = _structs(model["blocks"], "blocks")
        self.rules = _items(model["rules"])
        self.start = _whole(model["start"], "start", 1, len(self.symbols))
        self.cell = _whole(model["sbin"], "sbin", 2, MAX_CELL)
        features = _struct(model["features"], "features")
        self.bias_feature = _numbers(features.get("bias"), "features.bias", 1)[0]

    def read(self) -> PartModel:
        rules = self._rules(self.start)
        if not 1 <= len(rules) <= MAX_COMPONENTS:
            raise _WrongError(f"expected 1 to {MAX_COMPONENTS} components, got {len(rules)}")
        components = tuple(
            self._component(rule, number) for number, rule in enumerate(rules, start=1)
        )
        return PartModel(self.name, self.cell, components)

    def _component(self, rule: Struct, number: int) -> Component:
        what = f"component {number}"
        if _text(rule.get("type")) != "S":
            raise _WrongError(f"{what}: expected a structural rule (S), a root and its parts")
        right = _numbers(rule.get("rhs"), f"{what}: rhs", None)
        anchors = _items(rule.get("anchor"))
        if not 1 <= len(right) <= 1 + MAX_PARTS or len(anchors) != len(right):
            raise _WrongError(
                f"{what}: expected a root and at most {MAX_PARTS} parts, each with an anchor; got "
                f"{counted(len(right), 'filter')} and {counted(len(anchors), 'anchor')}"
            )
        root, *parts = (
            self._placed(symbol, anchor, f"{what}, {f'part {i}' if i else 'root'}", octave=i > 0)
            for i, (symbol, anchor) in enumerate(zip(right, anchors, strict=True))
        )
        if root.anchor != (0, 0):
            raise _WrongError(f"{what}: expected the root at (0, 0), got {root.anchor}")
        offset = self._block(_struct(rule.get("offset"), f"{what}: offset"), what)
        return Component(
            root=root.filter,
            parts=tuple(parts),
            bias=self._bias(offset, what),
            mirrored=self._flipped(self._filter(self._deformation(right[0], what), what)),
        )

    def _bias(self, offset: Struct, what: str) -> float:
        bias = _numbers(offset.get("w"), f"{what}: bias", 1)[0] * self.bias_feature
        if not np.isfinite(bias):
            raise _WrongError(f"{what}: expected a finite bias")
        return bias

    def _placed(self, symbol: float, anchor: MatlabValue, what: str, octave: bool) -> Part:
        deformation = self._deformation(symbol, what)
        column, row, scale = _numbers(anchor, f"{what}: anchor", 3)
        if scale != octave:
            raise _WrongError(
                f"{what}: expected octave {int(octave)} above the root, got {scale:g}; only "
                "a root with parts at twice its resolution is known"
            )
        place = tuple(
            _whole(side, f"{what}: anchor", -2 * MAX_SIDE, 2 * MAX_SIDE) for side in (column, row)
        )
        return Part(
            filter=self._weights(self._filter(deformation, what), what),
            anchor=(place[0], place[1]),
            deformation=self._cost(deformation, what),
        )

    def _deformation(self, symbol: float, what: str) -> Struct:
        rules = self._rules(_whole(symbol, f"{what}: symbol", 1, len(self.symbols)))
        if len(rules) != 1 or _text(rules[0].get("type")) != "D":
            raise _WrongError(
                f"{what}: expected one filter with a deformation rule (D); grammars with choices "
                "or parts of parts are not known"
            )
        return rules[0]

    def _filter(self, deformation: Struct, what: str) -> Struct:
        symbol = _whole(deformation.get("rhs"), f"{what}: symbol", 1, len(self.symbols))
        terminal = self.symbols[symbol - 1]
        if _text(terminal.get("type")) != "T":
            raise _WrongError(f"{what}: expected the symbol of a filter (T)")
        number = _whole(terminal.get("filter"), f"{what}: filter", 1, len(self.filters))
        return self.filters[number - 1]

    def _weights(self, entry: Struct, what: str) -> np.ndarray:
        block = self._block(entry, what)
        if _text(block.get("type")) != "F":
            raise _WrongError(f"{what}: expected a block of HOG weights (F)")
        shape = _numbers(block.get("shape"), f"{what}: shape", 3)
        height, width, depth = (_whole(side, f"{what}: shape", 1, MAX_SIDE) for side in shape)
        if depth not in (CHANNELS, CHANNELS + 1):
            raise _WrongError(f"{what}: expected 31 or 32 numbers a cell (HOG), got {depth}")
        flat = np.asarray(_numbers(block.get("w"), f"{what}: weights", height * width * depth))
        if not (np.abs(flat) <= MAX_WEIGHT).all():  # false for NaN too
            raise _WrongError(f"{what}: expected finite weights")
        weights = flat.reshape((height, width, depth), order="F").transpose(2, 0, 1)
        weights = weights[[*range(27), *TEXTURE]].astype(np.float32)
        if self._flipped(entry):
            weights = mirrored(weights)
        weights = np.ascontiguousarray(weights)
        weights.flags.writeable = False
        return weights

    def _cost(self, deformation: Struct, what: str) -> tuple[float, float, float, float]:
        entry = _struct(deformation.get("def"), f"{what}: def")
        factors = _numbers(self._block(entry, what).get("w"), f"{what}: deformation", 4)
        if not np.isfinite(factors).all():
            raise _WrongError(f"{what}: expected finite factors of its deformation")
        dx2, dx, dy2, dy = factors
        return dx2, -dx if self._flipped(entry) else dx, dy2, dy

    def _rules(self, symbol: int) -> list[Struct]:
        if symbol > len(self.rules):
            raise _WrongError(f"symbol {symbol} has no rules: the model is damaged")
        return _structs(self.rules[symbol - 1], f"rules of symbol {symbol}")

    def _block(self, entry: Struct, what: str) -> Struct:
        label = _whole(entry.get("blocklabel"), f"{what}: block", 1, len(self.blocks))
        return self.blocks[label - 1]

    @staticmethod
    def _flipped(entry: Struct) -> bool:
        return _whole(entry.get("flip", np.zeros((1, 1))), "flip", 0, 1) == 1


def _items(value: MatlabValue) -> list[MatlabValue]:
    """A cell or struct array as a list; a single struct as a list of one."""
    if isinstance(value, list):
        return value
    empty = value is None or (isinstance(value, np.ndarray) and value.size == 0)
    return [] if empty else [value]


def _text(value: MatlabValue) -> str:
    return value if isinstance(value, str) else ""


def _struct(value: MatlabValue, what: str) -> Struct:
    if not isinstance(value, Mapping):
        raise _WrongError(f"expected {what} to be a struct, got something else")
    return value


def _structs(value: MatlabValue, what: str) -> list[Struct]:
    return [_struct(item, what) for item in _items(value)]


def _numbers(value: MatlabValue, what: str, count: int | None) -> Sequence[float]:
    """Numbers column by column, as many as told, or any."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise _WrongError(f"{what}: expected numbers, got something else")
    if count is not None and value.size != count:
        raise _WrongError(f"{what}: expected {counted(count, 'number')}, got {value.size}")
    flat: list[float] = value.astype(np.float64).ravel(order="F").tolist()
    return flat


def _whole(value: MatlabValue | float, what: str, least: int, most: int) -> int:
    number = value if isinstance(value, float) else _numbers(value, what, 1)[0]
    if not (least <= number <= most and number == int(number)):
        raise _WrongError(f"{what}: expected a whole number from {least} to {most}, got {number:g}")
    return int(number)
