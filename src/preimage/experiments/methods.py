"""Methods of the experiments besides inversion, and what their cases are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from preimage.experiments.cases import identity_of
from preimage.experiments.photos import PhotoTarget
from preimage.files import sha256_of_file
from preimage.recipes import (
    MaximizationSettings,
    Objective,
    Settings,
    caricature,
    maximize,
    template,
)
from preimage.recipes.dictionaries import Dictionary
from preimage.recipes.hoggle import METHOD
from preimage.recipes.maxima import Maxima, known_maxima
from preimage.recipes.template_hoggle import hoggle_template
from preimage.representations import Representation
from preimage.search.result import Result


@dataclass(frozen=True)
class Wanted:
    """An objective as the target of cases.

    Attributes:
        objective: a channel or a class.
    """

    objective: Objective

    @property
    def name(self) -> str:
        """The objective's words."""
        return str(self.objective).strip('"')

    @property
    def digest(self) -> str:
        """Its words too: they say all there is."""
        return f"objective {self.objective}"


@dataclass(frozen=True)
class Maximization:
    """Activation maximization, as `preimage.maximize` does it.

    Attributes:
        representation: Φ.
        settings: of the search.
        together: channels that share one canvas, all that are targets; empty where each objective
            has images of its own.
    """

    representation: Representation
    settings: MaximizationSettings
    together: tuple[int, ...] = ()

    @cached_property
    def maxima(self) -> Maxima:
        """M of Eq. 9: what this machine knows of it."""
        return known_maxima(self.representation)

    @property
    def identity(self) -> Mapping[str, Any]:
        maxima = self.maxima
        return {
            "task": "maximize",
            "representation": identity_of(self.representation),
            "settings": self.settings.to_dict(),
            "together": list(self.together),
            "maxima": [maxima.source, maxima.images, maxima.digest],
        }

    def results(self, targets: Sequence[Wanted], seed: int) -> Sequence[Result]:
        found = maximize(
            self.representation,
            [target.objective for target in targets],
            settings=self.settings,
            maxima=self.maxima,
            layout="canvas" if self.together else "batch",
            seed=seed,
        )
        return found if isinstance(found, list) else [found]


@dataclass(frozen=True)
class Caricature:
    """Caricatures of photos, as `preimage.caricature` makes them.

    Attributes:
        representation: Φ.
        settings: of the search.
    """

    representation: Representation
    settings: Settings

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "task": "caricature",
            "representation": identity_of(self.representation),
            "settings": self.settings.to_dict(),
        }

    def results(self, targets: Sequence[PhotoTarget], seed: int) -> Sequence[Result]:
        photos = [target.path for target in targets]
        found = caricature(self.representation, photos, settings=self.settings, seed=seed)
        return found if isinstance(found, list) else [found]


@dataclass(frozen=True)
class ComponentTarget:
    """A component of a deformable part model as the target of cases.

    Attributes:
        path: of the model's file.
        number: of the component, from 1.
        sha256: of the file's bytes.
    """

    path: Path
    number: int
    sha256: str

    @staticmethod
    def of(path: Path, number: int) -> ComponentTarget:
        """A component of a file."""
        return ComponentTarget(path, number, sha256_of_file(path))

    @property
    def name(self) -> str:
        """Class and component, as the file's name tells them."""
        return f"{self.path.stem.removesuffix('_final')}, component {self.number}"

    @property
    def digest(self) -> str:
        """The file's, and which component."""
        return f"{self.sha256} component {self.number}"


@dataclass(frozen=True)
class HoggleTemplating:
    """What HOGgle shows for components of detectors, as `hoggle_template` makes it.

    Attributes:
        dictionary: the pairs of atoms.
        device: where to measure.
    """

    dictionary: Dictionary
    device: str = "cpu"

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"task": "template", "method": METHOD, "dictionary": self.dictionary.digest}

    def results(self, targets: Sequence[ComponentTarget], seed: int) -> Sequence[Result]:
        return [
            hoggle_template(
                target.path, target.number, dictionary=self.dictionary, device=self.device
            )
            for target in targets
        ]


@dataclass(frozen=True)
class Templating:
    """Images that components of detectors like best, as `preimage.template` makes them.

    The settings depend on each component's size, so a preset stands for them.

    Attributes:
        preset: `best` or `paper`.
        iterations: total of each search, or None for the preset's.
        device: where to compute.
    """

    preset: str
    iterations: int | None = None
    device: str = "cpu"

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"task": "template", "preset": self.preset, "iterations": self.iterations}

    def results(self, targets: Sequence[ComponentTarget], seed: int) -> Sequence[Result]:
        return [
            template(
                target.path,
                target.number,
                preset=self.preset,
                seed=seed,
                device=self.device,
                iterations=self.iterations,
            )
            for target in targets
        ]
