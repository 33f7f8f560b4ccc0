"""`preimage models`, `preimage layers` and `preimage weights`: what can be looked into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options, running, values
from preimage.errors import PreimageError, counted

if TYPE_CHECKING:
    from preimage.representations.catalogue import Survey
    from preimage.weights.catalogue import WeightFile


@click.command(cls=running.Heavy, short_help="List the models that can be looked into.")
@options.as_json
def models(*, as_json: bool) -> None:
    """List the models that can be looked into, and whether their weights are here.

    A name without its source is the first of that name: `alexnet` is `alexnet.torchvision`.
    """
    from preimage.models.catalogue import every_model
    from preimage.representations.catalogue import HAND_CRAFTED
    from preimage.weights import added, store

    entries: list[dict[str, Any]] = []
    for model in every_model():
        files = [added.file_of(checkpoint.weights) for checkpoint in model.checkpoints]
        weights = [
            {"name": file.name, "present": store.is_present(file), "licence": file.licence}
            for file in files
        ]
        entries.append(
            {
                "name": model.name,
                "input_size": model.architecture.input_size,
                "classes": model.classes,
                "present": any(weight["present"] for weight in weights),
                "licence": files[0].licence,
                "about": model.architecture.about,
                "weights": weights,
            }
        )
    entries.extend(
        {
            "name": rule.name,
            "input_size": None,
            "classes": None,
            "present": True,
            "licence": None,
            "about": rule.about,
            "weights": [],
        }
        for rule in HAND_CRAFTED
    )
    if as_json:
        console.print_json({"models": entries})
        return
    headings = ("model", "input", "classes", "weights here", "about")
    console.print_table(headings, [_model_row(entry) for entry in entries], headings[:-1])


def _model_row(entry: dict[str, Any]) -> tuple[str, ...]:
    here = [weight["name"] for weight in entry["weights"] if weight["present"]]
    return (
        entry["name"],
        str(entry["input_size"] or "any"),
        entry["classes"] or "none",
        ", ".join(here) or ("not yet" if entry["weights"] else "needs none"),
        entry["about"],
    )


@click.command(cls=running.Heavy, short_help="List the layers of a network.")
@click.argument("model", metavar="M")
@click.option(
    "--no-weights",
    is_flag=True,
    help="The structure alone: don't look which layers have their weights on this machine.",
)
@options.images_taken
@options.as_json
def layers(
    *, model: str, no_weights: bool, input: values.InputOptions | None, as_json: bool
) -> None:
    """List the layers of a network, as Table 1 of the paper does; loads no weights.

    Shape of the code, receptive field (how many pixels a component sees), stride and offset (where
    the first one stands), the fidelity C and jitter T that an inversion uses by default, and
    whether the weights up to that layer are on this machine. M may be torchvision:NAME, timm:NAME
    or package.module:factory too; what has no receptive field, as the layers of a transformer,
    shows none.
    """
    from preimage.models.adapters import is_adapted
    from preimage.models.catalogue import deepest_here, resolve
    from preimage.representations.catalogue import survey_of

    found = survey_of(model, **(input or {}))
    rows = _layer_rows(found)
    if not (no_weights or is_adapted(model)):
        here = deepest_here(resolve(model)) + 1
        for place, row in enumerate(rows):
            row["weights_here"] = place < here
    if found.unfinished is not None:
        console.note(f"{model} stopped behind these layers: {found.unfinished}")
    if as_json:
        name = model if is_adapted(model) else resolve(model).name
        console.print_json({"model": name, "layers": rows})
    else:
        _print_layers(rows)


def _layer_rows(found: Survey) -> list[dict[str, Any]]:
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.shape),
            "receptive_field": layer.geometry.receptive_field if layer.geometry else None,
            "stride": layer.geometry.stride if layer.geometry else None,
            "offset": layer.geometry.offset if layer.geometry else None,
            "fidelity": found.defaults[layer.name].fidelity,
            "jitter": found.defaults[layer.name].jitter,
        }
        for layer in found.layers
    ]


def _print_layers(rows: list[dict[str, Any]]) -> None:
    headings = ["layer", "kind", "shape", "receptive field", "stride", "offset", "C", "jitter"]
    if rows and "weights_here" in rows[0]:
        headings.append("weights here")
    console.print_table(headings, [_layer_row(row) for row in rows], ["layer", "shape"])


def _layer_row(row: dict[str, Any]) -> tuple[str, ...]:
    shape = "x".join(str(side) for side in row["shape"])
    keys = ("receptive_field", "stride", "offset", "fidelity")
    numbers = ("none" if row[key] is None else f"{row[key]:g}" for key in keys)
    here = ["yes" if row["weights_here"] else "no"] if "weights_here" in row else []
    return (row["name"], row["kind"], shape, *numbers, str(row["jitter"]), *here)


@click.group(no_args_is_help=False, short_help="List, fetch, verify and add weight files.")
def weights() -> None:
    """List, fetch and verify the files with the networks' weights, and add your own."""


@weights.command("list", cls=running.Heavy)
@options.as_json
def list_weights(*, as_json: bool) -> None:
    """List the weight files that are known, and which are on this machine."""
    from preimage.weights import added, store

    entries: list[dict[str, Any]] = []
    for entry in added.every_file():
        path = store.locate(entry)
        entries.append(
            {
                "name": entry.name,
                "present": path is not None,
                "path": None if path is None else str(path),
                "size": entry.size,
                "licence": entry.licence,
                "holds": entry.holds,
                "sources": [source.describe() for source in entry.sources],
                "checked_by": "md5" if entry.md5 else "sha256",
            }
        )
    if as_json:
        console.print_json({"weights": entries})
        return
    headings = ("weights", "here", "size", "licence", "holds", "from")
    console.print_table(headings, [_weight_row(entry) for entry in entries], ["weights"])


def _weight_row(entry: dict[str, Any]) -> tuple[str, ...]:
    size = f"{entry['size'] / 1e6:.0f} MB" if entry["size"] else "not known"
    here = "yes" if entry["present"] else "no"
    sources = ", ".join(entry["sources"]) or "your own file"
    return (entry["name"], here, size, entry["licence"], entry["holds"], sources)


@weights.command("get", cls=running.Heavy)
@click.argument("name", metavar="NAME")
@click.option("--force", is_flag=True, help="Fetch it again although it is here.")
@options.as_json
def get_weights(*, name: str, force: bool, as_json: bool) -> None:
    """Fetch a weight file and check its digest; NAME as in `preimage weights list`."""
    from preimage.weights import added, store

    entry = added.file_of(name)
    store.fetch(entry, force=force)
    path, digest = store.verify(entry)
    if as_json:
        console.print_json({"name": name, "path": str(path), "sha256": digest})
    else:
        which = "md5 verified (its publisher gives no sha256)" if entry.md5 else "sha256 verified"
        click.echo(f"{path}: {entry.holds}; {which}")


@weights.command("verify", cls=running.Heavy)
@click.argument("name", metavar="[NAME]", required=False)
@options.as_json
def verify_weights(*, name: str | None, as_json: bool) -> None:
    """Check the digest of a weight file, or of every one that is here.

    Exit code 1 if one is damaged.
    """
    from preimage.weights import added, store

    files = [added.file_of(name)] if name else added.every_file()
    chosen = [entry for entry in files if name or store.is_present(entry)]
    checks = [_check(entry) for entry in chosen]
    if as_json:
        console.print_json({"weights": checks})
    else:
        for check in checks:
            if check["ok"]:
                click.echo(f"{check['name']}: good, {check['path']}")
        if not checks:
            click.echo("No weight file is on this machine; `preimage weights list` names them.")
    problems = [check["problem"] for check in checks if not check["ok"]]
    if problems:
        raise PreimageError("\n".join(problems))


def _check(entry: WeightFile) -> dict[str, Any]:
    from preimage.weights import store

    found = store.locate(entry)
    problem = None
    try:
        store.verify(entry)
    except PreimageError as error:
        problem = str(error)
    path = None if found is None else str(found)
    return {"name": entry.name, "ok": problem is None, "path": path, "problem": problem}


@weights.command("add", cls=running.Heavy)
@click.argument("file", metavar="FILE", type=values.FILE)
@click.option("--name", metavar="N", required=True, help="What to call the network from now on.")
@click.option(
    "--mean",
    metavar="R,G,B",
    callback=values.numbers,
    help="Mean colour, 0-255: one number, or one for each channel. Default: as the file says.",
)
@click.option(
    "--std",
    metavar="R,G,B",
    callback=values.numbers,
    help="What 0-255 colours are divided by after that; 255 for networks that take 0-1. "
    "Default: as the file says, else 1.",
)
@click.option(
    "--size",
    metavar="PX",
    type=values.Whole(min=1, max=4096),
    help="Side of the image. Default: as the file says, else any.",
)
@options.overwrite
@options.as_json
def add_weights(
    *,
    file: Path,
    name: str,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    size: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Add a network that MatConvNet saved (FILE.mat), and list its layers.

    simplenn and DagNN files, old and new, of MATLAB 5, 7 and 7.3. The file is checked and copied:
    afterwards --model N looks into it.
    """
    from preimage.errors import UsageError
    from preimage.models.adding import add
    from preimage.representations.catalogue import hand_crafted, survey_of

    if hand_crafted(name) is not None:
        raise UsageError(f"{name} is a representation of its own: choose another --name.")
    if std is not None and 0 in std:
        raise UsageError("--std: expected numbers other than 0.")
    done = add(file, name, mean=mean, std=std, input_size=size, overwrite=overwrite)
    added, rows = done.added, _layer_rows(survey_of(name))
    record = {
        "name": name,
        "path": str(store_path(added.weights)),
        "sha256": added.sha256,
        "origin": {"file": added.origin, "sha256": added.origin_sha256},
        "channels": added.channels,
        "input_size": added.input_size,
        "mean": list(added.mean),
        "std": list(added.std),
        "classes": len(added.labels),
        "warnings": list(done.warnings),
        "layers": rows,
    }
    for warning in done.warnings:
        click.echo(f"preimage: warning: {warning}", err=True)
    if as_json:
        console.print_json(record)
        return
    _print_layers(rows)
    sees = f"{added.input_size}x{added.input_size}" if added.input_size else "any size"
    colours = {1: "grey", 3: "RGB"}.get(added.channels, f"{added.channels} channels")
    click.echo(
        f"{name}: images of {sees}, {colours}, mean {_few(added.mean)}, divided by "
        f"{_few(added.std)}; {counted(len(added.labels) or 'no', 'class', 'classes')}"
    )


def store_path(file: str) -> Path:
    """Where the cache keeps a file of that name."""
    from preimage.weights import store

    return store.weights_dir() / file


def _few(values: Sequence[float]) -> str:
    shown = (
        [f"{value:g}" for value in dict.fromkeys(values)]
        if len(set(values)) == 1
        else [f"{value:g}" for value in values]
    )
    return ", ".join(shown[:4]) + (", ..." if len(shown) > 4 else "")
