"""Fig. 3: what C and the exponent β of the total variation do to the pre-image of one photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from preimage.experiments.experiment import Report, Request
from preimage.experiments.inverting import Setting, layer_of, photos_called, pre_images
from preimage.experiments.rows import mean_row
from preimage.experiments.sheets import sheet
from preimage.experiments.tables import Column, number, percent

MODEL, LAYER, PHOTO, PRESET = "alexnet", "relu3", "spoonbill", "best"
FIDELITIES = (1.0, 20.0, 100.0, 300.0)
BETAS = (1.0, 1.5, 2.0, 3.0)

SAYS: Mapping[str, Any] = {
    "source": "Mahendran & Vedaldi 2016, Fig. 3",
    "fidelity": "Selecting a small value of C results in more regularized reconstructions, which "
    "is essential to obtain good results.",
    "beta": "note the spikes for beta = 1",
}

COLUMNS = (
    Column("fidelity", "C", number),
    Column("beta", "beta", number),
    Column("relative_error", "relative error", percent),
    Column("prior", "prior terms", number),
)


def figure3(request: Request) -> Report:
    """One photo inverted with several C, and with several β."""
    preset = request.preset or PRESET
    phi = layer_of(request, request.model or MODEL, (request.layers or (LAYER,))[0])
    targets = photos_called(request, PHOTO)
    changes = [{"fidelity": C} for C in FIDELITIES] + [{"beta": beta} for beta in BETAS]
    found = [pre_images(request, Setting(phi, preset, change), targets)[0] for change in changes]
    titles = [f"C = {C:g}" for C in FIDELITIES] + [f"beta = {beta:g}" for beta in BETAS]
    rows = tuple(
        {**mean_row([done]), "beta": done.record["settings"]["beta"], "case": done.case.id}
        for done in found
    )
    footer = f"{phi.name}, preset {preset}; in the upper row beta is 2, in the lower C is " + (
        f"{phi.defaults.fidelity:g}"
    )
    return Report(
        rows, {}, tuple(found), {"figure3": sheet(found, titles, columns=4, footer=footer)}
    )
