"""Folders of photos: which files in them can be used, and why the others can't."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from preimage.errors import PreimageError, counted
from preimage.files import printable, reason
from preimage.images.photo import load_photo


@dataclass(frozen=True)
class Unusable:
    """A file of a folder that was passed over.

    Attributes:
        name: of the file, without its folder.
        why: in a few words.
    """

    name: str
    why: str


@dataclass(frozen=True)
class Photos:
    """What a look at some files has found.

    Attributes:
        paths: photos that can be used, in the order they were looked at.
        unusable: files passed over.
        rest: files that nobody has looked at, because there were enough before them.
    """

    paths: tuple[Path, ...]
    unusable: tuple[Unusable, ...] = ()
    rest: tuple[Path, ...] = ()

    @property
    def note(self) -> str | None:
        """As `passed_over` has it."""
        return passed_over(self.unusable)


MOST_NAMED = 5
"""Files that a message names; the rest are counted."""


def passed_over(unusable: Sequence[Unusable]) -> str | None:
    """Files passed over, counted and named, as one line; None where there are none.

    >>> passed_over([Unusable("notes.txt", "no image")])
    '1 file was passed over: notes.txt (no image)'
    """
    if not unusable:
        return None
    named = [f"{printable(file.name)} ({file.why})" for file in unusable[:MOST_NAMED]]
    more = ", ..." if len(unusable) > MOST_NAMED else ""
    were = "was" if len(unusable) == 1 else "were"
    return f"{counted(len(unusable), 'file')} {were} passed over: {', '.join(named)}{more}"


def files_in(folder: str | os.PathLike[str], of: str = "photos") -> tuple[Path, ...]:
    """The files of a folder by name; hidden ones and folders within it are left out.

    Args:
        folder: where to look.
        of: what the folder was expected to hold, for messages.

    Raises:
        PreimageError: if there is no such folder, or it holds no file.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> for name in ("b.jpg", "a.jpg", ".hidden"):
    ...     (place / name).touch()
    >>> [path.name for path in files_in(place)]
    ['a.jpg', 'b.jpg']
    """
    place = Path(folder)
    try:
        found = [path for path in place.iterdir() if path.is_file() and path.name[0] != "."]
    except NotADirectoryError:
        raise PreimageError(f"{place}: expected a folder of {of}, got a file.") from None
    except OSError as error:
        raise PreimageError(f"{place}: expected a folder of {of} ({reason(error)}).") from error
    if not found:
        raise PreimageError(f"{place}: expected a folder of {of}, got one without files.")
    return tuple(sorted(found))


def usable(files: Iterable[Path], count: int | None = None, least_side: int = 2) -> Photos:
    """The first photos among some files that can be used; every one is decoded once.

    Args:
        files: what to look at, in order.
        count: how many are enough; None looks at all.
        least_side: pixels that the shorter side must have.

    >>> usable([Path("no-such.jpg")]).unusable[0].why
    'cannot be read (no such file or directory)'
    """
    waiting = list(files)
    good: list[Path] = []
    bad: list[Unusable] = []
    while waiting and (count is None or len(good) < count):
        path = waiting.pop(0)
        why = _flaw(path, least_side)
        if why is None:
            good.append(path)
        else:
            bad.append(Unusable(path.name, why))
    return Photos(tuple(good), tuple(bad), tuple(waiting))


def _flaw(path: Path, least_side: int) -> str | None:
    try:
        width, height = load_photo(path, None).size
    except PreimageError as error:
        return str(error).removeprefix(f"{path}: ")
    if min(width, height) < least_side:
        return f"{width}x{height} pixels, less than {least_side}"
    return None
