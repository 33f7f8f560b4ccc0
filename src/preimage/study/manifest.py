"""A study as a folder: which pictures are compared, copied together with a manifest."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from preimage.errors import PreimageError, UsageError, counted, one_line
from preimage.files import reason
from preimage.images import load_photo, save_png, sha256_of_file
from preimage.search.result import (
    RECORD,
    check_new_folder,
    check_spares,
    load_record,
    new_folder,
)

MANIFEST = "study.json"
PICTURES = "pictures"
VOTES = "votes.sqlite"
SCHEMA = 1
WARM_UP = 5
"""First votes of each subject that do not count, as in the paper."""

Key = tuple[str, str | None, str]
"""Model, layer and the photo's digest: what results must share to be compared."""

PICTURE_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Item:
    """One layer of one photo, inverted with every setting.

    Attributes:
        model, layer: where the codes come from; the layer is None where the model has none.
        photo: name of the photo's file, for people.
        pictures: one for each of the study's settings, in their order; names without suffix that
            say nothing about the setting.
    """

    model: str
    layer: str | None
    photo: str
    pictures: tuple[str, ...]

    @property
    def place(self) -> str:
        """Model and layer as one word."""
        return self.model if self.layer is None else f"{self.model}:{self.layer}"


@dataclass(frozen=True)
class Study:
    """What is asked, whoever is asked.

    Attributes:
        folder: where it lies.
        seed: with a subject's id, it fixes that subject's questions.
        questions: how many each subject is asked.
        settings: names of what is compared, two or more.
        items: what it is compared on.
    """

    folder: Path
    seed: int
    questions: int
    settings: tuple[str, ...]
    items: tuple[Item, ...]

    def picture(self, item: int, setting: int) -> str:
        """Name of a picture in the study's folder."""
        return self.items[item].pictures[setting]

    def file_of(self, picture: str) -> Path | None:
        """The file of a picture, or None if the study has no such picture."""
        known = any(picture in item.pictures for item in self.items)
        return self.folder / PICTURES / f"{picture}.png" if known else None

    @property
    def digest(self) -> str:
        """16 hexadecimal digits by which a study's votes know it again."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:16]

    def text(self) -> str:
        """The manifest's text."""
        content = {
            "schema": SCHEMA,
            "seed": self.seed,
            "questions": self.questions,
            "settings": self.settings,
            "items": [asdict(item) for item in self.items],
        }
        return json.dumps(content, indent=1) + "\n"


@dataclass(frozen=True)
class Made:
    """A new study, and what could not become part of it.

    Attributes:
        study: the study.
        skipped: result folders that were not used, each with the reason.
    """

    study: Study
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class _Found:
    """One picture of one setting."""

    path: Path
    key: Key
    photo: str
    receptive_field: float
    order: tuple[int, int]


def make_study(
    out: str | Path,
    folders: Sequence[str | Path],
    seed: int = 0,
    questions: int | None = None,
    overwrite: bool = False,
) -> Made:
    """Gather results into a new study folder.

    Every folder is one setting and may hold result folders at any depth. Results belong together
    if they are of the same model, layer and photo; an item needs one of every setting. Of several
    restarts the first is taken. Pictures are copied under names that do not tell the setting.

    Args:
        out: the study's folder, to be made.
        folders: two or more; their names are the settings' names.
        seed: fixes the questions, together with each subject's id.
        questions: for each subject; by default one an item, as in the paper, and the warm-up.
        overwrite: replace what is at `out`.

    Returns:
        The study, and what was left out.

    Raises:
        UsageError: if there are fewer than two settings, two have one name, or there are not
            as many questions.
        PreimageError: if the settings share no item, a folder is missing, or `out` can't be
            written, holds votes, or is or holds one of the folders or results.

    Source: Sect. 5.2.3, "Interpretability".

    Example:
        >>> made = make_study("study", ["runs/paper", "runs/best"])         # doctest: +SKIP
        >>> made.study.settings                                              # doctest: +SKIP
        ('paper', 'best')
    """
    places = [Path(folder) for folder in folders]
    settings = _names(places)
    if (Path(out) / VOTES).exists():
        raise PreimageError(f"{out} holds votes, which can't be cast again: choose another --out.")
    check_spares(out, [*places, *(each for place in places for each in _result_folders(place))])
    check_new_folder(out, overwrite)
    skipped: list[tuple[Path, str]] = []
    found = [_results(place, skipped) for place in places]
    keys = _shared(found, settings, skipped)
    asked = _questions(questions, len(keys), len(keys) * math.comb(len(settings), 2))
    with new_folder(out, overwrite) as partial:
        (partial / PICTURES).mkdir()
        items = tuple(_item([results[key] for results in found], partial) for key in keys)
        study = Study(Path(out), seed, asked, settings, items)
        (partial / MANIFEST).write_text(study.text(), encoding="utf-8")
    return Made(study, tuple(skipped))


def load_study(folder: str | Path) -> Study:
    """Read a study's manifest.

    Raises:
        PreimageError: if there is none, it is damaged, or of another version.
    """
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = Path(folder).exists()
        raise PreimageError(
            f"{folder}{f' holds no {MANIFEST}:' if there else ': no such folder;'} a folder from "
            "`preimage study make` was expected."
        ) from None
    except OSError as error:
        raise PreimageError(f"{path} can't be read as a study: {reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise PreimageError(f"{path} can't be read as a study: {one_line(error)}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise PreimageError(f"{path} is no study of this version (schema {SCHEMA}): make it again.")
    try:
        return _read(Path(folder), content)
    except (KeyError, TypeError, ValueError) as error:
        raise PreimageError(f"{path} is damaged: {one_line(error)}; make it again.") from error


def _read(folder: Path, content: Mapping[str, Any]) -> Study:
    items = tuple(
        Item(item["model"], item["layer"], item["photo"], tuple(item["pictures"]))
        for item in content["items"]
    )
    settings = tuple(content["settings"])
    study = Study(folder, content["seed"], content["questions"], settings, items)
    words = [w for item in items for w in (item.model, item.photo, *item.pictures)]
    pictures = [picture for item in items for picture in item.pictures]
    checks = {
        "names": all(isinstance(word, str) for word in (*settings, *words)),
        "layers": all(isinstance(item.layer, str | None) for item in items),
        "numbers": type(study.seed) is int and type(study.questions) is int,
        "settings": len(settings) >= 2 and len(set(settings)) == len(settings),
        "pictures": all(PICTURE_NAME.fullmatch(str(picture)) for picture in pictures),
        "items": all(len(item.pictures) == len(settings) for item in items),
    }
    wrong = [name for name, good in checks.items() if not good]
    if wrong:
        raise ValueError(f"its {wrong[0]} are not what they should be")
    possible = len(items) * math.comb(len(settings), 2)
    if not WARM_UP < study.questions <= possible:
        raise ValueError(f"{study.questions} questions from {possible}")
    return study


def _names(places: Sequence[Path]) -> tuple[str, ...]:
    """The settings' names: what their folders are called."""
    if len(places) < 2:
        raise UsageError(f"expected two or more folders to compare, got {len(places)}.")
    for place in places:
        if not place.is_dir():
            raise PreimageError(f"{place}: no such folder; folders with results were expected.")
    names = tuple(place.resolve().name for place in places)
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UsageError(
            f"two folders are called {double!r}, and their names are the settings' names: "
            "rename one."
        )
    return names


def _results(place: Path, skipped: list[tuple[Path, str]]) -> dict[Key, _Found]:
    """The first result of every item in a setting's folder; the others go to `skipped`."""
    best: dict[Key, _Found] = {}
    for folder in _result_folders(place):
        try:
            found = _found(folder)
        except PreimageError as error:
            skipped.append((folder, str(error)))
            continue
        held = best.get(found.key)
        if held is None or found.order < held.order:
            best[found.key] = found
        if held is not None:
            left = held if best[found.key] is found else found
            skipped.append((left.path, "another restart of the same photo and layer is used."))
    return best


def _result_folders(place: Path) -> Iterator[Path]:
    for record in sorted(place.rglob(RECORD)):
        # Hidden folders hold results that are still being written.
        if not any(part.startswith(".") for part in record.relative_to(place).parts):
            yield record.parent


def _found(folder: Path) -> _Found:
    record = load_record(folder)
    try:
        representation, image = record["representation"], record["image"]
        key = (representation["model"], representation["layer"], image["sha256"])
        field = representation.get("receptive_field")
        order = (record["restart"], record["seed"])
        photo = Path(image["path"]).name
    except (KeyError, TypeError, AttributeError):
        raise PreimageError("its record names no photo and layer to compare on.") from None
    words = all(isinstance(word, str) for word in (key[0], key[2]))
    if not (words and isinstance(key[1], str | None) and all(type(n) is int for n in order)):
        raise PreimageError("its record names no photo and layer to compare on.")
    load_photo(folder / "image.png", None)  # a damaged picture is named, not copied
    number = isinstance(field, int | float)
    return _Found(folder, key, photo, float(field) if number else math.inf, order)


def _shared(
    found: Sequence[Mapping[Key, _Found]],
    settings: Sequence[str],
    skipped: list[tuple[Path, str]],
) -> list[Key]:
    """Items that every setting has, from shallow to deep."""
    for results in found:
        for key, result in results.items():
            missing = [s for s, other in zip(settings, found, strict=True) if key not in other]
            if missing:
                skipped.append((result.path, f"{missing[0]} has no result for it."))
    first = found[0]
    keys = [key for key in first if all(key in results for results in found)]
    if not keys:
        counts = ", ".join(
            f"{name} {len(results)}" for name, results in zip(settings, found, strict=True)
        )
        also = f"\nleft out: {skipped[0][0]}: {one_line(skipped[0][1])}" if skipped else ""
        raise PreimageError(
            "the folders share no result of the same model, layer and photo; usable results in "
            f"each: {counts}.{also}"
        )
    models = list(dict.fromkeys(key[0] for key in keys))
    return sorted(
        keys, key=lambda key: (models.index(key[0]), first[key].receptive_field, key[1] or "")
    )


def _item(results: Sequence[_Found], partial: Path) -> Item:
    model, layer, _ = results[0].key
    pictures = tuple(_copy(result.path / "image.png", partial / PICTURES) for result in results)
    return Item(model, layer, results[0].photo, pictures)


def _copy(source: Path, folder: Path) -> str:
    """A picture written anew, without what its file says of itself, and named by its bytes."""
    fresh = folder / "fresh.png"
    save_png(load_photo(source, None), fresh)
    name = sha256_of_file(fresh)[:32]
    fresh.replace(folder / f"{name}.png")
    return name


def _questions(asked: int | None, items: int, possible: int) -> int:
    if possible <= WARM_UP:
        raise PreimageError(
            f"the results make {counted(possible, 'question')}, and the first {WARM_UP} votes of a "
            "subject do not count: give more photos, layers or settings."
        )
    if asked is None:
        return min(items + WARM_UP, possible)
    if not WARM_UP < asked <= possible:
        raise UsageError(
            f"--questions {asked}: expected {WARM_UP + 1} to {possible}; the first {WARM_UP} votes "
            "do not count, and nothing is asked twice."
        )
    return asked
