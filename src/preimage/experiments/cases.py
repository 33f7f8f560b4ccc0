"""Cases: what an experiment computes, each once, each a result folder known by its content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout
from PIL import Image

import preimage
from preimage.errors import PreimageError
from preimage.experiments.progress import Progress, silent
from preimage.files import obstacle, reason
from preimage.recipes import Settings, invert
from preimage.recipes.views import view_for
from preimage.representations import Representation
from preimage.search.result import RECORD, Result, load_record

FOLDER = "cases"
LOCK = ".lock"
ID_DIGITS = 20
BATCH_ON_GPU = 16
"""Cases searched at once on a GPU; on a CPU a batch takes as long as its cases one by one, and a
run that is interrupted loses less."""


class Target(Protocol):
    """What a case is about: a photo, a channel, a template."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def digest(self) -> str:
        """Its content in short; the same content has the same digest on any machine."""


class Method(Protocol):
    """A way to make results from targets."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything besides target and seed that the result depends on, as JSON."""

    def results(self, targets: Sequence[Any], seed: int) -> Sequence[Result]:
        """One result for each target, computed together."""


@dataclass(frozen=True)
class Inversion:
    """Natural pre-images of photos, as `preimage.invert` makes them.

    Attributes:
        representation: Φ.
        settings: of the search.
        size: side that photos are brought to, where Φ takes any.
    """

    representation: Representation
    settings: Settings
    size: int | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "task": "invert",
            "representation": identity_of(self.representation),
            "view": view_for(self.representation, self.size),
            "settings": self.settings.to_dict(),
        }

    def results(self, targets: Sequence[Any], seed: int) -> Sequence[Result]:
        found = invert(
            self.representation,
            [target.path for target in targets],
            settings=self.settings,
            size=self.size,
            seed=seed,
        )
        return found if isinstance(found, list) else [found]


def identity_of(representation: Representation) -> Mapping[str, Any]:
    """What tells a representation from any other, as JSON."""
    weights = representation.weights
    return {
        "model": representation.model,
        "layer": representation.layer,
        "options": dict(representation.options),
        "weights": weights.sha256 if weights else None,
    }


@dataclass(frozen=True)
class Case:
    """One target, one method, one seed.

    Attributes:
        method: how the result is made.
        target: what it is made from.
        seed: a whole number from 0.
    """

    method: Method
    target: Target
    seed: int = 0

    @cached_property
    def kind(self) -> str:
        """All that the result depends on besides the target; cases of a kind can share a batch.

        The version is part of it: another one may compute something else.
        """
        content = {
            "preimage": preimage.__version__,
            "method": dict(self.method.identity),
            "seed": self.seed,
        }
        return json.dumps(content, sort_keys=True, allow_nan=False)

    @cached_property
    def id(self) -> str:
        """The first digits of the SHA-256 of kind and target."""
        content = f"{self.kind}\n{self.target.digest}"
        return hashlib.sha256(content.encode()).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True)
class Finished:
    """A case whose result folder is there.

    Attributes:
        case: what was asked.
        folder: its result folder.
        record: what `result.json` in it holds.
    """

    case: Case
    folder: Path
    record: Mapping[str, Any]

    @property
    def relative_error(self) -> float:
        """‖Φ(x)−Φ₀‖/‖Φ₀‖, a fraction."""
        return float(self.record["relative_error"])

    @property
    def squared_error(self) -> float:
        """Its square, Eq. 2."""
        return float(self.record["squared_error"])

    @property
    def prior(self) -> float:
        """R of Eq. 1: the energy's prior terms together."""
        terms = self.record["energy"]
        return sum(float(terms[name]) for name in terms if name not in ("total", "loss"))

    @property
    def seconds(self) -> float:
        """Time of its search; its share, if several were searched at once."""
        return float(self.record["seconds"]) / int(self.record["case"]["batch"])

    def picture(self, name: str = "image.png") -> Image.Image:
        """A picture of its folder: `image.png` or `reference.png`.

        Raises:
            PreimageError: if it is not there, or damaged.
        """
        path = self.folder / name
        try:
            with Image.open(path, formats=["PNG"]) as image:
                return image.copy()
        except Exception as error:  # damaged files can fail anywhere inside a decoder
            raise PreimageError(f"{path}: cannot be read; {_remedy(self.folder)}") from error


@dataclass(frozen=True)
class CaseStore:
    """The cases of one output folder, each in a folder of its own name, `OUT/cases/ID`.

    A case that is there is read, any other computed. Each folder appears whole, so a run that ends
    early, however it ends, goes on where it was.

    Attributes:
        out: the output folder.
        batch: how many cases are computed at once.
        progress: shows how far it is.
    """

    out: Path
    batch: int = 1
    progress: Progress = silent

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder for this process alone, and clear away what a killed one has left.

        Where it fails before there is a case, as on an unknown layer, no new folder is left.

        Raises:
            PreimageError: if another process has it, or it can't be written.
        """
        folder = self.out / FOLDER
        new = [place for place in (folder, *folder.parents) if not place.exists()]
        if (why := obstacle(folder / "x")) is not None:
            raise PreimageError(f"{self.out} can't be written: {why}. Choose another --out.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / LOCK, timeout=0)
            lock.acquire()
        except Timeout:
            raise PreimageError(
                f"another run is at work in {self.out}: wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise PreimageError(
                f"{self.out} can't be written: {reason(error)}. Choose another --out."
            ) from error
        try:
            for left in folder.glob(".*.*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        except PreimageError:
            _remove_unused(new)
            raise
        finally:
            lock.release()

    def finish(self, cases: Sequence[Case], label: str) -> list[Finished]:
        """All cases, read or computed, in their order.

        They are computed in batches of neighbours with the same method and seed. Which these are
        does not depend on what is there already: a case has the same neighbours, and so the same
        roundings, in a run that was interrupted and in one that was not.

        Raises:
            PreimageError: if a case can't be computed, or its folder is damaged.
        """
        done: list[Finished] = []
        with self.progress(label, len(cases)) as advance:
            for batch in _batches(cases, self.batch):
                if not all(self.has(case) for case in batch):
                    self._compute(batch)
                done.extend(self.read(case) for case in batch)
                advance(len(batch))
        return done

    def folder_of(self, case: Case) -> Path:
        """Where its result is, or will be."""
        return self.out / FOLDER / case.id

    def has(self, case: Case) -> bool:
        """Whether its result is there."""
        return (self.folder_of(case) / RECORD).is_file()

    def read(self, case: Case) -> Finished:
        """A case that is there.

        Raises:
            PreimageError: if its record is damaged, of another schema, or of another case.
        """
        folder = self.folder_of(case)
        try:
            record = load_record(folder)
        except PreimageError as error:
            raise PreimageError(f"{error} {_remedy(folder)}") from error
        about = record.get("case")
        if not isinstance(about, dict) or about.get("id") != case.id:
            raise PreimageError(f"{folder} holds the result of something else; {_remedy(folder)}")
        return Finished(case, folder, record)

    def _compute(self, batch: Sequence[Case]) -> None:
        first = batch[0]
        try:
            results = first.method.results([case.target for case in batch], first.seed)
        except PreimageError as error:
            names = ", ".join(case.target.name for case in batch)
            # Wrong use stays wrong use.
            raise type(error)(f"{names}: {error}") from error
        for case, result in zip(batch, results, strict=True):
            if not self.has(case):
                about = {"id": case.id, "target": case.target.name, "batch": len(batch)}
                replace(result, record={**result.record, "case": about}).save(self.folder_of(case))


def _remove_unused(folders: Sequence[Path]) -> None:
    """Remove folders, the inner ones first, that hold nothing but a lock."""
    for folder in folders:
        if all(path.name == LOCK for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _batches(cases: Sequence[Case], size: int) -> Iterator[list[Case]]:
    """Neighbours of a kind, no more than `size`."""
    for _, group in groupby(cases, key=lambda case: case.kind):
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def _remedy(folder: Path) -> str:
    return f"remove {folder} and run again."


def batch_for(device: str) -> int:
    """How many cases are computed at once on a device."""
    return 1 if device == "cpu" else BATCH_ON_GPU
