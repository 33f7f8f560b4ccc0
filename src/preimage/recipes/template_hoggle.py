"""Templates of HOG detectors by HOGgle, the lower row of Fig. 15.

HOGgle inverts codes, and a filter is none: as Vondrick et al. (2013) do, it is given the positive
part of the weights.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from preimage.energy import Energy
from preimage.recipes.dictionaries import Dictionary, dictionary_for
from preimage.recipes.hoggle import as_grey, pattern, settings_of
from preimage.recipes.template import template_settings
from preimage.recipes.template_result import check_hog, template_result
from preimage.recipes.template_search import Finder, separately
from preimage.recipes.template_subject import Subject, subject_of, view_of
from preimage.recipes.views import View
from preimage.representations import Representation, representation
from preimage.representations.grey import MEAN_GREY
from preimage.search.minimise import Outcome
from preimage.search.result import Result


def hoggle_template(
    file: str | Path,
    component: int,
    *,
    part: int | None = None,
    dictionary: Dictionary | None = None,
    device: str = "cpu",
) -> Result:
    """What HOGgle shows for a component of a deformable part model (Fig. 15, lower row).

    x = HOGgle(max(0, w)) for the root's and every part's filter w, the parts' images laid over the
    root's. Unlike `template`, it searches nothing and leaves negative weights out; what it shows
    is what photos look like that have such codes.

    Args:
        file: a model of voc-release5, `CLASS_final.mat`.
        component: its number, from 1.
        part: number of one part, from 1, to show it alone.
        dictionary: by default the one trained on this machine for the model's cell size.
        device: where to measure the scores.

    Returns:
        A `Result` as of `template`, its scores and its energy (with the settings of the preset
        `paper`) measured alike; it has no iterations and an empty trace.

    Raises:
        UsageError: if the model has no such component or part.
        PreimageError: if the file is no such model, there is no dictionary, or it is for another
            cell size.

    Example:
        >>> from preimage.recipes.template_hoggle import hoggle_template
        >>> hoggle_template("bicycle_final.mat", 2).save("out")              # doctest: +SKIP
    """
    subject = subject_of(file, component, part)
    pairs = dictionary_for(subject.cell, dictionary)
    hog = representation("hog", cell=subject.cell).to(device)
    return visualize_by_hoggle(subject, hog, pairs)


def visualize_by_hoggle(subject: Subject, hog: Representation, dictionary: Dictionary) -> Result:
    """The result for a subject; see `hoggle_template`.

    Raises:
        PreimageError: if Φ is not HOG with the subject's cells.
    """
    hog = check_hog(subject, hog)
    measured = template_settings(subject.view, "paper")
    # The seed is that of the noise whose score stands beside the image's.
    found = separately(subject, hog, measured, 0, _inverting(dictionary))
    return template_result(subject, hog, settings_of(dictionary, measured), found, 0)


def _inverting(dictionary: Dictionary) -> Finder:
    """Images whose codes would be the positive weights."""

    def find(energy: Energy, weights: Tensor, view: View, seeds: Sequence[int]) -> Outcome:
        began = time.perf_counter()
        shown = [as_grey(_whole_pattern(w.numpy(), dictionary), view) for w in weights.cpu()]
        image = (torch.stack(shown) - MEAN_GREY).to(weights.device)
        seconds = time.perf_counter() - began
        terms, names = energy.evaluate(image, image), energy.term_names
        empty = torch.empty(0, len(shown), len(names))
        return Outcome(image, image, terms, names, empty, seconds)

    return find


def _whole_pattern(weights: np.ndarray, dictionary: Dictionary) -> np.ndarray:
    """The pattern of the positive weights, in a frame of empty cells.

    With it every cell is in as many blocks as any other, and a filter may be smaller than a block.
    """
    margin = dictionary.header.block - 1
    frame = (margin, margin)
    code = np.pad(np.maximum(weights, 0), ((0, 0), frame, frame))
    first, cell = margin * dictionary.header.cell, dictionary.header.cell
    height, width = view_of(weights, cell)
    return pattern(code, dictionary)[first : first + height, first : first + width]
