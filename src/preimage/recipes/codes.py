"""Codes as files: one NumPy array of numbers, `[D, h, w]` or `[D]`."""

from __future__ import annotations

import os

import numpy as np

from preimage.errors import PreimageError
from preimage.files import reason, replacing


def load_code(path: str | os.PathLike[str]) -> np.ndarray:
    """A code from a `.npy` file; nothing in the file is run.

    Unlike `preimage.recipes.inversion.as_code`, this knows no representation: it only asks that
    the file holds one array of numbers.

    Returns:
        The array, of the file's own shape and type.

    Raises:
        PreimageError: if the file is missing, is no `.npy` file, is cut short, or holds Python
            objects or several arrays.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "code.npy"
        >>> save_code(np.zeros((4, 2, 2), np.float32), file)
        >>> load_code(file).shape
        (4, 2, 2)
    """
    try:
        # Mapped first: a header that promises more than the file holds is refused unallocated.
        mapped = np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({reason(error)})") from error
    except Exception as error:  # a damaged header can fail anywhere inside NumPy's reader
        raise PreimageError(
            f"{path}: expected one NumPy array of numbers (.npy), got something else, Python "
            "objects or a damaged file"
        ) from error
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise PreimageError(f"{path}: expected one array (.npy), got an archive (.npz, .pt)")
    return np.array(mapped)


def save_code(code: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write a code as a `.npy` file of float32, whole or not at all.

    Raises:
        PreimageError: if the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(code, dtype=np.float32), allow_pickle=False)
