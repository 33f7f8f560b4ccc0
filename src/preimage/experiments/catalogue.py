"""Every experiment there is: what `preimage reproduce --list` shows."""

from __future__ import annotations

from preimage.experiments.experiment import Experiment, Size
from preimage.experiments.table2 import COLUMNS, ILLUSTRATED, PHOTO_COLUMNS, SAYS, figure5, table2

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        name="table2",
        question="How exactly are HOG, HOGb and DSIFT inverted, and HOG by HOGgle?",
        run=table2,
        quick=Size(count=8, minutes=4),
        paper=Size(count=100, minutes=30),
        cut="",
        takes=("photos", "count", "model", "preset", "iterations", "dictionary"),
        columns=COLUMNS,
        says=SAYS,
    ),
    Experiment(
        name="figure5",
        question="What do pre-images of HOG, HOGb and DSIFT look like, beside glyphs and HOGgle?",
        run=figure5,
        quick=Size(count=ILLUSTRATED, minutes=3),
        paper=Size(count=ILLUSTRATED, minutes=3),
        cut="",
        takes=("photos", "count", "model", "preset", "iterations", "dictionary"),
        columns=PHOTO_COLUMNS,
        says=SAYS,
    ),
)
