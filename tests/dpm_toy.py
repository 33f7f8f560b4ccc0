"""A small deformable part model in the layout of voc-release5's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

Struct = dict[str, Any]

ROOT, PART = (3, 4), (3, 3)
ANCHORS = ((1, 0, 1), (5, 3, 1))
DEFORMATION = (0.1, 0.2, 0.3, 0.4)
BIAS, BIAS_FEATURE = -0.5, 10


def rows(structs: list[Struct]) -> np.ndarray:
    """Structs as a struct array."""
    array = np.empty((1, len(structs)), [(name, object) for name in structs[0]])
    for i, struct in enumerate(structs):
        array[0, i] = tuple(struct.values())
    return array


def cells(values: list[Any]) -> np.ndarray:
    """Values as a cell array."""
    array = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


def block(values: Any, shape: tuple[int, ...], kind: str) -> Struct:
    column = np.asarray(values, float).reshape(-1, 1)
    return {"w": column, "shape": np.array([shape]), "type": kind}


def weights(shape: tuple[int, int], seed: int, depth: int = 32) -> np.ndarray:
    """Weights of a filter in DPM's order, `[h, w, 32]`."""
    return np.random.default_rng(seed).normal(size=(*shape, depth))


def model(depth: int = 32) -> Struct:
    """A component with a root and two parts, and its mirrored twin, which shares their blocks."""
    shapes = (ROOT, PART, PART)
    banks = [weights(shape, seed, depth) for seed, shape in enumerate(shapes)]
    filter_blocks = [block(b.ravel(order="F"), b.shape, "F") for b in banks]
    others = [block([BIAS], (1, 1), "O"), block(DEFORMATION, (4, 1), "D")]
    filters, symbols, rules, right = [], [], [], ([], [])
    for flip in (0, 1):
        for number, shape in enumerate(shapes, start=1):
            filters.append({"blocklabel": number, "size": np.array([shape]), "flip": flip})
            symbols.append({"type": "T", "filter": float(len(filters))})
            symbols.append({"type": "N", "filter": np.zeros((1, 0))})
            terminal = len(symbols)  # the start symbol comes first
            deformation = {
                "type": "D",
                "rhs": terminal,
                "def": {"blocklabel": 5, "flip": flip},
                "offset": {"blocklabel": 4},
            }
            rules += [np.zeros((0, 0)), rows([deformation])]
            right[flip].append(terminal + 1)
    components = []
    for flip in (0, 1):
        placed = [(2 * ROOT[1] - x - PART[1] if flip else x, y, s) for x, y, s in ANCHORS]
        components.append(
            {
                "type": "S",
                "rhs": np.array([right[flip]]),
                "anchor": cells([np.array([place]) for place in ((0, 0, 0), *placed)]),
                "offset": {"blocklabel": 4},
            }
        )
    start = {"type": "N", "filter": np.zeros((1, 0))}
    return {
        "class": "toy",
        "filters": rows(filters),
        "symbols": rows([start, *symbols]),
        "rules": cells([rows(components), *rules]),
        "blocks": rows([*filter_blocks, *others]),
        "start": 1,
        "sbin": 8,
        "features": {"bias": BIAS_FEATURE, "dim": depth},
    }


def save(file: Path, **changes: Any) -> Path:
    """A file with the toy, or with parts of it changed."""
    scipy.io.savemat(file, {"model": {**model(), **changes}}, do_compression=True)
    return file
