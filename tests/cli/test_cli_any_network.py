"""Networks that are not of the catalogue, on the command line: names, input, layers, rerun."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from torch import nn

from preimage.representations import catalogue, representation

FACTORIES = """
import torch
from torch import nn

CONSTANT = 3

class Config:
    pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.25,) * 3, "input_size": (3, 24, 24)}

def chain(channels=3):
    return nn.Sequential(nn.Conv2d(channels, 6, 5, 2, 2), nn.ReLU(inplace=True), nn.Flatten())

class Configured(Config, nn.Sequential):
    def __init__(self):
        super().__init__(*chain())

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return {"a": self.body(x), "b": torch.relu(self.body(x))}

class Silent(nn.Module):
    def forward(self, x):
        return None

def five():
    return chain(5)

def grey():
    return chain(1)

def anywhere():
    return nn.Sequential(nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU())

def noisy():
    return nn.Sequential(nn.Conv2d(3, 6, 3), Noise())

class Noise(nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, training=True)

def dead():
    network = chain()
    nn.init.constant_(network[0].bias, -1e6)
    return network

def broken():
    raise RuntimeError("the weights are in the other office")

def nothing():
    pass

def lazy():
    import mynets_parts
    print("making it")
    return mynets_parts.chain()

def number():
    return 3

alive = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)).train()
"""
INPUT = "mean=0.5,0.4,0.3,std=0.25,0.25,0.25,size=24"


@pytest.fixture
def nets(elsewhere: Path) -> Iterator[str]:
    """A module with factories in the working folder."""
    for name in ("mynets", "mynets_parts"):
        (elsewhere / f"{name}.py").write_text(FACTORIES)
    before = set(sys.modules)
    path = list(sys.path)
    yield "mynets"
    assert sys.path == path
    for name in set(sys.modules) - before:
        if name.startswith("mynets"):
            del sys.modules[name]
    catalogue._adapted_survey.cache_clear()


def test_layers_of_a_factory(run, nets):
    answer = run("layers", f"{nets}:chain", "--input", INPUT, "--json").json
    assert answer["model"] == "mynets:chain"
    assert answer["layers"][0] == {
        "name": "0", "kind": "convolution", "shape": [6, 12, 12], "receptive_field": 5,
        "stride": 2, "offset": 0.0, "fidelity": 300.0, "jitter": 1,
    }  # fmt: skip
    assert [row["name"] for row in answer["layers"]] == ["0", "1", "2"]
    assert "convolution" in run("layers", f"{nets}:chain", "--input", INPUT).out


def test_a_factory_may_print_and_import_what_lies_beside_it(run, nets):
    answer = run("layers", f"{nets}:lazy", "--input", INPUT, "--json")
    assert len(answer.json["layers"]) == 3
    assert answer.err == "making it\n"


def test_a_network_says_itself_what_it_takes(run, nets):
    told = run("layers", f"{nets}:chain", "--input", INPUT, "--json").json["layers"]
    assert run("layers", f"{nets}:Configured", "--json").json["layers"] == told


def test_numbers_of_0_to_255_are_the_same_as_of_0_to_1(run, nets, photo):
    codes = []
    for words in (INPUT, "mean=127.5,102,76.5,std=63.75,63.75,63.75,scale=255,size=24"):
        common = ("--layer", "1", "--input", words, "--out", "code.npy", "--overwrite")
        assert run("encode", photo, "--model", f"{nets}:chain", *common).code == 0
        codes.append(np.load("code.npy"))
    np.testing.assert_allclose(*codes, rtol=1e-6)


def test_a_code_of_a_network_for_any_size_is_rerun_at_the_same_size(run, nets):
    net = ("--model", f"{nets}:anywhere", "--layer", "1", "--input", "mean=0,0,0,size=any")
    np.save("code.npy", np.ones((6, 10, 10), np.float32))
    search = ("--code", "code.npy", "--size", 20, "--iterations", 2, "--out", "first")
    assert run("invert", *net, *search).code == 0
    answer = run("rerun", "first", "--trust", "--out", "again")
    assert answer.code == 0
    assert Image.open("again/image.png").size == (20, 20)
    assert Path("again/image.png").read_bytes() == Path("first/image.png").read_bytes()


def test_a_module_that_is_alive_stays_as_it_is(nets):
    phi = representation(f"{nets}:alive", "1", mean=(0,) * 3, std=(1,) * 3, input_size=24)
    alive = sys.modules[nets].alive
    assert phi.network is alive
    assert all(module.training for module in alive.modules())
    assert all(parameter.requires_grad for parameter in alive.parameters())


def test_bench_leaves_a_module_that_is_alive_as_it_is(run, nets):
    words = ("--input", "mean=0,0,0,std=1,1,1,size=24", "--layers", "0,1", "--iterations", 2)
    assert run("bench", "--model", f"{nets}:alive", *words).code == 0
    norm = sys.modules[nets].alive[1]
    assert norm.training
    assert norm.num_batches_tracked == 0
    assert not norm.running_mean.any()


def test_a_script_that_ends_where_it_is_imported(fails, elsewhere):
    (elsewhere / "myscript.py").write_text("raise SystemExit(3)")
    message = fails(1, "layers", "myscript:net", "--input", INPUT)
    assert "myscript can't be imported: SystemExit: 3" in message


def test_inversion_and_rerun_of_a_factory(run, nets, photo, fails):
    words = ("--model", f"{nets}:chain", "--layer", "1", "--input", INPUT, "--iterations", 3)
    assert run("invert", photo, *words, "--out", "saved").code == 0
    record = json.loads(Path("saved/result.json").read_text())
    assert record["representation"]["model"] == "mynets:chain"
    assert record["representation"]["options"]["input_size"] == 24
    assert record["representation"]["receptive_field"] == 5
    assert len(record["weights"]["sha256"]) == 64
    message = fails(1, "rerun", "saved")
    assert "'mynets:chain', code that would be imported and run" in message
    assert "--trust" in message
    assert run("rerun", "saved", "--trust", "--out", "again").code == 0
    assert Path("saved/canvas.npy").read_bytes() == Path("again/canvas.npy").read_bytes()


def test_bench_of_a_factory(run, nets):
    words = ("--layers", "0,1", "--input", INPUT, "--iterations", 2, "--json")
    records = run("bench", "--model", f"{nets}:chain", *words).json["records"]
    assert [record["layer"] for record in records] == ["0", "1"]


def test_a_network_of_any_size(run, nets, photo):
    words = ("--model", f"{nets}:anywhere", "--layer", "1", "--input", "mean=0,0,0,size=any")
    assert run("encode", photo, *words, "--size", 20, "--out", "code.npy").code == 0
    assert np.load("code.npy").shape == (6, 10, 10)
    done = run("invert", photo, *words, "--size", 20, "--iterations", 2, "--out", "saved")
    assert done.code == 0
    assert Image.open("saved/image.png").size == (20, 20)


def test_a_grey_network_shows_grey_pictures(run, nets, photo):
    words = ("--model", f"{nets}:grey", "--layer", "1", "--input", "mean=0.5,std=0.2,size=24")
    assert run("invert", photo, *words, "--iterations", 2, "--out", "saved").code == 0
    assert Image.open("saved/reference.png").mode == Image.open("saved/image.png").mode == "L"


def test_a_network_of_five_channels_shows_a_mosaic(run, nets, photo, fails):
    colours = "mean=0.5,0.5,0.5,0.5,0.5,std=1,1,1,1,1,size=24"
    words = ("--model", f"{nets}:five", "--layer", "1", "--input", colours)
    assert "sees 5 channels, a photo has 3" in fails(2, "invert", photo, *words)
    np.save("code.npy", np.ones((6, 12, 12), np.float32))
    assert run("invert", "--code", "code.npy", *words, "--iterations", 2, "--out", "s").code == 0
    assert Image.open("s/image.png").size == (72, 48)
    assert np.load("s/canvas.npy").shape == (5, 24, 24)


def test_one_of_several_results(run, nets, photo, fails):
    words = ("--model", f"{nets}:Pair", "--input", INPUT)
    names = [row["name"] for row in run("layers", *words[1:], "--json").json["layers"]]
    assert names == ["body", "body#2", "relu"]
    assert run("encode", photo, *words, "--layer", "body#2", "--out", "c.npy").code == 0
    assert "mynets:Pair has no layer 'body#3'" in fails(
        2, "encode", photo, *words, "--layer", "body#3", "--out", "c2.npy"
    )


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("noisy", "mynets:noisy:1 is not deterministic: one image has two codes"),
        ("dead", "mynets:dead:1 has no gradient at the start"),
    ],
)
def test_what_a_search_can_not_work_with_is_said(run, nets, tmp_path, factory, words):
    colours = "mean=0.5,0.5,0.5,std=1,1,1,size=24"
    np.save("code.npy", np.ones((6, 12, 12) if factory == "dead" else (6, 22, 22), np.float32))
    answer = run(
        "invert", "--code", "code.npy", "--model", f"{nets}:{factory}", "--layer", "1",
        "--input", colours, "--iterations", 2, "--json",
    )  # fmt: skip
    assert answer.code == 0, answer
    (warning,) = answer.json["warnings"]
    assert words in warning


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("mynets:chian", 2, "mynets has no 'chian'; did you mean: chain"),
        ("mynetz:chain", 2, "no Python module 'mynetz' here"),
        ("mynets.sub:chain", 2, "no Python module 'mynets.sub' here"),
        ("mynets:CONSTANT", 2, "mynets:CONSTANT is a int"),
        ("mynets:", 2, "expected torchvision:NAME, timm:NAME or package.module:factory"),
        (":chain", 2, "expected torchvision:NAME"),
        ("my nets:chain", 2, "expected torchvision:NAME"),
        ("mynets:broken", 1, "RuntimeError: the weights are in the other office"),
        ("mynets:nothing", 1, "mynets:nothing gives nothing; an nn.Module was expected"),
        ("mynets:number", 1, "mynets:number gives a int; an nn.Module was expected"),
        ("mynets:Silent", 1, "nothing in the network gives a tensor"),
        ("mynets:five", 1, "does not run on an image of 3 channels and 24x24 pixels: Runtime"),
    ],
)
def test_names_that_lead_nowhere(fails, nets, model, code, words):
    assert words in fails(code, "layers", model, "--input", INPUT)


def test_what_a_network_does_not_say_is_asked_for(fails, nets):
    message = fails(2, "layers", f"{nets}:chain")
    assert "mynets:chain does not say what images it takes" in message
    assert "--input mean=" in message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mean=a", "expected numbers"),
        ("0.5,0.5", "expected mean=...,std=...,scale=1|255,size=PX"),
        ("maen=1", "'maen' is none of mean, std, scale, size"),
        ("mean=1,mean=2", "mean is given twice"),
        ("mean=128,128,128,size=24", "give scale=255"),
        ("mean=1,scale=2", "scale is 1 or 255"),
        ("scale=1,size=224", "scale says in which white mean and std are given"),
        ("mean=1,size=3,4", "expected numbers, and one size or any"),
        ("mean=1,1,1,std=1,1,size=24", "mean has 3 numbers and std 2"),
        ("mean=nan,1,1,size=24", "mean and std must be numbers"),
        ("mean=1,1,1,std=0,1,1,size=24", "std not 0"),
        ("mean=1,1,1,size=0", "input size must be 1 to 4096 pixels, got 0"),
        ("mean=1,1,1,size=99999", "input size must be 1 to 4096 pixels, got 99999"),
    ],
)
def test_input_that_is_none(fails, nets, given, words):
    assert words in fails(2, "layers", f"{nets}:chain", "--input", given)


def test_the_catalogues_networks_have_no_input_or_weights_to_choose(fails, photo):
    common = ("invert", photo, "--layer", "stem")
    assert "has no option 'mean'" in fails(2, *common, "--input", "mean=1,1,1")
    assert "has no option 'weights'" in fails(2, *common, "--weights", "random")
    message = fails(
        2, "invert", photo, "--model", "json:loads", "--layer", "a", "--weights", "random"
    )
    assert "json:loads has no option 'weights'" in message


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_that_is_not_here(fails, library, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = fails(1, "layers", f"{library}:resnet18")
    assert f"{library} is not installed here; for its networks: pip install {library}" in message


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A stand-in for the library: two names, one of which wants a network connection."""

    def create_model(name: str, pretrained: bool) -> nn.Module:
        if pretrained:
            raise OSError("no route to host")
        network = nn.Sequential(nn.Conv2d(1, 4, 3))
        network.default_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (1, 20, 20)}
        return network

    library = ModuleType("timm")
    library.list_models = lambda: ["small_net", "large_net"]
    library.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", library)


def test_a_librarys_names_configuration_and_weights(run, fails, timm, photo):
    assert run("layers", "timm:small_net", "--json").json["layers"][0]["shape"] == [4, 18, 18]
    assert "timm has no network 'smal_net'; did you mean: small_net" in fails(
        2, "layers", "timm:smal_net"
    )
    words = ("invert", photo, "--model", "timm:small_net", "--layer", "0", "--iterations", 2)
    message = fails(1, *words)
    assert "timm:small_net can't be built: OSError: no route to host" in message
    assert "--weights random" in message
    assert "there are no weights 'rnadom' of timm:small_net; did you mean: random" in fails(
        2, *words, "--weights", "rnadom"
    )
    assert run(*words, "--weights", "random", "--out", "saved").code == 0
    record = json.loads(Path("saved/result.json").read_text())
    assert record["weights"]["source"] == "timm:small_net: random, seed 0"
    assert record["representation"]["options"] == {"weights": "random"}
    assert run("rerun", "saved", "--out", "again").code == 0
    assert Path("saved/canvas.npy").read_bytes() == Path("again/canvas.npy").read_bytes()


def test_caricature_and_fool_are_told_the_input_too(run, nets, photo, tmp_path):
    words = ("--model", f"{nets}:chain", "--layer", "1", "--input", INPUT, "--iterations", 2)
    for task in (("caricature", photo), ("fool", photo, "--as", photo)):
        answer = run(*task, *words, "--out", task[0])
        assert answer.code == 0, answer
        again = tmp_path / f"{task[0]}-again"
        assert run("rerun", task[0], "--trust", "--out", again).code == 0
        assert (again / "image.png").read_bytes() == Path(task[0], "image.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("texture", "PHOTO", "--layers", "1"), "networks that `preimage models` lists only"),
        (("texture", "PHOTO"), "networks that `preimage models` lists only"),
        (("style", "PHOTO", "PHOTO"), "networks that `preimage models` lists only"),
        (("dream", "PHOTO"), "networks that `preimage models` lists only"),
        (("maximize", "--label", "goose"), "give --layer, and the class as a channel"),
    ],
)
def test_what_other_networks_are_not_for(fails, nets, photo, words, message):
    words = tuple(photo if word == "PHOTO" else word for word in words)
    assert message in fails(2, *words, "--model", f"{nets}:chain")
