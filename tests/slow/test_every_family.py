"""One small network of every family of torchvision and timm, with random weights.

Each has a layer table, takes one step of an inversion with a finite gradient that is not zero, and
is afterwards what it was, byte for byte. Those that can't are named with the reason, and how many
of how many pass is printed (`-s` shows it).
"""

from __future__ import annotations

import gc
import importlib
from collections import defaultdict
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest
import torch

from preimage.energy import Energy, Euclidean
from preimage.errors import PreimageError
from preimage.representations import NetworkLayer, representation
from preimage.representations.catalogue import _adapted_survey, survey_of
from toys import fingerprint, random_image

pytestmark = pytest.mark.slow

CLIPS = "takes clips, not images"

CANNOT: dict[str, dict[str, str]] = {
    "torchvision": {
        "optical_flow.raft": "takes two images",
        "video.resnet": CLIPS,
        "video.s3d": CLIPS,
        "video.swin_transformer": CLIPS,
    },
    "timm": {},
}
"""By library and family, why it is no network for single images."""

ASKED = {"mean": (127.0,) * 3, "std": (64.0,) * 3, "input_size": 224}
"""For networks that do not say what they take."""

SMALL_NAMES = (
    "test atto femto pico nano xxs xx_small x_small tiny _ti_ micro mini xs small _s _050 18 _b0 "
    "_0 26 _b base"
)
SMALL = SMALL_NAMES.split()
"""What small networks are called, the smallest first."""


def torchvision_families(library: ModuleType) -> Mapping[str, list[str]]:
    families = defaultdict(list)
    for name in library.models.list_models():
        home = library.models.get_model_builder(name).__module__
        families[home.removeprefix("torchvision.models.")].append(name)
    return families


def timm_families(library: ModuleType) -> Mapping[str, list[str]]:
    return {family: library.list_models(module=family) for family in library.list_modules()}


FAMILIES = {"torchvision": torchvision_families, "timm": timm_families}


def small_one(names: list[str]) -> str:
    """The member of a family that sounds smallest."""

    def rank(name: str) -> tuple[int, int]:
        sizes = [i for i, word in enumerate(SMALL) if word in name]
        return (min(sizes, default=len(SMALL)), len(name))

    return min(names, key=rank)


def middle_layer(model: str) -> tuple[NetworkLayer, torch.Tensor]:
    """A layer half-way, and the code of an image there; not one whose gain is 0 at random weights,
    as the ends of some residual branches are."""
    options: dict[str, Any] = {"weights": "random"}
    try:
        found = survey_of(model, **options)
    except PreimageError:
        options |= ASKED
        found = survey_of(model, **options)
    maps = [row.name for row in found.layers if len(row.shape) == 3 and row.shape[1] > 1]
    names = maps or [row.name for row in found.layers]
    phi = representation(model, names[len(names) // 2], **options)
    image = random_image((1, 3, *[phi.input_size] * 2), 1)
    for name in reversed(names[: len(names) // 2 + 1]):
        phi = NetworkLayer(
            phi.network, name, input_size=phi.input_size, mean=phi.mean, std=ASKED["std"]
        )
        with torch.no_grad():
            code = phi(image)
        if bool((code != 0).any()):
            break
    return phi, code


def check(model: str) -> None:
    """Raises where a network does not keep the promises."""
    phi, code = middle_layer(model)
    before = fingerprint(phi.network)
    energy = Energy(phi, Euclidean(code), fidelity=10.0)
    _, gradient = energy.loss_and_gradient(random_image((1, 3, *[phi.input_size] * 2), 2))
    assert bool(torch.isfinite(gradient).all()), "a gradient that is not finite"
    assert float(gradient.abs().max()) > 0, "no gradient"
    assert fingerprint(phi.network) == before, "the network was changed"


@pytest.mark.parametrize("library", FAMILIES)
def test_every_family(library: str) -> None:
    try:
        package = importlib.import_module(library)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{library} can't be imported: {error}")
    failed: dict[str, str] = {}
    families = FAMILIES[library](package)
    for family, names in families.items():
        model = f"{library}:{small_one(names)}"
        try:
            check(model)
        except (PreimageError, AssertionError) as error:
            failed[family] = f"{model}: {error}"
        _adapted_survey.cache_clear()
        gc.collect()
    print(f"\n{library}: {len(families) - len(failed)} of {len(families)} families pass")
    for family, why in failed.items():
        print(f"  {family}: {CANNOT[library].get(family, 'NOT EXPECTED')}; {why}")
    assert set(failed) <= set(CANNOT[library]), "families that should pass"
