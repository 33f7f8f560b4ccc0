"""Files whole or not at all: atomic writing, digests, and names fit to be shown or given."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preimage.errors import PreimageError

CHUNK_BYTES = 1 << 20
LONGEST_NAME = 60
"""Bytes of a name that `safe_name` keeps: file systems allow 255, and more is put around it."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it if the block ends well.

    If the block raises, the temporary file is removed and whatever was at ``path`` stays.
    The temporary name has ``path``'s suffix, since some writers choose the format by it.

    Args:
        path: where the file is to be in the end; its folder must exist.

    Raises:
        PreimageError: the folder is missing or cannot be written to.

    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    final = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=final.parent, prefix=".part-", suffix=final.suffix)
        os.close(handle)
    except OSError as error:
        raise PreimageError(f"{final}: cannot be written ({reason(error)})") from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner can read; results are ordinary files.
        temporary.chmod(0o666 & ~umask())
        os.replace(temporary, final)
    except OSError as error:
        raise PreimageError(f"{final}: cannot be written ({reason(error)})") from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes.

    Returns:
        64 hexadecimal digits.

    Raises:
        PreimageError: the file cannot be read.

    >>> file = Path(tempfile.mkdtemp()) / "empty"
    >>> file.touch()
    >>> sha256_of_file(file)[:8]
    'e3b0c442'
    """
    return _digest(path, hashlib.sha256())


def md5_of_file(path: str | os.PathLike[str]) -> str:
    """MD5 of a file's bytes, for files whose publisher gives no better digest.

    Unlike SHA-256, it finds damage, but no file that its own maker prepared to have a twin.

    Returns:
        32 hexadecimal digits.

    Raises:
        PreimageError: the file cannot be read.
    """
    return _digest(path, hashlib.md5(usedforsecurity=False))


def _digest(path: str | os.PathLike[str], digest: hashlib._Hash) -> str:
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise PreimageError(f"{path}: cannot be read ({reason(error)})") from error
    return digest.hexdigest()


def reason(error: OSError) -> str:
    """The operating system's own words for an error, without numbers and paths.

    >>> reason(FileNotFoundError(2, "No such file or directory", "x"))
    'no such file or directory'
    """
    words = error.strerror or str(error) or type(error).__name__
    return words[:1].lower() + words[1:]


def obstacle(path: str | os.PathLike[str]) -> str | None:
    """Why nothing can be made at a path, whose folders need not exist yet; None if it can.

    >>> folder = Path(tempfile.mkdtemp())
    >>> obstacle(folder / "new" / "x")
    >>> (folder / "photo.jpg").touch()
    >>> str(obstacle(folder / "photo.jpg" / "x")).endswith("photo.jpg is a file, not a folder")
    True
    """
    parent = Path(path).absolute().parent
    while not os.path.exists(parent):
        parent = parent.parent
    if not parent.is_dir():
        return f"{printable(parent)} is a file, not a folder"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"no permission in {printable(parent)}"
    return None


def printable(name: object) -> str:
    """A name fit to stand in one line of a message: control characters as their escapes.

    >>> printable("two\\nlines")
    'two\\\\nlines'
    """
    return "".join(
        letter
        if letter.isprintable() or unicodedata.category(letter) == "Zs"
        else letter.encode("unicode_escape").decode()
        for letter in str(name)
    )


def safe_name(name: str) -> str:
    """A file's name as part of a new one: letters, digits, `.`, `-` and `_`, not too long.

    >>> safe_name("my photo (1)")
    'my-photo-1-'
    """
    safe = re.sub(r"[^\w.-]+", "-", name)
    return safe.encode()[:LONGEST_NAME].decode(errors="ignore")


def umask() -> int:
    """Permissions that new files of this process do not get."""
    # The mask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
