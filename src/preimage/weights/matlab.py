"""MATLAB's data files as plain Python values; versions 5, 7 and 7.3.

Unlike ``scipy.io.loadmat``, whose recursion a file of nested cells can drive until the process
dies, nothing is reserved or followed here before the file's own size and a fixed depth allow it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import h5py
import numpy as np

from preimage.errors import PreimageError, one_line
from preimage.files import reason

MatlabValue = Union[np.ndarray, str, list["MatlabValue"], dict[str, "MatlabValue"], None]  # noqa: UP007
"""A numeric array in MATLAB's shape and order, a text, a cell or struct array as a list (column
by column), a struct as a dict; None for what has no data (functions, objects, sparse arrays)."""

# VGG-16 has 0.55 GB. The share of the file's own size stops archives that unpack to very much
# more than they hold; weights hardly compress at all.
MAX_BYTES = 2 << 30
FREE_BYTES = 64 << 20
MAX_EXPANSION = 100
# A network of a thousand layers has about 30 000.
MAX_VALUES = 50_000
MAX_TEXT = 1 << 20
# Real networks nest eight deep.
MAX_DEPTH = 24
HEADER_BYTES = 128


class _RefusedError(Exception):
    """The file asks for more than it may, or is not what it says; the message says how."""


@dataclass
class _Budget:
    """What a file may still unfold to."""

    bytes: int
    values: int

    @staticmethod
    def of(path: Path) -> _Budget:
        size = path.stat().st_size
        return _Budget(min(MAX_BYTES, FREE_BYTES + MAX_EXPANSION * size), MAX_VALUES)

    def spend(self, size: int) -> None:
        if size > self.bytes:
            raise _RefusedError(
                f"an array of {size:,} bytes is more than a file of this size can hold; refused"
            )
        self.bytes -= size

    def count(self, values: int = 1) -> None:
        self.values -= values
        if self.values < 0:
            raise _RefusedError(f"expected at most {MAX_VALUES:,} values, got more")


def read_matlab(path: Path) -> dict[str, MatlabValue]:
    """The variables of a MATLAB file.

    Args:
        path: a file saved by MATLAB (``save -v6``, ``-v7`` or ``-v7.3``), or by
            ``scipy.io.savemat``.

    Returns:
        Values by the variables' names. Numeric arrays keep the type in which they are stored.

    Raises:
        PreimageError: the file cannot be read, is of another kind, is damaged or cut short, or
            promises more than it holds. Nothing in it is ever run.

    Source: MathWorks, *MAT-File Format* (version 5), and MATLAB's HDF5 layout (version 7.3).

    >>> import tempfile, scipy.io
    >>> file = Path(tempfile.mkdtemp()) / "x.mat"
    >>> scipy.io.savemat(file, {"x": {"name": "conv1", "pad": [1, 2]}})
    >>> read_matlab(file)
    {'x': {'name': 'conv1', 'pad': array([[1, 2]])}}
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
        if header[126:128] in (b"IM", b"MI") and header[124:126] not in (b"\0\2", b"\2\0"):
            return _Version5(path.read_bytes(), _Budget.of(path)).variables()
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return _Version73(file, _Budget.of(path)).variables()
    except _RefusedError as error:
        raise PreimageError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except OSError as error:
        # h5py's errors about damaged files are OSErrors too, without a number.
        why = reason(error) if error.errno else f"damaged or cut short: {one_line(error)}"
        raise PreimageError(f"{path}: cannot be read ({why})") from error
    except Exception as error:  # damaged bytes can fail anywhere
        raise PreimageError(
            f"{path}: damaged or cut short ({one_line(error) or type(error).__name__}); "
            "copy or download it again"
        ) from error
    raise PreimageError(f"{path}: expected a MATLAB file of version 5, 7 or 7.3, got another kind")


# Version 5: data elements one behind the other, each a tag (type, bytes) and its data. An array is
# an element that holds elements: flags, dimensions, name, data. In version 7 whole variables are
# deflated.

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_NUMBERS |= {12: "i8", 13: "u8"}
_TEXTS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _DEFLATED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_COMPLEX = 0x0800
_WIDE = {"utf-16": "H", "utf-32": "I"}


@dataclass
class _Element:
    """Type and extent of one data element."""

    kind: int
    start: int
    end: int
    next: int


@dataclass
class _Bytes:
    """A run of elements, read from front to back."""

    data: memoryview
    order: str
    at: int = 0
    end: int = 0
    depth: int = 0

    def next(self) -> _Element:
        if self.at + 8 > self.end:
            raise _RefusedError("the file ends early: damaged or cut short")
        kind, size = struct.unpack_from(f"{self.order}II", self.data, self.at)
        if kind >> 16:  # up to four bytes stand in the tag itself
            element = _Element(kind & 0xFFFF, self.at + 4, self.at + 4 + (kind >> 16), self.at + 8)
        else:
            start = self.at + 8
            padding = 0 if kind == _DEFLATED else -size % 8
            element = _Element(kind, start, start + size, start + size + padding)
        if element.end > self.end:
            raise _RefusedError("the file ends early: damaged or cut short")
        self.at = element.next
        return element

    def inside(self, element: _Element) -> _Bytes:
        return _Bytes(self.data, self.order, element.start, element.end, self.depth + 1)

    def numbers(self, element: _Element) -> np.ndarray:
        if element.kind not in _NUMBERS:
            raise _RefusedError(f"damaged: expected numbers, got an element of type {element.kind}")
        dtype = np.dtype(self.order + _NUMBERS[element.kind])
        raw = self.data[element.start : element.end]
        return np.frombuffer(raw, dtype, len(raw) // dtype.itemsize)

    def text(self, element: _Element) -> str:
        if element.end - element.start > MAX_TEXT:
            raise _RefusedError("a text of more than a million letters")
        encoding = _TEXTS.get(element.kind, "latin1")
        if encoding in _WIDE:
            encoding += "-le" if self.order == "<" else "-be"
        return bytes(self.data[element.start : element.end]).decode(encoding, "replace")


class _Version5:
    def __init__(self, data: bytes, budget: _Budget) -> None:
        order = "<" if data[126:128] == b"IM" else ">"
        self.file = _Bytes(memoryview(data), order, HEADER_BYTES, len(data))
        self.budget = budget

    def variables(self) -> dict[str, MatlabValue]:
        found: dict[str, MatlabValue] = {}
        while self.file.at < self.file.end:
            element, run = self.file.next(), self.file
            if element.kind == _DEFLATED:
                run = self._inflated(element)
                element = run.next()
            if element.kind == _MATRIX:
                name, value = self._matrix(run.inside(element))
                found[name] = value
        return found

    def _inflated(self, element: _Element) -> _Bytes:
        packed = zlib.decompressobj()
        # One byte more than allowed shows that there is more.
        limit = self.budget.bytes + 1
        data = packed.decompress(self.file.data[element.start : element.end], limit)
        self.budget.spend(len(data))
        if not packed.eof:
            raise _RefusedError("the file ends early: damaged or cut short")
        return _Bytes(memoryview(data), self.file.order, 0, len(data))

    def _matrix(self, run: _Bytes) -> tuple[str, MatlabValue]:
        self.budget.count()
        if run.depth > MAX_DEPTH:
            raise _RefusedError(f"expected values nested at most {MAX_DEPTH} deep, got more")
        if run.at == run.end:
            return "", np.zeros((0, 0))
        flags = int(run.numbers(run.next())[0])
        kind = flags & 0xFF
        if kind == _OPAQUE:
            return run.text(run.next()), None
        shape = tuple(int(side) for side in run.numbers(run.next()))
        name = run.text(run.next())
        if kind in (_SPARSE, _FUNCTION) or flags & _COMPLEX:
            return name, None
        if any(side < 0 for side in shape):
            raise _RefusedError("damaged: an array with a negative side")
        if kind == _CELL:
            return name, [self._next_matrix(run) for _ in range(self._count(run, shape))]
        if kind in (_STRUCT, _OBJECT):
            return name, self._structs(run, shape, kind)
        return name, run.text(run.next()) if kind == _CHAR else self._numbers(run, shape)

    def _numbers(self, run: _Bytes, shape: tuple[int, ...]) -> np.ndarray:
        values = run.numbers(run.next())
        if values.size != math.prod(shape):
            raise _RefusedError(f"damaged: {math.prod(shape):,} numbers promised, {values.size:,}")
        return values.reshape(shape, order="F")

    def _structs(self, run: _Bytes, shape: tuple[int, ...], kind: int) -> MatlabValue:
        if kind == _OBJECT:
            run.next()  # the class's name
        length = max(int(run.numbers(run.next())[0]), 1)
        names = run.text(run.next())
        fields = [names[i : i + length].split("\0")[0] for i in range(0, len(names), length)]
        count = self._count(run, (*shape, len(fields)))
        if not fields:
            return {}
        structs: list[MatlabValue] = [
            {name: self._next_matrix(run) for name in fields} for _ in range(count // len(fields))
        ]
        return structs[0] if len(structs) == 1 else structs

    def _count(self, run: _Bytes, shape: tuple[int, ...]) -> int:
        count = math.prod(shape)
        if count * 8 > run.end - run.at:
            raise _RefusedError("the file ends early: damaged or cut short")
        return count

    def _next_matrix(self, run: _Bytes) -> MatlabValue:
        element = run.next()
        if element.kind != _MATRIX:
            raise _RefusedError(
                f"damaged: expected an array, got an element of type {element.kind}"
            )
        return self._matrix(run.inside(element))[1]


# Version 7.3: HDF5. Arrays stand with their axes reversed; cells and struct arrays are arrays of
# references to what lies in the group #refs#.

_INTERNAL = "#"


@dataclass
class _Version73:
    file: h5py.File
    budget: _Budget
    depth: int = field(default=0)

    def variables(self) -> dict[str, MatlabValue]:
        return self._members(self.file, [n for n in self.file if not n.startswith(_INTERNAL)])

    def _members(self, group: h5py.Group, names: list[str]) -> dict[str, MatlabValue]:
        return {name: self._value(_member(group, name)) for name in names}

    def _value(self, node: Any) -> MatlabValue:
        self.budget.count()
        if self.depth == MAX_DEPTH:
            raise _RefusedError(f"expected values nested at most {MAX_DEPTH} deep, got more")
        self.depth += 1
        try:
            if isinstance(node, h5py.Group):
                return self._struct(node)
            return self._dataset(node) if isinstance(node, h5py.Dataset) else None
        finally:
            self.depth -= 1

    def _struct(self, group: h5py.Group) -> MatlabValue:
        if _class_of(group) not in ("struct", ""):
            return None
        names = list(group)
        nodes = [_member(group, name) for name in names]
        # A cell says that it is one; in a struct array every field is a bare array of references.
        if nodes and all(_is_references(node) and not _class_of(node) for node in nodes):
            columns = [self._references(node) for node in nodes]
            if len({len(column) for column in columns}) != 1:
                raise _RefusedError("damaged: the fields of a struct array differ in length")
            return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        return {name: self._value(node) for name, node in zip(names, nodes, strict=True)}

    def _dataset(self, data: h5py.Dataset) -> MatlabValue:
        kind = _class_of(data)
        if _is_references(data):
            return self._references(data)
        if data.dtype.kind not in "fiub":
            return None
        values = self._numbers(data)
        if "MATLAB_empty" in data.attrs:
            empty: dict[str, MatlabValue] = {"char": "", "cell": [], "struct": []}
            return empty.get(kind, np.zeros((0, 0)))
        if kind == "char":
            if values.size > MAX_TEXT:
                raise _RefusedError("a text of more than a million letters")
            return values.astype("<u2").tobytes(order="C").decode("utf-16-le", "replace")
        # Opaque objects are written as numbers too.
        return None if kind.startswith("?") else values.T

    def _references(self, data: h5py.Dataset) -> list[MatlabValue]:
        self.budget.count(math.prod(data.shape))
        references = self._numbers(data).reshape(-1)
        return [self._value(self.file[each]) if each else None for each in references]

    def _numbers(self, data: h5py.Dataset) -> np.ndarray:
        if data.external or data.is_virtual:
            raise _RefusedError("expected data in the file itself, got a pointer to another file")
        if data.shape is None:
            return np.zeros((0, 0))
        self.budget.spend(math.prod(data.shape) * data.dtype.itemsize)
        return np.asarray(data[()])


def _member(group: h5py.Group, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _RefusedError(f"expected data in the file itself, got a link named {one_line(name)}")
    return group[name]


def _is_references(node: Any) -> bool:
    return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is h5py.Reference


def _class_of(node: h5py.Group | h5py.Dataset) -> str:
    """MATLAB's name of a value's class; `?` for objects, empty for what has none."""
    attributes: Mapping[str, Any] = node.attrs
    if "MATLAB_object_decode" in attributes:
        return "?"
    name = attributes.get("MATLAB_class", b"")
    return name.decode("latin1") if isinstance(name, bytes) else str(name)
