from __future__ import annotations

import pickle
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from preimage.models.catalogue import MODELS
from preimage.representations.catalogue import HAND_CRAFTED
from preimage.weights import catalogue, store
from preimage.weights.catalogue import WEIGHTS, Url


def lay(entry: catalogue.WeightFile, content: bytes) -> Path:
    """Put a file where the cache would have a weight file."""
    path = store.weights_dir() / entry.file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_layers_need_no_weights(run, model):
    answer = run("layers", model.name, "--no-weights", "--json")
    assert answer.json["model"] == model.name
    assert [set(row) for row in answer.json["layers"]] == len(answer.json["layers"]) * [
        {"name", "kind", "shape", "receptive_field", "stride", "offset", "fidelity", "jitter"}
    ]
    table = run("layers", model.name).out
    assert all(row["name"] in table for row in answer.json["layers"])
    here = [row["weights_here"] for row in run("layers", model.name, "--json").json["layers"]]
    assert set(here) == {model.name == "efficientnet-lite0"}


def test_layers_of_alexnet_are_table_1s(run):
    rows = {row["name"]: row for row in run("layers", "alexnet", "--json").json["layers"]}
    relu3 = rows["relu3"]
    assert (relu3["receptive_field"], relu3["stride"], relu3["fidelity"]) == (99, 16, 300)


def test_models_say_whether_weights_are_here(run):
    entries = {entry["name"]: entry for entry in run("models", "--json").json["models"]}
    assert entries["efficientnet-lite0"]["present"]
    assert not entries["alexnet.torchvision"]["present"]
    assert {entry.name for entry in (*MODELS, *HAND_CRAFTED)} == set(entries)
    assert entries["hog"]["present"]
    assert "not yet" in run("models").out


def test_weights_are_listed(run):
    entries = run("weights", "list", "--json").json["weights"]
    assert [entry["name"] for entry in entries] == [entry.name for entry in WEIGHTS]
    assert "BSD-3-Clause" in run("weights", "list").out


def test_good_weights_are_verified(run):
    answer = run("weights", "verify", "--json")
    assert answer.code == 0
    assert [(w["name"], w["ok"]) for w in answer.json["weights"]] == [("efficientnet-lite0", True)]
    assert "good" in run("weights", "verify", "efficientnet-lite0").out
    assert run("weights", "get", "efficientnet-lite0", "--json").json["sha256"].startswith("57934")


def test_a_flipped_byte_is_found(run, fails, photo):
    path = lay(catalogue.find("alexnet-conv"), b"flipped")
    message = fails(1, "weights", "verify", "alexnet-conv")
    assert str(path) in message
    assert "preimage weights get alexnet-conv --force" in message
    assert not run("weights", "verify", "--json").json["weights"][-1]["ok"]
    words = ("--model", "alexnet", "--layer", "conv1", "--iterations", 2)
    assert "sha256" in fails(1, "invert", photo, *words)


def test_an_evil_pickle_is_refused(fails, photo, monkeypatch):
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, ("open('evil', 'w')",)

    content = pickle.dumps(Evil())
    path = lay(catalogue.find("alexnet-conv"), content)
    trusted = replace(catalogue.find("alexnet-conv"), sha256="")
    monkeypatch.setattr(
        catalogue, "WEIGHTS", [trusted if w.name == trusted.name else w for w in WEIGHTS]
    )
    words = ("--model", "alexnet", "--layer", "conv1", "--iterations", 2)
    message = fails(1, "invert", photo, *words)
    assert path.name in message
    assert "exec" in message
    assert not Path("evil").exists()


def test_without_a_network_every_source_is_named(fails, monkeypatch):
    def no_network(*_: object, **__: object) -> None:
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    message = fails(1, "weights", "get", "alexnet-torchvision")
    (source,) = catalogue.find("alexnet-torchvision").sources
    assert isinstance(source, Url)
    assert f"{source.url}: name or service not known" in message
    assert "By hand" in message


def test_weights_that_are_not_here_or_not_known(fails):
    assert "preimage weights get vgg16-conv" in fails(1, "weights", "verify", "vgg16-conv")
    assert "did you mean: vgg16-conv" in fails(2, "weights", "get", "vgg16-con")


@pytest.mark.parametrize("words", [("models",), ("weights", "list")])
def test_names_are_whole_on_a_narrow_terminal(run, monkeypatch, words):
    listed = next(iter(run(*words, "--json").json.values()))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    lines = run(*words).out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = {line.split()[0] for line in lines if line.strip() and line[1] != " "}
    assert {entry["name"] for entry in listed} <= starts
