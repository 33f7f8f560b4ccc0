"""Templates of HOG detectors: images that a deformable part model likes best (Sect. 6.1, Fig. 15).

Every filter w of a component has a score, ⟨w, Φ_HOG(x)⟩; its image maximizes it under the natural
image prior. The root's image is laid out at twice its size and the parts' images at their places
over it, as the detector does; or root and parts are maximized at once, in one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from preimage.energy import Energy, InnerProduct
from preimage.errors import PreimageError, UsageError, nearest, one_line
from preimage.images import Tile, as_picture, stretch
from preimage.recipes.records import Observer, check_seeds, make_record, make_result, origin
from preimage.recipes.settings import Settings
from preimage.representations import Representation, representation
from preimage.representations.glyphs import GLYPH, draw_glyphs
from preimage.representations.grey import MEAN_GREY
from preimage.representations.hog import Hog
from preimage.representations.octaves import HogOctaves
from preimage.search.canvases import PixelCanvas, SpectralCanvas
from preimage.search.minimise import Outcome, minimise
from preimage.search.result import Result
from preimage.search.stages import Stage
from preimage.search.starts import UniformNoise, seeded
from preimage.search.step_rules import NormalizedMomentum, WindowedAdaGrad
from preimage.weights.dpm import (
    CHANNELS,
    MAX_CELL,
    MAX_COMPONENTS,
    MAX_SIDE,
    Component,
    Part,
    read_dpm,
)

View = tuple[int, int]

PRESETS = ("best", "paper")


def template_settings(
    view: View,
    preset: str = "best",
    *,
    fidelity: float | None = None,
    iterations: int | None = None,
) -> Settings:
    """Settings for the filters of a component.

    Args:
        view: height and width of the root's image, or of the whole in a joint search.
        preset: `paper`, Algorithm 1 on pixels without the last 50 iterations, as Sect. 3.4 says of
            maximization; or `best`, a grey spectral canvas (docs/templates.md).
        fidelity: C. Eq. 9 divides the loss by ρ², the priors are means over the image; so it is
            C = ρ² that makes them comparable (Sect. 3.3), which is `paper`'s.
        iterations: total; the stages are scaled to it.

    Raises:
        UsageError: if there is no such preset, or a value is out of range.

    Example:
        >>> template_settings((56, 88), "paper").iterations
        300
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; {nearest(preset, PRESETS)}")
    settings = _paper(view) if preset == "paper" else _best(view)
    if fidelity is not None:
        settings = replace(settings, fidelity=fidelity)
    return settings if iterations is None else settings.scaled_to(iterations)


def _paper(view: View) -> Settings:
    return Settings(
        preset="paper",
        fidelity=float(max(view) ** 2),
        canvas=PixelCanvas(B_plus=160.0),
        step_rule=WindowedAdaGrad(eta=view[0] * view[1] * 0.05 * 80.0**2 / 6.0),
        stages=(Stage(300),),
    )


def _best(view: View) -> Settings:
    return Settings(
        preset="best",
        fidelity=10.0 * max(view) ** 2,
        canvas=SpectralCanvas(exponent=2.0, amplitude=0.01, range="linear"),
        step_rule=NormalizedMomentum(0.02),
        stages=(Stage(200), Stage(100, decay="cosine")),
    )


@dataclass(frozen=True)
class Layout:
    """Where root and parts lie, in cells of the parts' octave, of which two are one of the root's.

    Attributes:
        rows, columns: of the whole, even.
        root: row and column of the root's first cell, even.
        parts: row and column of each part's first cell.
    """

    rows: int
    columns: int
    root: tuple[int, int]
    parts: tuple[tuple[int, int], ...]

    @staticmethod
    def of(component: Component) -> Layout:
        """The smallest that holds root and parts."""
        _, height, width = component.root.shape
        places = [part.anchor[::-1] for part in component.parts]
        ends = [
            (row + part.filter.shape[1], column + part.filter.shape[2])
            for (row, column), part in zip(places, component.parts, strict=True)
        ]
        top, left = (-_even(-min(0, *(place[i] for place in places), 0)) for i in (0, 1))
        bottom = max(2 * height, *(end[0] for end in ends), 0)
        right = max(2 * width, *(end[1] for end in ends), 0)
        return Layout(
            rows=_even(bottom - top),
            columns=_even(right - left),
            root=(-top, -left),
            parts=tuple((row - top, column - left) for row, column in places),
        )

    def view(self, cell: int) -> View:
        """Height and width of the whole in pixels."""
        return self.rows * cell, self.columns * cell


def _even(number: int) -> int:
    return number + number % 2


@dataclass(frozen=True)
class Subject:
    """What is visualized: a component of a model, a part of it, or all of it at once.

    Attributes:
        name: the object's class.
        cell: side of a cell, in pixels.
        number: of the component, from 1.
        component: the component.
        part: number of the only part to show, from 1, or None for root and parts.
        joint: whether root and parts share one search.
        file: the model's file, as `records.origin` gives it.
    """

    name: str
    cell: int
    number: int
    component: Component
    part: int | None = None
    joint: bool = False
    file: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        count = len(self.component.parts)
        if self.part is not None and self.joint:
            raise UsageError("a part alone has nothing to be joined with: give part or joint.")
        if self.part is not None and not 1 <= self.part <= count:
            has = f"parts 1 to {count}" if count else "no parts"
            raise UsageError(f"component {self.number} of {self.name} has {has}, got {self.part}.")

    @property
    def title(self) -> str:
        """What it is, in words."""
        part = "" if self.part is None else f", part {self.part}"
        return f"{self.name}, component {self.number}{part}"

    @property
    def view(self) -> View:
        """Height and width of the image that settings are chosen for."""
        if self.joint:
            return Layout.of(self.component).view(self.cell)
        return _view(self.component.root, self.cell)

    def filters(self) -> list[tuple[int, np.ndarray]]:
        """The filters to show, each with its number; the root is 0."""
        every = [(0, self.component.root)]
        every += [(i, part.filter) for i, part in enumerate(self.component.parts, start=1)]
        return every if self.part is None else [every[self.part]]

    def to_record(self) -> dict[str, Any]:
        """The record's `template`: all but the weights, which are in `code`."""
        component = self.component
        return {
            "class": self.name,
            "component": self.number,
            "part": self.part,
            "joint": self.joint,
            "cell": self.cell,
            "mirrored": component.mirrored,
            "bias": component.bias,
            "root": list(component.root.shape[1:]),
            "parts": [
                {
                    "size": list(part.filter.shape[1:]),
                    "anchor": list(part.anchor),
                    "deformation": list(part.deformation),
                }
                for part in component.parts
            ],
            "file": None if self.file is None else dict(self.file),
        }

    @property
    def code(self) -> np.ndarray:
        """All weights of the component, root first, as one vector."""
        every = (self.component.root, *(part.filter for part in self.component.parts))
        return np.concatenate([weights.ravel() for weights in every])

    @staticmethod
    def from_record(record: Mapping[str, Any], code: np.ndarray) -> Subject:
        """A subject from its record and its code.

        Raises:
            PreimageError: if they do not belong together.
            LookupError, TypeError, ValueError: if the record is damaged.
        """
        sizes = [record["root"], *(part["size"] for part in record["parts"])]
        shapes = [(CHANNELS, *_wholes(size, 1, MAX_SIDE)) for size in sizes]
        counts = [int(np.prod(shape)) for shape in shapes]
        if code.shape != (sum(counts),) or not np.isfinite(code).all():
            raise PreimageError(
                f"expected {sum(counts)} finite weights in code.npy, as many as the record's root "
                f"and parts have, got shape {list(code.shape)}: they do not belong together."
            )
        pieces = np.split(code.astype(np.float32), np.cumsum(counts)[:-1])
        root, *filters = (p.reshape(shape) for p, shape in zip(pieces, shapes, strict=True))
        parts = [
            Part(
                weights,
                _wholes(part["anchor"], -2 * MAX_SIDE, 2 * MAX_SIDE),
                _four(part["deformation"]),
            )
            for weights, part in zip(filters, record["parts"], strict=True)
        ]
        cell, number = _wholes((record["cell"], record["component"]), 1, MAX_COMPONENTS)
        if cell > MAX_CELL:
            raise ValueError(f"expected cells of at most {MAX_CELL} pixels")
        return Subject(
            name=one_line(record["class"], 40),
            cell=cell,
            number=number,
            component=Component(
                root, tuple(parts), _finite(record["bias"])[0], bool(record["mirrored"])
            ),
            part=record["part"],
            joint=bool(record["joint"]),
            file=None if record["file"] is None else dict(record["file"]),
        )


def _wholes(values: Sequence[Any], least: int, most: int) -> tuple[int, int]:
    first, second = values
    if not all(isinstance(v, int) and least <= v <= most for v in (first, second)):
        raise ValueError(f"expected two whole numbers from {least} to {most}")
    return first, second


def _finite(*values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if not np.isfinite(numbers).all():
        raise ValueError("expected finite numbers")
    return numbers


def _four(values: Sequence[Any]) -> tuple[float, float, float, float]:
    first, second, third, fourth = _finite(*values)
    return first, second, third, fourth


def template(
    file: str | Path,
    component: int,
    *,
    part: int | None = None,
    joint: bool | None = None,
    preset: str = "best",
    settings: Settings | None = None,
    seed: int = 0,
    device: str = "cpu",
    callbacks: Sequence[Observer] = (),
    **overrides: Any,
) -> Result:
    """The image that a component of a deformable part model likes best (Sect. 6.1, Fig. 15).

    x* = argmin R_α(x) + R_TVβ(x) − C·⟨w, Φ_HOG(x)⟩/Z,  Z = M·ρ²,  M = ⟨|w|, Φ_HOG(noise)⟩

    with ρ the longer side of the image in pixels (Eq. 9). Unlike inversion of max(0, w), it follows
    negative weights too.

    Args:
        file: a model of voc-release5, `CLASS_final.mat`.
        component: its number, from 1.
        part: number of one part, from 1, to show it alone.
        joint: search for one image at the parts' resolution for the sum of all scores; the root
            sees it at half its size. Otherwise each filter has an image of its own, and the parts'
            are laid over the root's. By default joint, but separate with `paper` and for one part.
        preset: `best` or `paper`.
        settings: whole settings in place of a preset.
        seed: a whole number from 0; part p on its own starts from seed + p.
        device: where to compute.
        callbacks: called after every iteration with a `Snapshot`.
        overrides: `fidelity` and `iterations` in place of the preset's.

    Returns:
        A `Result`; its record's `score` is what the composition, or the part, scores at its place
        without the bias.

    Raises:
        UsageError: if a preset or a value is unknown or out of range, or the model has no such
            component or part.
        PreimageError: if the file is no such model.

    Example:
        >>> import preimage as pi
        >>> pi.template("bicycle_final.mat", 2, joint=True).save("out")      # doctest: +SKIP
    """
    check_seeds(seed, 1)
    model = read_dpm(Path(file))
    subject = Subject(
        name=model.name,
        cell=model.cell,
        number=component,
        component=model.component(component),
        part=part,
        joint=part is None and preset != "paper" if joint is None else joint,
        file=origin(file),
    )
    if settings is None:
        settings = template_settings(subject.view, preset, **overrides)
    elif overrides or preset != "best":
        raise UsageError("give either whole settings or a preset with overrides, not both.")
    hog = representation("hog", cell=model.cell).to(device)
    return visualize(subject, hog, settings, seed, callbacks)


def visualize(
    subject: Subject,
    hog: Representation,
    settings: Settings,
    seed: int,
    callbacks: Sequence[Observer] = (),
) -> Result:
    """The result for a subject; see `template`.

    Raises:
        PreimageError: if Φ is not HOG with the subject's cells.
    """
    if not isinstance(hog, Hog) or hog.cell != subject.cell:
        raise PreimageError(f"the model's filters are for hog with cells of {subject.cell} pixels.")
    if subject.joint:
        found = _jointly(subject, hog, settings, seed, callbacks)
    else:
        found = _separately(subject, hog, settings, seed, callbacks)
    code = torch.from_numpy(subject.code)
    record = make_record(
        "template",
        hog,
        settings,
        found.outcome,
        0,
        code=code,
        image=None,
        seed=seed,
        restart=0,
        measured={
            "template": subject.to_record(),
            "score": found.score,
            "noise_score": found.noise_score,
            "filters": found.filters,
        },
        classes=None,
    )
    result = make_result(record, hog, found.outcome, 0, name=subject.title, code=code)
    return replace(result, panels=_panels(subject, result, found))


@dataclass(frozen=True)
class _Found:
    """What was found for a subject.

    Attributes:
        outcome: one problem; its image is the composition, its terms are sums over all searches.
        score: of the composition or of the part.
        noise_score: the same of white noise.
        filters: what the record says of each search.
        root: what the root sees, if it is shown.
    """

    outcome: Outcome
    score: float
    noise_score: float
    filters: list[dict[str, Any]]
    root: Tensor | None = None


@dataclass(frozen=True)
class _Maximized:
    """Images that maximize scores, one problem a template.

    Attributes:
        names: of the templates.
        outcome: of the search.
        scores, noise_scores: ⟨w, Φ⟩ of the images and of white noise, `[N]`.
        M, rho: of Eq. 9.
    """

    names: Sequence[str]
    outcome: Outcome
    scores: Tensor
    noise_scores: Tensor
    M: Tensor
    rho: int

    def record(self, problem: int) -> dict[str, Any]:
        """What the record says of one problem."""
        M = float(self.M[problem])
        return {
            "name": self.names[problem],
            "score": float(self.scores[problem]),
            "noise_score": float(self.noise_scores[problem]),
            "M": M,
            "rho": self.rho,
            "Z": M * self.rho**2,
        }


def _maximize(
    phi: Representation,
    weights: Tensor,
    names: Sequence[str],
    view: View,
    settings: Settings,
    seeds: Sequence[int],
    callbacks: Sequence[Observer],
) -> _Maximized:
    """Images with large scores for weights `[N, ...]`, all of one view, as one batch."""
    weights = weights.to(phi.device)
    noise_code = phi(_noise(phi, view, seeds))
    rho = max(view)
    M = (weights.abs() * noise_code).flatten(1).sum(1)
    for name, largest in zip(names, M.tolist(), strict=True):
        if not largest > 0:
            raise PreimageError(f"{name} has no weights but zeros: there is nothing to maximize.")
    loss = InnerProduct(weights, M * rho**2)
    outcome = minimise(
        Energy(phi, loss, settings.priors, settings.fidelity),
        canvas=settings.canvas,
        stages=settings.stages,
        step_rule=settings.step_rule,
        view=view,
        seeds=seeds,
        callbacks=callbacks,
    )
    with torch.no_grad():
        code = phi(outcome.view)
    return _Maximized(names, outcome, _scores(weights, code), _scores(weights, noise_code), M, rho)


def _noise(phi: Representation, view: View, seeds: Sequence[int]) -> Tensor:
    """White noise, `[N, C, H, W]`."""
    return UniformNoise().draw((phi.channels, *view), seeded(seeds)).to(phi.device)


def _scores(weights: Tensor, code: Tensor) -> Tensor:
    return (weights * code).flatten(1).double().sum(1)


def _separately(
    subject: Subject,
    hog: Hog,
    settings: Settings,
    seed: int,
    callbacks: Sequence[Observer],
) -> _Found:
    """A search for each filter; filters of one size are one batch."""
    filters = subject.filters()
    images: dict[int, Tensor] = {}
    records: dict[int, dict[str, Any]] = {}
    outcomes = []
    for shape in dict.fromkeys(weights.shape for _, weights in filters):
        numbers = [number for number, weights in filters if weights.shape == shape]
        weights = torch.from_numpy(np.stack([w for _, w in filters if w.shape == shape]))
        view = _view(weights[0], subject.cell)
        seeds = [seed + number for number in numbers]
        names = [f"part {number}" if number else "root" for number in numbers]
        found = _maximize(hog, weights, names, view, settings, seeds, callbacks)
        outcomes.append(found.outcome)
        for problem, number in enumerate(numbers):
            images[number] = found.outcome.view[problem : problem + 1]
            records[number] = found.record(problem)
    filter_records = [records[number] for number, _ in filters]
    if subject.part is not None:
        (only,) = filter_records
        (image,) = images.values()
        return _Found(
            _together(outcomes, image), only["score"], only["noise_score"], filter_records
        )
    whole = _composition(subject, [images[number] for number, _ in filters])
    octaves, weights, view = _octaves(subject, hog)
    noise = _noise(hog, view, [seed])
    weights = weights.to(hog.device)
    score, noise_score = (float(_scores(weights, octaves(x))) for x in (whole, noise))
    return _Found(_together(outcomes, whole), score, noise_score, filter_records, images[0])


def _jointly(
    subject: Subject,
    hog: Hog,
    settings: Settings,
    seed: int,
    callbacks: Sequence[Observer],
) -> _Found:
    """One search for the sum of all scores."""
    octaves, weights, view = _octaves(subject, hog)
    names = ["root and parts"]
    found = _maximize(octaves, weights, names, view, settings, [seed], callbacks)
    record = found.record(0)
    top, left = (place * subject.cell // 2 for place in Layout.of(subject.component).root)
    height, width = _view(subject.component.root, subject.cell)
    halved = F.avg_pool2d(found.outcome.view, 2)
    root = halved[..., top : top + height, left : left + width]
    return _Found(found.outcome, record["score"], record["noise_score"], [record], root)


def _octaves(subject: Subject, hog: Hog) -> tuple[HogOctaves, Tensor, View]:
    """Root and parts as one template: a representation, its weights `[1, D]`, and the view."""
    component, layout = subject.component, Layout.of(subject.component)
    coarse = np.zeros((CHANNELS, layout.rows // 2, layout.columns // 2), np.float32)
    fine = np.zeros((CHANNELS, layout.rows, layout.columns), np.float32)
    row, column = (place // 2 for place in layout.root)
    _add(coarse, component.root, row, column)
    for part, place in zip(component.parts, layout.parts, strict=True):
        _add(fine, part.filter, *place)
    weights = torch.from_numpy(np.concatenate([coarse.ravel(), fine.ravel()]))[None]
    return HogOctaves(hog), weights, layout.view(subject.cell)


def _add(grid: np.ndarray, weights: np.ndarray, row: int, column: int) -> None:
    _, height, width = weights.shape
    grid[:, row : row + height, column : column + width] += weights


def _view(weights: np.ndarray | Tensor, cell: int) -> View:
    return weights.shape[-2] * cell, weights.shape[-1] * cell


def _composition(subject: Subject, images: Sequence[Tensor]) -> Tensor:
    """The parts' images laid over the root's at twice its size, `[1, 1, H, W]`.

    HOG sees neither mean nor contrast of an image: a part gets the contrast of the root's image and
    the mean of what it covers.
    """
    layout, cell = Layout.of(subject.component), subject.cell
    root, *parts = images
    whole = root.new_zeros(1, 1, *layout.view(cell))
    doubled = F.interpolate(root, scale_factor=2, mode="bicubic", align_corners=False)
    _region(whole, doubled, layout.root, cell).copy_(doubled)
    for image, place in zip(parts, layout.parts, strict=True):
        region = _region(whole, image, place, cell)
        levelled = (image - image.mean()) * (root.std() / image.std().clamp(min=1e-6))
        region.copy_(levelled + region.mean())
    return whole


def _region(whole: Tensor, image: Tensor, place: tuple[int, int], cell: int) -> Tensor:
    """Where an image lies in the whole, as a view of it."""
    (row, column), (height, width) = (side * cell for side in place), image.shape[-2:]
    return whole[..., row : row + height, column : column + width]


def _together(outcomes: Sequence[Outcome], image: Tensor) -> Outcome:
    """Several searches as one outcome: an image, and the sums of the terms."""
    return Outcome(
        image=image,
        view=image,
        terms=_sum_over([outcome.terms for outcome in outcomes], 0),
        term_names=outcomes[0].term_names,
        trace=_sum_over([outcome.trace for outcome in outcomes], 1),
        seconds=sum(outcome.seconds for outcome in outcomes),
    )


def _sum_over(tensors: Sequence[Tensor], dimension: int) -> Tensor:
    """The sum over all problems of several batches, kept as one problem."""
    return torch.cat(list(tensors), dimension).sum(dimension, keepdim=True)


def _panels(subject: Subject, result: Result, found: _Found) -> tuple[Tile, ...]:
    """The figure: filters as glyphs, the root's image where it has one, and the whole."""
    stretched = "contrast stretched"
    name, value = result.headline
    own = found.filters[0]["score"]
    shown = _stretched(found.outcome.view[0])
    if subject.part is not None:
        weights = subject.component.parts[subject.part - 1].filter
        return (
            Tile(_glyphs(weights), "filter", "positive weights"),
            Tile(shown, subject.title, f"{name} {value}; {stretched}"),
        )
    tiles = [Tile(_glyphs(subject.component.root), "root filter", "positive weights")]
    if found.root is not None:
        seen = "the whole at half its size" if subject.joint else f"score {own:.2f}"
        tiles.append(Tile(_stretched(found.root[0]), "root", f"{seen}; {stretched}"))
    how = "searched at once" if subject.joint else "each searched alone"
    tiles.append(Tile(_glyphs_of_all(subject), "with parts", "positive weights"))
    tiles.append(Tile(shown, subject.title, f"{name} {value}; {how}; {stretched}"))
    return tuple(tiles)


TAIL = 0.005
"""Of the pixels at either end, which a stretched picture shows black or white alike: a few extremes
would leave little contrast for the rest."""


def _stretched(image: Tensor) -> Image.Image:
    ends = torch.quantile(image, torch.tensor([TAIL, 1 - TAIL]))
    return as_picture(stretch(image.clamp(*ends.tolist()), (MEAN_GREY,)))


def _glyphs(weights: np.ndarray, side: int = GLYPH) -> Image.Image:
    return draw_glyphs(np.maximum(weights, 0), side)


def _glyphs_of_all(subject: Subject) -> Image.Image:
    """The parts' glyphs laid over the root's, whose cells are twice as large."""
    layout = Layout.of(subject.component)
    whole = Image.new("L", (layout.columns * GLYPH, layout.rows * GLYPH))
    every = [(_glyphs(subject.component.root, 2 * GLYPH), layout.root)]
    for part, place in zip(subject.component.parts, layout.parts, strict=True):
        every.append((_glyphs(part.filter), place))
    for glyphs, (row, column) in every:
        whole.paste(glyphs, (column * GLYPH, row * GLYPH))
    return whole
