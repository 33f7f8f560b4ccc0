"""Table 1: receptive fields and strides of the paper's networks, beside those computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preimage.representations.catalogue import layers_of


@dataclass(frozen=True)
class Printed:
    """One column of the paper's table.

    Attributes:
        network: as the paper calls it.
        model: as it is called here.
        layers: name, size of the receptive field and stride of every layer, as printed.
    """

    network: str
    model: str
    layers: tuple[tuple[str, int, int], ...]


def _layers(text: str) -> tuple[tuple[str, int, int], ...]:
    rows = (row.split() for row in text.split(","))
    return tuple((name, int(size), int(stride)) for name, size, stride in rows)


PRINTED: tuple[Printed, ...] = (
    Printed(
        "AlexNet",
        "alexnet.matconvnet",
        _layers(
            """conv1 11 4, relu1 11 4, norm1 11 4, pool1 19 8, conv2 51 8, relu2 51 8, norm2 51 8,
            pool2 67 16, conv3 99 16, relu3 99 16, conv4 131 16, relu4 131 16, conv5 163 16,
            relu5 163 16, pool5 195 32, fc6 355 32, relu6 355 32, fc7 355 32, relu7 355 32,
            fc8 355 32, prob 355 32"""
        ),
    ),
    Printed(
        "VGG-M",
        "vgg-m.matconvnet",
        _layers(
            """conv1 7 2, relu1 7 2, norm1 7 2, pool1 11 4, conv2 27 8, relu2 27 8, norm2 27 8,
            pool2 43 16, conv3 75 16, relu3 75 16, conv4 107 16, relu4 107 16, conv5 139 16,
            relu5 139 16, pool5 171 32, fc6 331 32, relu6 331 32, fc7 331 32, relu7 331 32,
            fc8 331 32, prob 331 32"""
        ),
    ),
    Printed(
        "VGG-VD-16",
        "vgg16.matconvnet",
        _layers(
            """conv1_1 3 1, relu1_1 3 1, conv1_2 5 1, relu1_2 5 1, pool1 6 2, conv2_1 10 2,
            relu2_1 10 2, conv2_2 14 2, relu2_2 14 2, pool2 16 4, conv3_1 24 4, relu3_1 24 4,
            conv3_2 32 4, relu3_2 32 4, conv3_3 40 4, relu3_3 40 4, pool3 44 8, conv4_1 60 8,
            relu4_1 60 8, conv4_2 76 8, relu4_2 76 8, conv4_3 92 8, relu4_3 92 8, pool4 100 16,
            conv5_1 132 16, relu5_1 132 16, conv5_2 164 16, relu5_2 164 16, conv5_3 196 16,
            relu5_3 196 16, pool5 212 32, fc6 404 32, relu6 404 32, fc7 404 32, relu7 404 32,
            fc8 404 32, prob 404 32"""
        ),
    ),
)

DISPUTED: frozenset[tuple[str, str]] = frozenset()
"""Network and layer of every row where the paper itself looks wrong; none does. A row that differs
and stands here, with its arithmetic in docs/paper_vs_code.md, is no mismatch."""


@dataclass(frozen=True)
class Row:
    """One layer of the table. A side that has no such layer holds None.

    Attributes:
        network, model: as in `Printed`.
        layer: its name.
        paper_size, paper_stride: receptive field and stride as printed, in pixels.
        size, stride: the same as computed from the layers.
    """

    network: str
    model: str
    layer: str
    paper_size: int | None
    paper_stride: int | None
    size: int | None
    stride: int | None

    @property
    def equal(self) -> bool:
        """Whether both columns agree."""
        return (self.paper_size, self.paper_stride) == (self.size, self.stride)

    @property
    def disputed(self) -> bool:
        """Whether they differ and the paper looks wrong."""
        return not self.equal and (self.network, self.layer) in DISPUTED


def table1() -> list[Row]:
    """Every layer of AlexNet, VGG-M and VGG-VD-16: the paper's columns and ours.

    Ours are computed from the layers of the networks' definitions (see
    `preimage.representations.geometry`); no weights are needed. A layer that only one side has is a
    row as well.

    Source: Table 1.

    Example:
        >>> rows = table1()
        >>> len(rows), sum(not row.equal for row in rows)
        (79, 0)
    """
    return [row for printed in PRINTED for row in _rows(printed)]


def verdict(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows differ: `disputed`, where the paper looks wrong, and `mismatches`, elsewhere.

    Example:
        >>> verdict(table1())
        {'mismatches': 0, 'disputed': 0}
    """
    disputed = sum(row.disputed for row in rows)
    return {"mismatches": sum(not row.equal for row in rows) - disputed, "disputed": disputed}


def _rows(printed: Printed) -> list[Row]:
    paper = {name: (size, stride) for name, size, stride in printed.layers}
    none = (None, None)
    ours = {
        layer.name: (layer.geometry.receptive_field, layer.geometry.stride)
        if layer.geometry
        else none
        for layer in layers_of(printed.model)
    }
    return [
        Row(printed.network, printed.model, name, *paper.get(name, none), *ours.get(name, none))
        for name in dict.fromkeys([*paper, *ours])
    ]
