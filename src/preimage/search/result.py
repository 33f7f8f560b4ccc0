"""One result: the image, what was measured on it, and the folder that holds both."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from preimage.errors import PreimageError, counted, one_line
from preimage.files import obstacle, printable, reason, safe_name, umask
from preimage.images import Tile, contact_sheet

SCHEMA = 1
"""Version of the record's layout; a reader refuses records of another one."""

RECORD = "result.json"


@dataclass(frozen=True)
class Result:
    """One pre-image with its record.

    Attributes:
        record: what `result.json` holds; see docs/results.md.
        name: what it is called among several: its photo's stem, or what it shows.
        headline: the one figure to show first: what it is, and its value in words.
        image: the pre-image, 0-255, clipped, never stretched.
        reference: the photo whose code was inverted, or None if only its code was given.
        canvas: the whole rendered canvas, `[C, H, W]` float32 on the canvas scale; None where the
            search went tile by tile and the image is all there is.
        trace: one row an iteration, as the search saw it (jitter included).
        trace_columns: names of the trace's columns.
        code: the target code; saved where there is no reference to compute it from.
        displayed: reference and pre-image as the figure shows them, if not as they are.
        drawing: the target code as a picture, for the figure, where codes are drawn by custom.
        title: what stands over the picture in the figure; empty for model and layer.
        panels: the figure's pictures, where they are not reference, drawn code and pre-image.
        beside: further pictures that the search was given, by the name of their file and of their
            origin in the record, e.g. `style`.
        mask: what of the code counted, where it was given as an array.
        box: left, top, right and bottom pixel of what part of a code can see, drawn in the figure.
    """

    record: Mapping[str, Any] = field(repr=False)
    name: str
    headline: tuple[str, str]
    image: Image.Image = field(repr=False)
    reference: Image.Image | None = field(repr=False)
    canvas: np.ndarray | None = field(repr=False)
    trace: np.ndarray = field(repr=False)
    trace_columns: tuple[str, ...] = field(repr=False)
    code: np.ndarray | None = field(default=None, repr=False)
    displayed: tuple[Image.Image, ...] = field(default=(), repr=False)
    drawing: Image.Image | None = field(default=None, repr=False)
    title: str = ""
    panels: tuple[Tile, ...] = field(default=(), repr=False)
    beside: Mapping[str, Image.Image] = field(default_factory=dict, repr=False)
    mask: np.ndarray | None = field(default=None, repr=False)
    box: tuple[int, int, int, int] | None = None

    @property
    def relative_error(self) -> float:
        """‖Φ(x)−Φ₀‖/‖Φ₀‖ of the pre-image, a fraction; only an inversion has one."""
        return float(self.record["relative_error"])

    @property
    def energy(self) -> float:
        """Eq. 1 of the final canvas."""
        return float(self.record["energy"]["total"])

    def tiles(self) -> list[Tile]:
        """The figure's pictures with their captions: reference and drawn code, as far as there are,
        and pre-image."""
        if self.panels:
            return list(self.panels)
        stretched = bool(self.displayed)
        shown = self.displayed or tuple(p for p in (self.reference, self.image) if p is not None)
        if self.box is not None:
            shown = tuple(boxed(picture, self.box) for picture in shown)
        representation = self.record["representation"]
        words = (representation["model"], representation["layer"], self.record.get("method"))
        # Several layers may break behind a comma.
        title = self.title or " ".join(word.replace(",", ", ") for word in words if word)
        caption = caption_of(self.headline)
        if (part := _part_of_code(self.record)) is not None:
            caption += f", {part}"
        if stretched:
            caption += ", contrast stretched"
        if self.box is not None:
            caption += "\nred box: what that part sees"
        if (search := _search_of(self.record)) is not None:
            caption += f"\n{search}"
        tiles = [Tile(shown[-1], title, caption)]
        if self.drawing is not None:
            tiles.insert(0, Tile(self.drawing, "code", "drawn as glyphs, one a cell"))
        for name, picture in reversed(list(self.beside.items())):
            given, words_under = BESIDE.get(name, (name, ""))
            tiles.insert(0, Tile(picture, given, words_under or self._file_of(name)))
        if self.reference is not None:
            tiles.insert(0, Tile(shown[0], "reference", self._file_of("image") or "reference"))
        return tiles

    def _file_of(self, key: str) -> str:
        """Name of the file that a picture came from, as far as the record tells."""
        return Path(str((self.record.get(key) or {}).get("path") or "")).name

    def figure(self) -> Image.Image:
        """Reference and pre-image side by side, captioned."""
        tiles = self.tiles()
        return contact_sheet(tiles, columns=len(tiles))

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the result folder, all of it or nothing.

        Raises:
            PreimageError: if the folder exists and is not empty (unless `overwrite`), or cannot
                be written.
        """
        with new_folder(folder, overwrite) as partial:
            self.write_into(partial)
        return Path(folder)

    def write_into(self, folder: Path) -> None:
        """Write the result's files into an existing folder."""
        self.image.save(folder / "image.png")
        if self.reference is not None:
            self.reference.save(folder / "reference.png")
        if self.code is not None:
            np.save(folder / "code.npy", self.code)
        for name, picture in self.beside.items():
            picture.save(folder / f"{name}.png")
        if self.mask is not None:
            np.save(folder / "mask.npy", self.mask)
        self.figure().save(folder / "figure.png")
        if self.canvas is not None:
            np.save(folder / "canvas.npy", self.canvas)
        with (folder / "trace.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("iteration", *self.trace_columns))
            for iteration, row in enumerate(self.trace.tolist(), start=1):
                writer.writerow((iteration, *(f"{value:.9g}" for value in row)))
        text = json.dumps(self.record, indent=1, ensure_ascii=False, allow_nan=False)
        # A path may hold bytes that are no text; their escapes are JSON's own.
        (folder / RECORD).write_bytes((text + "\n").encode("utf-8", "backslashreplace"))

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure().save(buffer, format="PNG")
        return buffer.getvalue()


BESIDE = {
    "as": ("wanted code", ""),
    "difference-stretched": ("change", "contrast stretched"),
}
"""Title and caption of pictures beside, by the name of their file, where that says too little."""


def caption_of(headline: tuple[str, str]) -> str:
    """A headline as a caption: each of its figures on a line of its own.

    >>> caption_of(("activation", "9.65, 1.2 x photos' largest"))
    "activation 9.65\\n1.2 x photos' largest"
    """
    return " ".join(headline).replace(", ", "\n")


def of_restart(tile: Tile, record: Mapping[str, Any]) -> Tile:
    """A tile whose title says which restart it shows, for where there are several."""
    return replace(tile, title=f"{tile.title}\nrestart {record['restart']}")


BOX = (230, 30, 30)


def boxed(picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A copy with a red box (Fig. 13)."""
    copy = picture.convert("RGB")
    ImageDraw.Draw(copy).rectangle(box, outline=BOX, width=2)
    return copy


def _part_of_code(record: Mapping[str, Any]) -> str | None:
    """Which part of the code counted, in words; None for all of it."""
    settings = record.get("settings") or {}
    words = []
    if settings.get("neighbourhood"):
        words.append("central {0}x{0} cells".format(settings["neighbourhood"]))
    if settings.get("channels"):
        words.append("channels {}:{}".format(*settings["channels"]))
    if record.get("mask"):
        words.append(f"{100 * record['mask']['part']:.3g} % of the code")
    return ", ".join(words) or None


def _search_of(record: Mapping[str, Any]) -> str | None:
    """Preset and iterations, which say how far a picture can be trusted; None without a search."""
    preset, iterations = (record.get("settings") or {}).get("preset"), record.get("iterations")
    if not (preset and iterations):
        return None
    return f"{preset}, {counted(iterations, 'iteration')}"


def check_new_folder(folder: str | Path, overwrite: bool = False) -> None:
    """Refuse a place where results can't be written, before any time is spent on them.

    Raises:
        PreimageError: if the folder holds something (unless `overwrite`, and all of it was written
            by this package), it or a parent is a file or can't be written, or it is the working
            folder, one around it, or where a disk is mounted.
    """
    path = Path(folder)
    real = path.resolve()  # behind a link, the folder that would be replaced
    if path.exists() and not path.is_dir():
        raise PreimageError(
            f"{path} is a file; a folder for results was expected: choose another --out."
        )
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise PreimageError(
            f"{path} exists and is not empty: choose another --out, or give --overwrite "
            "(in Python: overwrite=True)."
        )
    if path.is_dir() and (foreign := _foreign(path)) is not None:
        raise PreimageError(
            f"{path} holds {foreign}, so it is not replaced: choose another --out, or empty it."
        )
    if (why := obstacle(real)) is not None:
        raise PreimageError(f"{path} can't be written: {why}. Choose another --out.")
    if os.path.ismount(real) or _is_around_us(real):
        raise PreimageError(
            f"{path} is the working folder, one around it or where a disk is mounted, which can't "
            "be replaced by a finished one: name a new folder inside it as --out."
        )


def check_spares(folder: str | Path, inputs: Iterable[Path]) -> None:
    """Refuse a place whose replacement would remove what is asked about.

    Raises:
        PreimageError: if the place is one of these files or folders, or holds one.
    """
    real = Path(folder).resolve()
    for path in inputs:
        if path.exists() and real in (path.resolve(), *path.resolve().parents):
            holds = "" if real == path.resolve() else f"holds {path}, which "
            raise PreimageError(f"{folder} {holds}is asked about: choose another --out.")


def _is_around_us(path: Path) -> bool:
    try:
        return Path.cwd().is_relative_to(path)
    except OSError:  # the working folder itself is gone
        return False


def spare_place(path: Path) -> Path:
    """The first free name beside a taken one: `out-2`, `out-3` ..."""
    names = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


MARKS = (RECORD, "report.json", "study.json", "index.html")
"""One of these is in every folder that this package makes, or a result is in a folder of it."""

SUFFIXES = frozenset({".csv", ".gif", ".html", ".json", ".npy", ".png", ".svg"})
"""Of all files that this package writes into folders."""


def _foreign(folder: Path) -> str | None:
    """What shows that a folder is somebody's own, in words; None if it was made here."""
    within = sorted(folder.iterdir())
    marked = any((folder / mark).is_file() for mark in MARKS)
    if within and not marked and next(folder.glob(f"*/{RECORD}"), None) is None:
        others = [path for path in within if path.is_file() and path.suffix not in SUFFIXES]
        return _unwritten(others[0], folder) if others else "no result of preimage"
    for path in folder.rglob("*"):
        if not path.is_dir() and path.suffix not in SUFFIXES:
            return _unwritten(path, folder)
    return None


def _unwritten(path: Path, folder: Path) -> str:
    return f"{printable(path.relative_to(folder))}, which preimage has not written"


@contextmanager
def new_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write into that takes its name only when all of it is there.

    The work happens in a hidden neighbour; if the block fails or is interrupted, that is removed
    and the place is as it was before. If something else has come there meanwhile, both are kept:
    the work under another name.

    Raises:
        PreimageError: as `check_new_folder`, or if the disk refuses.
    """
    path = Path(folder)
    check_new_folder(path, overwrite)
    if path.is_symlink():
        path = path.resolve()  # the link stays, the folder behind it is replaced
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.absolute().parent))
    except OSError as error:
        raise PreimageError(
            f"{path} can't be written: {error.strerror}. Choose another --out."
        ) from error
    try:
        yield partial
        partial.chmod(0o777 & ~umask())
        _put(partial, path, overwrite)
    except OSError as error:
        raise PreimageError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put(partial: Path, path: Path, overwrite: bool) -> None:
    """Give the finished folder its name, or one beside it where something has come meanwhile."""
    try:
        check_new_folder(path, overwrite)
        _replace(partial, path, overwrite)
    except (PreimageError, OSError) as error:
        why = error if isinstance(error, PreimageError) else f"{path}: {reason(error)}."
        spare = spare_place(path)
        partial.rename(spare)
        raise PreimageError(f"{why} What was found is in {spare}.") from error


def _replace(partial: Path, path: Path, overwrite: bool) -> None:
    """Give the finished folder its name; an older one is moved aside first, then removed."""
    if not path.exists():
        partial.rename(path)
    elif not overwrite:
        path.rmdir()  # empty; whatever else there is stays, and this fails
        partial.rename(path)
    else:
        aside = partial.with_name(partial.name + ".old")
        path.rename(aside)
        partial.rename(path)
        shutil.rmtree(aside, ignore_errors=True)


def load_record(folder: str | Path) -> dict[str, Any]:
    """Read `result.json` of a result folder.

    Raises:
        PreimageError: if there is none, it is damaged, or of another schema.
    """
    path = Path(folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PreimageError(f"{folder}{_what_it_holds(Path(folder))}") from None
    except OSError as error:
        raise PreimageError(f"{path} can't be read as a record: {reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise PreimageError(f"{path} can't be read as a record: {one_line(error)}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        got = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise PreimageError(
            f"{path} has schema {one_line(repr(got))}; this version reads schema {SCHEMA}."
        )
    return record


def _what_it_holds(folder: Path) -> str:
    """What to say of a folder without a record: its subfolders may have them."""
    if not folder.exists():
        return ": no such folder; a result folder was expected."
    within = sorted(folder.glob(f"*/{RECORD}"))
    if not within:
        return f" holds no {RECORD}: a result folder was expected."
    several = "several results" if len(within) > 1 else "a result in a folder of its own"
    one = folder / printable(within[0].parent.name)
    return f" holds {several}: preimage rerun {one}"


def save_all(results: Sequence[Result], folder: str | Path, overwrite: bool = False) -> Path:
    """One result as a result folder; several as a folder each beside a contact sheet."""
    if len(results) == 1:
        return results[0].save(folder, overwrite)
    with new_folder(folder, overwrite) as partial:
        for name, result in zip(folder_names(results), results, strict=True):
            (partial / name).mkdir()
            result.write_into(partial / name)
        sheet_of(results).save(partial / "figure.png")
    return Path(folder)


def folder_names(results: Sequence[Result]) -> list[str]:
    """A distinct name for each result: number, name, restart."""
    names = []
    for i, result in enumerate(results):
        names.append(f"{i:03d}-{safe_name(result.name)}-restart{result.record['restart']}")
    return names


MOSAIC_FROM, MOSAIC_COLUMNS, MOSAIC_TILE = 16, 8, 150
"""More pictures than this, each by itself, make a mosaic of small tiles."""


def mosaic(tiles: Sequence[Tile]) -> Image.Image:
    """Small tiles side by side, as many channels are looked at."""
    columns = min(MOSAIC_COLUMNS, len(tiles))
    return contact_sheet(tiles, columns=columns, tile_height=MOSAIC_TILE)


WIDEST = 6
"""Tiles of full size in one row, at most."""


def sheet_of(results: Sequence[Result]) -> Image.Image:
    """All results in one picture, each reference and drawn code once before its pre-images."""
    tiles: list[Tile] = []
    shown: set[tuple[str, bytes]] = set()
    restarts = len({result.record["restart"] for result in results}) > 1
    for result in results:
        *given, found = result.tiles()
        # Searches by themselves have loaded the same photo each.
        pixels = b"" if result.reference is None else result.reference.tobytes()
        key = (str(result.record["image"]), pixels)
        if given and key not in shown:
            tiles.extend(given)
            shown.add(key)
        tiles.append(of_restart(found, result.record) if restarts else found)
    if len(tiles) > MOSAIC_FROM and len(tiles) == len(results):
        return mosaic(tiles)
    # Rows of whole groups: an image with all its restarts, or as many pairs as find room.
    across = 4 if results[0].drawing is None else 3
    if restarts and len(shown) > 1 and len(tiles) <= WIDEST * len(shown):
        across = len(tiles) // len(shown)
    return contact_sheet(tiles, columns=min(across, len(tiles)))
