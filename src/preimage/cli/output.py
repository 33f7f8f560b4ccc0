"""Where results go: a folder, a film, standard output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preimage.cli import console
from preimage.errors import PreimageError, UsageError
from preimage.files import obstacle, printable, replacing, safe_name

if TYPE_CHECKING:
    from preimage.gallery.movie import Film, Recorder
    from preimage.search import Result


@dataclass(frozen=True)
class Output:
    """Where the results of a command go.

    Attributes:
        out: folder as given, or None.
        overwrite: replace what is there.
        as_json: print the records; without `out`, write no folder.
        movie: file for a film of the search, or None.
    """

    out: Path | None
    overwrite: bool
    as_json: bool
    movie: Path | None = None

    def check(self, inputs: Sequence[Path] = ()) -> None:
        """Refuse places that can't be written, before any time is spent.

        Args:
            inputs: files of the command; a folder that holds one of them is not replaced.

        Raises:
            PreimageError: if something is there, or a folder can't be written.
            UsageError: if the film's name does not end in .gif or is the folder's, or there is no
                place that could be overwritten.
        """
        from preimage.search.result import check_new_folder, check_spares

        check_overwrite(self.overwrite, self.out or self.movie)
        if self.out is not None:
            check_new_folder(self.out, self.overwrite)
            check_spares(self.out, inputs)
        if self.movie is not None:
            check_suffix(self.movie, ".gif", "--movie")
            if self.out is not None and self.out.resolve().is_relative_to(self.movie.resolve()):
                raise UsageError(f"--movie {self.movie} is where --out goes: choose another.")
            check_new_file(self.movie, self.overwrite, "--movie")

    def recorders(self, mean: Sequence[float], view: int | None = None) -> list[Recorder]:
        """A callback that records the film, if one was asked for (see `Recorder`)."""
        from preimage.gallery.movie import Recorder

        return [] if self.movie is None else [Recorder(mean, view)]

    def write(
        self, results: Sequence[Result], words: Sequence[str | None], film: bytes | None = None
    ) -> None:
        """Write what was asked for and say so.

        Args:
            results: of the command.
            words: what the name of the folder says, where none was given.
            film: of the search, for `movie`.
        """
        place = None
        if self.out is not None or not self.as_json:
            # A free name is looked for at the end: another search may have taken one meanwhile.
            place = free_folder(*words) if self.out is None else self.out
            place = save(results, place, self.overwrite)
        if self.movie is not None and film is not None:
            self.movie.absolute().parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.movie) as temporary:
                temporary.write_bytes(film)
        if self.as_json:
            console.print_records([result.record for result in results])
        else:
            console.print_results(list(results), str(place))


def save(results: Sequence[Result], place: Path, overwrite: bool) -> Path:
    """Results where they were to go, or beside it where something has come there meanwhile."""
    from preimage.search.result import check_new_folder, save_all, spare_place

    try:
        check_new_folder(place, overwrite)
    except PreimageError as error:
        spare = save_all(results, spare_place(place))
        console.note(f"{error} This time the results are in {printable(spare)}.")
        return spare
    return save_all(results, place, overwrite)


def check_overwrite(overwrite: bool, place: Path | None) -> None:
    """Refuse `--overwrite` without a place: what is written then never falls on anything.

    Raises:
        UsageError: if so.
    """
    if overwrite and place is None:
        raise UsageError("--overwrite is for a place of your own: give --out DIR too.")


def film_of(recorders: Sequence[Film], results: Sequence[Result]) -> bytes | None:
    """A film that ends with the results, if one was recorded."""
    return recorders[0].gif([result.image for result in results]) if recorders else None


def check_new_file(path: Path, overwrite: bool, option: str) -> None:
    """Refuse a place where a file can't be written, before any time is spent on it.

    Raises:
        PreimageError: if something is there (unless a file and `overwrite`), or the folder can't
            be written.
    """
    if path.is_dir():
        raise PreimageError(f"{path} is a folder; a file was expected: choose another {option}.")
    if path.exists() and not overwrite:
        raise PreimageError(f"{path} exists: choose another {option}, or give --overwrite.")
    if (why := obstacle(path)) is not None:
        raise PreimageError(f"{path} can't be written: {why}. Choose another {option}.")


def check_suffix(path: Path, suffix: str, option: str) -> None:
    """Refuse a name for a file of one format that does not say so.

    Raises:
        UsageError: if it ends in anything else.
    """
    if path.suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: a name that ends in {suffix} was expected.")


def free_folder(*words: str | None) -> Path:
    """`preimage-out/WORD-WORD`, or with -2, -3 ... behind it where that is taken."""
    from preimage.search.result import spare_place

    name = "-".join(safe_name(word) for word in words if word)
    # Here alone: elsewhere -3 and 3 must not become one name, and this one is made free below.
    name = re.sub("-{2,}", "-", name).strip("-")
    place = Path("preimage-out") / name
    return spare_place(place) if place.exists() else place
