"""Small made-up nets, photos and results: everything a test needs that is not under test."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from preimage import BoundedRange, Energy, Euclidean, TotalVariation
from preimage.representations import Defaults, Geometry, NetworkLayer
from preimage.search import Result

SIDE = 32
MEAN = (120.0, 110.0, 100.0)


def random_network(modules: Iterable[tuple[str, nn.Module]], seed: int = 0) -> nn.Sequential:
    """A sequential network with weights of its own seed, unit gain and a little bias."""
    network = nn.Sequential(OrderedDict(modules))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 25
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(fan))
    return network


def small_network(seed: int = 0, relu_in_place: bool = False) -> nn.Sequential:
    """conv1 relu1 pool1 conv2 relu2 fc: 32 px in, 10 numbers out."""
    return random_network(
        [
            ("conv1", nn.Conv2d(3, 8, 5, stride=2, padding=2)),
            ("relu1", nn.ReLU(inplace=relu_in_place)),
            ("pool1", nn.MaxPool2d(2)),
            ("conv2", nn.Conv2d(8, 12, 3, padding=1)),
            ("relu2", nn.ReLU(inplace=relu_in_place)),
            ("flat", nn.Flatten()),
            ("fc", nn.Linear(12 * 8 * 8, 10)),
        ],
        seed,
    )


def layer_of(network: nn.Module, layer: str, **options: Any) -> NetworkLayer:
    """A layer of a toy as a representation that sees 32 px."""
    chosen: dict[str, Any] = {
        "model": "toy",
        "input_size": SIDE,
        "mean": MEAN,
        "std": (60.0, 60.0, 60.0),
        "geometry": Geometry(receptive_field=5, stride=2, offset=0.0),
        "defaults": Defaults(fidelity=100.0, jitter=3),
    }
    return NetworkLayer(network, layer, **{**chosen, **options})


def small_layer(layer: str = "relu2", **options: Any) -> NetworkLayer:
    """A layer of `small_network` whose weights take no gradient."""
    return layer_of(small_network().requires_grad_(False), layer, **options)


def small_energy(seed: int = 0, count: int = 1, layer: str = "relu2", **options: Any) -> Energy:
    """Eq. 1 for `count` random targets; target i is the same whatever the count."""
    phi = small_layer(layer)
    codes = torch.cat([phi(random_image((1, 3, SIDE, SIDE), seed + i)) for i in range(count)])
    priors = (BoundedRange(), TotalVariation())
    return Energy(phi, **{"loss": Euclidean(codes), "priors": priors, "fidelity": 10.0, **options})


def random_image(
    shape: Iterable[int], seed: int = 0, scale: float = 60.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Normal noise of the size that images have on the canvas scale."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=dtype)


def picture(seed: int = 0, width: int = 48, height: int = 40) -> Image.Image:
    """A smooth made-up photo: slow waves in each colour, a bright disk on them."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0:height, 0:width] / max(width, height)
    planes = []
    for _ in range(3):
        a, b, phase = rng.uniform((2, 2, 0), (9, 9, 6.28))
        disk = (u - rng.uniform(0.3, 0.7)) ** 2 + (v - rng.uniform(0.3, 0.5)) ** 2 < 0.04
        planes.append(125 + 70 * np.sin(a * u + b * v + phase) + 50 * disk)
    pixels = np.clip(np.stack(planes, axis=-1), 0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels)


def photo_file(folder: Path, seed: int = 0) -> Path:
    """`picture(seed)` as a PNG file."""
    path = folder / f"photo{seed}.png"
    picture(seed).save(path)
    return path


def fingerprint(network: nn.Module) -> dict[str, Any]:
    """All that a search must leave as it was in somebody's model."""
    return {
        "state": {name: _bytes(value) for name, value in network.state_dict().items()},
        "requires_grad": {name: p.requires_grad for name, p in network.named_parameters()},
        "grad": {name: p.grad is None for name, p in network.named_parameters()},
        "training": {name: module.training for name, module in network.named_modules()},
        "hooks": {
            name: {key: len(value) for key, value in vars(module).items() if "hooks" in key}
            for name, module in network.named_modules()
        },
        "attributes": {name: sorted(vars(module)) for name, module in network.named_modules()},
    }


def _bytes(value: Tensor) -> bytes:
    """Of any type, bfloat16 too, which NumPy does not have."""
    return value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def made_result(name: str = "photo", **record: Any) -> Result:
    """A result that no search has made, to be written to disk."""
    content = {
        "schema": 1,
        "task": "invert",
        "image": {"path": "photo.png", "sha256": "0" * 64},
        "representation": {"model": "toy", "layer": "relu2", "code_shape": [12, 8, 8]},
        "seed": 0,
        "restart": 0,
        "relative_error": 0.5,
        "squared_error": 0.25,
        "energy": {"total": 2.0, "loss": 0.25},
    }
    return Result(
        record={**content, **record},
        name=name,
        headline=("relative error", "50.0 %"),
        image=picture(1, SIDE, SIDE),
        reference=picture(0, SIDE, SIDE),
        canvas=np.arange(3 * 34 * 34, dtype=np.float32).reshape(3, 34, 34),
        trace=np.array([[3.0, 1.0], [2.0, 0.25]]),
        trace_columns=("energy", "loss"),
    )
