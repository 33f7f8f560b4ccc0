from __future__ import annotations

import h5py
import numpy as np
import pytest

import matconvnet_files as files


@pytest.fixture
def net(elsewhere):
    rng = np.random.default_rng(0)
    layers = [
        files.conv(rng, "conv1", 3, 3, 4) | {"pad": 1},
        {"type": "relu", "name": "relu1"},
        files.conv(rng, "fc", 32, 4, 6),
        {"type": "softmax", "name": "prob"},
    ]
    return files.save_v73(elsewhere / "net.mat", files.simplenn(layers, files.meta(32, 6)))


def test_from_a_file_to_a_picture(run, net, photo):
    answer = run("weights", "add", net, "--name", "mine", "--json")
    assert answer.code == 0, answer
    record = answer.json
    assert (record["name"], record["classes"], record["input_size"]) == ("mine", 6, 32)
    assert [row["name"] for row in record["layers"]] == ["conv1", "relu1", "fc", "prob"]
    assert record["warnings"] == []
    rows = run("layers", "mine", "--json").json["layers"]
    assert [row["shape"] for row in rows] == [[4, 32, 32], [4, 32, 32], [6, 1, 1], [6, 1, 1]]
    assert all(row["weights_here"] for row in rows)
    entries = {entry["name"]: entry for entry in run("models", "--json").json["models"]}
    assert (entries["mine"]["present"], entries["mine"]["classes"]) == (True, "own")
    assert "mine" in run("weights", "list").out
    assert "mine: good" in run("weights", "verify").out
    words = ("--model", "mine", "--layer", "relu1", "--iterations", 3, "--out", "out", "--json")
    record = run("invert", photo, *words).json
    assert record["representation"]["model"] == "mine"
    assert record["classes"]["reference"][0]["label"].startswith("thing ")


def test_the_table_is_shown(run, net):
    shown = run("weights", "add", net, "--name", "mine", "--mean", "1,2,3", "--std", "2").out
    assert "conv1" in shown
    assert "mine: images of 32x32, RGB, mean 1, 2, 3, divided by 2; 6 classes" in shown


def test_what_a_file_does_not_say_is_a_warning(run, elsewhere):
    layers = [files.conv(np.random.default_rng(0), "layer1", 3, 1, 4) | {"pad": 1}]
    path = files.save_v5(elsewhere / "denoiser.mat", {"net": {"layers": layers}})
    answer = run("weights", "add", path, "--name", "grey")
    assert answer.code == 0
    assert "preimage: warning: the file does not say on which scale images are" in answer.err
    assert "grey: images of any size, grey, mean 0, divided by 1; no classes" in answer.out
    answer = run("weights", "add", path, "--name", "grey", "--overwrite", "--mean", 0, "--std", 255)
    assert answer.err == ""


def test_wrong_use(fails, net):
    add = ("weights", "add")
    assert "--name" in fails(2, *add, net)
    assert "a representation of its own" in fails(2, *add, net, "--name", "hog")
    assert "of the catalogue" in fails(2, *add, net, "--name", "alexnet")
    assert "expected numbers with commas" in fails(2, *add, net, "--name", "x", "--mean", "red")
    assert "other than 0" in fails(2, *add, net, "--name", "x", "--std", "0")
    assert "expected one number, or one for" in fails(2, *add, net, "--name", "x", "--std", "1,2")


def test_bad_files(fails, net, elsewhere):
    def message(name: str) -> str:
        text = fails(1, "weights", "add", elsewhere / name, "--name", "x")
        assert name in text
        return text

    (elsewhere / "cut.mat").write_bytes(net.read_bytes()[:3000])
    assert "cut short" in message("cut.mat")
    (elsewhere / "page.mat").write_text("<html>404 not found</html>" * 20)
    assert "expected a MATLAB file" in message("page.mat")
    files.save_v5(elsewhere / "data.mat", {"x": np.ones(3)})
    assert "expected a MatConvNet network with layers, got variables x" in message("data.mat")
    files.save_v5(elsewhere / "warp.mat", {"layers": [{"type": "warp", "name": "w1"}]})
    assert "layer w1: unknown type warp" in message("warp.mat")
    with h5py.File(elsewhere / "bomb.mat", "w") as file:
        file.create_dataset("net", (1 << 20, 1 << 20), "<f8", chunks=(64, 64))
    assert "more than a file of this size can hold" in message("bomb.mat")
    assert "no such file" in message("missing.mat")
    assert "alexnet.matconvnet" in fails(1, "weights", "add", net, "--name", "alexnet.matconvnet")


def test_weights_that_are_not_here_say_where_from(fails):
    message = fails(1, "weights", "verify", "imagenet-vgg-m")
    assert "preimage weights get imagenet-vgg-m" in message
