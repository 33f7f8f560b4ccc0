"""Networks read from MatConvNet files against MatConvNet's formulas in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matconvnet_reference import evaluate
from torch import nn

import matconvnet_files as files
from preimage.models import graph
from preimage.models.adding import add
from preimage.models.catalogue import fill, load
from preimage.models.layers import CrossChannelNorm
from preimage.weights.matconvnet import NetworkFile, read_matconvnet

RNG_SIDE = 31


def outputs(file: NetworkFile, path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """What every layer of the network gives, `[height, width, channels]`."""
    with torch.device("meta"):
        network = graph.build(file.layers)
    fill(network, dict(file.tensors), path)
    made = {None: torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))}
    with torch.no_grad():
        for name, layer, sources in graph.steps(network):
            made[name] = layer(*(made[source] for source in sources))
        assert torch.equal(network(made[None]), made[name])
    return {name: y[0].numpy().transpose(1, 2, 0) for name, y in made.items() if name is not None}


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].shape == wanted.shape, name
        error = np.linalg.norm(found[name] - wanted) / np.linalg.norm(wanted)
        assert error < 1e-5, name
        np.testing.assert_allclose(
            found[name], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max(), err_msg=name
        )


def photo_like(side: int, channels: int = 3) -> np.ndarray:
    """A smooth image on the canvas scale."""
    rng = np.random.default_rng(1)
    coarse = rng.uniform(-100, 100, (side // 8 + 2, side // 8 + 2, channels))
    return coarse.repeat(8, 0).repeat(8, 1)[:side, :side] + rng.normal(
        scale=20, size=(side, side, 1)
    )


@pytest.mark.parametrize("version", files.VERSIONS)
@pytest.mark.parametrize("wrapper", files.WRAPPERS)
@pytest.mark.parametrize("name", ["alexnet", "caffenet", "vgg-m"])
def test_the_papers_networks(tmp_path: Path, name: str, wrapper: str, version: str) -> None:
    check_paper_network(tmp_path, name, wrapper, version)


@pytest.mark.parametrize(("wrapper", "version"), [("simplenn", "5"), ("dagnn", "7.3")])
def test_vgg16(tmp_path: Path, wrapper: str, version: str) -> None:
    check_paper_network(tmp_path, "vgg16", wrapper, version)


def check_paper_network(folder: Path, name: str, wrapper: str, version: str) -> None:
    layers = files.paper_layers(name, thinner=32 if name == "vgg16" else 16)
    side = files.INPUT_SIZE[name]
    variables = files.WRAPPERS[wrapper](layers, files.meta(side, classes=10))
    path = files.VERSIONS[version](folder / f"{name}.mat", variables)
    file = read_matconvnet(path)
    assert (file.input_size, file.channels, file.mean) == (side, 3, files.MEAN)
    assert file.labels[:2] == ("thing 0", "thing 1")
    assert len(file.labels) == 10
    assert file.warnings == ()
    assert all(layer.inputs == (None,) for layer in file.layers[:1])
    image = photo_like(side)
    expected = evaluate(layers, image)
    if name != "vgg16":
        before = next(layer["name"] for layer in layers if layer["type"] == "normalize")
        assert np.abs(expected[before]).max() < 0.99 * np.abs(expected["relu1"]).max()
    assert_equal(outputs(file, path, image), expected)


def every_kind() -> list[dict[str, Any]]:
    """A graph with a residual branch, a concatenation and every odd option."""
    rng = np.random.default_rng(2)
    moments = np.stack([rng.normal(size=8), rng.uniform(0.5, 2, 8)], axis=1)
    return [
        files.conv(rng, "a", 3, 3, 8) | {"stride": [2, 1], "pad": [0, 1, 2, 0]},
        {
            "type": "bnorm",
            "name": "norm",
            "weights": [rng.normal(size=(8, 1)), rng.normal(size=(1, 8)), moments],
        },
        {"type": "relu", "name": "leaky", "leak": 0.1},
        files.conv(rng, "dilated", 3, 4, 8) | {"dilate": 2, "pad": 2},
        {"type": "sum", "name": "added", "inputs": ["dilated", "leaky"]},
        {
            "type": "pool",
            "name": "mean",
            "method": "avg",
            "pool": [3, 2],
            "stride": [2, 2],
            "pad": [1, 2, 0, 1],
            "inputs": ["added"],
        },
        {
            "type": "pool",
            "name": "most",
            "method": "max",
            "pool": [3, 2],
            "stride": [2, 2],
            "pad": [1, 2, 0, 1],
            "inputs": ["leaky"],
        },
        {"type": "concat", "name": "both", "inputs": ["most", "mean"]},
        {"type": "normalize", "name": "lrn", "param": [4, 0.5, 0.01, 0.6]},
        {"type": "normalize", "name": "wide", "param": [100, 0.5, 0.01, 0.6]},
        {"type": "dropout", "name": "drop", "rate": 0.5},
        files.conv(rng, "last", 1, 16, 5),
        {"type": "softmax", "name": "softmax"},
    ]


@pytest.mark.parametrize("version", files.VERSIONS)
def test_a_graph_with_every_kind_of_layer(tmp_path: Path, version: str) -> None:
    layers = every_kind()
    path = files.VERSIONS[version](tmp_path / "net.mat", files.dagnn(layers, files.meta(None)))
    file = read_matconvnet(path)
    assert file.input_size is None
    assert isinstance(graph.build(file.layers), graph.Graph)
    image = photo_like(RNG_SIDE) / 50
    assert_equal(outputs(file, path, image), evaluate(layers, image))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 12])
def test_normalization_over_any_number_of_channels(size: int) -> None:
    x = np.random.default_rng(0).normal(scale=3, size=(4, 5, 6))
    layer = {"type": "normalize", "name": "n", "param": [size, 1.5, 0.3, 0.75]}
    ours = CrossChannelNorm(size, 1.5, 0.3, 0.75)(torch.from_numpy(x.transpose(2, 0, 1)[None]))
    expected = evaluate([layer], x)["n"]
    np.testing.assert_allclose(ours[0].numpy().transpose(1, 2, 0), expected, rtol=1e-12)


def test_for_odd_windows_it_is_pytorchs_with_alpha_times_n() -> None:
    x = torch.randn(2, 9, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = CrossChannelNorm(5, kappa=2.0, alpha=0.1, beta=0.75)(x)
    theirs = nn.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0)(x)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(files.PAPER))
def test_the_papers_networks_at_full_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file of the real size under the catalogue's name: our definition, filled and evaluated."""
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    layers, side = files.paper_layers(name, thinner=1), files.INPUT_SIZE[name]
    path = files.save_v5(tmp_path / "net.mat", files.simplenn(layers, files.meta(side)), False)
    add(path, f"{name}.matconvnet")
    loaded = load(f"{name}.matconvnet")
    assert len(loaded.labels or ()) == 1000
    image = photo_like(side)
    with torch.no_grad():
        x = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
        scores = loaded.network[:-1](x).numpy().ravel()
    expected = evaluate(layers, image)["fc8"].ravel()
    assert np.linalg.norm(scores - expected) < 1e-4 * np.linalg.norm(expected)
