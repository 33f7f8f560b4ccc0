"""Options and checks that several commands share.

Nothing here imports PyTorch, so that `--help` and wrong use are answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from preimage.cli.values import (
    FILE,
    Check,
    InputOptions,
    Whole,
    above_zero,
    at_least,
    input_options,
)
from preimage.errors import PreimageError, UsageError, nearest

Command = TypeVar("Command", bound=Callable[..., Any])


DEFAULT_MODEL = "efficientnet-lite0"

LARGEST_SIDE = 4096
"""Of images to be searched; a slip of the keyboard had better not fill the memory."""

MOST_RESTARTS = 1000
"""All restarts are one batch."""


def network(command: Command) -> Command:
    """`--model` and `--layer`."""
    command = click.option(
        "--layer", metavar="L", help="Layer to look into; `preimage layers M` lists them."
    )(command)
    return click.option(
        "--model",
        metavar="M",
        default=DEFAULT_MODEL,
        show_default=True,
        help="Network, or hog, hogb, hog-relu or dsift; `preimage models` lists them. Also "
        "torchvision:NAME, timm:NAME, package.module:factory.",
    )(command)


def images_taken(command: Command) -> Command:
    """`--input`."""
    return click.option(
        "--input",
        metavar="mean=..,std=..,scale=1|255,size=PX|any",
        callback=input_options,
        help="torchvision:, timm: and factories: the images the network takes, one mean and std "
        "per channel, for colours from 0 to scale (1 if not said). Default: what it says itself.",
    )(command)


def pretrained_or_random(command: Command) -> Command:
    """`--weights`."""
    return click.option(
        "--weights",
        metavar="pretrained|random",
        help="torchvision:, timm: which weights. Default: pretrained.",
    )(command)


def cell(command: Command) -> Command:
    """`--cell`."""
    return click.option(
        "--cell",
        metavar="PX",
        type=Whole(min=1),
        help="hog, hogb, dsift: side of a cell. Default: 8.",
    )(command)


def cells(command: Command) -> Command:
    """`--cell` and `--step`."""
    command = click.option(
        "--step",
        metavar="PX",
        type=Whole(min=1),
        help="dsift: distance between descriptors. Default: 8.",
    )(command)
    return cell(command)


def size(default: str) -> Callable[[Command], Command]:
    """`--size`; the help names what happens without it."""
    return click.option(
        "--size",
        metavar="PX",
        type=Whole(min=1, max=LARGEST_SIDE),
        help="hog, hogb, dsift, networks of any size: bring the photo to a central square of this "
        "side. "
        f"Default: {default}.",
    )


def seed(command: Command) -> Command:
    """`--seed`."""
    return click.option(
        "--seed",
        metavar="N",
        type=Whole(min=0),
        default=0,
        show_default=True,
        help="Same seed, same result on the same machine.",
    )(command)


def device(command: Command) -> Command:
    """`--device`."""
    return click.option(
        "--device",
        metavar="auto|cpu|cuda",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute; auto: cuda where there is one.",
    )(command)


def as_json(command: Command) -> Command:
    """`--json`."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the record as JSON on standard output, all else on standard error.",
    )(command)


def whole(
    name: str, metavar: str, help: str, default: int | None = None, most: int | None = None
) -> Callable[[Command], Command]:
    """An option that takes a whole number of at least 1."""
    shown = default is not None
    kind = Whole(min=1, max=most)
    return click.option(
        name, metavar=metavar, type=kind, default=default, show_default=shown, help=help
    )


def weight(
    name: str, metavar: str, help: str, default: float | None = None
) -> Callable[[Command], Command]:
    """An option that takes a number of at least 0."""
    return _number(name, metavar, help, default, at_least(0))


def strength(help: str, default: float | None = None) -> Callable[[Command], Command]:
    """`--strength`, which at 0 would leave the prior alone."""
    return _number("--strength", "C", help, default, above_zero)


def _number(
    name: str, metavar: str, help: str, default: float | None, check: Check
) -> Callable[[Command], Command]:
    return click.option(
        name,
        metavar=metavar,
        type=float,
        callback=check,
        default=default,
        show_default=default is not None,
        help=help,
    )


BEGIN_WITH = "to begin with; the options below replace single ones."


def preset(names: str, help: str = f"Settings {BEGIN_WITH}") -> Callable[[Command], Command]:
    """`--preset`, of the task's own; checked before any work."""

    def check(ctx: click.Context, param: click.Parameter, value: str) -> str:
        known = names.split("|")
        if value not in known:
            raise UsageError(f"there is no preset {value!r}; {nearest(value, known)}")
        return value

    return click.option(
        "--preset",
        metavar=names,
        default="best",
        show_default=True,
        callback=check,
        help=help,
    )


def method(help: str) -> Callable[[Command], Command]:
    """`--method` and `--dictionary`; the help says what hoggle does."""

    def decorate(command: Command) -> Command:
        command = click.option(
            "--dictionary",
            metavar="FILE",
            type=FILE,
            help="hoggle: what `preimage hoggle train` has written. Default: the one in the cache.",
        )(command)
        return click.option(
            "--method",
            metavar="search|hoggle",
            type=click.Choice(["search", "hoggle"]),
            default="search",
            show_default=True,
            help=f"hoggle: {help}",
        )(command)

    return decorate


def check_method(method: str, dictionary: Path | None, search_only: Sequence[str]) -> None:
    """Refuse what goes with the other method only.

    Raises:
        UsageError: if a dictionary was given for a search, or one of the options that say how to
            search for hoggle.
    """
    if method == "search":
        if dictionary is not None:
            raise UsageError("--dictionary is for --method hoggle: give that too, or leave it out.")
        return
    context = click.get_current_context()
    for name in search_only:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--method hoggle does not search: leave --{name} out.")


def movie(command: Command) -> Command:
    """`--movie`."""
    return click.option(
        "--movie", metavar="FILE.gif", type=FILE, help="Also write an animation of the search."
    )(command)


def out_folder(default: str) -> Callable[[Command], Command]:
    """`--out DIR` and `--overwrite`; the help names what happens without them."""

    def decorate(command: Command) -> Command:
        command = overwrite(command)
        return click.option(
            "--out", metavar="DIR", type=FILE, help=f"Folder for the results. Default: {default}."
        )(command)

    return decorate


def overwrite(command: Command) -> Command:
    """`--overwrite`."""
    return click.option(
        "--overwrite",
        is_flag=True,
        help="Replace what is at the place of the output; of folders, only those made by preimage.",
    )(command)


def chosen_device(choice: str) -> str:
    """The device's name in PyTorch.

    Raises:
        PreimageError: if cuda was asked for and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if choice == "auto":
        return "cuda" if available else "cpu"
    if choice == "cuda" and not available:
        raise PreimageError("--device cuda: PyTorch finds no CUDA device here; use --device cpu.")
    return choice


def check_model(
    model: str,
    layer: str | None,
    size: int | None = None,
    input: InputOptions | None = None,
    **options: Any,
) -> tuple[str | None, dict[str, Any]]:
    """What a command was told to look into, if it exists; needs no weights.

    Args:
        model, layer, size, input: as given on the command line.
        options: of the representation; None where they were not given.

    Returns:
        The layer, None where the model has none; and the options that were given.

    Raises:
        UsageError: if there is no such model, layer or option, or the size is not free to choose.
    """
    from preimage.representations import catalogue

    given = {name: value for name, value in options.items() if value is not None}
    given |= input or {}
    catalogue.check_options(model, given)
    layer = catalogue.check_layer(model, layer, **given)
    if layer is None or size is None:
        return layer, given
    if catalogue.survey_of(model, **given).input.size is not None:
        raise UsageError(f"{model} sees images of one size: leave --size out.")
    return layer, given


def check_photos(images: Sequence[Path]) -> None:
    """Decode every photo once, so that a bad one is named before weights are fetched.

    Raises:
        PreimageError: if one is missing, no image, damaged, too large or too small.
    """
    from preimage.images import load_photo

    for image in images:
        load_photo(image, None)
