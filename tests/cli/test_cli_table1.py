from __future__ import annotations

from dataclasses import replace

from preimage.experiments import table1 as module


def test_rows_and_mismatches(run):
    answer = run("table1", "--json")
    assert answer.code == 0
    assert (answer.json["mismatches"], answer.json["disputed"]) == (0, 0)
    assert len(answer.json["rows"]) == 79
    assert answer.json["rows"][0] == {
        "network": "AlexNet",
        "model": "alexnet.matconvnet",
        "layer": "conv1",
        "paper_size": 11,
        "paper_stride": 4,
        "size": 11,
        "stride": 4,
        "equal": True,
        "disputed": False,
    }
    assert "79 rows, 0 mismatches, 0 disputed" in run("table1").out


def test_a_mismatch_is_an_error(run, monkeypatch):
    wrong = replace(module.PRINTED[0], layers=(("conv1", 12, 4), *module.PRINTED[0].layers[1:]))
    monkeypatch.setattr(module, "PRINTED", (wrong,))
    answer = run("table1")
    assert answer.code == 1
    assert "differs" in answer.out
    assert "Table 1 differs from the paper's in 1 row." in answer.err
