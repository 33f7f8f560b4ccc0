"""Options and checks that several commands share.

Nothing here imports PyTorch, so that `--help` and wrong use are answered at once.
"""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict, TypeVar

import click
from click.core import ParameterSource

from preimage.errors import PreimageError, UsageError
from preimage.files import obstacle, safe_name

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_MODEL = "efficientnet-lite0"
INTERRUPTED = "interrupted; nothing was written."


class FileName(click.Path):
    """The name of a file or folder, there or to be made; an empty one would mean the current."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        if not os.fspath(value):
            self.fail("expected the name of a file or folder, got an empty one.", param, ctx)
        return super().convert(value, param, ctx)


FILE = FileName(path_type=Path)


class Whole(click.IntRange):
    """A range of whole numbers, called so in messages."""

    name = "whole number"


class Interrupted(PreimageError):
    """Ctrl-C; results get their names only when they are whole."""

    exit_code = 130


class Heavy(click.Command):
    """A command that loads PyTorch when its options have been read, before it runs."""

    def invoke(self, ctx: click.Context) -> Any:
        with ending_at_once():
            import_module("preimage._api")
        return super().invoke(ctx)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process on the spot, while there is nothing to clean up.

    Some modules take a KeyboardInterrupt in the middle of their import for another error.
    """

    def end(signum: int, frame: FrameType | None) -> None:
        os.write(2, f"preimage: {INTERRUPTED}\n".encode())
        os._exit(Interrupted.exit_code)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupted_as(message: str) -> Iterator[None]:
    """Let Ctrl-C say this, where something useful has been kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(message) from None


Check = Callable[[click.Context, click.Parameter, float | None], float | None]


def at_least(least: float) -> Check:
    """A check of an option's value: a finite number, not below a least one."""

    def check(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
        # NaN passes every comparison that looks for what is wrong.
        if value is None or (math.isfinite(value) and value >= least):
            return value
        message = f"expected a number of at least {least:g}, got {value:g}."
        raise click.BadParameter(message, ctx, param)

    return check


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """A range `A:B` as its first and one past its last."""
    if value is None:
        return None
    parts = re.fullmatch(r"([0-9]+):([0-9]+)", value)
    if not parts or int(parts[1]) >= int(parts[2]):
        message = f"expected A:B, whole numbers with A below B, got {value}."
        raise click.BadParameter(message, ctx, param)
    return int(parts[1]), int(parts[2])


def names(text: str, option: str) -> tuple[str, ...]:
    """Names with commas between them.

    Raises:
        UsageError: if one is empty.
    """
    given = tuple(name.strip() for name in text.split(","))
    if not all(given):
        raise UsageError(f"{option} {text!r}: expected names with one comma between them.")
    return given


def numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Numbers with commas between them."""
    if value is None:
        return None
    try:
        parts = tuple(float(part) for part in value.split(","))
    except ValueError:
        parts = ()
    if not parts or not all(math.isfinite(part) for part in parts):
        message = f"expected numbers with commas between them, got {value}."
        raise click.BadParameter(message, ctx, param)
    return parts


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
        help="Network, or hog, hogb or dsift; `preimage models` lists them. Also torchvision:NAME, "
        "timm:NAME, package.module:factory.",
    )(command)


class InputOptions(TypedDict, total=False):
    """What `--input` says, as options of a representation: colours 0-255, None for any size."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_size: int | None


INPUT_KEYS = ("mean", "std", "scale", "size")


def _input(ctx: click.Context, param: click.Parameter, value: str | None) -> InputOptions | None:
    """`mean=A,B,C,std=A,B,C,scale=1|255,size=PX|any` as options of a representation."""
    if value is None:
        return None

    def wrong(message: str) -> click.BadParameter:
        return click.BadParameter(message, ctx, param)

    given: dict[str, list[str]] = {}
    for word in value.split(","):
        key, is_key, number = word.rpartition("=")
        if is_key and (key not in INPUT_KEYS or key in given):
            raise wrong(f"{key!r} is none of {', '.join(INPUT_KEYS)}, or given twice.")
        if not given and not is_key:
            raise wrong(f"expected mean=...,std=...,scale=1|255,size=PX, got {value!r}.")
        given.setdefault(key if is_key else list(given)[-1], []).append(number)
    scale, size = given.get("scale", ["1"]), given.get("size", [])
    if scale not in (["1"], ["255"]):
        raise wrong(f"scale is 1 or 255 (the network's white), got {','.join(scale)}.")
    chosen: InputOptions = {}
    try:
        unit = 255.0 / float(scale[0])
        if "mean" in given:
            chosen["mean"] = tuple(unit * float(number) for number in given["mean"])
        if "std" in given:
            chosen["std"] = tuple(unit * float(number) for number in given["std"])
        if size:
            (side,) = size
            chosen["input_size"] = None if side == "any" else int(side)
    except ValueError as error:
        raise wrong(f"expected numbers, and one size or any, got {value!r}.") from error
    return chosen


def images_taken(command: Command) -> Command:
    """`--input`."""
    return click.option(
        "--input",
        metavar="mean=..,std=..,scale=1|255,size=PX|any",
        callback=_input,
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


def layers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Names `A,B,C` as a list."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise click.BadParameter(f"expected different names A,B,C, got {value}.", ctx, param)
    return names


def shares(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Numbers `A,B,C` of at least 0."""
    found = numbers(ctx, param, value)
    if found is not None and min(found) < 0:
        raise click.BadParameter(f"expected numbers A,B,C of at least 0, got {value}.", ctx, param)
    return found


def sides(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """A size `PX` or `WIDTHxHEIGHT` as height and width."""
    parts = re.fullmatch(r"0*([1-9][0-9]*)(?:x0*([1-9][0-9]*))?", value)
    if not parts:
        message = f"expected PX or WIDTHxHEIGHT in whole pixels, got {value}."
        raise click.BadParameter(message, ctx, param)
    width = int(parts[1])
    return int(parts[2] or width), width


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
        type=Whole(min=1),
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
    name: str, metavar: str, help: str, default: int | None = None
) -> Callable[[Command], Command]:
    """An option that takes a whole number of at least 1."""
    shown = default is not None
    kind = Whole(min=1)
    return click.option(
        name, metavar=metavar, type=kind, default=default, show_default=shown, help=help
    )


def weight(
    name: str, metavar: str, help: str, default: float | None = None
) -> Callable[[Command], Command]:
    """An option that takes a number of at least 0."""
    return click.option(
        name,
        metavar=metavar,
        type=float,
        callback=at_least(0),
        default=default,
        show_default=default is not None,
        help=help,
    )


def preset(names: str) -> Callable[[Command], Command]:
    """`--preset`, of the task's own."""
    return click.option(
        "--preset",
        metavar=names,
        default="best",
        show_default=True,
        help="Settings to begin with; the options below replace single ones.",
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
        "--overwrite", is_flag=True, help="Replace what is at the place of the output."
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


def check_new_file(path: Path, overwrite: bool, option: str) -> None:
    """Refuse a place where a file can't be written, before any time is spent on it.

    Raises:
        PreimageError: if something is there (unless a file and `overwrite`), or the folder can't
            be written.
    """
    if path.is_dir():
        raise PreimageError(f"{path} is a folder; a file was expected: choose another {option}.")
    if path.exists() and not overwrite:
        raise PreimageError(f"{path} exists: choose another {option}, or give --overwrite.")
    if (why := obstacle(path)) is not None:
        raise PreimageError(f"{path} can't be written: {why}. Choose another {option}.")


def check_suffix(path: Path, suffix: str, option: str) -> None:
    """Refuse a name for a file of one format that does not say so.

    Raises:
        UsageError: if it ends in anything else.
    """
    if path.suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: a name that ends in {suffix} was expected.")


def free_folder(*words: str | None) -> Path:
    """`preimage-out/WORD-WORD`, or with -2, -3 ... behind it where that is taken."""
    name = "-".join(safe_name(word) for word in words if word)
    parent, number = Path("preimage-out"), 1
    while (place := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return place
