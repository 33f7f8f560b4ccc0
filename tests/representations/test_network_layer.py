"""A layer of somebody's network: the right code, and the network left as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from preimage.energy import Energy, Euclidean
from preimage.errors import PreimageError, UsageError
from preimage.representations import NetworkLayer, representation
from preimage.search import Adam, PixelCanvas, Snapshot, Stage, minimise
from toys import (
    MEAN,
    SIDE,
    fingerprint,
    layer_of,
    random_image,
    random_network,
    small_network,
)


def run_until(network: nn.Sequential, layer: str, image: Tensor, std: float = 60.0) -> Tensor:
    """The code by hand: each layer on a copy of its input, so that nothing is overwritten."""
    x = image / std
    with torch.no_grad():
        for name, module in network.named_children():
            x = module(x.clone())
            if name == layer:
                return x.clone()
    raise AssertionError(layer)


class Trap(nn.Module):
    """A layer that must never run."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("a layer past the target ran")


class ChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class Again(nn.Module):
    """A part that is computed again for the backward pass, to save memory."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.part, x, use_reentrant=False)


class Moody(nn.Module):
    """A layer that fails from its third call on."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("out of mood")
        return x


def network_in_training() -> nn.Sequential:
    """Dropout and batch norm in train mode, one part in eval mode, weights that want gradients."""
    network = random_network(
        [
            ("conv1", nn.Conv2d(3, 6, 3, stride=2, padding=1)),
            ("norm1", nn.BatchNorm2d(6)),
            ("relu1", nn.ReLU(inplace=True)),
            ("drop1", nn.Dropout2d(0.5)),
            ("conv2", nn.Conv2d(6, 8, 3, padding=1)),
            ("norm2", nn.BatchNorm2d(8)),
            ("relu2", nn.ReLU(inplace=True)),
            ("last", Trap()),
        ]
    )
    network.train()
    network.norm2.eval()
    network.norm1.running_mean.uniform_(-1, 1)
    network.norm1.running_var.uniform_(0.5, 2)
    network.conv2.bias.requires_grad_(False)
    return network


def energy_for(phi: NetworkLayer, count: int = 1) -> Energy:
    with torch.no_grad():
        target = phi(random_image((count, 3, SIDE, SIDE), seed=1))
    return Energy(phi, Euclidean(target), fidelity=10.0)


def search(energy: Energy, iterations: int = 4, **options: Any) -> None:
    minimise(
        energy,
        canvas=PixelCanvas(),
        step_rule=Adam(2.0),
        stages=(Stage(iterations, jitter=3),),
        seeds=range(len(energy.loss.target)),
        **options,
    )


def test_what_is_computed_again_for_the_backward_pass_is_at_test_time_too() -> None:
    part = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5))
    network = random_network([("part", Again(part)), ("next", nn.Conv2d(6, 4, 3))]).train()
    before = fingerprint(network)
    energy = energy_for(layer_of(network, "next"))
    view = random_image((1, 3, SIDE, SIDE), seed=2)
    value, gradient = energy.loss_and_gradient(view)
    assert fingerprint(network) == before
    plain = energy_for(layer_of(nn.Sequential(*part, network.next).eval(), "4"))
    torch.testing.assert_close(energy_for(layer_of(network, "next")).loss.target, plain.loss.target)
    expected = plain.loss_and_gradient(view)
    torch.testing.assert_close(value, expected[0])
    torch.testing.assert_close(gradient, expected[1])


def test_a_size_that_a_network_for_any_size_cannot_take() -> None:
    network = random_network([("conv", nn.Conv2d(3, 2, 5)), ("flat", nn.Flatten()),
                              ("fc", nn.Linear(2 * 4 * 4, 3))])  # fmt: skip
    phi = layer_of(network, "fc", input_size=None)
    assert phi(torch.zeros(1, 3, 8, 8)).shape == (1, 3)
    with pytest.raises(UsageError, match=r"fails on images of 6x9 \(.*if it is their size, choose"):
        phi(torch.zeros(1, 3, 9, 6))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        layer_of(network, "fc")(torch.zeros(1, 3, 9, 6))


@pytest.mark.parametrize("view", [(12, 12), (12, 18), (24, 12)])
def test_channels_last_is_told_from_as_many_channels_as_rows(view: tuple[int, int]) -> None:
    height, width = view
    first = random_network([("conv", nn.Conv2d(3, height, 1))])
    last = random_network([("conv", nn.Conv2d(3, 5, 1)), ("last", ChannelsLast())])
    image = random_image((2, 3, height, width))
    phi = layer_of(first, "conv", input_size=None)
    torch.testing.assert_close(phi(image), first(image / 60))
    phi = layer_of(last, "last", input_size=None)
    torch.testing.assert_close(phi(image), last.conv(image / 60))


@pytest.mark.parametrize("layer", [name for name, _ in small_network().named_children()])
def test_the_code_of_every_layer_is_that_of_the_network_run_by_hand(layer: str) -> None:
    network, image = small_network(), random_image((2, 3, SIDE, SIDE))
    with torch.no_grad():
        code = layer_of(network, layer)(image)
    torch.testing.assert_close(code, run_until(network, layer, image))


@pytest.mark.parametrize("std", [(60.0, 60.0, 60.0), (1.0, 1.0, 1.0), (58.0, 57.0, 50.0)])
def test_the_network_sees_the_canvas_scale_divided_by_std(std: tuple[float, ...]) -> None:
    seen: list[Tensor] = []
    network = small_network()
    network.conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = random_image((2, 3, SIDE, SIDE))
    layer_of(network, "relu1", std=std)(image)
    torch.testing.assert_close(seen[0], image / torch.tensor(std).view(1, 3, 1, 1))


# In-place ReLUs falsify what many tools see: the code of the layer before, or the caller's image.


def in_place_network(position: str) -> tuple[nn.Sequential, str]:
    """A network whose in-place ReLU stands where it could do harm, and the layer to look at."""
    conv = [("conv", nn.Conv2d(3, 6, 3, padding=1)), ("relu", nn.ReLU(inplace=True))]
    chains: dict[str, tuple[list[tuple[str, nn.Module]], str]] = {
        "right after the target": (conv, "conv"),
        "the target itself": (conv, "relu"),
        "right before the target": ([*conv, ("next", nn.Conv2d(6, 4, 3))], "next"),
        "first of all": ([("relu0", nn.ReLU(inplace=True)), *conv], "conv"),
        "first and the target": ([("relu0", nn.ReLU(inplace=True)), *conv], "relu0"),
        "twice around the target": (
            [("relu0", nn.ReLU(inplace=True)), *conv, ("clip", nn.Hardtanh(inplace=True))],
            "relu",
        ),
    }
    modules, layer = chains[position]
    return random_network(modules), layer


POSITIONS = [
    "right after the target", "the target itself", "right before the target", "first of all",
    "first and the target", "twice around the target",
]  # fmt: skip


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("std", [1.0, 60.0])
def test_layers_in_place_falsify_neither_code_nor_image(position: str, std: float) -> None:
    network, layer = in_place_network(position)
    phi = layer_of(network, layer, std=(std,) * 3)
    image = random_image((2, 3, SIDE, SIDE))
    before = image.clone()
    with torch.no_grad():
        code = phi(image)
    assert torch.equal(image, before)
    torch.testing.assert_close(code, run_until(network, layer, image, std))
    if position == "right after the target":
        assert bool((code < 0).any()), "the ReLU behind has touched the code"


@pytest.mark.parametrize("position", POSITIONS)
def test_layers_in_place_do_not_falsify_the_gradient(position: str) -> None:
    network, layer = in_place_network(position)
    phi = layer_of(network, layer, std=(1.0,) * 3)
    phi.network.double()
    phi._scale = phi._scale.double()
    view = random_image((1, 3, 8, 8), 1, scale=1.0, dtype=torch.float64)
    before = view.clone()
    with torch.no_grad():
        energy = Energy(phi, Euclidean(phi(random_image((1, 3, 8, 8), 2, 1.0, torch.float64))))
    _, gradient = energy.loss_and_gradient(view)
    assert torch.equal(view, before)
    along, h = random_image(view.shape, 3, 1.0, torch.float64), 1e-7
    ahead, behind = (energy.loss_and_gradient(view + s * h * along)[0] for s in (1, -1))
    torch.testing.assert_close(
        (gradient * along).sum(), ((ahead - behind) / (2 * h)).sum(), rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("position", POSITIONS)
def test_a_search_with_layers_in_place_is_that_without(position: str) -> None:
    paths = []
    for in_place in (True, False):
        network, layer = in_place_network(position)
        for module in network:
            if hasattr(module, "inplace"):
                module.inplace = in_place
        energy = energy_for(layer_of(network, layer))
        outcome = minimise(
            energy, canvas=PixelCanvas(), step_rule=Adam(2.0), stages=(Stage(5, jitter=2),)
        )
        paths.append(outcome.image)
    assert torch.equal(*paths)


@pytest.mark.parametrize("layer", ["conv1", "relu1", "pool1", "conv2", "relu2"])
def test_layers_past_the_target_never_run(layer: str) -> None:
    modules = []
    for name, module in small_network().named_children():
        modules.append((name, module))
        if name == layer:
            break
    network = random_network([*modules, ("trap", Trap())])
    search(energy_for(layer_of(network, layer)))


@pytest.mark.parametrize("layer", ["norm1", "relu1", "drop1", "conv2", "relu2"])
def test_a_search_leaves_a_network_in_training_as_it_was(layer: str) -> None:
    network = network_in_training()
    before = fingerprint(network)
    search(energy_for(layer_of(network, layer)))
    assert fingerprint(network) == before


def test_dropout_and_batch_norm_act_as_at_test_time() -> None:
    network, image = network_in_training(), random_image((2, 3, SIDE, SIDE))
    phi = layer_of(network, "relu2")
    with torch.no_grad():
        code = phi(image)
        assert torch.equal(phi(image), code)
        torch.testing.assert_close(phi(image[:1]), code[:1])
    torch.testing.assert_close(code, run_until(network.eval(), "relu2", image))


def test_weights_that_want_gradients_get_none() -> None:
    network = small_network()
    assert all(parameter.requires_grad for parameter in network.parameters())
    touched: list[Tensor] = []
    for parameter in network.parameters():
        parameter.register_hook(touched.append)
    energy = energy_for(layer_of(network, "fc"))
    search(energy)
    assert touched == [], "a weight's gradient was computed"
    assert all(parameter.grad is None for parameter in network.parameters())


def test_gradients_somebody_has_collected_stay_as_they_are() -> None:
    network = small_network()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    search(energy_for(layer_of(network, "fc")))
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in network.parameters())


def failing_callback(snapshot: Snapshot) -> None:
    if snapshot.iteration == 2:
        raise RuntimeError("out of mood")


@pytest.mark.parametrize("where", ["in the layer", "in a callback"])
def test_an_exception_in_mid_search_leaves_the_network_as_it_was(where: str) -> None:
    network = network_in_training()
    callbacks = [failing_callback]
    if where == "in the layer":
        network = random_network([*[*network.named_children()][:3], ("moody", Moody())]).train()
        callbacks = []
    layer = "moody" if where == "in the layer" else "relu2"
    phi = layer_of(network, layer)
    energy = energy_for(phi)
    calls = getattr(network, "moody", Moody()).calls
    before = fingerprint(network)
    with pytest.raises(RuntimeError, match="out of mood"):
        search(energy, callbacks=callbacks)
    if where == "in the layer":
        assert network.moody.calls > calls
        network.moody.calls = calls
    assert fingerprint(network) == before


def test_an_exception_before_the_target_leaves_no_hook() -> None:
    network = random_network([("moody", Moody()), ("conv", nn.Conv2d(3, 2, 3))])
    network.moody.calls = 5
    before = fingerprint(network)
    with pytest.raises(RuntimeError, match="out of mood"):
        layer_of(network, "conv")(torch.zeros(1, 3, 8, 8))
    assert fingerprint(network) == before


def test_hooks_somebody_has_placed_stay_and_work() -> None:
    network, seen = small_network(), []
    network.relu2.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    before = fingerprint(network)
    search(energy_for(layer_of(network, "relu2")), iterations=2)
    assert fingerprint(network) == before
    assert len(seen) > 2


def test_layers_inside_modules_are_found_by_their_path() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    network = nn.Sequential(Residual(), Residual(), nn.Flatten())
    image = random_image((1, 3, 8, 8))
    with torch.no_grad():
        code = layer_of(network, "1.body.0")(image)
        expected = network[1].body[0](network[0](image / 60))
    torch.testing.assert_close(code, expected)
    assert layer_of(network, "1").name == "toy:1"


def test_a_whole_network_of_code_and_control_flow_can_be_cut_anywhere() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 5, 3)
            self.after = Trap()

        def forward(self, x: Tensor) -> Tensor:
            return self.after(self.second(x)) if x.mean() > 1e9 else self.after(self.first(x))

    network = Branching()
    assert layer_of(network, "first")(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 6, 6)
    with pytest.raises(AssertionError):
        layer_of(network, "second")(torch.zeros(1, 3, 8, 8))


def test_a_layer_that_is_never_reached_is_an_error() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    network = Idle().train()
    before = fingerprint(network)
    with pytest.raises(PreimageError, match="layer unused was not reached by the forward pass"):
        layer_of(network, "unused")(torch.zeros(1, 3, 8, 8))
    assert fingerprint(network) == before


def test_a_layer_that_gives_no_tensor_is_an_error() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    network = nn.Sequential(Pair())
    before = fingerprint(network)
    with pytest.raises(PreimageError, match=r"gives several tensors: choose 0\[0\] or 0\[1\]"):
        layer_of(network, "0")(torch.zeros(1, 3, 8, 8))
    assert fingerprint(network) == before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("relu3", "relu1|relu2"), ("Conv1", "conv1"), ("", "known: conv1"), ("zzz", "known: conv1")],
)
def test_an_unknown_layer_is_refused_with_the_nearest_names(wrong: str, words: str) -> None:
    with pytest.raises(UsageError, match=rf"toy has no layer '{wrong}'.*({words})"):
        layer_of(small_network(), wrong)


def test_a_module_of_ones_own_needs_a_layer() -> None:
    with pytest.raises(UsageError, match="a layer is needed"):
        representation(small_network())
    phi = representation(small_network(), "relu2", input_size=SIDE, mean=MEAN)
    assert (phi.name, phi.channels, phi.input_size) == ("module:relu2", 3, SIDE)
    assert phi.logits(torch.zeros(1, 3, SIDE, SIDE)) is None
    assert phi.class_labels is None


def test_a_network_of_one_channel_takes_grey_images() -> None:
    network = random_network([("conv", nn.Conv2d(1, 4, 3))])
    phi = layer_of(network, "conv", mean=(120.0,), std=(60.0,))
    assert phi.channels == 1
    assert phi(torch.zeros(2, 1, 8, 8)).shape == (2, 4, 6, 6)


# The catalogue.


@pytest.fixture(scope="module")
def stem() -> NetworkLayer:
    return representation("efficientnet-lite0", layer="stem")


def test_a_catalogue_layer_knows_what_the_tables_say(stem: NetworkLayer) -> None:
    assert stem.name == "efficientnet-lite0:stem"
    assert stem.mean == (127.0,) * 3
    assert stem.input_size == 224
    assert stem.geometry is not None
    assert (stem.geometry.receptive_field, stem.geometry.stride) == (3, 2)
    assert (stem.defaults.fidelity, stem.defaults.jitter) == (300.0, 1)
    assert stem.weights is not None
    assert len(stem.class_labels or ()) == 1000
    assert not any(p.requires_grad for p in stem.network.parameters())
    assert not any(module.training for module in stem.network.modules())


def test_the_classifier_of_the_same_network_is_at_hand(stem: NetworkLayer) -> None:
    before = fingerprint(stem.network)
    logits = stem.logits(random_image((2, 3, 224, 224), scale=40.0))
    assert logits is not None
    assert logits.shape == (2, 1000)
    assert not logits.requires_grad
    assert fingerprint(stem.network) == before


@pytest.mark.parametrize("layer", [None, "", "stme", "relu3"])
def test_an_unknown_catalogue_layer_is_refused_before_weights_are_loaded(
    layer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preimage.models.catalogue.load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(UsageError, match=r"efficientnet-lite0 (needs a --|has no )layer.*stem"):
        representation("efficientnet-lite0", layer)


def test_an_unknown_option_of_a_module_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"no option 'input_sise'; did you mean: input_size"):
        representation(small_network(), "relu1", mean=MEAN, input_sise=SIDE)


def test_an_unknown_model_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="alexnet"):
        representation("alexnett", "relu3")
