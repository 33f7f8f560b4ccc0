"""What options and arguments are made of: file names, numbers, ranges, lists."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import click

from preimage.errors import UsageError


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


Check = Callable[[click.Context, click.Parameter, float | None], float | None]


def at_least(least: float) -> Check:
    """A check of an option's value: a finite number, not below a least one."""

    def check(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
        # NaN passes every comparison that looks for what is wrong.
        if value is None or (math.isfinite(value) and value >= least):
            return value
        message = f"expected a finite number of at least {least:g}, got {value:g}."
        raise click.BadParameter(message, ctx, param)

    return check


def above_zero(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A check of an option's value: a finite number above 0."""
    if value is None or (math.isfinite(value) and value > 0):
        return value
    raise click.BadParameter(f"expected a finite number above 0, got {value:g}.", ctx, param)


def span(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """A range `A:B` as its first and one past its last."""
    if value is None:
        return None
    parts = re.fullmatch(r"([0-9]+):([0-9]+)", value)
    if not parts or int(parts[1]) >= int(parts[2]):
        message = f"expected A:B, whole numbers with A below B, got {value!r}."
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
        message = f"expected numbers with commas between them, got {value!r}."
        raise click.BadParameter(message, ctx, param)
    return parts


def layers(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """Names `A,B,C` as a list."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise click.BadParameter(f"expected different names A,B,C, got {value!r}.", ctx, param)
    return names


def shares(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """Numbers `A,B,C` of at least 0."""
    found = numbers(ctx, param, value)
    if found is not None and min(found) < 0:
        message = f"expected numbers A,B,C of at least 0, got {value!r}."
        raise click.BadParameter(message, ctx, param)
    return found


def sides(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """A size `PX` or `WIDTHxHEIGHT` as height and width."""
    parts = re.fullmatch(r"0*([1-9][0-9]*)(?:x0*([1-9][0-9]*))?", value)
    if not parts:
        message = f"expected PX or WIDTHxHEIGHT in whole pixels, got {value!r}."
        raise click.BadParameter(message, ctx, param)
    width = int(parts[1])
    return int(parts[2] or width), width


class InputOptions(TypedDict, total=False):
    """What `--input` says, as options of a representation: colours 0-255, None for any size."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_size: int | None


INPUT_KEYS = ("mean", "std", "scale", "size")


def input_options(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> InputOptions | None:
    """`mean=A,B,C,std=A,B,C,scale=1|255,size=PX|any` as options of a representation."""
    if value is None:
        return None

    def wrong(message: str) -> click.BadParameter:
        return click.BadParameter(message, ctx, param)

    given: dict[str, list[str]] = {}
    for word in value.split(","):
        key, is_key, number = word.rpartition("=")
        if is_key and key not in INPUT_KEYS:
            raise wrong(f"{key!r} is none of {', '.join(INPUT_KEYS)}.")
        if key in given:
            raise wrong(f"{key} is given twice.")
        if not given and not is_key:
            raise wrong(f"expected mean=...,std=...,scale=1|255,size=PX, got {value!r}.")
        given.setdefault(key if is_key else list(given)[-1], []).append(number)
    scale, size = given.get("scale", ["1"]), given.get("size", [])
    if scale not in (["1"], ["255"]):
        raise wrong(f"scale is 1 or 255 (the network's white), got {','.join(scale)}.")
    if "scale" in given and not {"mean", "std"} & given.keys():
        raise wrong("scale says in which white mean and std are given: give std, or both, too.")
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
    if "scale" not in given and max(map(abs, chosen.get("mean", (0.0,)))) > 255:
        raise wrong("a mean beyond 1 is none where white is 1: give scale=255 too.")
    return chosen
