"""Several layers of a network from one forward pass."""

from __future__ import annotations

import pytest
import torch

import preimage as pi
from preimage.errors import PreimageError, UsageError
from preimage.representations import SeveralLayers
from preimage.representations.catalogue import check_layers
from toys import MEAN, fingerprint, random_image, small_layer, small_network

STD = (60.0, 60.0, 60.0)


def several(*layers: str, relu_in_place: bool = False) -> SeveralLayers:
    network = small_network(relu_in_place=relu_in_place).requires_grad_(False)
    return SeveralLayers(network, layers, mean=MEAN, std=STD)


@pytest.mark.parametrize("relu_in_place", [False, True])
def test_each_part_is_the_code_of_its_layer(relu_in_place: bool) -> None:
    names = ("relu2", "conv1", "pool1")
    phi, image = several(*names, relu_in_place=relu_in_place), random_image((2, 3, 32, 32))
    codes = phi.codes(image)
    for name, code in zip(names, codes, strict=True):
        torch.testing.assert_close(code, small_layer(name)(image))
    together = torch.cat([code.flatten(1) for code in codes], dim=1)
    assert torch.equal(phi(image), together)
    assert phi.layer == "relu2,conv1,pool1"


def test_any_size_and_its_shapes() -> None:
    phi = several("conv1", "pool1")
    assert phi.input_size is None
    assert phi.shapes((20, 48)) == [(8, 10, 24), (8, 5, 12)]
    assert phi(random_image((1, 3, 20, 48))).shape == (1, 8 * 10 * 24 + 8 * 5 * 12)


def test_the_gradient_is_that_of_all_parts() -> None:
    phi = several("conv1", "relu2", relu_in_place=True)
    image = random_image((1, 3, 16, 16)).requires_grad_()
    (together,) = torch.autograd.grad(phi(image).square().sum(), image)
    single = torch.zeros_like(image)
    for name in ("conv1", "relu2"):
        code = small_layer(name)(image)
        single += torch.autograd.grad(code.square().sum(), image)[0]
    torch.testing.assert_close(together, single)


def test_nothing_of_the_network_is_changed_and_nothing_behind_runs() -> None:
    phi = several("conv1", "relu1")
    network = phi.network.train()
    phi.network.get_submodule("conv2").register_forward_pre_hook(lambda *_: pytest.fail("ran"))
    before = fingerprint(network)
    phi(random_image((1, 3, 32, 32)))
    assert fingerprint(network) == before


def test_layers_that_are_none() -> None:
    with pytest.raises(UsageError, match="no layer 'relu9'; did you mean: relu"):
        several("conv1", "relu9")
    with pytest.raises(UsageError, match="one or more different layers"):
        several("conv1", "conv1")
    with pytest.raises(UsageError, match="one or more different layers"):
        several()


def test_a_layer_that_the_forward_pass_leaves_out() -> None:
    network = small_network()
    network.forward = network.conv1.__call__  # type: ignore[method-assign, assignment]
    phi = SeveralLayers(network, ["conv1", "relu2"], mean=MEAN, std=STD)
    with pytest.raises(PreimageError, match="relu2 was not reached"):
        phi(random_image((1, 3, 32, 32)))


def test_a_network_in_double_precision() -> None:
    phi = SeveralLayers(small_network().double(), ["conv1", "relu2"], mean=MEAN, std=STD)
    image = random_image((1, 3, 32, 32))
    assert phi(image).dtype == torch.float32
    torch.testing.assert_close(phi(image), several("conv1", "relu2")(image))


def test_what_gives_no_gradient_or_no_tensor() -> None:
    network = small_network()
    network.forward = torch.no_grad()(network.forward)  # type: ignore[method-assign]
    phi = SeveralLayers(network, ["conv1"], mean=MEAN, std=STD)
    with pytest.raises(PreimageError, match="conv1 has no gradient"):
        phi(random_image((1, 3, 32, 32)).requires_grad_())
    pool = torch.nn.Sequential(torch.nn.MaxPool2d(2, return_indices=True))
    phi = SeveralLayers(pool, ["0"], mean=MEAN, std=STD)
    with pytest.raises(UsageError, match="layer 0 gives a tuple, a tensor was expected"):
        phi(random_image((1, 3, 32, 32)))


def test_by_name() -> None:
    phi = pi.several_layers("efficientnet-lite0", ["block01", "stem"])
    assert phi.layers == ("block01", "stem")
    assert phi.geometry is not None
    assert phi.geometry.receptive_field == 7
    assert phi.weights is not None
    single = pi.representation("efficientnet-lite0", layer="stem")
    image = random_image((1, 3, 224, 224), scale=30.0)
    torch.testing.assert_close(phi.codes(image)[1], single(image))


@pytest.mark.parametrize(
    ("model", "layers", "words"),
    [
        ("vgg16", ["relu1_1", "poool1"], "did you mean: pool1"),
        ("vgg16", ["relu1_1", "fc6"], "fc6 has no positions"),
        ("vgg16", ["relu1_1:cls"], "has no layer 'relu1_1:cls'"),
        ("vgg16", ["pool1[0]"], r"has no layer 'pool1\[0\]'; did you mean: pool1"),
        ("efficientnet-lite0", ["pool"], "pool has no positions"),
        ("hog", ["x"], "hog is no network and has no layers"),
    ],
)
def test_layers_that_a_named_network_does_not_offer(model, layers, words) -> None:
    with pytest.raises(UsageError, match=words):
        check_layers(model, layers)
