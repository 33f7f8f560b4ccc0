"""Every experiment there is: what `preimage reproduce --list` shows."""

from __future__ import annotations

from preimage.experiments import compare, table1
from preimage.experiments import figure03_priors as figure03
from preimage.experiments import figure06_quality as figure06
from preimage.experiments import figure07_naturalness as figure07
from preimage.experiments import figure08_study as figure08
from preimage.experiments import figure09_layers as figure09
from preimage.experiments import figure12_restarts as figure12
from preimage.experiments.experiment import Experiment, Size
from preimage.experiments.table2 import COLUMNS, ILLUSTRATED, PHOTO_COLUMNS, SAYS, figure5, table2

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        name="table1",
        question="Which receptive fields and strides have the layers of the paper's networks?",
        run=table1.reproduce_table1,
        quick=Size(count=0, minutes=0.1),
        paper=Size(count=0, minutes=0.1),
        cut="",
        takes=(),
        columns=table1.COLUMNS,
        says=table1.SAYS,
    ),
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
    Experiment(
        name="figure3",
        question="What do C and the exponent of the total variation do to a pre-image?",
        run=figure03.figure3,
        quick=Size(count=1, minutes=2),
        paper=Size(count=1, minutes=2),
        cut="",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure03.COLUMNS,
        says=figure03.SAYS,
    ),
    Experiment(
        name="figure6",
        question="How exactly is each layer inverted, for which C, and is the class kept?",
        run=figure06.figure6,
        quick=Size(count=3, minutes=21),
        paper=Size(count=100, minutes=3000),
        cut="six layers; restarts of one photo in place of 24, 3 in place of 24 and for the "
        "layer's own C alone",
        takes=("photos", "count", "model", "layers", "preset", "iterations"),
        columns=figure06.COLUMNS,
        says=figure06.SAYS,
    ),
    Experiment(
        name="figure7",
        question="How natural are the gradients of pre-images, by layer and C?",
        run=figure07.figure7,
        quick=Size(count=3, minutes=1),
        paper=Size(count=100, minutes=5),
        cut="six layers; minutes are those beyond figure6, whose cases it shares",
        takes=("photos", "count", "model", "layers", "preset", "iterations"),
        columns=figure07.COLUMNS,
        says=figure07.SAYS,
    ),
    Experiment(
        name="figure8",
        question="How much prior makes pre-images easier to understand, by people's votes?",
        run=figure08.figure8,
        quick=Size(count=2, minutes=4),
        paper=Size(count=25, minutes=50),
        cut="",
        takes=("photos", "count", "model", "layers", "iterations", "study"),
        columns=figure08.COLUMNS,
        says=figure08.SAYS,
    ),
    *(
        Experiment(
            name=name,
            question=f"What does each layer of {model} keep of one photo?",
            run=figure09.layers_figure(name, model, note),
            quick=Size(count=1, minutes=minutes),
            paper=Size(count=1, minutes=15 * minutes),
            cut="six layers, preset quick",
            takes=("photos", "model", "layers", "preset", "iterations"),
            columns=figure09.COLUMNS,
            says=figure09.SAYS,
        )
        for name, model, note, minutes in (
            ("figure9", "alexnet", "", 0.3),
            ("figure10", "efficientnet-lite0", figure09.VGG_M, 0.6),
            ("figure11", "vgg16", "", 4),
        )
    ),
    Experiment(
        name="figure12",
        question="What do several pre-images of the same code have in common?",
        run=figure12.figure12,
        quick=Size(count=3, minutes=4),
        paper=Size(count=3, minutes=90),
        cut="efficientnet-lite0 in place of vgg16, preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure12.COLUMNS,
        says=figure12.SAYS,
    ),
)

COMPARE = Experiment(
    name="compare",
    question="What does each layer of several networks keep?",
    run=compare.compare,
    quick=Size(count=1, minutes=6),
    paper=Size(count=10, minutes=900),
    cut="five layers a model, preset quick",
    takes=("photos", "count", "models", "layers_per_model", "preset", "iterations"),
    columns=compare.COLUMNS,
    says=compare.SAYS,
)
"""What `preimage compare` runs: the paper's questions on any networks."""
