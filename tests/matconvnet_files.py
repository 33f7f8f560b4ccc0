"""MatConvNet files made up for tests: both wrappers, old and new fields, MATLAB 5 and 7.3.

A network is a list of layers with MatConvNet's own fields and MATLAB's order of axes. Its reader is
under test, and `reference/matconvnet_reference.py` evaluates the same list in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

Layer = dict[str, Any]

_CAFFE_TAIL = """conv3 3 384 p1, relu3, conv4 3 384 p1 g2, relu4, conv5 3 256 p1 g2, relu5,
    pool5 3 s2, fc6 6 4096, relu6, fc7 1 4096, relu7, fc8 1 1000, prob"""
_VGG16 = ", ".join(
    [
        ", ".join(f"conv{g}_{i} 3 {w} p1, relu{g}_{i}" for i in range(1, n + 1)) + f", pool{g} 2 s2"
        for g, (n, w) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1)
    ]
)
PAPER = {
    "alexnet": f"""conv1 11 96 s4, relu1, norm1, pool1 3 s2, conv2 5 256 p2 g2, relu2, norm2,
        pool2 3 s2, {_CAFFE_TAIL}""",
    "caffenet": f"""conv1 11 96 s4, relu1, pool1 3 s2, norm1, conv2 5 256 p2 g2, relu2, pool2 3 s2,
        norm2, {_CAFFE_TAIL}""",
    "vgg-m": """conv1 7 96 s2, relu1, norm1, pool1 3 s2, conv2 5 256 s2 p1, relu2, norm2,
        pool2 3 s2 q1, conv3 3 512 p1, relu3, conv4 3 512 p1, relu4, conv5 3 512 p1, relu5,
        pool5 3 s2, fc6 6 4096, relu6, fc7 1 4096, relu7, fc8 1 1000, prob""",
    "vgg16": f"{_VGG16}, fc6 7 4096, relu6, fc7 1 4096, relu7, fc8 1 1000, prob",
}
"""Name, window, filters, stride, padding on all sides (p) or below and on the right (q), groups."""
INPUT_SIZE = {"alexnet": 227, "caffenet": 227, "vgg-m": 224, "vgg16": 224}
NORM = {
    "alexnet": [5, 1, 1e-4 / 5, 0.75],
    "caffenet": [5, 1, 1e-4 / 5, 0.75],
    "vgg-m": [5, 2, 1e-4, 0.75],
}
MEAN = (123.0, 117.0, 104.0)


def paper_layers(network: str, thinner: int = 16, seed: int = 0) -> list[Layer]:
    """One of the paper's networks with random weights and a fraction of its channels."""
    rng = np.random.default_rng(seed)
    layers, channels = [], 3
    for text in PAPER[network].split(","):
        name, *numbers = text.split()
        options = {word[0]: int(word[1:]) for word in numbers if word[0] in "spgq"}
        plain = [int(word) for word in numbers if word.isdigit()]
        pad, past = options.get("p", 0), options.get("q", 0)
        sliding = {
            "stride": [options.get("s", 1)] * 2,
            "pad": [pad, pad + past, pad, pad + past],
        }
        if name.startswith(("conv", "fc")):
            out = plain[1] // thinner if name != "fc8" or thinner == 1 else 10
            into = channels // options.get("g", 1)
            layers.append(conv(rng, name, plain[0], into, out) | sliding)
            channels = out
        elif name.startswith("pool"):
            layers.append({"type": "pool", "name": name, "method": "max", "pool": [plain[0]] * 2})
            layers[-1] |= sliding
        elif name.startswith("norm"):
            layers.append({"type": "normalize", "name": name, "param": NORM[network]})
        else:
            kind = "softmax" if name == "prob" else "relu"
            layers.append({"type": kind, "name": name})
    return layers


def conv(rng: np.random.Generator, name: str, side: int, into: int, out: int) -> Layer:
    """A convolution that keeps the size of what passes."""
    scale = np.sqrt(2 / (side * side * into))
    filters = rng.normal(scale=scale, size=(side, side, into, out)).astype(np.float32)
    biases = rng.normal(scale=0.1, size=(1, out)).astype(np.float32)
    return {"type": "conv", "name": name, "weights": [filters, biases]}


def meta(side: int | None, classes: int = 0, mean: Sequence[float] = MEAN) -> dict[str, Any]:
    """`net.meta`: a mean colour, an input size where there is one, and classes."""
    normalization: dict[str, Any] = {
        "averageImage": np.array(mean, np.float32).reshape(1, 1, -1),
        "border": [0, 0],
        "interpolation": "bicubic",
    }
    if side is not None:
        normalization["imageSize"] = [side, side, len(mean)]
    described: dict[str, Any] = {"normalization": normalization}
    if classes:
        described["classes"] = {
            "name": [f"n{i:08d}" for i in range(classes)],
            "description": [f"thing {i}, thingummy" for i in range(classes)],
        }
    return described


def simplenn(layers: Sequence[Layer], described: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a new `simplenn` file."""
    return {"layers": [dict(layer) for layer in layers], "meta": dict(described)}


def old_simplenn(layers: Sequence[Layer], described: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of an old one: `filters` and `biases`; no `meta` around the rest."""
    old = []
    for layer in layers:
        fields = {key: value for key, value in layer.items() if key != "weights"}
        if layer["type"] == "conv":
            fields |= {"filters": layer["weights"][0], "biases": layer["weights"][1]}
        old.append(fields)
    return {"layers": old, **described}


_DAG_TYPES = {
    "conv": "Conv",
    "relu": "ReLU",
    "pool": "Pooling",
    "normalize": "LRN",
    "bnorm": "BatchNorm",
    "softmax": "SoftMax",
    "dropout": "DropOut",
    "concat": "Concat",
    "sum": "Sum",
    "loss": "Loss",
}


def dagnn(layers: Sequence[Layer], described: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a `DagNN` file; `inputs` are names of layers, by default the one before."""
    records, params, variables = [], [], ["input"]
    before = "input"
    for layer in layers:
        names = []
        for i, values in enumerate(layer.get("weights", [])):
            names.append(f"{layer['name']}_{'fbm'[i]}")
            params.append({"name": names[-1], "value": values, "learningRate": 1.0})
        block = {k: v for k, v in layer.items() if k not in ("type", "name", "weights", "inputs")}
        if layer["type"] == "pool":
            block["poolSize"] = block.pop("pool")
        if layer["type"] == "conv":
            block["size"] = list((*layer["weights"][0].shape, 1)[:4])
            block["hasBias"] = len(names) == 2
        records.append(
            {
                "name": layer["name"],
                "type": f"dagnn.{_DAG_TYPES[layer['type']]}",
                "inputs": [f"x_{i}" if i != "input" else i for i in layer.get("inputs", [before])],
                "outputs": [f"x_{layer['name']}"],
                "params": names,
                "block": block,
            }
        )
        variables.append(f"x_{layer['name']}")
        before = layer["name"]
    return {
        "vars": Structs([{"name": name, "precious": False} for name in variables]),
        "params": Structs(params),
        "layers": Structs(records),
        "meta": dict(described),
    }


class Structs(list[dict[str, Any]]):
    """A struct array; a plain list is a cell array."""


def save_v5(path: Path, variables: Mapping[str, Any], compress: bool = True) -> Path:
    """Written by SciPy, as MATLAB's `save -v7` (deflated) or `-v6`."""
    values = {name: _for_scipy(value) for name, value in variables.items()}
    scipy.io.savemat(path, values, do_compression=compress)
    return path


def _for_scipy(value: Any) -> Any:
    if isinstance(value, Structs):
        names = list(value[0])
        array = np.empty((1, len(value)), dtype=[(name, object) for name in names])
        for i, record in enumerate(value):
            for name in names:
                array[0, i][name] = _for_scipy(record[name])
        return array
    if isinstance(value, dict):
        return {name: _for_scipy(each) for name, each in value.items()}
    if isinstance(value, list) and any(isinstance(each, (str, dict, np.ndarray)) for each in value):
        cell = np.empty((1, len(value)), dtype=object)
        for i, each in enumerate(value):
            cell[0, i] = _for_scipy(each)
        return cell
    return np.zeros((1, 0), object) if isinstance(value, list) and not value else value


def save_v73(path: Path, variables: Mapping[str, Any]) -> Path:
    """Written with h5py as MATLAB's `save -v7.3` does: reversed axes, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        writer = _Writer(file)
        for name, value in variables.items():
            writer.put(file, name, value)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
        stream.write(bytes(8) + b"\x00\x02IM")
    return path


class _Writer:
    def __init__(self, file: h5py.File) -> None:
        self.refs = file.create_group("#refs#")
        self.number = 0

    def put(self, group: h5py.Group, name: str, value: Any) -> None:
        if isinstance(value, Structs):
            self._structs(group.create_group(name), value)
        elif isinstance(value, dict):
            made = group.create_group(name)
            made.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, each in value.items():
                self.put(made, key, each)
        elif isinstance(value, list) and (
            not value or any(isinstance(each, (str, dict, np.ndarray)) for each in value)
        ):
            self._cell(group, name, value)
        else:
            self._numbers(group, name, value)

    def _structs(self, group: h5py.Group, records: Structs) -> None:
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        # MATLAB writes the fields of a single struct as they are, and of several as references.
        if len(records) == 1:
            for key, each in records[0].items():
                self.put(group, key, each)
            return
        for key in records[0]:
            references = [self._refer(record[key]) for record in records]
            group.create_dataset(key, data=np.array(references)[:, None], dtype=h5py.ref_dtype)

    def _cell(self, group: h5py.Group, name: str, values: list[Any]) -> None:
        if not values:
            made = group.create_dataset(name, data=np.array([0, 0], np.uint64))
            made.attrs["MATLAB_empty"] = np.uint8(1)
        else:
            references = np.array([self._refer(each) for each in values])[:, None]
            made = group.create_dataset(name, data=references, dtype=h5py.ref_dtype)
        made.attrs["MATLAB_class"] = np.bytes_("cell")

    def _numbers(self, group: h5py.Group, name: str, value: Any) -> None:
        kind = "char" if isinstance(value, str) else "double"
        if isinstance(value, str):
            array = np.frombuffer(value.encode("utf-16-le"), np.uint16)[None]
        else:
            array = np.atleast_2d(np.asarray(value))
            kind = {"f4": "single", "b1": "logical"}.get(array.dtype.str[1:], kind)
            array = array.astype(np.uint8) if kind == "logical" else array
            # MATLAB has no axes of length 1 behind the second.
            while array.ndim > 2 and array.shape[-1] == 1:
                array = array[..., 0]
        chunks = {"compression": "gzip"} if array.size > 1000 else {}
        made = group.create_dataset(name, data=array.T, **chunks)
        made.attrs["MATLAB_class"] = np.bytes_(kind)

    def _refer(self, value: Any) -> h5py.Reference:
        self.number += 1
        name = f"r{self.number}"
        self.put(self.refs, name, value)
        return self.refs[name].ref


WRAPPERS = {"simplenn": simplenn, "old simplenn": old_simplenn, "dagnn": dagnn}
VERSIONS = {"5": save_v5, "7.3": save_v73}
