"""The photos that an experiment is made on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from preimage.errors import PreimageError, counted
from preimage.files import sha256_of_file
from preimage.images.folder import Photos, files_in, usable


@dataclass(frozen=True)
class PhotoTarget:
    """A photo as the target of cases.

    Attributes:
        path: of the file.
        digest: SHA-256 of its bytes; a case is known by it, whatever the file is called.
    """

    path: Path
    digest: str

    @property
    def name(self) -> str:
        """The file's name without folder and suffix."""
        return self.path.stem


@dataclass(frozen=True)
class Sample:
    """The first photos of a folder.

    Attributes:
        targets: one for each photo.
        photos: where they come from, with what was passed over and what is left.
    """

    targets: tuple[PhotoTarget, ...]
    photos: Photos


def first_photos(folder: Path, count: int) -> Sample:
    """The first photos of a folder by name that can be used.

    Raises:
        PreimageError: if there is no such folder, or it holds fewer.
    """
    photos = usable(files_in(folder), count)
    found = len(photos.paths)
    if found < count:
        passed_over = f" ({photos.note})" if photos.note else ""
        remedy = f"or --count {found}" if found else "of JPEG or PNG files"
        raise PreimageError(
            f"{folder}: expected {counted(count, 'photo')}, found {found}{passed_over}: "
            f"give a larger folder {remedy}."
        )
    return Sample(tuple(photo_target(path) for path in photos.paths), photos)


def photo_target(path: Path) -> PhotoTarget:
    """A photo as the target of cases."""
    return PhotoTarget(path, sha256_of_file(path))
