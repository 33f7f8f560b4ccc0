"""C and T of layers that the paper does not list."""

from __future__ import annotations

import pytest

from preimage.representations import Geometry
from preimage.representations.defaults import defaults_for
from preimage.representations.geometry import Layer

SIDE = 200


def layer(kind: str, sees: int | None, shape: tuple[int, ...] = (8, 7, 7)) -> Layer:
    name = f"{kind} that sees {sees}"
    return Layer(name, kind, shape, None if sees is None else Geometry(sees, 4, 0.0))


def fidelities(layers: list[Layer]) -> list[float]:
    numbered = [Layer(str(i), x.kind, x.shape, x.geometry) for i, x in enumerate(layers)]
    return [value.fidelity for value in defaults_for(numbered, SIDE).values()]


def test_what_sees_little_is_shallow_however_late_it_comes() -> None:
    assert fidelities([layer("convolution", 90), layer("relu", 90)]) == [300.0, 300.0]
    assert fidelities([layer("convolution", 120)]) == [100.0]
    assert fidelities([layer("convolution", 121)]) == [20.0]


def test_what_sees_everything_goes_by_the_layers_with_weights_behind_it() -> None:
    blocks = [layer("block", 500) for _ in range(10)]
    assert fidelities(blocks) == [300.0] * 7 + [100.0] + [20.0] * 2
    with_others = [x for block in blocks for x in (block, layer("relu", 500))]
    assert fidelities(with_others) == [300.0] * 14 + [100.0] * 2 + [20.0] * 4


def test_depth_ends_at_the_last_pooling() -> None:
    network = [
        *(layer("convolution", 500) for _ in range(10)),
        layer("average pooling", 500, (8, 1, 1)),
        *(layer("fully connected", 500, (8,)) for _ in range(30)),
    ]
    assert fidelities(network) == [300.0] * 7 + [100.0] + [20.0] * 2 + [1.0] * 31


def test_gates_on_pooled_maps_do_not_count() -> None:
    gated = [layer("convolution", 500), layer("convolution", 500, (8, 1, 1))] * 10
    assert fidelities(gated)[-2:] == [20.0, 20.0]
    assert fidelities(gated)[12] == 300.0
    assert fidelities(gated)[16:18] == [20.0, 20.0]


@pytest.mark.parametrize("kind", ["attention", "fully connected"])
def test_layers_without_geometry_go_by_depth(kind: str) -> None:
    tokens = [layer(kind, None, (8, 50)) for _ in range(10)]
    assert fidelities(tokens) == [300.0] * 7 + [100.0] + [20.0] * 2


def test_a_network_without_weights_goes_by_what_is_seen() -> None:
    assert fidelities([layer("relu", 500), layer("relu", None)]) == [20.0, 20.0]
