"""`preimage models`, `preimage layers` and `preimage weights`: what can be looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from preimage.cli import console, options
from preimage.errors import PreimageError

if TYPE_CHECKING:
    from preimage.weights.catalogue import WeightFile


@click.command(cls=options.Heavy, short_help="List the models that can be looked into.")
@options.as_json
def models(*, as_json: bool) -> None:
    """List the models that can be looked into, and whether their weights are here."""
    from preimage.models.catalogue import MODELS
    from preimage.representations.catalogue import HAND_CRAFTED
    from preimage.weights import catalogue, store

    entries: list[dict[str, Any]] = []
    for model in MODELS:
        files = [catalogue.find(checkpoint.weights) for checkpoint in model.checkpoints]
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
    headings = ("model", "input", "classes", "weights here", "licence", "about")
    console.print_table(headings, [_model_row(entry) for entry in entries])


def _model_row(entry: dict[str, Any]) -> tuple[str, ...]:
    here = [weight["name"] for weight in entry["weights"] if weight["present"]]
    return (
        entry["name"],
        str(entry["input_size"] or "any"),
        entry["classes"] or "none",
        ", ".join(here) or ("not yet" if entry["weights"] else "needs none"),
        entry["licence"] or "",
        entry["about"],
    )


@click.command(cls=options.Heavy, short_help="List the layers of a network.")
@click.argument("model", metavar="M")
@options.images_taken
@options.as_json
def layers(*, model: str, input: options.InputOptions | None, as_json: bool) -> None:
    """List the layers of a network, as Table 1 of the paper does; needs no weights.

    Shape of the code, receptive field (how many pixels a component sees), stride and offset (where
    the first one stands), and the fidelity C and jitter T that an inversion uses by default. M may
    be torchvision:NAME, timm:NAME or package.module:factory too; what has no receptive field, as
    the layers of a transformer, shows none.
    """
    from preimage.models.adapters import is_adapted
    from preimage.models.catalogue import resolve
    from preimage.representations.catalogue import survey_of

    found = survey_of(model, **(input or {}))
    defaults = found.defaults
    rows = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.shape),
            "receptive_field": layer.geometry.receptive_field if layer.geometry else None,
            "stride": layer.geometry.stride if layer.geometry else None,
            "offset": layer.geometry.offset if layer.geometry else None,
            "fidelity": defaults[layer.name].fidelity,
            "jitter": defaults[layer.name].jitter,
        }
        for layer in found.layers
    ]
    if found.unfinished is not None:
        console.note(f"{model} stopped behind these layers: {found.unfinished}")
    if as_json:
        name = model if is_adapted(model) else resolve(model).name
        console.print_json({"model": name, "layers": rows})
        return
    headings = ("layer", "kind", "shape", "receptive field", "stride", "offset", "C", "jitter")
    console.print_table(headings, [_layer_row(row) for row in rows])


def _layer_row(row: dict[str, Any]) -> tuple[str, ...]:
    shape = "x".join(str(side) for side in row["shape"])
    keys = ("receptive_field", "stride", "offset", "fidelity")
    numbers = ("none" if row[key] is None else f"{row[key]:g}" for key in keys)
    return (row["name"], row["kind"], shape, *numbers, str(row["jitter"]))


@click.group(no_args_is_help=False, short_help="List, fetch and verify weight files.")
def weights() -> None:
    """List, fetch and verify the files with the networks' weights."""


@weights.command("list", cls=options.Heavy)
@options.as_json
def list_weights(*, as_json: bool) -> None:
    """List the weight files that are known, and which are on this machine."""
    from preimage.weights import store
    from preimage.weights.catalogue import WEIGHTS

    entries: list[dict[str, Any]] = []
    for entry in WEIGHTS:
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
            }
        )
    if as_json:
        console.print_json({"weights": entries})
        return
    headings = ("weights", "here", "size", "licence", "holds", "from")
    console.print_table(headings, [_weight_row(entry) for entry in entries])


def _weight_row(entry: dict[str, Any]) -> tuple[str, ...]:
    size = f"{entry['size'] / 1e6:.0f} MB" if entry["size"] else "not known"
    here = "yes" if entry["present"] else "no"
    sources = ", ".join(entry["sources"])
    return (entry["name"], here, size, entry["licence"], entry["holds"], sources)


@weights.command("get", cls=options.Heavy)
@click.argument("name", metavar="NAME")
@click.option("--force", is_flag=True, help="Fetch it again although it is here.")
@options.as_json
def get_weights(*, name: str, force: bool, as_json: bool) -> None:
    """Fetch a weight file and check its digest; NAME as in `preimage weights list`."""
    from preimage.weights import store
    from preimage.weights.catalogue import find

    entry = find(name)
    store.fetch(entry, force=force)
    path, digest = store.verify(entry)
    if as_json:
        console.print_json({"name": name, "path": str(path), "sha256": digest})
    else:
        click.echo(f"{path}: {entry.holds}; sha256 verified")


@weights.command("verify", cls=options.Heavy)
@click.argument("name", metavar="[NAME]", required=False)
@options.as_json
def verify_weights(*, name: str | None, as_json: bool) -> None:
    """Check the digest of a weight file, or of every one that is here.

    Exit code 1 if one is damaged.
    """
    from preimage.weights import store
    from preimage.weights.catalogue import WEIGHTS, find

    chosen = [find(name)] if name else [entry for entry in WEIGHTS if store.is_present(entry)]
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
