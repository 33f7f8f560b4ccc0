"""Which search comes closest to the energy's floor, layer by layer (docs/solvers.md).

    python benchmarks/solvers.py run --photos DIR --model alexnet --layers conv1,relu3 \\
        --methods "paper|best" --iterations 100,350 --count 20 --out solvers.jsonl
    python benchmarks/solvers.py table solvers.jsonl
    python benchmarks/solvers.py ideas solvers.jsonl --iterations 100
    python benchmarks/solvers.py seconds --photo FILE --methods "paper|quick"
    python benchmarks/solvers.py picture --photo FILE --layer relu3 --out relu3.png

Every line of the file is one photo, layer, method and number of iterations. `run` adds what is not
there yet, so it can be interrupted and called again, by several processes with a file each; `table`
reads any number of files. Photos are every `--step`-th of the sorted folder, from `--first`.

The floor of a case is the lowest energy that any line has for it: run a method with many
iterations (3000) for one that deserves the name.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

import torch

import preimage as pi
from preimage.images import Tile, as_picture, contact_sheet, to_pixels
from preimage.metrics.lpips import lpips
from preimage.recipes.caricature import start_from
from preimage.recipes.presets import BESIDE_PLACES
from preimage.recipes.settings import Settings
from preimage.representations import NetworkLayer
from preimage.search import UniformNoise

ALEXNET_MEAN = (123.675, 116.28, 103.53)


def _preset(name: str) -> Callable[[NetworkLayer], Settings]:
    return lambda phi: pi.settings_for(phi, name)


def _canvas(**changes: Any) -> Callable[[NetworkLayer], Settings]:
    """The preset `best` with parts of its canvas replaced."""

    def settings(phi: NetworkLayer) -> Settings:
        best = pi.settings_for(phi, "best")
        assert isinstance(best.canvas, pi.FrameCanvas)
        return replace(best, canvas=replace(best.canvas, **changes))

    return settings


def _waves_alone(phi: NetworkLayer) -> Settings:
    """`best` without its places: the spectrum, and larger steps."""
    best = pi.settings_for(phi, "best")
    frame, rule = best.canvas, best.step_rule
    assert isinstance(frame, pi.FrameCanvas)
    assert isinstance(rule, pi.NormalizedMomentum)
    canvas = pi.SpectralCanvas(frame.exponent, frame.amplitude, frame.range)
    return replace(best, canvas=canvas, step_rule=replace(rule, rate=rule.rate / BESIDE_PLACES))


def _prototype(phi: NetworkLayer) -> Settings:
    """Adam on a plain spectrum; short jitter, then a long cosine."""
    canvas = pi.SpectralCanvas(exponent=1.25, range="sigmoid")
    return replace(
        pi.settings_for(phi, "best"),
        canvas=canvas,
        step_rule=pi.Adam(0.02),
        stages=(pi.Stage(60, jitter=phi.defaults.jitter), pi.Stage(290, decay="cosine")),
        softening=None,
    )


def _own_derivatives(phi: NetworkLayer) -> Settings:
    best = pi.settings_for(phi, "best")
    return replace(best, softening=None)


def _steps(preset: str, **changes: Any) -> Callable[[NetworkLayer], Settings]:
    """A preset with parts of its step rule replaced."""

    def settings(phi: NetworkLayer) -> Settings:
        chosen = pi.settings_for(phi, preset)
        assert isinstance(chosen.step_rule, pi.NormalizedMomentum)
        return replace(chosen, step_rule=replace(chosen.step_rule, **changes))

    return settings


def _falling_late(preset: str) -> Callable[[NetworkLayer], Settings]:
    """A preset whose rate falls in its last two fifths alone, along a cosine."""

    def settings(phi: NetworkLayer) -> Settings:
        chosen = pi.settings_for(phi, preset)
        stages = (
            pi.Stage(20, jitter=phi.defaults.jitter),
            pi.Stage(190),
            pi.Stage(140, decay="cosine"),
        )
        return replace(chosen, stages=stages).scaled_to(chosen.iterations)

    return settings


def _pyramid(phi: NetworkLayer) -> Settings:
    """The canvas that suits HOG, for a network, with a momentum of fixed memory."""
    return replace(
        pi.settings_for(phi, "best"),
        canvas=pi.PyramidCanvas(amplitude=1.0),
        step_rule=pi.NormalizedMomentum(0.5, rho=0.95),
    )


def _adam(phi: NetworkLayer) -> Settings:
    return replace(pi.settings_for(phi, "best"), step_rule=pi.Adam(0.012))


def _long_jitter(phi: NetworkLayer) -> Settings:
    jitter = phi.defaults.jitter
    stages = (pi.Stage(140, jitter=jitter), pi.Stage(210, decay="root"))
    return replace(pi.settings_for(phi, "best"), stages=stages)


def _lbfgs(phi: NetworkLayer) -> Settings:
    stages = (pi.Stage(1, jitter=phi.defaults.jitter), pi.Stage(349))
    # Its line search would take a softened derivative for the energy's own.
    best = replace(pi.settings_for(phi, "best"), softening=None)
    return replace(best, step_rule=pi.LBFGS(first_step=2.0), stages=stages)


def _small_start_pixels(phi: NetworkLayer) -> Settings:
    settings = pi.settings_for(phi, "paper")
    canvas = pi.PixelCanvas(noise=UniformNoise(scale=0.01))
    stages = (
        pi.Stage(150, jitter=phi.defaults.jitter, rate=0.5),
        pi.Stage(200, rate=0.5, decay="cosine"),
    )
    return replace(settings, canvas=canvas, stages=stages)


Record = dict[str, Any]

METHODS: dict[str, Callable[[NetworkLayer], Settings]] = {
    "paper": _preset("paper"),
    "pixels, small start": _small_start_pixels,
    "prototype": _prototype,
    "best": _preset("best"),
    "quick": _preset("quick"),
    "best, waves alone": _waves_alone,
    "best, three levels": _canvas(levels=3),
    "best with Adam": _adam,
    "best with L-BFGS": _lbfgs,
    "best, own derivatives": _own_derivatives,
    "best, fixed memory": _steps("best", rho=0.95, growth=0.0),
    "best, no step ahead": _steps("best", ahead=0.0),
    "best, falling late": _falling_late("best"),
    "quick, fixed memory": _steps("quick", rho=0.85, growth=0.0),
    "quick, no step ahead": _steps("quick", ahead=0.0),
    "quick, falling late": _falling_late("quick"),
    "best on a pyramid": _pyramid,
    "best, p = 1": _canvas(exponent=1.0),
    "best, p = 1.25": _canvas(exponent=1.25),
    "best, p = 2": _canvas(exponent=2.0),
    "best, linear range": _canvas(range="linear"),
    "best, sigmoid range": _canvas(range="sigmoid"),
    "best, large start": _canvas(amplitude=0.1),
    "best, jitter for 140": _long_jitter,
}
"""Every idea that was compared; `best` is the preset."""


def photos_of(folder: Path, first: int, step: int, count: int) -> list[Path]:
    """`count` photos of the sorted folder, every `step`-th from the `first`."""
    return sorted(folder.glob("*.jpg"))[first::step][:count]


FROM_PHOTO = ", from the photo"
"""After a method's name: it starts from the photo itself, which no search is given, to see how much
of the distance to the floor is due to the start."""


def search(phi: NetworkLayer, photos: list[Path], method: str, iterations: int) -> list[Record]:
    """One batch of searches: a record a photo."""
    settings = METHODS[method.removesuffix(FROM_PHOTO)](phi).scaled_to(iterations)
    images = torch.cat([phi.photo(photo) for photo in photos])
    with torch.no_grad():
        energy = pi.Energy(phi, pi.Euclidean(phi(images)), settings.priors, settings.fidelity)
    outcome = pi.minimise(
        energy,
        canvas=settings.canvas,
        stages=settings.stages,
        softening=settings.softening,
        step_rule=settings.step_rule,
        seeds=[0] * len(photos),
        start=start_from(images, settings, phi.mean) if method.endswith(FROM_PHOTO) else None,
    )
    shift = torch.tensor(phi.mean).view(1, 3, 1, 1) - torch.tensor(ALEXNET_MEAN).view(1, 3, 1, 1)
    distances = lpips(outcome.view + shift, images + shift, ALEXNET_MEAN).tolist()
    records = []
    for photo, terms, distance in zip(photos, outcome.terms.tolist(), distances, strict=True):
        named = dict(zip(outcome.term_names, terms, strict=True))
        records.append(
            {
                "model": phi.model,
                "layer": phi.layer,
                "photo": photo.stem,
                "method": method,
                "iterations": iterations,
                "fidelity": settings.fidelity,
                "energy": named["energy"],
                "squared_error": named["loss"],
                "bounded_range": named["bounded_range"],
                "total_variation": named["total_variation"],
                "lpips": distance,
                "seconds": outcome.seconds / len(photos),
            }
        )
    return records


def _key(record: Record) -> tuple[str, str, float, str, str, int]:
    names = ("model", "layer", "fidelity", "photo", "method", "iterations")
    return tuple(record[name] for name in names)


def run(arguments: argparse.Namespace) -> None:
    """Search every case that the file does not hold yet."""
    photos = photos_of(arguments.photos, arguments.first, arguments.step, arguments.count)
    out: Path = arguments.out
    done = {_key(record) for record in read([out])} if out.exists() else set()
    for layer in arguments.layers.split(","):
        phi = pi.representation(arguments.model, layer)
        for method in arguments.methods.split("|"):
            for iterations in map(int, arguments.iterations.split(",")):
                layer_is = (phi.model, layer, phi.defaults.fidelity)
                case = (method, iterations)
                left = [p for p in photos if (*layer_is, p.stem, *case) not in done]
                for start in range(0, len(left), arguments.batch):
                    began = time.perf_counter()
                    records = search(phi, left[start : start + arguments.batch], method, iterations)
                    with out.open("a", encoding="utf-8") as file:
                        file.writelines(json.dumps(record) + "\n" for record in records)
                    mean = fmean(record["energy"] for record in records)
                    seconds = time.perf_counter() - began
                    print(*layer_is, *case, len(records), f"{mean:.3f} {seconds:.0f} s", flush=True)


def read(files: Iterable[Path]) -> list[Record]:
    """All lines of all files."""
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def _layer_of(record: Record) -> tuple[str, str, float]:
    return record["model"], record["layer"], record["fidelity"]


def _title(record: Record) -> str:
    return f"{record['model'].split('.')[0]} {record['layer']}"


def table(arguments: argparse.Namespace) -> None:
    """Markdown: a row a layer, method and number of iterations; means over the photos.

    Ratios compare sums over the same photos: with the preset `paper` in 350 iterations, and, on the
    photos searched for `--floor-iterations`, with the lowest energy that any line has for them.
    """
    records = {_key(record): record for record in read(arguments.files)}
    floors: dict[tuple[Any, ...], float] = defaultdict(lambda: float("inf"))
    deep = set()
    for record in records.values():
        case = (*_layer_of(record), record["photo"])
        floors[case] = min(floors[case], record["energy"])
        if record["iterations"] >= arguments.floor_iterations:
            deep.add(case)
    rows: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records.values():
        rows[(*_layer_of(record), record["method"], record["iterations"])].append(record)
    print(
        "| layer | method | iterations | photos | energy | of `paper`'s | over the floor (photos) "
        "| squared error | TV | LPIPS | of `paper`'s |"
    )
    print("|" + "---|" * 11)
    for (*named, method, iterations), cases in rows.items():
        published = [records.get((*named, case["photo"], "paper", PUBLISHED)) for case in cases]
        at_floor = [case for case in cases if (*named, case["photo"]) in deep]
        floor = [floors[(*named, case["photo"])] for case in at_floor]
        over = f"{_ratio([c['energy'] for c in at_floor], floor)} ({len(floor)})" if floor else "–"
        columns = (
            _title(cases[0]),
            method,
            str(iterations),
            str(len(cases)),
            f"{fmean(case['energy'] for case in cases):.3f}",
            _compared(cases, published, "energy"),
            over,
            f"{fmean(case['squared_error'] for case in cases):.4f}",
            f"{fmean(case['total_variation'] for case in cases):.2f}",
            f"{fmean(case['lpips'] for case in cases):.3f}",
            _compared(cases, published, "lpips"),
        )
        print("| " + " | ".join(columns) + " |")


def ideas(arguments: argparse.Namespace) -> None:
    """Markdown: a row a method, the lowest first; its mean energy on each layer.

    Layers and photos are those that all methods of the files have in this number of iterations;
    their number is in brackets. The last two columns are geometric means over layers, of `best`'s.
    """
    found = [r for r in read(arguments.files) if r["iterations"] == arguments.iterations]
    methods = list(dict.fromkeys(record["method"] for record in found))
    if "best" not in methods:
        raise SystemExit(f"the files hold no line of best with {arguments.iterations} iterations")
    by_case: dict[tuple[Any, ...], dict[str, Record]] = defaultdict(dict)
    for record in found:
        by_case[(*_layer_of(record), record["photo"])][record["method"]] = record
    layers: dict[tuple[Any, ...], list[dict[str, Record]]] = defaultdict(list)
    for (*named, _), case in by_case.items():
        if len(case) == len(methods):
            layers[tuple(named)].append(case)
    if not layers:
        raise SystemExit(f"there is no photo that all of these have searched: {', '.join(methods)}")

    def means(method: str, name: str) -> list[float]:
        return [fmean(case[method][name] for case in cases) for cases in layers.values()]

    def of_best(method: str, name: str) -> float:
        both = zip(means(method, name), means("best", name), strict=True)
        return geometric_mean(mine / its for mine, its in both)

    columns = [f"{_title(cases[0]['best'])} ({len(cases)})" for cases in layers.values()]
    columns += ["energy", "LPIPS"]
    print("| method | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for method in sorted(methods, key=lambda method: of_best(method, "energy")):
        values = [f"{mean:.3g}" for mean in means(method, "energy")]
        values += [f"{of_best(method, name):.2f}" for name in ("energy", "lpips")]
        print(f"| {method} | " + " | ".join(values) + " |")


def seconds(arguments: argparse.Namespace) -> None:
    """Markdown: milliseconds an iteration, a row a method; in brackets, of `best`'s.

    The methods take turns, so that whatever else the machine does falls on all of them alike; the
    median over the turns.
    """
    methods = list(dict.fromkeys(["best", *arguments.methods.split("|")]))
    columns: dict[str, dict[str, float]] = {}
    for name in arguments.layers.split(","):
        model, _, layer = name.rpartition(":")
        phi = pi.representation(model, layer)
        turns: dict[str, list[float]] = {method: [] for method in methods}
        for _ in range(arguments.turns):
            for method in methods:
                took = search(phi, [arguments.photo], method, arguments.iterations)[0]["seconds"]
                turns[method].append(1000 * took / arguments.iterations)
        columns[f"{model} {layer}"] = {method: median(turns[method]) for method in methods}
    print("| method | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for method in methods:
        values = [f"{ms[method]:.0f} ({ms[method] / ms['best']:.2f})" for ms in columns.values()]
        print(f"| {method} | " + " | ".join(values) + " |")


PUBLISHED = 350
"""Iterations of the paper's inversions."""


def _ratio(values: list[float], others: list[float]) -> str:
    return f"{sum(values) / sum(others):.3f}"


def _compared(cases: list[Record], published: list[Record | None], name: str) -> str:
    """The cases' mean over that of the preset `paper` on the same photos, if it has them all."""
    known = [record[name] for record in published if record is not None]
    return _ratio([case[name] for case in cases], known) if len(known) == len(cases) else "–"


def picture(arguments: argparse.Namespace) -> None:
    """A contact sheet: the photo, then its pre-image by every method."""
    phi = pi.representation(arguments.model, arguments.layer)
    reference = as_picture(to_pixels(phi.photo(arguments.photo), phi.mean))
    tiles = [Tile(reference, "photo", f"{phi.model} {phi.layer}")]
    for method in arguments.methods.split("|"):
        settings = METHODS[method](phi).scaled_to(arguments.iterations)
        result = pi.invert(phi, arguments.photo, settings=settings)
        assert isinstance(result, pi.Result)
        caption = f"energy {result.energy:.3g}, relative error {100 * result.relative_error:.1f} %"
        tiles.append(Tile(result.image, method, caption))
        print(method, caption, flush=True)
    contact_sheet(tiles, columns=arguments.columns).save(arguments.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="search and append to a file")
    runner.add_argument("--photos", type=Path, required=True)
    runner.add_argument("--model", default="alexnet")
    runner.add_argument("--layers", default="conv1,pool2,relu3,relu4,relu5,pool5")
    runner.add_argument("--methods", default="paper|best", help="names of METHODS, with | between")
    runner.add_argument("--iterations", default="100,350")
    runner.add_argument("--first", type=int, default=0)
    runner.add_argument("--step", type=int, default=9)
    runner.add_argument("--count", type=int, default=20)
    runner.add_argument("--batch", type=int, default=4)
    runner.add_argument("--out", type=Path, required=True)
    runner.set_defaults(command=run)
    painter = commands.add_parser("picture", help="draw one photo by every method")
    painter.add_argument("--photo", type=Path, required=True)
    painter.add_argument("--model", default="alexnet")
    painter.add_argument("--layer", default="relu3")
    painter.add_argument("--methods", default="|".join(METHODS))
    painter.add_argument("--iterations", type=int, default=350)
    painter.add_argument("--columns", type=int, default=4)
    painter.add_argument("--out", type=Path, required=True)
    painter.set_defaults(command=picture)
    printer = commands.add_parser("table", help="print the table of some files")
    printer.add_argument("files", type=Path, nargs="+")
    printer.add_argument("--floor-iterations", type=int, default=1000)
    printer.set_defaults(command=table)
    comparer = commands.add_parser("ideas", help="print how the methods of some files compare")
    comparer.add_argument("files", type=Path, nargs="+")
    comparer.add_argument("--iterations", type=int, default=350)
    comparer.set_defaults(command=ideas)
    timer = commands.add_parser("seconds", help="print what an iteration of each method takes")
    timer.add_argument("--photo", type=Path, required=True)
    timer.add_argument("--layers", default="alexnet:relu3,efficientnet-lite0:block11")
    timer.add_argument("--methods", default="paper", help="names of METHODS, beside best")
    timer.add_argument("--iterations", type=int, default=20)
    timer.add_argument("--turns", type=int, default=7)
    timer.set_defaults(command=seconds)
    arguments = parser.parse_args()
    arguments.command(arguments)


if __name__ == "__main__":
    main()
