from __future__ import annotations

import pytest

from preimage.experiments import speed


@pytest.mark.parametrize("canvas", speed.PRESET_OF_CANVAS)
def test_floor_and_iteration_are_timed(run, canvas):
    words = ("--layers", "stem,block01", "--canvas", canvas, "--iterations", 2)
    answer = run("bench", *words, "--json")
    assert (answer.code, answer.json["device"]) == (0, "cpu")
    assert answer.json["threads"] >= 1
    for record, layer in zip(answer.json["records"], ("stem", "block01"), strict=True):
        assert (record["layer"], record["canvas"], record["iterations"]) == (layer, canvas, 2)
        # An iteration is the network once, and more.
        assert record["ratio"] == record["iteration_ms"] / record["floor_ms"] > 0.5


def test_the_table_names_the_machine(run):
    answer = run("bench", "--layers", "stem", "--iterations", 1)
    assert "cpu" in answer.out
    assert "ratio" in answer.out


def test_unknown_layer(fails):
    assert "known: stem" in fails(2, "bench", "--layers", "conv9")


@pytest.mark.parametrize("layers", ["", "stem,", ",stem", " "])
def test_layers_without_a_name(fails, layers):
    message = fails(2, "bench", "--layers", layers)
    assert "--layers" in message
    assert "--layer;" not in message
