"""Layer tables: Table 1's columns, and what a gradient says about the same layers."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from preimage.models.catalogue import MODELS, Model, skeleton
from preimage.models.layers import FullyConnected
from preimage.representations import Geometry
from preimage.representations.catalogue import layers_of
from preimage.representations.geometry import Layer, layer_table

TABLE_1 = {
    "alexnet": """
        conv1 11 4, relu1 11 4, pool1 19 8, conv2 51 8, relu2 51 8, pool2 67 16, conv3 99 16,
        relu3 99 16, conv4 131 16, relu4 131 16, conv5 163 16, relu5 163 16, pool5 195 32,
        fc6 355 32, relu6 355 32, fc7 355 32, relu7 355 32, fc8 355 32, prob 355 32""",
    "vgg16": """
        conv1_1 3 1, relu1_1 3 1, conv1_2 5 1, relu1_2 5 1, pool1 6 2, conv2_1 10 2, relu2_1 10 2,
        conv2_2 14 2, relu2_2 14 2, pool2 16 4, conv3_1 24 4, relu3_1 24 4, conv3_2 32 4,
        relu3_2 32 4, conv3_3 40 4, relu3_3 40 4, pool3 44 8, conv4_1 60 8, relu4_1 60 8,
        conv4_2 76 8, relu4_2 76 8, conv4_3 92 8, relu4_3 92 8, pool4 100 16, conv5_1 132 16,
        relu5_1 132 16, conv5_2 164 16, relu5_2 164 16, conv5_3 196 16, relu5_3 196 16,
        pool5 212 32, fc6 404 32, relu6 404 32, fc7 404 32, relu7 404 32, fc8 404 32,
        prob 404 32""",
}
"""Name, size and stride as printed; without the norm layers, which torchvision's AlexNet has not
(they look at one position only)."""

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


@pytest.mark.parametrize("name", TABLE_1)
def test_it_is_the_papers_table_1(name: str) -> None:
    rows = [row.split() for row in TABLE_1[name].split(",")]
    printed = [(layer, int(size), int(stride)) for layer, size, stride in rows]
    computed = [
        (row.name, row.geometry.receptive_field, row.geometry.stride) for row in layers_of(name)
    ]
    assert computed == printed


@every_model
def test_it_has_every_layer_of_the_network_once_in_order(model: Model) -> None:
    names = [layer.name for layer in layers_of(model.name)]
    assert names == [name for name, _ in skeleton(model).named_children()]
    assert len(set(names)) == len(names)


@every_model
def test_it_needs_no_weights_and_runs_no_arithmetic(model: Model) -> None:
    assert all(p.device.type == "meta" for p in skeleton(model).parameters())


@every_model
def test_deeper_layers_look_at_no_less_and_every_layer_says_what_it_is(model: Model) -> None:
    table = layers_of(model.name)
    for before, after in pairwise(table):
        assert after.geometry.receptive_field >= before.geometry.receptive_field
        assert after.geometry.stride % before.geometry.stride == 0
    assert all(layer.kind.strip() and layer.shape for layer in table)
    assert [layer.shape for layer in table][-1] == (1000,)


# What a component looks at, measured: where the gradient of one component is not zero. The copies
# have one channel, positive weights and means in place of maxima, so that no path is switched off.


def thin(module: nn.Module) -> nn.Module:
    """A copy of the same geometry with one channel, in which every path counts."""
    if isinstance(module, FullyConnected):
        side = module.in_shape[-1] if len(module.in_shape) == 3 else 1
        return positive(nn.Conv2d(1, 1, side, device="cpu"))
    if isinstance(module, nn.Conv2d):
        options = {} if type(module) is not nn.Conv2d else {"padding": module.padding}
        kernel, stride = module.kernel_size[0], module.stride[0]
        return positive(type(module)(1, 1, kernel, stride=stride, **options))
    if isinstance(module, nn.MaxPool2d):
        return nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
    if isinstance(module, nn.ReLU | nn.ReLU6 | nn.Softmax | nn.Linear):
        return nn.Identity()
    copy = deepcopy(module)
    for name, child in module.named_children():
        setattr(copy, name, thin(child))
    return copy


def positive(convolution: nn.Conv2d) -> nn.Conv2d:
    with torch.no_grad():
        size = convolution.weight[0].numel()
        convolution.weight.uniform_(0.5 / size, 1.5 / size)
        convolution.bias.zero_()
    return convolution.double().requires_grad_(False)


def looked_at(code: Tensor, image: Tensor, column: int) -> tuple[int, int]:
    """First and last column of the image that a component of the middle row depends on."""
    (gradient,) = torch.autograd.grad(
        code[0, 0, code.shape[2] // 2, column], image, retain_graph=True
    )
    columns = gradient[0, 0].abs().sum(0).nonzero().flatten()
    return int(columns[0]), int(columns[-1])


def measured(network: nn.Sequential, layers: list[str], reach: int) -> dict[str, Geometry]:
    """Receptive field, stride and offset of layers, from gradients along one row of components."""
    # A multiple of all strides (as 224 is), wide enough for a component far from both borders.
    width = 32 * (-(-(2 * reach + 64) // 32))
    image = torch.zeros(1, 1, 256, width, dtype=torch.float64, requires_grad=True)
    code: Tensor = image
    found = {}
    for name in layers:
        code = network.get_submodule(name)(code)
        middle = code.shape[-1] // 2
        (first, last), (next_first, _) = (looked_at(code, image, c) for c in (middle, middle + 1))
        stride = next_first - first
        found[name] = Geometry(
            receptive_field=last - first + 1,
            stride=stride,
            offset=(first + last) / 2 - middle * stride,
        )
    return found


def spatial(table: tuple[Layer, ...]) -> list[Layer]:
    return [layer for layer in table if len(layer.shape) == 3]


@every_model
def test_geometry_is_what_gradients_say(model: Model) -> None:
    torch.manual_seed(0)
    table = spatial(layers_of(model.name))
    network = thin(skeleton(model))
    assert isinstance(network, nn.Sequential)
    names = [layer.name for layer in table]
    found = measured(network, names, table[-1].geometry.receptive_field)
    assert found == {layer.name: layer.geometry for layer in table}


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_fully_connected_layers_slide_as_filters_of_the_maps_size(name: str) -> None:
    table = layers_of(name)
    network = thin(skeleton(name))
    assert isinstance(network, nn.Sequential)
    until = [layer.name for layer in table if layer.name <= "fc6" or len(layer.shape) == 3]
    fc6 = {layer.name: layer.geometry for layer in table}["fc6"]
    assert measured(network, until, fc6.receptive_field)["fc6"] == fc6


@every_model
def test_layers_without_positions_look_at_the_whole_image(model: Model) -> None:
    for layer in layers_of(model.name):
        if len(layer.shape) == 1:
            geometry = layer.geometry
            reach = (geometry.receptive_field - 1) / 2
            assert geometry.offset - reach <= 0, layer.name
            assert geometry.offset + reach >= model.architecture.input_size - 1, layer.name
            assert geometry.offset == pytest.approx((model.architecture.input_size - 1) / 2, abs=16)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.Conv2d(3, 2, 5, stride=2, padding=2)], Geometry(5, 2, 0.0)),
        ([nn.Conv2d(3, 2, 3, dilation=3)], Geometry(7, 1, 3.0)),
        ([nn.Conv2d(3, 2, 3, padding="same")], Geometry(3, 1, 0.0)),
        ([nn.Conv2d(3, 2, 3, padding="valid")], Geometry(3, 1, 1.0)),
        ([nn.Conv2d(3, 2, 1), nn.MaxPool2d(2)], Geometry(2, 2, 0.5)),
        ([nn.Conv2d(3, 2, 1), nn.AvgPool2d(3, 2, padding=1)], Geometry(3, 2, 0.0)),
        ([nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3))], Geometry(5, 1, 2.0)),
    ],
)
def test_geometry_of_single_filters(layers: list[nn.Module], expected: Geometry) -> None:
    assert layer_table(nn.Sequential(*layers), 32)[-1].geometry == expected
