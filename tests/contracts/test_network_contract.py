"""What every network gets: a layer table, right codes and gradients, and itself back untouched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import preimage as pi
from nets import NETS, FrozenPart, Inferring, WithoutGradients, made
from preimage.energy import Energy, Euclidean
from preimage.errors import PreimageError, UsageError
from preimage.models.catalogue import ARCHITECTURES
from preimage.representations import Geometry, NetworkLayer, representation
from preimage.representations.geometry import Layer, layer_table
from toys import SIDE, fingerprint, random_image

every_layer = pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [(name, layer, shape) for name, net in NETS.items() for layer, shape in net.layers.items()],
)
every_net = pytest.mark.parametrize("name", NETS)


def phi_of(network: nn.Module, layer: str, channels: int = 3) -> NetworkLayer:
    colours = {"mean": (120.0,) * channels, "std": (60.0,) * channels}
    return representation(network, layer, input_size=SIDE, **colours)


def first_step(phi: NetworkLayer) -> Tensor:
    """Gradient of the loss at a random image, towards the code of another."""
    target, start = (random_image((1, phi.channels, SIDE, SIDE), seed) for seed in (1, 2))
    with torch.no_grad():
        energy = Energy(phi, Euclidean(phi(target)), fidelity=10.0)
    return energy.loss_and_gradient(start)[1]


@every_layer
def test_codes_and_gradients_are_there_and_the_network_is_as_it_was(
    name: str, layer: str, shape: tuple[int, ...]
) -> None:
    network = made(name)
    before = fingerprint(network)
    phi = phi_of(network, layer, NETS[name].channels)
    with torch.no_grad():
        code = phi(random_image((2, phi.channels, SIDE, SIDE)))
    assert code.shape == (2, *shape)
    assert code.dtype == torch.float32
    gradient = first_step(phi)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().max()) > 0
    assert fingerprint(network) == before


@every_net
def test_no_weight_has_its_gradient_computed(name: str) -> None:
    network, net = made(name), NETS[name]
    assert all(parameter.requires_grad for parameter in network.parameters())
    touched: list[Tensor] = []
    for parameter in network.parameters():
        parameter.register_hook(touched.append)
    for layer in net.layers:
        first_step(phi_of(network, layer, net.channels))
    assert touched == []


@every_net
def test_the_table_names_every_layer_once_and_each_can_be_looked_into(name: str) -> None:
    network, channels = made(name), NETS[name].channels
    table = layer_table(network, SIDE, channels)
    names = [row.name for row in table]
    assert len(set(names)) == len(names)
    image = random_image((1, channels, SIDE, SIDE))
    for row in table:
        with torch.no_grad():
            assert tuple(phi_of(network, row.name, channels)(image).shape[1:]) == row.shape, row


@every_net
def test_a_table_needs_no_numbers(name: str) -> None:
    with torch.device("meta"):
        network = NETS[name].build()
    channels = NETS[name].channels
    assert layer_table(network, SIDE, channels) == layer_table(made(name), SIDE, channels)


@every_net
def test_an_exception_in_mid_run_leaves_the_network_as_it_was(name: str) -> None:
    network, net = made(name), NETS[name]
    phis = [phi_of(network, layer, net.channels) for layer in net.layers]
    before = fingerprint(network)
    wrong = torch.zeros(1, net.channels + 1, SIDE, SIDE)
    for phi in phis:
        phi._scale = torch.ones(1, 1, 1, 1)
        with pytest.raises(RuntimeError):
            phi(wrong)
    assert fingerprint(network) == before


# Names and numbers against torch.fx, which knows nothing of hooks and function modes.


class Recorder(fx.Interpreter):
    """Runs a traced network and keeps a copy of what every node gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(fx.symbolic_trace(network))
        self.given: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.given[n.name] = result.clone()
        return result


@pytest.mark.parametrize("name", ["resnet", "inception", "densenet", "functional", "dictionary"])
def test_functions_are_what_fx_calls_them_and_codes_what_it_computes(name: str) -> None:
    network = made(name, training=False)
    recorder = Recorder(network)
    image = random_image((2, 3, SIDE, SIDE))
    with torch.no_grad():
        recorder.run(image / 60)
    functions = [
        node.name for node in recorder.module.graph.nodes if node.op.startswith("call_")
        and node.op != "call_module" and node.name in recorder.given
    ]  # fmt: skip
    assert len(functions) >= 3
    for node in functions:
        code = phi_of(network, node)(image)
        expected = recorder.given[node]
        torch.testing.assert_close(code.flatten(), expected.flatten(), rtol=1e-5, atol=1e-6)


def test_a_reused_in_place_relu_has_a_code_for_every_call() -> None:
    network = made("resnet", training=False)
    recorder = Recorder(network)
    image = random_image((2, 3, SIDE, SIDE))
    with torch.no_grad():
        recorder.run(image / 60)
        for layer, node in {
            "layer1.0.relu": "layer1_0_relu",
            "layer1.0.relu#2": "layer1_0_relu_1",
            "layer1.0.bn2": "layer1_0_bn2",
            "layer1.0.conv1": "layer1_0_conv1",
        }.items():
            torch.testing.assert_close(phi_of(network, layer)(image), recorder.given[node])


@pytest.mark.parametrize("layer", ["layer1.0.bn1", "layer1.0.bn2", "layer1.0.add", "layer2"])
def test_gradients_are_those_of_finite_differences(layer: str) -> None:
    """Where in-place layers stand before, at and behind the target."""
    network = made("resnet").double()
    phi = phi_of(network, layer)
    phi._scale = phi._scale.double()
    image, along = (random_image((1, 3, SIDE, SIDE), s, 60.0, torch.float64) for s in (1, 2))
    weights = random_image(phi(image).shape, 3, 1.0, torch.float64)

    def value(step: float) -> Tensor:
        return (phi(image + step * along) * weights).sum()

    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((phi(leaf) * weights).sum(), leaf)
    difference = (value(1e-8) - value(-1e-8)) / 2e-8
    torch.testing.assert_close((gradient * along).sum(), difference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [WithoutGradients, Inferring])
def test_a_network_without_gradients_is_said_to_be_one(kind: type[nn.Module]) -> None:
    network = kind()
    phi = phi_of(network, "relu")
    before = fingerprint(network)
    image = random_image((1, 3, SIDE, SIDE))
    assert phi(image).shape == (1, 6, 30, 30), "its code can be had all the same"
    with pytest.raises(PreimageError, match=r"module:relu has no gradient: .*torch\.no_grad"):
        first_step(phi)
    assert fingerprint(network) == before


@pytest.mark.parametrize(("layer", "words"), [("trunk", "computes it"), ("head", "a part of")])
def test_a_network_with_a_part_without_gradients_is_said_to_be_one(layer: str, words: str) -> None:
    with pytest.raises(PreimageError, match=rf"module:{layer} has no gradient: .*{words}"):
        first_step(phi_of(FrozenPart(), layer))


# The catalogue's own networks, at random weights.


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.name)
def test_the_catalogues_networks_keep_the_same_promises(architecture: Any) -> None:
    network, side = architecture.build(), architecture.input_size
    before = fingerprint(network)
    table = [row for row in layer_table(network, side) if row.name in network._modules]
    middle = [row for row in table if len(row.shape) == 3][len(table) // 3]
    phi = NetworkLayer(network, middle.name, input_size=side)
    with torch.no_grad():
        energy = Energy(phi, Euclidean(phi(random_image((1, 3, side, side), 1))), fidelity=10.0)
    _, gradient = energy.loss_and_gradient(random_image((1, 3, side, side), 2))
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().max()) > 0
    assert fingerprint(network) == before


def test_a_transformers_block_is_inverted_from_a_photo(photo: Any) -> None:
    phi = phi_of(made("vit"), "blocks.1")
    result = pi.invert(phi, photo, iterations=40)
    loss = result.trace[:, result.trace_columns.index("loss")]
    assert loss[-1] < 0.5 * loss[0]
    assert result.record["representation"]["receptive_field"] is None
    assert result.record["settings"]["jitter"] == 2


def rows(name: str) -> dict[str, Layer]:
    return {row.name: row for row in layer_table(made(name), SIDE, NETS[name].channels)}


def test_a_transformer_has_no_geometry_but_the_jitter_of_its_patches() -> None:
    table = rows("vit")
    assert table["patch_embed"].geometry == Geometry(8, 8, 3.5)
    assert table["blocks.0"].geometry is None
    assert table["blocks.0"].spacing == 8
    assert table["head"].geometry is None


# Networks that are not what they seem.


class FailsAtTheEnd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        if len(x):
            raise ValueError("no labels were given")
        return x


@pytest.mark.parametrize("layer", ["conv", "relu"])
def test_what_runs_before_a_network_fails_can_be_looked_into(layer: str) -> None:
    phi = phi_of(FailsAtTheEnd(), layer)
    assert phi.geometry == Geometry(3, 1, 1.0)
    assert float(first_step(phi).abs().max()) > 0


class FailsAtOnce(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no labels were given")


def test_a_network_that_fails_at_once_says_why() -> None:
    with pytest.raises(PreimageError, match=r"does not run on .* ValueError: no labels"):
        phi_of(nn.Sequential(FailsAtOnce()), "0")


def test_a_network_that_catches_exceptions_is_stopped_all_the_same() -> None:
    class Careful(FailsAtTheEnd):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.relu(self.conv(x))
            except Exception:
                return x

    assert phi_of(Careful(), "conv")(torch.zeros(1, 3, SIDE, SIDE)).shape == (1, 4, 30, 30)


def test_a_compiled_network_is_the_module_it_was_made_of() -> None:
    network = made("resnet", training=False)
    image = random_image((1, 3, SIDE, SIDE))
    compiled = phi_of(torch.compile(network), "layer1.0.relu#2")
    assert torch.equal(compiled(image), phi_of(network, "layer1.0.relu#2")(image))


def test_a_scripted_network_is_refused() -> None:
    network = torch.jit.trace(made("resnet", training=False), torch.zeros(1, 3, SIDE, SIDE))
    with pytest.raises(UsageError, match="TorchScript module can't be stopped inside"):
        phi_of(network, "layer1")


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("dictionary", "encoder", r'several tensors: choose encoder\["fine"\] or .*\[1\]'),
        ("dictionary", 'encoder["fin"]', r'and encoder\["fin"\] is none of them'),
        ("dictionary", "encoder[count]", "and encoder.count. is none of them"),
        ("dictionary", "encoder.fine[0]", "gives one tensor: say so, not"),
        ("vit", "patch_embed:cls", r"no tokens \[N, T, D\]"),
        ("resnet", "layer1.0.relu#3", "did you mean: layer1.0.relu#2"),
        ("resnet", "layer1.0.rleu", "did you mean: layer1.0.relu"),
        ("resnet", "layer1.0.ad", "did you mean: layer1.0.add"),
    ],
)
def test_layers_that_are_none(name: str, layer: str, words: str) -> None:
    with pytest.raises(PreimageError, match=words):
        phi_of(made(name), layer)(torch.zeros(1, 3, SIDE, SIDE))


def test_a_moved_network_is_followed() -> None:
    """Weights on another device; here one without numbers."""
    network = made("resnet")
    phi = phi_of(network, "layer1")
    assert phi.device.type == "cpu"
    network.to("meta")
    assert phi.device.type == "meta"
    assert phi(torch.zeros(1, 3, SIDE, SIDE, device="meta")).shape == (1, 8, 8, 8)
    assert next(network.parameters()).device.type == "meta"
