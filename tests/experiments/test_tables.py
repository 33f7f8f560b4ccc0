from __future__ import annotations

import csv
import io

from preimage.experiments.tables import Column, cells, number, percent, to_csv

ROWS = [
    {"model": "hog", "layer": None, "relative_error": 0.1234, "count": 3},
    {"model": 'a,"b"\nc', "relative_error": 1 / 3, "interval": 0.02},
]


def test_csv_reads_back_as_what_was_written():
    read = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    assert list(read[0]) == ["model", "layer", "relative_error", "count", "interval"]
    assert read[0]["layer"] == read[1]["count"] == ""
    assert read[1]["model"] == ROWS[1]["model"]
    assert [float(row["relative_error"]) for row in read] == [0.1234, 1 / 3]


def test_cells_for_the_screen():
    columns = (
        Column("model", "model"), Column("relative_error", "error", percent),
        Column("count", "n"), Column("interval", "±", number),
    )  # fmt: skip
    assert cells(ROWS, columns) == [
        ("hog", "12.3 %", "3", ""), ('a,"b"\nc', "33.3 %", "", "0.02"),
    ]  # fmt: skip
