"""C, T and place of layers that the paper does not list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from preimage.models.catalogue import resolve, skeleton
from preimage.representations import representation
from preimage.representations.catalogue import layer_defaults
from preimage.representations.defaults import defaults_for
from preimage.representations.geometry import Unfinished, layer_table

SIDE = 8
TEN = [300.0] * 7 + [100.0] + [20.0] * 2
"""C of ten layers that all see everything."""


def wide() -> nn.Module:
    """A convolution that sees more than the input; so does all behind it."""
    return nn.Conv2d(3, 4, 15, padding=7)


def ones(count: int) -> list[nn.Module]:
    return [nn.Conv2d(4, 4, 1) for _ in range(count)]


def fidelities(network: nn.Module, kind: str = "convolution") -> list[float]:
    rows = layer_table(network, SIDE)
    defaults = defaults_for(rows, SIDE)
    return [defaults[row.name].fidelity for row in rows if row.kind == kind]


@pytest.mark.parametrize(("sees", "fidelity"), [(3, 300.0), (4, 100.0), (5, 20.0)])
def test_the_only_layer_of_a_network_goes_by_what_it_sees(sees: int, fidelity: float) -> None:
    assert fidelities(nn.Sequential(nn.Conv2d(3, 4, sees))) == [fidelity]


def test_what_sees_little_is_shallow_however_late_it_comes() -> None:
    assert fidelities(nn.Sequential(nn.Conv2d(3, 4, 3), *ones(9))) == [300.0] * 10


def test_what_sees_everything_goes_by_the_layers_with_weights_up_to_it() -> None:
    assert fidelities(nn.Sequential(wide(), *ones(9))) == TEN
    with_others = [x for conv in ones(9) for x in (nn.ReLU(), nn.BatchNorm2d(4), conv)]
    assert fidelities(nn.Sequential(wide(), *with_others)) == TEN


def test_nesting_makes_no_difference() -> None:
    first = nn.Sequential(wide(), nn.Sequential(*ones(2), nn.Sequential(nn.ReLU(), nn.ReLU())))
    assert fidelities(nn.Sequential(first, *ones(7))) == TEN
    last = nn.Sequential(nn.Sequential(*ones(3)), nn.Sequential(nn.ReLU(), *ones(2)))
    assert fidelities(nn.Sequential(wide(), *ones(4), last)) == TEN


def test_modules_of_ones_own_and_transposed_convolutions_count() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, self.weight)

    network = nn.Sequential(wide(), *(Own() for _ in range(4)), *ones(5))
    assert fidelities(network) == [300.0, *TEN[5:]]
    enlarging = nn.Sequential(wide(), *(nn.ConvTranspose2d(4, 4, 1) for _ in range(9)))
    assert fidelities(enlarging) == [300.0]


def test_weight_norm_hides_no_weights() -> None:
    normed = [nn.utils.parametrizations.weight_norm(conv) for conv in ones(9)]
    defaults = defaults_for(layer_table(nn.Sequential(wide(), *normed), SIDE), SIDE)
    assert [defaults[str(i)].fidelity for i in range(10)] == TEN


def test_the_count_ends_at_the_last_pooling() -> None:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *(nn.Linear(4, 4) for _ in range(30))]
    network = nn.Sequential(wide(), *ones(9), *head)
    assert fidelities(network) == TEN
    assert fidelities(network, "average pooling") == [1.0]
    assert fidelities(network, "fully connected") == [1.0] * 30


class Gated(nn.Module):
    """Squeeze and excitation, after which everything sees the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def test_gates_have_no_positions_and_do_not_count() -> None:
    gated = [x for conv in ones(9) for x in (Gated(), conv)]
    rows = layer_table(nn.Sequential(wide(), *gated), SIDE)
    defaults = defaults_for(rows, SIDE)
    convolutions = [row for row in rows if row.kind == "convolution"]
    assert [defaults[row.name].fidelity for row in convolutions if row.is_map] == TEN
    assert {defaults[row.name].fidelity for row in convolutions if not row.is_map} == {1.0}


class Tokens(nn.Module):
    """Patches, then linear layers on tokens, after which nothing has a geometry."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.attention = nn.Conv2d(3, 4, 2, 2), nn.MultiheadAttention(4, 1)
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(8)))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        return self.layers(self.attention(tokens, tokens, tokens)[0])


def test_layers_without_geometry_go_by_their_place() -> None:
    network = Tokens()
    assert fidelities(network, "fully connected") == TEN[2:]
    assert representation(network, "layers.0", input_size=SIDE, mean=(0.0,) * 3).defaults.early


def test_an_early_pooling_is_not_the_last_where_layers_on_tokens_follow() -> None:
    network = nn.Sequential(
        wide(), nn.MaxPool2d(2), nn.Flatten(2), *(nn.Linear(16, 16) for _ in range(9))
    )
    assert fidelities(network) + fidelities(network, "fully connected") == TEN


def test_a_network_without_weights_goes_by_what_is_seen() -> None:
    assert fidelities(nn.Sequential(nn.AvgPool2d(7), nn.ReLU()), "relu") == [1.0]
    assert fidelities(nn.Sequential(nn.ReLU()), "relu") == [300.0]


def test_a_network_that_fails_goes_by_what_is_seen() -> None:
    """Nobody knows how many layers would have followed."""
    failing = nn.Sequential(wide(), nn.MaxPool2d(2), *ones(4), nn.Conv2d(5, 4, 1))
    with pytest.raises(Unfinished) as failed:
        layer_table(failing, SIDE)
    defaults = defaults_for(failed.value.rows, SIDE, is_whole=False)
    assert [(x.fidelity, x.early) for x in defaults.values()] == [(20.0, False)] * 6
    assert representation(failing, "4", input_size=SIDE, mean=(0.0,) * 3).defaults.fidelity == 20


def test_functions_count_at_the_root_too() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList(torch.zeros(4, 4, 1, 1) for _ in range(9))
            self.first = nn.Parameter(torch.zeros(4, 3, 15, 15))

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.max_pool2d(nn.functional.conv2d(x, self.first, padding=7), 2)
            for weight in self.weights:
                x = nn.functional.conv2d(x, weight)
            return x

    assert fidelities(Functional()) == TEN


def test_convolutions_with_a_forward_of_their_own_count_once() -> None:
    class Scaled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, 2 * self.weight, self.bias)

    rows = layer_table(nn.Sequential(wide(), *ones(4), *(Scaled(4, 4, 1) for _ in range(5))), SIDE)
    defaults = defaults_for(rows, SIDE)
    assert [defaults[str(i)].fidelity for i in range(10)] == TEN


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "efficientnet-lite0"])
def test_a_network_by_name_and_its_module_agree(name: str) -> None:
    entry = resolve(name)
    side = entry.architecture.input_size
    assert side is not None
    of_module = defaults_for(layer_table(skeleton(entry), side), side)
    by_name = layer_defaults(name)
    assert by_name == {layer: of_module[layer] for layer in by_name}


@pytest.mark.parametrize("move", [lambda x: x.flatten(2), lambda x: x.transpose(2, 3)])
def test_a_rearrangement_takes_over_what_came_before(move: Callable[[Tensor], Tensor]) -> None:
    class Moved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return move(self.last(self.first(x))) * 2

    def of(layer: str) -> object:
        return representation(Moved(), layer, input_size=32, mean=(0.0,) * 3).defaults

    word = "flatten" if move(torch.zeros(1, 2, 3, 3)).dim() == 3 else "transpose"
    assert of(word) == of("last")
