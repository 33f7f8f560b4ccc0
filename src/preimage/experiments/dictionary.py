"""HOGgle's dictionary in an experiment: the one that was given, or one learned for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sklearn

import preimage
from preimage.errors import PreimageError, counted
from preimage.experiments.experiment import Request
from preimage.files import sha256_of_file
from preimage.images.folder import usable
from preimage.recipes import hoggle_training as training
from preimage.recipes.dictionaries import Dictionary, load_dictionary

HOGGLE = "HOGgle"
CELL = 8
TRAINED_ON = 100
"""Photos that a dictionary is learned from: the last of the folder, the tests are on the first."""


def dictionary_of(request: Request) -> tuple[Dictionary, str]:
    """The dictionary that was given, or one learned from photos that are not tested; and a note.

    Raises:
        PreimageError: if it can't be read, is for other cells than 8 pixels, or there are no
            photos to learn from, or too few.
    """
    if request.dictionary is not None:
        dictionary = load_dictionary(request.dictionary)
        header = dictionary.header
        if header.cell != CELL:
            raise PreimageError(
                f"{request.dictionary} is for cells of {counted(header.cell, 'pixel')}, "
                f"the paper has {CELL}."
            )
        atoms, photos = counted(header.atoms, "atom"), counted(header.photos, "photo")
        learned = f"{atoms} from {photos}, given with --dictionary"
        return dictionary, f"HOGgle's dictionary: {learned}"
    found = usable(request.sample.photos.rest[-TRAINED_ON:], least_side=training.least_side(CELL))
    if not found.paths:
        other, smaller = "photos to learn from", ""
        if request.count:
            other = f"other photos to learn from than the {request.count} tested"
            smaller = " a smaller --count,"
        passed_over = f" ({found.note})" if found.note else ""
        raise PreimageError(
            f"{request.photos}: HOGgle needs {other}, and there are none{passed_over}: give a "
            f"larger folder,{smaller} or a --dictionary of `preimage hoggle train`."
        )
    dictionary = _kept_or_trained(request, found.paths)
    atoms, photos = counted(dictionary.header.atoms, "atom"), counted(len(found.paths), "photo")
    untested = ", none of them tested" if request.count else ""
    passed_over = f"; {found.note}" if found.note else ""
    return dictionary, (
        f"HOGgle's dictionary: {atoms} learned here from {photos} of the folder{untested}"
        f"{passed_over}; the paper used its authors' own"
    )


def of_report(dictionary: Dictionary) -> Mapping[str, Any]:
    """What a report says of it: which one it is, and its header."""
    return {"sha256": dictionary.digest, **asdict(dictionary.header)}


def _kept_or_trained(request: Request, photos: Sequence[Path]) -> Dictionary:
    """A dictionary is a file of the output folder, named like a case by what it depends on."""
    content = {
        "preimage": preimage.__version__,
        "scikit-learn": sklearn.__version__,
        "photos": [sha256_of_file(photo) for photo in photos],
        "cell": CELL,
        "atoms": training.ATOMS,
        "blocks": training.BLOCKS_PER_ATOM,
        "passes": training.PASSES,
        "penalty": training.PENALTY,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
    path = request.out / "dictionaries" / f"{digest}.safetensors"
    if not path.is_file():
        with request.progress("HOGgle's dictionary", training.steps(training.ATOMS)) as advance:
            dictionary = training.train(photos, cell=CELL, progress=advance)
        path.parent.mkdir(exist_ok=True)
        dictionary.save(path)
    # As a file it knows its place, which the records of its cases name.
    return load_dictionary(path)
