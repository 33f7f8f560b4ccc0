"""Paired dictionaries for HOGgle as files: safetensors, with a header that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from preimage.errors import PreimageError, counted, one_line
from preimage.files import printable, reason, replacing
from preimage.weights.store import home

FORMAT = 1
"""Version of the layout; a reader refuses any other."""

BLOCK = 5
"""Cells along the side of a block, as in the paper of HOGgle."""
CHANNELS = 31
"""Numbers that HOG has a cell."""

HEADER = "hoggle"
CODE, PIXELS = "code_atoms", "pixel_atoms"


@dataclass(frozen=True)
class Header:
    """What a dictionary was learned for, and from what.

    Attributes:
        cell: side of a HOG cell in pixels.
        block: side of a block in cells.
        patch: side of a patch in pixels.
        atoms: how many pairs there are.
        penalty: λ of the sparse codes it was learned with, and is used with.
        photos: how many photos it was learned from.
        blocks: how many blocks of them.
        seed: of the sampling and of the learning.
        versions: of the software.
        model: representation whose blocks these are.
        format: of the file.
    """

    cell: int
    block: int
    patch: int
    atoms: int
    penalty: float
    photos: int
    blocks: int
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    model: str = "hog"
    format: int = FORMAT


@dataclass(frozen=True)
class Dictionary:
    """Pairs of atoms: half of each is a block of HOG, half the patch of pixels that goes with it.

    Attributes:
        header: what it was learned for.
        code_atoms: `[K, 31·block²]`, channel by channel, row by row.
        pixel_atoms: `[K, patch²]`, row by row.
        path: of the file it was read from, absolute.
    """

    header: Header
    code_atoms: np.ndarray
    pixel_atoms: np.ndarray
    path: str | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of header and atoms."""
        sha = hashlib.sha256(self._text().encode())
        for atoms in (self.code_atoms, self.pixel_atoms):
            sha.update(np.ascontiguousarray(atoms, dtype="<f4").tobytes())
        return sha.hexdigest()

    def to_record(self) -> dict[str, Any]:
        """The record's `dictionary`: where it was, which one it is, and its header."""
        return {"path": self.path, "sha256": self.digest, **asdict(self.header)}

    def _text(self) -> str:
        return json.dumps(asdict(self.header), sort_keys=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as safetensors, whole or not at all.

        Raises:
            PreimageError: if the file can't be written.
        """
        atoms = {CODE: self.code_atoms, PIXELS: self.pixel_atoms}
        whole = {name: np.ascontiguousarray(value, np.float32) for name, value in atoms.items()}
        with replacing(path) as temporary:
            temporary.write_bytes(save(whole, {HEADER: self._text()}))


def dictionary_path(cell: int) -> Path:
    """Where this machine keeps the dictionary for a cell size, once it is trained."""
    return home() / "hoggle" / f"cell{cell}.safetensors"


def load_dictionary(path: str | os.PathLike[str]) -> Dictionary:
    """Read a dictionary; nothing in the file is run.

    Raises:
        PreimageError: if the file is missing, damaged, no dictionary, or of another version.

    Example:
        >>> load_dictionary("hoggle.safetensors").header.cell                 # doctest: +SKIP
        8
    """
    try:
        Path(path).open("rb").close()  # safetensors has no plain words for what can't be opened
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if HEADER not in metadata or not {CODE, PIXELS} <= set(file.keys()):
                raise _DamagedError("safetensors without a HOGgle dictionary")
            header = _header(metadata[HEADER])
            code_atoms, pixel_atoms = (
                _atoms(file, name, [header.atoms, width])
                for name, width in ((CODE, CHANNELS * header.block**2), (PIXELS, header.patch**2))
            )
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({reason(error)})") from error
    except (SafetensorError, _DamagedError) as error:
        # The library's words are of its own insides.
        foreign = isinstance(error, SafetensorError)
        got = "another kind of file, or a damaged one" if foreign else one_line(error)
        raise PreimageError(
            f"{path}: expected a dictionary of `preimage hoggle train`, got {got}: train one again."
        ) from error
    return Dictionary(header, code_atoms, pixel_atoms, path=os.path.abspath(path))


def dictionary_for(cell: int, given: Dictionary | None, otherwise: str = "") -> Dictionary:
    """The dictionary for a cell size: what was given, or what was trained on this machine.

    Args:
        cell: side of the code's cells in pixels.
        given: a dictionary, or None for this machine's.
        otherwise: what else to do about one for other cells.

    Raises:
        PreimageError: if there is none, or it is for another cell size.
    """
    found = given or _trained(cell)
    if found.header.cell != cell:
        raise PreimageError(
            f"this dictionary is for cells of {counted(found.header.cell, 'pixel')}, the code "
            f"has cells of {cell}: give the other one{otherwise}."
        )
    return found


def _trained(cell: int) -> Dictionary:
    path = dictionary_path(cell)
    if not path.is_file():
        option = "" if cell == 8 else f" --cell {cell}"
        raise PreimageError(
            f"HOGgle has no dictionary for cells of {counted(cell, 'pixel')} on this machine: "
            f"train one with preimage hoggle train --photos DIR{option}, or give --dictionary FILE."
        )
    return load_dictionary(path)


def recorded_dictionary(record: Mapping[str, Any]) -> Dictionary:
    """The dictionary that a result was made with: where it was then, or in the cache.

    Args:
        record: as `Dictionary.to_record` gives it.

    Raises:
        PreimageError: if neither is the one of the record.
        LookupError, TypeError, ValueError: if the record is damaged.
    """
    places = [dictionary_path(int(record["cell"]))]
    if record.get("path") is not None:
        places.insert(0, Path(record["path"]))
    places = list(dict.fromkeys(places))
    for place in filter(Path.is_file, places):
        with suppress(PreimageError):  # something else may be there by now
            if (found := load_dictionary(place)).digest == record["sha256"]:
                return found
    where = " nor ".join(printable(place) for place in places)
    raise PreimageError(
        f"made by HOGgle with the dictionary {one_line(record['sha256'])[:12]}, which is "
        f"{'neither ' if len(places) > 1 else 'not '}{where}: put it there, or train it again."
    )


class _DamagedError(Exception):
    """What a file holds instead of a dictionary."""


def _header(text: str) -> Header:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise _DamagedError("a header that is no JSON") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        got = values.get("format") if isinstance(values, dict) else None
        raise _DamagedError(f"one of format {got!r} where this version reads {FORMAT}")
    try:
        header = Header(**values)
    except TypeError:
        raise _DamagedError("a header with other fields") from None
    lengths = (header.cell, header.block, header.patch, header.atoms)
    if not all(type(length) is int and 1 <= length <= MOST for length in lengths):
        raise _DamagedError("a header with sizes out of range")
    if header.model != "hog" or header.patch != header.block * header.cell:
        raise _DamagedError("one for something else than blocks of hog")
    if type(header.penalty) is not float or not 0 < header.penalty < 1:
        raise _DamagedError("a header with a penalty out of range")
    return header


MOST = 1 << 20
"""Above any real size: what is larger comes from a damaged header."""


def _atoms(file: Any, name: str, shape: list[int]) -> np.ndarray:
    got = list(file.get_slice(name).get_shape())
    if got != shape:
        raise _DamagedError(f"{name} of shape {got} where {shape} was said")
    atoms = np.asarray(file.get_tensor(name))
    if atoms.dtype != np.float32:
        raise _DamagedError(f"{name} of {atoms.dtype} where float32 was expected")
    if not np.isfinite(atoms).all():
        raise _DamagedError(f"{name} with NaN or infinite values")
    return atoms
