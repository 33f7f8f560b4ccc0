"""Readers of weight files. None of them runs anything that a file may hold."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from preimage.errors import PreimageError, one_line

NestedArrays = Mapping[str, Union[np.ndarray, "NestedArrays"]]

# Real files of this kind nest two deep; a hostile one could nest until Python's stack ends.
MAX_DEPTH = 16
MAX_ARRAYS = 100_000
# Numbers and booleans, by NumPy's letters; "O" (objects) and "V" (records) are left out.
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:[iuf][1248]|f16|c8|c16|b1|\?)")


def read_torch(path: Path) -> dict[str, Tensor]:
    """Reads a state dict saved by PyTorch, onto the CPU.

    Args:
        path: a file written by ``torch.save``.

    Returns:
        Tensors by name.

    Raises:
        PreimageError: the file cannot be read, or holds anything but a dict of tensors
            (``weights_only`` loading: code in the file is refused, never run).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "w.pth"
    >>> torch.save({"bias": torch.zeros(2)}, file)
    >>> read_torch(file)
    {'bias': tensor([0., 0.])}
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file can fail anywhere inside torch's reader
        raise PreimageError(
            f"{path}: expected a PyTorch state dict, got something else or a damaged file "
            f"({one_line(error) or type(error).__name__})"
        ) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise PreimageError(
            f"{path}: expected a dict of tensors by name, got {type(loaded).__name__}"
        )
    return dict(loaded)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name, onto the CPU; such a file can hold nothing else.

    Raises:
        PreimageError: the file cannot be read or is damaged.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "w.safetensors"
    >>> safetensors.torch.save_file({"bias": torch.zeros(2)}, file)
    >>> read_safetensors(file)
    {'bias': tensor([0., 0.])}
    """
    try:
        loaded: dict[str, Tensor] = safetensors.torch.load_file(path)
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # safetensors has no public class for its errors
        raise PreimageError(f"{path}: damaged ({one_line(error)}); add it again") from error
    return loaded


def read_numpy_pickle(path: Path) -> NestedArrays:
    """Reads a pickle of nested dicts of NumPy arrays, and refuses any other.

    Unlike ``pickle.load``, nothing the file names is ever called: the few names that a pickled
    array needs are answered by inert stand-ins, from whose recorded shape, type and bytes the
    arrays are made afterwards.

    Args:
        path: a pickle of protocol 2 to 5.

    Returns:
        Dicts by name, whose leaves are arrays of numbers (writable copies).

    Raises:
        PreimageError: the file cannot be read, names anything but a NumPy array (the refused
            name is given), or holds object arrays, arrays whose bytes do not fit their shape,
            or other values.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "w.ckpt"
    >>> _ = file.write_bytes(pickle.dumps({"Conv_0": {"bias": np.zeros(2)}}))
    >>> read_numpy_pickle(file)
    {'Conv_0': {'bias': array([0., 0.])}}
    """
    try:
        data = path.read_bytes()
        _check_opcodes(data)
        return _Collector().collect(_ArrayUnpickler(io.BytesIO(data)).load())
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except _RefusedError as error:
        raise PreimageError(f"{path}: {error}") from error
    except Exception as error:  # hostile bytes can fail anywhere inside the unpickler
        raise PreimageError(
            f"{path}: expected a pickle of NumPy arrays, got something else or a damaged file "
            f"({type(error).__name__})"
        ) from error


class _RefusedError(Exception):
    """The pickle asks for more than arrays.

    Its messages never print a value of the file: nested tuples can be short in the file and
    endless in print.
    """


class _Dtype:
    """Stands for ``numpy.dtype``: records the type's letters and byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, subtype, names, fields, ...): the last three make records.
        if any(part is not None for part in state[2:5]):
            raise _RefusedError("expected arrays of numbers, got an array of records")
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        order = self.order if self.order in ("<", ">") else ""
        letters = f"{order}{self.code}" if isinstance(self.code, str) else ""
        if not _PLAIN_DTYPE.fullmatch(letters):
            raise _RefusedError(f"expected arrays of numbers, got type {letters or '?'}")
        return np.dtype(letters)


class _Array:
    """Stands for ``numpy.ndarray``: records shape, type, memory order and bytes."""

    __slots__ = ("data", "dtype", "fortran", "shape")

    def __init__(self, shape: Any = None, dtype: Any = None, fortran: Any = False) -> None:
        self.shape, self.dtype, self.fortran, self.data = shape, dtype, fortran, b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def numpy(self) -> np.ndarray:
        if not isinstance(self.dtype, _Dtype) or not isinstance(self.shape, tuple):
            raise _RefusedError("expected whole arrays, got one without shape or type")
        dtype = self.dtype.numpy()
        if not isinstance(self.data, (bytes, bytearray)):
            raise _RefusedError("expected arrays of numbers, got an array of objects")
        if not all(type(side) is int and side >= 0 for side in self.shape):
            raise _RefusedError("expected an array's shape, got a tuple of something else")
        if math.prod(self.shape) * dtype.itemsize != len(self.data):
            raise _RefusedError(
                f"expected {self.shape} x {dtype.itemsize} bytes, got {len(self.data)}"
            )
        flat = np.frombuffer(self.data, dtype=dtype).copy()
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


class _Reconstruct:
    """Stands for NumPy's ``_reconstruct``, which makes the empty array that is filled later."""

    __slots__ = ()

    def __call__(self, *_: object) -> _Array:
        return _Array()


class _FromBuffer:
    """Stands for NumPy's ``_frombuffer``, which protocol 5 uses: bytes, type, shape, order."""

    __slots__ = ()

    def __call__(self, data: object, dtype: object, shape: object, order: object) -> _Array:
        array = _Array(shape, dtype, order == "F")
        array.data = data  # type: ignore[assignment]  # checked in numpy()
        return array


class _Encode:
    """Stands for ``_codecs.encode``, by which protocol 2 writes bytes as Latin-1 text."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise _RefusedError("expected bytes written as Latin-1 text, got another encoding")
        return text.encode("latin1")


class _NoBytes:
    """Stands for ``bytes()``, which is how protocol 2 writes no bytes at all."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


# Instances rather than functions: a pickle could set attributes on a function, not on these.
_STAND_INS: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _Encode(),
    ("__builtin__", "bytes"): _NoBytes(),
}


# What pickled dicts of arrays are made of. A first pass over these also finds every length that
# reaches past the file's end, before Python's unpickler reserves that much memory.
# fmt: off
_OPCODES = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
))
# fmt: on
_MAX_MEMO = 1_000_000


def _check_opcodes(data: bytes) -> None:
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in _OPCODES:
            raise _RefusedError(f"expected NumPy arrays alone, got pickle opcode {opcode.name}")
        if opcode.name == "LONG_BINPUT" and (argument or 0) > _MAX_MEMO:
            raise _RefusedError(f"expected at most {_MAX_MEMO} shared values, got more")


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            asked = one_line(f"{module}.{name}".replace("\n", "?"))
            raise _RefusedError(
                f"expected NumPy arrays alone, got {asked}; refused, nothing was run"
            ) from None


class _Collector:
    """Turns the unpickled dicts of stand-ins into dicts of arrays."""

    def __init__(self) -> None:
        self.arrays = 0

    def collect(self, value: object, depth: int = 0) -> NestedArrays:
        if not isinstance(value, dict):
            raise _RefusedError(f"expected a dict of arrays, got {_kind(value)}")
        if depth == MAX_DEPTH:
            raise _RefusedError(f"expected at most {MAX_DEPTH} dicts inside each other, got more")
        collected: dict[str, np.ndarray | NestedArrays] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise _RefusedError(f"expected names of arrays, got a {type(name).__name__}")
            leaf = self._leaf(item)
            collected[name] = self.collect(item, depth + 1) if leaf is None else leaf
        return collected

    def _leaf(self, item: object) -> np.ndarray | None:
        self.arrays += 1
        # Shared dicts can stand for far more arrays than the file has bytes.
        if self.arrays > MAX_ARRAYS:
            raise _RefusedError(f"expected at most {MAX_ARRAYS} arrays, got more")
        return item.numpy() if isinstance(item, _Array) else None


def _kind(value: object) -> str:
    return "an array" if isinstance(value, _Array) else type(value).__name__
