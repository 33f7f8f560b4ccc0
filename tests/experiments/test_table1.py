from __future__ import annotations

from dataclasses import replace

from preimage.experiments import table1 as module
from preimage.experiments.table1 import PRINTED, table1


def test_every_row_of_the_paper_is_there_and_equal() -> None:
    rows = table1()
    assert [row.network for row in rows].count("AlexNet") == 21
    assert [row.network for row in rows].count("VGG-M") == 21
    assert [row.network for row in rows].count("VGG-VD-16") == 37
    assert all(row.equal and not row.disputed for row in rows)
    relu3 = next(row for row in rows if (row.network, row.layer) == ("VGG-M", "relu3"))
    assert (relu3.paper_size, relu3.paper_stride, relu3.size, relu3.stride) == (75, 16, 75, 16)


def test_a_row_that_differs_is_found(monkeypatch) -> None:
    alexnet = PRINTED[0]
    wrong = replace(alexnet, layers=(("conv1", 12, 4), ("extra", 1, 1), *alexnet.layers[2:]))
    monkeypatch.setattr(module, "PRINTED", (wrong,))
    rows = {row.layer: row for row in table1()}
    assert [name for name, row in rows.items() if not row.equal] == ["conv1", "extra", "relu1"]
    assert (rows["extra"].size, rows["relu1"].paper_size) == (None, None)
    monkeypatch.setattr(module, "DISPUTED", frozenset({("AlexNet", "conv1")}))
    assert [row.layer for row in table1() if row.disputed] == ["conv1"]
