"""Networks from a person's own files: added, found again, looked into."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import matconvnet_files as files
import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.files import md5_of_file
from preimage.models import catalogue, convert, graph
from preimage.models.adding import add
from preimage.models.catalogue import Architecture, Checkpoint, Model, load, resolve
from preimage.models.layers import CrossChannelNorm, FullyConnected
from preimage.representations.catalogue import layers_of
from preimage.weights import added, store
from preimage.weights import catalogue as weight_files
from preimage.weights.matconvnet import read_matconvnet

SIDE = 16


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREIMAGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


def layers(seed: int = 0, channels: int = 3) -> list[files.Layer]:
    rng = np.random.default_rng(seed)
    return [
        files.conv(rng, "conv1", 3, channels, 4) | {"pad": 1},
        {"type": "relu", "name": "relu1"},
        {"type": "normalize", "name": "norm1", "param": [5, 1, 1e-4, 0.75]},
        {"type": "pool", "name": "pool1", "method": "max", "pool": 2, "stride": 2},
        {"type": "dropout", "name": "drop"},
        files.conv(rng, "fc", 8, 4, 6),
        {"type": "softmax", "name": "prob"},
    ]


def saved(
    folder: Path, side: int | None = SIDE, seed: int = 0, channels: int = 3, wrap: Any = None
) -> Path:
    described = files.meta(side, classes=6, mean=[100.0] * channels)
    variables = (wrap or files.simplenn)(layers(seed, channels), described)
    return files.save_v5(folder / "mine.mat", variables)


def test_an_added_network_is_found_loaded_and_described(tmp_path: Path, cache: Path) -> None:
    path = saved(tmp_path)
    done = add(path, "mine")
    assert done.warnings == ()
    assert sorted(p.suffix for p in cache.iterdir()) == [".json", ".safetensors"]
    model = resolve("mine")
    assert (model.architecture.input_size, model.mean, model.std) == (SIDE, (100,) * 3, (1,) * 3)
    assert [row.name for row in layers_of("mine")] == [layer["name"] for layer in layers()]
    loaded = load("mine")
    assert loaded.labels == tuple(f"thing {i}" for i in range(6))
    assert loaded.weights.source == "mine: added from mine.mat"
    assert loaded.weights.sha256 == done.added.sha256
    assert not any(module.training for module in loaded.network.modules())
    wanted = read_matconvnet(path).tensors
    state = loaded.network.state_dict()
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert "mine" in [model.name for model in catalogue.every_model()]
    assert added.every_file()[-1].name == "mine"
    assert store.verify(added.file_of("mine")).sha256 == done.added.sha256


def test_it_can_be_inverted_and_names_its_classes(tmp_path: Path, photo: Path) -> None:
    add(saved(tmp_path), "mine")
    phi = pi.representation("mine", layer="relu1")
    logits = phi.logits(phi.photo(photo))
    assert logits is not None
    assert logits.shape == (1, 6)
    result = pi.invert(phi, photo, iterations=4)
    assert result.record["classes"]["reference"][0]["label"].startswith("thing ")
    assert result.record["weights"]["source"] == "mine: added from mine.mat"


def test_grey_images_of_any_size(tmp_path: Path, photo: Path) -> None:
    rng = np.random.default_rng(0)
    body = [
        files.conv(rng, "layer1", 3, 1, 4) | {"pad": 1},
        {"type": "relu", "name": "layer2"},
        {
            "type": "bnorm",
            "name": "layer3",
            "weights": [np.ones(4), np.zeros(4), np.array([[0.1, 2.0]] * 4)],
        },
        files.conv(rng, "layer4", 3, 4, 1) | {"pad": 1},
    ]
    add(files.save_v73(tmp_path / "denoiser.mat", {"net": {"layers": body}}), "grey", std=[255])
    phi = pi.representation("grey", layer="layer3")
    # The network counts from black, the canvas from mid-grey.
    assert (phi.channels, phi.input_size, phi.mean) == (1, None, (127.5,))
    for side in (20, 33):
        image = phi.photo(photo, side)
        assert phi(image).shape == (1, 4, side, side)
        torch.testing.assert_close(phi(image), phi.network[:3]((image + 127.5) / 255))
    assert phi.logits(image) is None
    result = pi.invert(phi, photo, size=24, iterations=3)
    assert result.image.size == (24, 24)
    assert result.image.mode == "L"


def test_a_network_for_five_channels_is_described_and_run(tmp_path: Path) -> None:
    add(saved(tmp_path, channels=5), "five")
    phi = pi.representation("five", layer="pool1")
    assert phi.channels == 5
    assert phi(torch.zeros(2, 5, SIDE, SIDE)).shape == (2, 4, 8, 8)


def test_a_graph_is_added(tmp_path: Path) -> None:
    body = layers()[:3]
    body.append({"type": "concat", "name": "both", "inputs": ["norm1", "conv1"]})
    path = files.save_v73(tmp_path / "dag.mat", files.dagnn(body, files.meta(SIDE)))
    add(path, "dag")
    assert isinstance(load("dag").network, graph.Graph)
    rows = {row.name: row for row in layers_of("dag")}
    assert rows["both"].shape == (8, SIDE, SIDE)
    assert rows["both"].kind == "concatenation"
    assert rows["both"].geometry == rows["conv1"].geometry
    phi = pi.representation("dag", layer="norm1")
    assert phi(torch.zeros(1, 3, SIDE, SIDE)).shape == (1, 4, SIDE, SIDE)


def test_branches_that_see_more_make_the_receptive_field(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    body = [
        files.conv(rng, "near", 1, 3, 4),
        files.conv(rng, "far", 5, 3, 4) | {"pad": 2, "inputs": ["input"]},
        {"type": "sum", "name": "sum", "inputs": ["near", "far"]},
    ]
    add(files.save_v5(tmp_path / "x.mat", files.dagnn(body, files.meta(SIDE))), "branches")
    assert [row.geometry.receptive_field for row in layers_of("branches")] == [1, 5, 5]


def test_what_was_asked_for_goes_before_what_the_file_says(tmp_path: Path) -> None:
    done = add(saved(tmp_path, side=None), "mine", mean=[1, 2, 3], std=[50], input_size=SIDE)
    model = done.model
    assert (model.mean, model.std, model.architecture.input_size) == ((1, 2, 3), (50,) * 3, SIDE)
    with pytest.raises(UsageError, match="--mean: expected one number, or one for each of 3"):
        add(saved(tmp_path), "other", mean=[1, 2])


def test_a_name_that_is_taken(tmp_path: Path, cache: Path) -> None:
    add(saved(tmp_path), "mine")
    before = sorted(path.name for path in cache.iterdir())
    with pytest.raises(PreimageError, match=r"mine is there already, from mine\.mat"):
        add(saved(tmp_path, seed=1), "mine")
    assert sorted(path.name for path in cache.iterdir()) == before
    add(saved(tmp_path, seed=1), "mine", overwrite=True)
    after = sorted(path.name for path in cache.iterdir())
    assert len(after) == 2
    assert after != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnet", "alexnet is a network of the catalogue"),
        ("alexnet.torchvision", "is a network of the catalogue"),
        ("vgg16-conv", "is a weight file of the catalogue"),
        ("../evil", "expected up to 60 letters"),
        ("", "expected up to 60 letters"),
        ("torchvision:x", "expected up to 60 letters"),
    ],
)
def test_names_that_cannot_be_given(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        add(saved(tmp_path), name)
    assert not (tmp_path / "home").exists()


def test_a_layer_that_does_not_fit_its_map_is_named(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(PreimageError, match="layer fc does not fit the map of 4x6x6 that it gets"):
        add(saved(tmp_path, side=12), "mine")
    assert not cache.exists()


def test_class_names_that_are_not_one_for_each_score_are_left_out(tmp_path: Path) -> None:
    variables = files.simplenn(layers(), files.meta(SIDE, classes=7))
    done = add(files.save_v5(tmp_path / "x.mat", variables), "mine")
    assert done.warnings == ("the file names 7 classes for 6 scores: left out",)
    assert load("mine").labels is None


def test_a_damaged_description_or_weight_file_is_named(tmp_path: Path, cache: Path) -> None:
    add(saved(tmp_path), "mine")
    description = cache / "mine.json"
    record = json.loads(description.read_text())
    weights = cache / record["weights"]
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(PreimageError, match=r"sha256.*weights add FILE\.mat --name mine --o"):
        load("mine")
    weights.unlink()
    with pytest.raises(PreimageError, match="mine: Add it again: preimage weights add"):
        load("mine")
    record["layers"][0]["options"]["kernel"] = "wide"
    description.write_text(json.dumps(record))
    with pytest.raises(PreimageError, match="mine: a damaged description"):
        layers_of("mine")
    for text in ("{", "[]", "{}", json.dumps(record | {"schema": 2})):
        description.write_text(text)
        with pytest.raises(PreimageError, match=r"mine\.json: a damaged description"):
            resolve("mine")
    assert resolve("alexnet").name == "alexnet.torchvision"


# A file in the place of one of the catalogue's networks.


def toy() -> nn.Sequential:
    network = nn.Sequential()
    for name, layer in {
        "conv1": nn.Conv2d(3, 4, 3, padding=1),
        "relu1": nn.ReLU(),
        "norm1": CrossChannelNorm(5, 1.0, 1e-4, 0.75),
        "pool1": nn.MaxPool2d(2, stride=2),
        "fc": FullyConnected((4, 8, 8), 6),
        "prob": nn.Softmax(dim=1),
    }.items():
        network.add_module(name, layer)
    return network


@pytest.fixture
def catalogued(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A small network in place of the catalogue's AlexNet of MatConvNet."""
    entry = resolve("alexnet.matconvnet")
    architecture = Architecture("toy", toy, SIDE, "fc", "a toy")
    small = Model(
        "toy.matconvnet", architecture, (1.0, 2.0, 3.0), (1.0,) * 3, entry.checkpoints, "imagenet"
    )
    models = (*catalogue.MODELS, small)
    monkeypatch.setattr(catalogue, "MODELS", models)
    monkeypatch.setattr("preimage.models.adding.MODELS", models)
    return small


@pytest.mark.parametrize("wrap", [files.simplenn, files.dagnn])
def test_a_file_takes_the_place_of_a_network_of_the_catalogue(
    tmp_path: Path, catalogued: Model, wrap: Any
) -> None:
    path = saved(tmp_path, wrap=wrap)
    add(path, catalogued.name)
    loaded = load("toy")
    assert loaded.model.mean == (100.0,) * 3
    assert loaded.weights.source == "toy.matconvnet: added from mine.mat"
    assert loaded.labels == tuple(f"thing {i}" for i in range(6))
    file = read_matconvnet(path)
    x = torch.randn(2, 3, SIDE, SIDE)
    with torch.device("meta"):
        own = graph.build(file.layers)
    catalogue.fill(own, dict(file.tensors), path)
    torch.testing.assert_close(loaded.network(x), own(x).flatten(1))


def spoil(**fields: Any) -> Any:
    return lambda body: body[3].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(stride=1), r"layer pool1: expected max pooling, stride \(2, 2\).*got .*\(1, 1\)"),
        (spoil(pool=3), r"window \(2, 2\), got .*window \(3, 3\)"),
        (spoil(pad=[1, 0, 1, 0]), r"padding before \(0, 0\).*padding before \(1, 1\)"),
        (spoil(method="avg"), "expected max pooling, .* got average pooling"),
        (lambda body: body[2].update(param=[5, 2, 1e-4, 0.75]), r"\(5, 1.0, 0.0001, 0.75\), got"),
        (lambda body: body.pop(1), "expected the layers conv1, relu1, norm1, pool1"),
        (lambda body: body[5].update(name="fc6"), "prob; got fc6"),
        (
            lambda body: body.__setitem__(
                0, files.conv(np.random.default_rng(0), "conv1", 5, 3, 4) | {"pad": 1}
            ),
            r"expected conv1.weight of shape \(4, 3, 3, 3\), got \(4, 3, 5, 5\)",
        ),
    ],
)
def test_a_file_of_another_architecture_is_refused(
    tmp_path: Path, catalogued: Model, change: Any, message: str
) -> None:
    body = layers()
    change(body)
    path = files.save_v5(tmp_path / "mine.mat", files.simplenn(body, files.meta(SIDE)))
    with pytest.raises(PreimageError, match=message):
        add(path, catalogued.name)
    assert added.find(catalogued.name) is None


def test_a_file_for_images_of_another_size_is_refused(tmp_path: Path, catalogued: Model) -> None:
    with pytest.raises(PreimageError, match=r"images of 16 pixels, as toy\.matconvnet .* 20"):
        add(saved(tmp_path, side=20), catalogued.name)


def test_padding_that_changes_nothing_is_no_difference(tmp_path: Path) -> None:
    body = layers()
    body[3]["pad"] = [0, 1, 0, 1]
    path = files.save_v5(tmp_path / "mine.mat", files.simplenn(body, files.meta(SIDE)))
    file = read_matconvnet(path)
    state = convert.from_matconvnet(file, toy())
    assert state["fc.weight"].shape == (6, 4 * 8 * 8)


def test_a_published_file_fills_the_catalogues_definition(
    tmp_path: Path, cache: Path, catalogued: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a download; the file's own mean colour and classes go before the catalogue's."""
    cache.mkdir(parents=True)
    path = saved(tmp_path)
    name = "imagenet-caffe-alex"
    trusted = tuple(
        replace(w, md5=md5_of_file(path)) if w.name == name else w for w in weight_files.WEIGHTS
    )
    monkeypatch.setattr(weight_files, "WEIGHTS", trusted)
    read = partial(catalogue._matconvnet, toy)
    model = replace(catalogued, checkpoints=(Checkpoint(name, read, "prob"),))
    (cache / f"{name}.mat").write_bytes(path.read_bytes())
    loaded = load(model)
    assert (loaded.model.mean, loaded.labels) == (
        (100.0,) * 3,
        tuple(f"thing {i}" for i in range(6)),
    )
    assert loaded.weights.source.startswith(f"{name}: https://www.vlfeat.org/matconvnet/models/")
    assert loaded.weights.licence == "BVLC: unrestricted use"
    (cache / f"{name}.mat").write_bytes(saved(tmp_path, seed=1).read_bytes())
    with pytest.raises(PreimageError, match="expected md5"):
        load(model)
