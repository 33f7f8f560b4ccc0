"""Every experiment there is: what `preimage reproduce --list` shows."""

from __future__ import annotations

from preimage.experiments import compare, maximizing, table1
from preimage.experiments import figure03_priors as figure03
from preimage.experiments import figure04_jitter as figure04
from preimage.experiments import figure06_quality as figure06
from preimage.experiments import figure07_naturalness as figure07
from preimage.experiments import figure08_study as figure08
from preimage.experiments import figure09_layers as figure09
from preimage.experiments import figure12_restarts as figure12
from preimage.experiments import figure13_parts as figure13
from preimage.experiments import figure15_templates as figure15
from preimage.experiments import figure16_channels as figure16
from preimage.experiments import figure19_classes as figure19
from preimage.experiments import figure20_caricatures as figure20
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
        quick=Size(count=1, minutes=1.5),
        paper=Size(count=1, minutes=2),
        cut="",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure03.COLUMNS,
        says=figure03.SAYS,
    ),
    Experiment(
        name="figure4",
        question="What does jitter do to an image that maximizes a class?",
        run=figure04.figure4,
        quick=Size(count=0, minutes=2),
        paper=Size(count=0, minutes=4),
        cut="one start in place of two",
        takes=("model", "iterations"),
        columns=figure04.COLUMNS,
        says=figure04.SAYS,
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
        quick=Size(count=2, minutes=3.5),
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
            ("figure11", "vgg16", "", 5),
        )
    ),
    Experiment(
        name="figure12",
        question="What do several pre-images of the same code have in common?",
        run=figure12.figure12,
        quick=Size(count=3, minutes=2.5),
        paper=Size(count=3, minutes=90),
        cut="efficientnet-lite0 in place of vgg16, preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure12.COLUMNS,
        says=figure12.SAYS,
    ),
    Experiment(
        name="figure13",
        question="What do the central 5x5 cells of a layer keep, and how far do they see?",
        run=figure13.figure13,
        quick=Size(count=1, minutes=0.5),
        paper=Size(count=1, minutes=2),
        cut="preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure13.COLUMNS,
        says=figure13.LOCALITY,
    ),
    Experiment(
        name="figure14",
        question="What does either half of a layer's channels keep?",
        run=figure13.figure14,
        quick=Size(count=1, minutes=0.5),
        paper=Size(count=1, minutes=2),
        cut="preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure13.COLUMNS,
        says=figure13.STREAMS,
    ),
    Experiment(
        name="figure15",
        question="Which images do the HOG templates of detectors like best, beside HOGgle's?",
        run=figure15.figure15,
        quick=Size(count=0, minutes=3.5),
        paper=Size(count=0, minutes=3.5),
        cut="",
        takes=("photos", "preset", "iterations", "dictionary", "detectors"),
        columns=figure15.COLUMNS,
        says=figure15.SAYS,
        optional=("photos",),
    ),
    *(
        Experiment(
            name=name,
            question=f"Which patterns do the channels of each layer of {shown.model} answer to?",
            run=figure16.channels_figure(name, shown),
            quick=Size(count=0, minutes=minutes[0]),
            paper=Size(count=0, minutes=minutes[1]),
            cut=f"{fewer}, 64 iterations in place of 192",
            takes=("model", "layers", "preset", "iterations"),
            columns=maximizing.COLUMNS,
            says=figure16.SAYS,
        )
        for name, shown, minutes, fewer in (
            ("figure16", figure16.FIGURE16, (1, 7), "9 channels in place of 16"),
            (
                "figure17",
                figure16.FIGURE17,
                (1.5, 200),
                "4 layers in place of 13, 4 channels in place of 16",
            ),
        )
    ),
    Experiment(
        name="figure18",
        question="What do several images that maximize the same channel have in common?",
        run=figure16.figure18,
        quick=Size(count=0, minutes=1),
        paper=Size(count=0, minutes=12),
        cut="2 channels in place of 4, 64 iterations in place of 192",
        takes=("model", "layers", "preset", "iterations"),
        columns=maximizing.COLUMNS,
        says=figure16.RESTARTS_SAY,
    ),
    Experiment(
        name="figure19",
        question="Which images does a network take for a class?",
        run=figure19.figure19,
        quick=Size(count=0, minutes=1.5),
        paper=Size(count=0, minutes=7),
        cut="preset best alone, 128 iterations in place of 256",
        takes=("model", "preset", "iterations"),
        columns=figure19.COLUMNS,
        says=figure19.SAYS,
    ),
    Experiment(
        name="figure20",
        question="What does each layer exaggerate in one photo?",
        run=figure20.figure20,
        quick=Size(count=1, minutes=1),
        paper=Size(count=1, minutes=9),
        cut="seven layers, preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure20.COLUMNS,
        says=figure20.SAYS,
    ),
    Experiment(
        name="figure21",
        question="What do some layers exaggerate in several photos?",
        run=figure20.figure21,
        quick=Size(count=3, minutes=1),
        paper=Size(count=6, minutes=16),
        cut="three layers in place of four, preset quick",
        takes=("photos", "model", "layers", "preset", "iterations"),
        columns=figure20.COLUMNS,
        says=figure20.SAYS,
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
