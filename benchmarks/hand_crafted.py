"""How well HOG, HOGb and DSIFT are inverted, method by method (docs/hand_crafted.md).

    python benchmarks/hand_crafted.py run --photos DIR --models hog,hogb,dsift \\
        --methods "paper|best" --iterations 300 --count 100 --out hand_crafted.jsonl
    python benchmarks/hand_crafted.py table hand_crafted.jsonl

Every line of the file is one photo, model, method and number of iterations. `run` adds what is not
there yet, so it can be interrupted and called again; `table` reads any number of files. Photos are
the first `--count` of the sorted folder from `--first`, brought to 256 x 256.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

import preimage as pi
from preimage.recipes.presets import representation_for
from preimage.recipes.settings import Settings
from preimage.representations import Representation

Record = dict[str, Any]
Case = tuple[Representation, Settings]

SIZE = 256

OPTIONS: dict[str, dict[str, Any]] = {
    "hog": {},
    "hogb": {},
    "dsift": {},
    "dsift-published": {"step": 24, "window": 1.5, "renormalize": False},
}
"""Representations by the name used here; the last is DSIFT as in the authors' program."""


def _phi(name: str) -> Representation:
    return pi.representation(name.removesuffix("-published"), **OPTIONS[name])


def _preset(name: str) -> Callable[[Representation], Case]:
    def case(phi: Representation) -> Case:
        phi = representation_for(phi, name)
        return phi, pi.settings_for(phi, name, view=(SIZE, SIZE))

    return case


def _straight_through(phi: Representation) -> Case:
    return phi, pi.settings_for(phi, "paper", view=(SIZE, SIZE))


def _canvas(canvas: pi.Canvas, rate: float) -> Callable[[Representation], Case]:
    """The preset `best` with another canvas, at the rate that suits it."""

    def case(phi: Representation) -> Case:
        best = pi.settings_for(phi, "best", view=(SIZE, SIZE))
        rule = replace(best.step_rule, rate=rate)  # type: ignore[call-arg]
        return phi, replace(best, canvas=canvas, step_rule=rule)

    return case


def _exact(phi: Representation) -> Case:
    exact = pi.representation(phi.model, **{**phi.options, "gradient": "exact"})
    return exact, pi.settings_for(phi, "best", view=(SIZE, SIZE))


METHODS: dict[str, Callable[[Representation], Case]] = {
    "paper": _preset("paper"),
    "best": _preset("best"),
    "quick": _preset("quick"),
    "paper, straight-through": _straight_through,
    "best, exact gradient": _exact,
    "best on a spectral canvas": _canvas(pi.SpectralCanvas(exponent=1.0), rate=0.015),
    "best on pixels": _canvas(pi.PixelCanvas(noise=pi.UniformNoise(scale=0.02)), rate=0.6),
}
"""Every idea that was compared; `best` is the preset."""


def search(name: str, photos: list[Path], method: str, iterations: int | None) -> list[Record]:
    """One batch of searches: a record a photo."""
    phi, settings = METHODS[method](_phi(name))
    settings = settings if iterations is None else settings.scaled_to(iterations)
    images = torch.cat([phi.photo(photo, SIZE) for photo in photos])
    with torch.no_grad():
        energy = pi.Energy(phi, pi.Euclidean(phi(images)), settings.priors, settings.fidelity)
    outcome = pi.minimise(
        energy,
        canvas=settings.canvas,
        stages=settings.stages,
        step_rule=settings.step_rule,
        seeds=[0] * len(photos),
        view=SIZE,
    )
    return [
        {
            "model": name,
            "photo": photo.stem,
            "method": method,
            "iterations": settings.iterations,
            "fidelity": settings.fidelity,
            **dict(zip(outcome.term_names, terms, strict=True)),
            "seconds": outcome.seconds / len(photos),
        }
        for photo, terms in zip(photos, outcome.terms.tolist(), strict=True)
    ]


def run(arguments: argparse.Namespace) -> None:
    """Search every case that the file does not hold yet."""
    photos = sorted(arguments.photos.glob("*.jpg"))[arguments.first :][: arguments.count]
    out: Path = arguments.out
    records = read([out]) if out.exists() else []
    done = {(r["model"], r["method"], r["iterations"], r["photo"]) for r in records}
    for name in arguments.models.split(","):
        for method in arguments.methods.split("|"):
            whole = METHODS[method](_phi(name))[1].iterations
            iterations = arguments.iterations or whole
            left = [p for p in photos if (name, method, iterations, p.stem) not in done]
            for start in range(0, len(left), arguments.batch):
                began = time.perf_counter()
                batch = left[start : start + arguments.batch]
                records = search(name, batch, method, iterations)
                with out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(record) + "\n" for record in records)
                mean = fmean(record["loss"] ** 0.5 for record in records)
                seconds = time.perf_counter() - began
                print(name, method, iterations, f"{mean:.2%} {seconds:.0f} s", flush=True)


def read(files: list[Path]) -> list[Record]:
    """All lines of all files."""
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def table(arguments: argparse.Namespace) -> None:
    """Markdown: a row a model, method and number of iterations; means over the photos."""
    rows: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in read(arguments.files):
        rows[record["model"], record["method"], record["iterations"]].append(record)
    print(
        "| code | method | iterations | photos | relative error (95 % of the mean) | range | TV |"
    )
    print("|" + "---|" * 7)
    for (name, method, iterations), cases in sorted(rows.items()):
        errors = [case["loss"] ** 0.5 for case in cases]
        spread = 1.96 * stdev(errors) / len(errors) ** 0.5 if len(errors) > 1 else 0.0
        columns = (
            name,
            method,
            str(iterations),
            str(len(cases)),
            f"{100 * fmean(errors):.2f} % ± {100 * spread:.2f}",
            f"{fmean(case['bounded_range'] for case in cases):.3f}",
            f"{fmean(case['total_variation'] for case in cases):.3f}",
        )
        print("| " + " | ".join(columns) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="search and append to a file")
    runner.add_argument("--photos", type=Path, required=True)
    runner.add_argument("--models", default="hog,hogb,dsift", help="names of OPTIONS")
    runner.add_argument("--methods", default="paper|best", help="names of METHODS, with | between")
    runner.add_argument("--iterations", type=int, help="in place of the preset's own")
    runner.add_argument("--first", type=int, default=0)
    runner.add_argument("--count", type=int, default=100)
    runner.add_argument("--batch", type=int, default=10)
    runner.add_argument("--out", type=Path, required=True)
    runner.set_defaults(command=run)
    printer = commands.add_parser("table", help="print the table of some files")
    printer.add_argument("files", type=Path, nargs="+")
    printer.set_defaults(command=table)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
