"""What a MatConvNet file says, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matconvnet_files as files
from preimage.errors import PreimageError
from preimage.weights.matconvnet import NetworkFile, read_matconvnet

RNG = np.random.default_rng(0)


def small() -> list[files.Layer]:
    return [
        files.conv(RNG, "conv1", 3, 3, 4) | {"pad": 1},
        {"type": "relu", "name": "relu1"},
        files.conv(RNG, "conv2", 1, 4, 5),
        {"type": "softmax", "name": "prob"},
    ]


def read(folder: Path, layers: list[files.Layer], wrap: Any = files.simplenn) -> NetworkFile:
    path = folder / "net.mat"
    return read_matconvnet(files.save_v5(path, wrap(layers, files.meta(32))))


def test_a_network_in_a_variable_of_any_name(tmp_path: Path) -> None:
    for name in ("net", "model"):
        inside = {name: files.simplenn(small(), files.meta(32)), "info": "trained on Monday"}
        file = read_matconvnet(files.save_v5(tmp_path / "net.mat", inside))
        assert [layer.name for layer in file.layers] == ["conv1", "relu1", "conv2", "prob"]
        assert [layer.kind for layer in file.layers] == ["conv", "relu", "conv", "softmax"]


def test_an_average_image_becomes_its_mean_colour(tmp_path: Path) -> None:
    described = files.meta(None)
    image = RNG.uniform(0, 255, (32, 32, 3)).astype(np.float32)
    described["normalization"]["averageImage"] = image
    path = files.save_v5(tmp_path / "net.mat", files.simplenn(small(), described))
    file = read_matconvnet(path)
    np.testing.assert_allclose(file.mean, image.mean(axis=(0, 1)), rtol=1e-5)
    assert file.input_size == 32


def test_grey_and_many_channels(tmp_path: Path) -> None:
    for channels in (1, 5):
        layers = [files.conv(RNG, "conv1", 3, channels, 4)]
        described = files.meta(16, mean=[10.0] * channels)
        file = read_matconvnet(
            files.save_v5(tmp_path / "net.mat", files.simplenn(layers, described))
        )
        assert (file.channels, file.mean) == (channels, (10.0,) * channels)


def test_what_the_file_does_not_say_is_said(tmp_path: Path) -> None:
    path = files.save_v5(tmp_path / "net.mat", {"layers": small()})
    file = read_matconvnet(path)
    assert (file.mean, file.std, file.input_size) == ((0, 0, 0), (1, 1, 1), None)
    assert "names no mean colour" in file.warnings[0]
    assert "--std 255" in file.warnings[1]


def test_images_that_are_not_square_are_said(tmp_path: Path) -> None:
    described = files.meta(None)
    described["normalization"]["imageSize"] = [128, 64, 3]
    path = files.save_v5(tmp_path / "net.mat", files.simplenn(small(), described))
    file = read_matconvnet(path)
    assert file.input_size is None
    assert file.warnings == ("its images are 128x64, not square: squares of any size are taken",)


def test_losses_are_left_out_and_names_made_fit(tmp_path: Path) -> None:
    layers = small()
    layers[0]["name"], layers[1]["name"], layers[2]["name"] = "block.conv", "forward", "forward"
    layers[3] = {"type": "softmaxloss", "name": "loss"}
    names = [layer.name for layer in read(tmp_path, layers).layers]
    assert names == ["block_conv", "forward_2", "forward_3"]
    layers.insert(0, {"type": "loss", "name": "early"})
    with pytest.raises(PreimageError, match="layer early: expected a loss at the end"):
        read(tmp_path, layers)


def test_layers_without_names_are_numbered(tmp_path: Path) -> None:
    layers = small()
    for layer in layers:
        del layer["name"]
    assert [layer.name for layer in read(tmp_path, layers).layers][:2] == ["layer1", "layer2"]


def test_a_loss_with_labels_in_a_graph_is_left_out(tmp_path: Path) -> None:
    layers = [*small(), {"type": "loss", "name": "loss", "inputs": ["prob", "label"]}]
    assert read(tmp_path, layers, files.dagnn).layers[-1].name == "prob"


def test_a_graph_is_put_in_order(tmp_path: Path) -> None:
    layers = small()
    for layer, before in zip(layers, ["input", "conv1", "relu1", "conv2"], strict=True):
        layer["inputs"] = [before]
    shuffled = [layers[i] for i in (3, 1, 0, 2)]
    names = [layer.name for layer in read(tmp_path, shuffled, files.dagnn).layers]
    assert names == ["conv1", "relu1", "conv2", "prob"]


def change(**fields: Any) -> Any:
    """A wrong second convolution."""

    def changed(layers: list[files.Layer]) -> None:
        layers[2] |= fields

    return changed


def weights(filters: Any, biases: Any = None) -> Any:
    both = [np.asarray(filters, np.float32)]
    return change(weights=both if biases is None else [*both, np.asarray(biases, np.float32)])


WRONG = {
    "unknown type": (change(type="warp"), "layer conv2: unknown type warp; known: bnorm, conv"),
    "no type": (change(type=np.zeros(3)), "layer conv2: unknown type none"),
    "no filters": (change(weights=[]), "layer conv2: expected filters"),
    "other channels": (
        weights(np.ones((1, 1, 3, 5)), np.ones(5)),
        "layer conv2: filters of shape 1x1x3x5 do not fit 4 channels",
    ),
    "groups": (
        weights(np.ones((1, 1, 2, 5)), np.ones(5)),
        "layer conv2: filters of shape 1x1x2x5 do not fit 4 channels",
    ),
    "biases": (
        weights(np.ones((1, 1, 4, 5)), np.ones(6)),
        "layer conv2: expected 5 biases, one for each filter, got weights of shape 1x6",
    ),
    "infinite": (weights(np.full((1, 1, 4, 5), np.inf)), "layer conv2: weights that are NaN"),
    "stride": (change(stride=0), "layer conv2: expected stride in whole numbers from 1"),
    "half a stride": (change(stride=1.5), "expected stride in whole numbers"),
    "pad": (change(pad=[1, 2, 3]), "layer conv2: expected pad as one, two or four numbers"),
    "negative pad": (change(pad=-1), "expected pad in whole numbers from 0"),
    "huge pad": (change(pad=1e9), "expected pad in whole numbers from 0 to 4096"),
    "pooling": (change(type="pool", pool=2, pad=2), "expected less padding than the window"),
    "pooling by": (change(type="pool", pool=2, method="sum"), "pooling by max or avg, got sum"),
    "normalization": (change(type="lrn", param=[5, 1]), r"param as \[N kappa alpha beta\]"),
    "moments": (change(type="bnorm"), "layer conv2: expected multipliers, biases and moments"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named(tmp_path: Path, case: str) -> None:
    spoil, message = WRONG[case]
    layers = small()
    spoil(layers)
    with pytest.raises(PreimageError, match=message) as raised:
        read(tmp_path, layers)
    assert str(raised.value).startswith(str(tmp_path / "net.mat"))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("field", ["classes", "normalization"])
def test_empty_fields_say_nothing(tmp_path: Path, field: str) -> None:
    described = files.meta(32) | {field: np.zeros((0, 0))}
    read_matconvnet(files.save_v5(tmp_path / "net.mat", files.simplenn(small(), described)))


@pytest.mark.parametrize("empty", [np.zeros((0, 0)), "", []])
def test_an_empty_method_is_max(tmp_path: Path, empty: Any) -> None:
    pool = {"type": "pool", "name": "pool", "pool": 2, "method": empty}
    assert read(tmp_path, [small()[0], pool]).layers[1].options["method"] == "max"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("imageStd", [1.0, 0.0, 1.0], "expected imageStd in numbers other than 0"),
        ("averageImage", {"a": 1}, None),
        ("imageSize", [32.0, 32.0, np.nan], None),
    ],
)
def test_wrong_fields_of_the_whole_are_refused_or_read(
    tmp_path: Path, field: str, value: Any, words: str | None
) -> None:
    described = files.meta(32)
    described["normalization"][field] = value
    path = files.save_v5(tmp_path / "net.mat", files.simplenn(small(), described))
    if words is None:
        assert read_matconvnet(path).channels == 3
        return
    with pytest.raises(PreimageError, match=words):
        read_matconvnet(path)


def norm(moments: np.ndarray) -> files.Layer:
    return {"type": "bnorm", "name": "norm", "weights": [np.ones(4), np.ones(4), moments]}


def test_wrong_moments_are_refused(tmp_path: Path) -> None:
    for moments, message in (
        (np.ones((3, 2)), "expected moments of shape 4x2 .* got 3x2"),
        (np.zeros((4, 2)), "standard deviations above 0"),
    ):
        with pytest.raises(PreimageError, match=message):
            read(tmp_path, [small()[0], norm(moments)])


def test_graphs_that_do_not_hold_together(tmp_path: Path) -> None:
    variables = files.dagnn(small(), files.meta(32))
    variables["layers"][1]["type"] = "dagnn.Warp"
    cases: list[tuple[dict[str, Any], str]] = [(variables, "layer relu1: unknown type dagnn.Warp")]
    variables = files.dagnn(small(), files.meta(32))
    variables["params"].pop(0)
    cases.append((variables, "layer conv1: its weights conv1_f are not in the file"))
    variables = files.dagnn(small(), files.meta(32))
    variables["layers"][0]["inputs"] = ["x_prob"]
    cases.append((variables, "expected a network with one input, the image; got none"))
    variables = files.dagnn(small(), files.meta(32))
    variables["layers"][2]["inputs"] = ["another"]
    cases.append((variables, "one input, the image; got another, input"))
    variables = files.dagnn(small(), files.meta(32))
    variables["layers"][1]["outputs"] = ["x_relu1", "x_too"]
    cases.append((variables, "layer relu1: expected one output of its own"))
    variables = files.dagnn(small(), files.meta(32))
    variables["layers"][0]["block"]["size"] = [3, 3, 3, 7]
    cases.append((variables, "expected filters of shape 3x3x3x7, got 3x3x3x4; architecture"))
    sums = [*small(), {"type": "sum", "name": "sum", "inputs": ["relu1", "conv2"]}]
    cases.append((files.dagnn(sums, files.meta(32)), "layer sum: expected inputs with the same"))
    joined = [*small(), {"type": "concat", "name": "cat", "dim": 1, "inputs": ["relu1", "conv2"]}]
    cases.append((files.dagnn(joined, files.meta(32)), "concatenation of channels"))
    for variables, message in cases:
        with pytest.raises(PreimageError, match=message):
            read_matconvnet(files.save_v5(tmp_path / "net.mat", variables))


def test_a_circle_is_refused(tmp_path: Path) -> None:
    layers = small()
    layers[1]["inputs"] = ["conv2"]
    layers.append({"type": "sum", "name": "sum", "inputs": ["conv1", "conv1"]})
    with pytest.raises(PreimageError, match="its input depends on its own output"):
        read(tmp_path, layers, files.dagnn)


@pytest.mark.parametrize("save", files.VERSIONS.values())
def test_a_file_that_is_no_network(tmp_path: Path, save: Any) -> None:
    for variables, message in (
        ({"measurements": np.ones((3, 3)), "who": "me"}, "got variables measurements, who"),
        ({"layers": np.ones((3, 3))}, "expected layers to be structs"),
        ({"layers": ["conv", "relu"]}, "expected layers to be structs"),
        ({"layers": []}, "expected a network with layers, got none"),
        ({"net": {"layers": []}}, "expected a network with layers, got none"),
    ):
        with pytest.raises(PreimageError, match=message):
            read_matconvnet(save(tmp_path / "x.mat", variables))


def test_a_mean_colour_of_another_number_of_channels(tmp_path: Path) -> None:
    described = files.meta(None, mean=[1.0, 2.0])
    path = files.save_v5(tmp_path / "net.mat", files.simplenn(small(), described))
    with pytest.raises(
        PreimageError, match="layer conv1: filters of shape 3x3x3x4 do not fit 2 channels"
    ):
        read_matconvnet(path)
