"""Reader of MatConvNet's networks: ``simplenn`` and ``DagNN`` files, old and new.

A file becomes a list of layers in the order in which they run, their tensors in PyTorch's order,
and what it says about images and classes. :mod:`preimage.models.graph` makes a module of it.

Source: MatConvNet, *MatConvNet: convolutional neural networks for MATLAB* (Vedaldi & Lenc, 2015),
and the fields of the files on its site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from preimage.errors import PreimageError, counted, one_line
from preimage.weights.matlab import MatlabValue, read_matlab

Struct = Mapping[str, MatlabValue]

# Larger strides, pads and windows than any image; real ones are below a hundred.
MAX_SIDE = 4096
MAX_LAYERS = 10_000
MAX_CHANNELS = 100_000


@dataclass(frozen=True)
class LayerRecord:
    """One layer of a network from a file.

    Attributes:
        name: the file's name of it, fit to name a module.
        kind: `conv`, `relu`, `pool`, `lrn`, `bnorm`, `dropout`, `softmax`, `sigmoid`, `concat` or
            `sum`.
        inputs: names of the layers whose outputs it takes; None is the image.
        options: numbers and words by which it is built; what JSON can hold.
    """

    name: str
    kind: str
    inputs: tuple[str | None, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class NetworkFile:
    """A network as its file describes it.

    Attributes:
        layers: in the order in which they run.
        tensors: weights by `LAYER.weight` and so on, in PyTorch's order.
        channels: of the image.
        input_size: side of the square image, or None if the file names none.
        mean: colour that is subtracted, 0-255, one number for each channel.
        std: what a channel is divided by after that, in units of 0-255.
        labels: names of the classes, or none.
        warnings: what a person should know of.
    """

    layers: tuple[LayerRecord, ...]
    tensors: Mapping[str, Tensor]
    channels: int
    input_size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _WrongError(Exception):
    """What does not fit, in words; the path is put before it."""


def read_matconvnet(path: Path) -> NetworkFile:
    """Reads a network that MatConvNet saved.

    Args:
        path: a MATLAB file that holds a ``simplenn`` struct (``layers`` is a cell array) or a
            ``DagNN`` struct (``layers``, ``params`` and ``vars``), either as its variables or in
            one variable, such as ``net``.

    Raises:
        PreimageError: the file is no such file or damaged, a layer's type is not known (it is
            named), or weights do not fit their layer.
    """
    variables = read_matlab(path)
    try:
        net = _network(variables)
        return (_dagnn if _is_dagnn(net) else _simplenn)(net)
    except _WrongError as error:
        raise PreimageError(f"{path}: {error}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise PreimageError(
            f"{path}: expected a MatConvNet network, got fields that make none ({one_line(error)})"
        ) from error


def _network(variables: Struct) -> Struct:
    candidates = [variables.get("net"), variables, *variables.values()]
    for value in candidates:
        if isinstance(value, Mapping) and "layers" in value:
            return value
    if "net" in variables and variables["net"] is None:
        raise _WrongError(
            "net is a MATLAB object; save it as a struct first: net = net.saveobj(); "
            "save('net.mat', '-struct', 'net')"
        )
    names = ", ".join(one_line(name, 30) for name in list(variables)[:5]) or "nothing"
    raise _WrongError(f"expected a MatConvNet network with layers, got variables {names}")


def _is_dagnn(net: Struct) -> bool:
    layers = _structs(net["layers"], "layers")
    return bool(layers) and "block" in layers[0]


def _structs(value: MatlabValue, what: str) -> list[Struct]:
    """A cell of structs, a struct array or a single struct as a list of structs."""
    items = value if isinstance(value, list) else [value]
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    structs: list[Struct] = [item for item in items if isinstance(item, Mapping)]
    if len(structs) != len(items):
        raise _WrongError(f"expected {what} to be structs, got something else")
    if len(structs) > MAX_LAYERS:
        raise _WrongError(f"expected at most {MAX_LAYERS} {what}, got {len(structs)}")
    return structs


# From one layer's fields to its options and tensors.


@dataclass
class _Layer:
    """One layer of the file, before its inputs' channels are known."""

    name: str
    kind: str
    fields: Struct
    weights: list[np.ndarray]
    inputs: tuple[str | None, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def wrong(self, words: str) -> _WrongError:
        return _WrongError(f"layer {self.name}: {words}")

    def numbers(self, name: str, default: Sequence[float]) -> list[float]:
        value = self.fields.get(name)
        if value is None or _is_empty(value):
            return list(default)
        if not isinstance(value, np.ndarray) or value.size > 16:
            raise self.wrong(f"expected {name} to be a few numbers")
        return [float(number) for number in value.ravel(order="F")]

    def whole(self, name: str, default: Sequence[int], least: int) -> list[int]:
        numbers = self.numbers(name, default)
        if not all(least <= n <= MAX_SIDE and n == int(n) for n in numbers):
            raise self.wrong(
                f"expected {name} in whole numbers from {least} to {MAX_SIDE}, got {numbers}"
            )
        return [int(n) for n in numbers]

    def pair(self, name: str, default: int) -> list[int]:
        """Rows and columns."""
        numbers = self.whole(name, [default], 1)
        if len(numbers) not in (1, 2):
            raise self.wrong(f"expected {name} as one or two numbers, got {len(numbers)}")
        return [numbers[0], numbers[-1]]

    def padding(self) -> list[int]:
        """Top, bottom, left, right."""
        numbers = self.whole("pad", [0], 0)
        if len(numbers) not in (1, 2, 4):
            raise self.wrong(f"expected pad as one, two or four numbers, got {len(numbers)}")
        spread = {1: (0, 0, 0, 0), 2: (0, 0, 1, 1), 4: (0, 1, 2, 3)}[len(numbers)]
        return [numbers[i] for i in spread]

    def vector(self, index: int, length: int, what: str) -> np.ndarray:
        values = self.weights[index]
        if values.size != length:
            raise self.wrong(
                f"expected {length} {what}, got weights of shape {_shown(values.shape)}"
            )
        return values.ravel(order="F")


def _conv(layer: _Layer, channels: int) -> int:
    filters, biases = layer.weights[:1], layer.weights[1:2]
    if not filters or not 1 <= filters[0].ndim <= 4 or filters[0].size == 0:
        raise layer.wrong("expected filters [height, width, channels, number], got none")
    # MATLAB drops sides of 1 at the end.
    height, width, into, out = (*filters[0].shape, 1, 1, 1)[:4]
    bank = filters[0].reshape(height, width, into, out)
    declared = layer.numbers("size", ())
    if any(declared) and declared != list(bank.shape)[: len(declared)]:
        raise layer.wrong(
            f"expected filters of shape {'x'.join(f'{side:g}' for side in declared)}, got "
            f"{_shown(bank.shape)}; architecture and weights do not belong together"
        )
    groups = channels // into
    if groups * into != channels or out % groups:
        raise layer.wrong(
            f"filters of shape {_shown(bank.shape)} do not fit {counted(channels, 'channel')}: "
            f"expected a third number that divides {channels}, and groups that divide {out}"
        )
    biased = bool(biases and biases[0].size)
    layer.options = {
        "in_channels": channels,
        "out_channels": out,
        "kernel": [height, width],
        "stride": layer.pair("stride", 1),
        "padding": layer.padding(),
        "dilation": layer.pair("dilate", 1),
        "groups": groups,
        "bias": biased,
    }
    # Filters are correlated with the image in MatConvNet as in PyTorch: nothing is flipped.
    layer.tensors["weight"] = bank.transpose(3, 2, 0, 1)
    if biased:
        layer.tensors["bias"] = layer.vector(1, out, "biases, one for each filter")
    return int(out)


def _relu(layer: _Layer, channels: int) -> int:
    layer.options = {"leak": layer.numbers("leak", [0.0])[0]}
    return channels


def _pool(layer: _Layer, channels: int) -> int:
    method = layer.fields.get("method")
    if method is None or _is_empty(method):
        method = "max"
    if not isinstance(method, str) or method not in ("max", "avg"):
        raise layer.wrong(f"expected pooling by max or avg, got {one_line(method, 30)}")
    window = "poolSize" if "poolSize" in layer.fields else "pool"
    kernel, padding = layer.pair(window, 1), layer.padding()
    if max(padding[:2]) >= kernel[0] or max(padding[2:]) >= kernel[1]:
        raise layer.wrong(f"expected less padding than the window of {_shown(kernel)}")
    layer.options = {
        "method": method,
        "kernel": kernel,
        "stride": layer.pair("stride", 1),
        "padding": padding,
    }
    return channels


def _lrn(layer: _Layer, channels: int) -> int:
    numbers = layer.numbers("param", [5, 1, 0.0001 / 5, 0.75])
    if len(numbers) != 4 or not (numbers[0] >= 1 and numbers[0] == int(numbers[0])):
        raise layer.wrong(f"expected param as [N kappa alpha beta], got {numbers}")
    size, kappa, alpha, beta = numbers
    # A wider window than twice the channels sums the same ones.
    layer.options = {
        "size": min(int(size), 2 * channels),
        "kappa": kappa,
        "alpha": alpha,
        "beta": beta,
    }
    return channels


def _bnorm(layer: _Layer, channels: int) -> int:
    if len(layer.weights) < 3:
        raise layer.wrong("expected multipliers, biases and moments; moments are missing")
    moments = layer.weights[2]
    if moments.shape != (channels, 2):
        raise layer.wrong(
            f"expected moments of shape {channels}x2 (mean, standard deviation), got "
            f"{_shown(moments.shape)}"
        )
    sigma = moments[:, 1].astype(np.float64)
    if not (sigma > 0).all():
        raise layer.wrong("expected standard deviations above 0")
    layer.options = {"channels": channels}
    layer.tensors |= {
        "weight": layer.vector(0, channels, "multipliers"),
        "bias": layer.vector(1, channels, "biases"),
        "running_mean": moments[:, 0],
        "running_var": sigma**2,
    }
    return channels


def _plain(layer: _Layer, channels: int) -> int:
    return channels


def _concat(layer: _Layer, channels: int) -> int:
    if (dim := layer.whole("dim", [3], 1)) != [3]:
        raise layer.wrong(f"expected concatenation of channels (dimension 3), got {dim}")
    return channels


Parse = Callable[[_Layer, int], int]
"""Fills in a layer's options and tensors from the channels it gets; gives those it makes."""

KINDS: dict[str, tuple[str, Parse]] = {
    "conv": ("conv", _conv),
    "relu": ("relu", _relu),
    "pool": ("pool", _pool),
    "normalize": ("lrn", _lrn),
    "lrn": ("lrn", _lrn),
    "bnorm": ("bnorm", _bnorm),
    "dropout": ("dropout", _plain),
    "softmax": ("softmax", _plain),
    "sigmoid": ("sigmoid", _plain),
    "dagnn.Conv": ("conv", _conv),
    "dagnn.ReLU": ("relu", _relu),
    "dagnn.Pooling": ("pool", _pool),
    "dagnn.LRN": ("lrn", _lrn),
    "dagnn.BatchNorm": ("bnorm", _bnorm),
    "dagnn.DropOut": ("dropout", _plain),
    "dagnn.SoftMax": ("softmax", _plain),
    "dagnn.Sigmoid": ("sigmoid", _plain),
    "dagnn.Concat": ("concat", _concat),
    "dagnn.Sum": ("sum", _plain),
}
"""MatConvNet's name of a layer's type: ours, and how its fields are read."""

LOSSES = ("loss", "softmaxloss", "dagnn.Loss")
"""Layers that only training needs; left out."""


def _typed(layer: Struct, name: str) -> str:
    kind = layer.get("type")
    if not isinstance(kind, str) or (kind not in KINDS and kind not in LOSSES):
        shown = one_line(kind, 40) if isinstance(kind, str) else "none"
        known = ", ".join(sorted(each for each in KINDS if not each.startswith("dagnn.")))
        raise _WrongError(f"layer {name}: unknown type {shown}; known: {known}, concat, sum")
    return kind


# The two ways in which a file joins its layers.


def _simplenn(net: Struct) -> NetworkFile:
    layers: list[_Layer] = []
    names = _Names()
    structs = _structs(net["layers"], "layers")
    for number, struct in enumerate(structs, start=1):
        name = names.fit(struct.get("name"), f"layer{number}")
        kind = _typed(struct, name)
        if kind in LOSSES:
            if number != len(structs):
                raise _WrongError(f"layer {name}: expected a loss at the end, got one before it")
            continue
        weights = _arrays(struct.get("weights"), name) or _arrays(
            [struct.get("filters"), struct.get("biases")], name
        )
        before = layers[-1].name if layers else None
        layers.append(_Layer(name, kind, struct, weights, (before,)))
    return _finish(net, layers)


def _dagnn(net: Struct) -> NetworkFile:
    params = {
        each.get("name"): each.get("value") for each in _structs(net.get("params", []), "params")
    }
    names = _Names()
    layers, made_by, wanted = [], {}, {}
    for number, struct in enumerate(_structs(net["layers"], "layers"), start=1):
        name = names.fit(struct.get("name"), f"layer{number}")
        kind = _typed(struct, name)
        if kind in LOSSES:
            continue
        fields = struct.get("block")
        layer = _Layer(name, kind, fields if isinstance(fields, Mapping) else {}, [])
        for param in _texts(struct.get("params")):
            if params.get(param) is None:
                raise layer.wrong(f"its weights {one_line(param, 40)} are not in the file")
            layer.weights += _arrays([params[param]], name)
        outputs = _texts(struct.get("outputs"))
        if len(outputs) != 1 or outputs[0] in made_by:
            raise layer.wrong("expected one output of its own")
        made_by[outputs[0]] = name
        wanted[name] = _texts(struct.get("inputs"))
        layers.append(layer)
    images = {each for inputs in wanted.values() for each in inputs if each not in made_by}
    if len(images) != 1:
        shown = ", ".join(one_line(each, 30) for each in sorted(images)[:5]) or "none"
        raise _WrongError(f"expected a network with one input, the image; got {shown}")
    for layer in layers:
        layer.inputs = tuple(made_by.get(each) for each in wanted[layer.name])
    return _finish(net, _in_order(layers))


def _in_order(layers: list[_Layer]) -> list[_Layer]:
    """Every layer behind those whose outputs it takes; as in the file where that is free."""
    ordered: list[_Layer] = []
    done: set[str | None] = {None}
    waiting = layers
    while waiting:
        ready = [layer for layer in waiting if all(each in done for each in layer.inputs)]
        if not ready:
            raise _WrongError(f"layer {waiting[0].name}: its input depends on its own output")
        # The first alone, so that the file's order is kept as far as it can be.
        ordered.append(ready[0])
        done.add(ready[0].name)
        waiting = [layer for layer in waiting if layer is not ready[0]]
    return ordered


class _Names:
    """Names of layers, each once and fit to name a module."""

    def __init__(self) -> None:
        # Attributes of a module can't be names of its children.
        self.taken = {*dir(nn.Sequential()), "sources"}

    def fit(self, name: MatlabValue, otherwise: str) -> str:
        base = one_line(name, 80).replace(".", "_") if isinstance(name, str) and name else otherwise
        fitting, number = base, 2
        while fitting in self.taken:
            fitting, number = f"{base}_{number}", number + 1
        self.taken.add(fitting)
        return fitting


def _texts(value: MatlabValue) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item]


def _arrays(value: MatlabValue, name: str) -> list[np.ndarray]:
    """Weights as finite numbers; empty ones at the end are left out."""
    items = value if isinstance(value, list) else [value]
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    for array in arrays:
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise _WrongError(f"layer {name}: weights that are NaN or infinite")
    while arrays and arrays[-1].size == 0:
        arrays.pop()
    return arrays


# What the whole network says.


def _finish(net: Struct, layers: list[_Layer]) -> NetworkFile:
    if not layers:
        raise _WrongError("expected a network with layers, got none")
    meta = _mapping(net.get("meta"))
    normalization = _mapping(meta.get("normalization")) or _mapping(net.get("normalization"))
    average = _array(normalization.get("averageImage"))
    size = _array(normalization.get("imageSize"))
    size = size if size.size else _array(meta.get("inputSize"))
    channels = _channels(layers, size, average)
    _fill(layers, channels)
    mean = _colour(average, channels, "averageImage")
    std = _colour(_array(normalization.get("imageStd")), channels, "imageStd")
    if 0.0 in std:
        raise _WrongError("expected imageStd in numbers other than 0, because images are divided")
    warnings = []
    if not average.size:
        warnings.append("the file names no mean colour: none is subtracted; --mean gives one")
    if not normalization:
        warnings.append(
            "the file does not say on which scale images are: 0-255 is taken; for 0-1 (as "
            "denoising networks have) give --std 255"
        )
    side = _side(size, average)
    if side is None and size.size >= 2 and size.ravel()[:2].min() > 1:
        shown = "x".join(f"{each:g}" for each in size.ravel()[:2])
        warnings.append(f"its images are {shown}, not square: squares of any size are taken")
    tensors = {
        f"{layer.name}.{key}": torch.from_numpy(np.require(value, np.float32, ["C", "W"]))
        for layer in layers
        for key, value in layer.tensors.items()
    }
    classes = _mapping(meta.get("classes")) or _mapping(net.get("classes"))
    return NetworkFile(
        layers=tuple(
            LayerRecord(each.name, KINDS[each.kind][0], each.inputs, each.options)
            for each in layers
        ),
        tensors=tensors,
        channels=channels,
        input_size=side,
        mean=mean if mean else (0.0,) * channels,
        std=std if std else (1.0,) * channels,
        labels=tuple(
            one_line(text.split(",")[0], 80)
            for text in _texts(classes.get("description")) or _texts(classes.get("name"))
        ),
        warnings=tuple(warnings),
    )


def _fill(layers: Iterable[_Layer], channels: int) -> None:
    made: dict[str | None, int] = {None: channels}
    for layer in layers:
        kind, parse = KINDS[layer.kind]
        given = [made[each] for each in layer.inputs]
        if kind == "concat":
            total = sum(given)
        elif len(set(given)) == 1 and (kind == "sum" or len(given) == 1):
            total = given[0]
        else:
            raise layer.wrong(f"expected inputs with the same channels, got {given}")
        if total > MAX_CHANNELS:
            raise layer.wrong(f"expected at most {MAX_CHANNELS} channels, got {total}")
        made[layer.name] = parse(layer, total)


def _channels(layers: Sequence[_Layer], size: np.ndarray, average: np.ndarray) -> int:
    """Of the image: as the file says, or as the first filters take."""
    filters = next((e.weights[0] for e in layers if KINDS[e.kind][0] == "conv" and e.weights), None)
    taken = 1 if filters is None or filters.ndim < 3 else filters.shape[2]
    if size.size >= 3 and np.isfinite(size.ravel()[2]):
        said = int(size.ravel()[2])
    elif average.ndim == 3:
        said = average.shape[2]
    else:
        said = taken
    return said if 1 <= said <= MAX_CHANNELS else taken


def _side(size: np.ndarray, average: np.ndarray) -> int | None:
    """Side of the square image; None where the file names none, or one that is not square."""
    sides = size.ravel()[:2] if size.size >= 2 else np.array(average.shape[:2])
    if len(sides) < 2 or sides[0] != sides[1] or not 1 < sides[0] <= MAX_SIDE:
        return None
    return int(sides[0])


def _colour(values: np.ndarray, channels: int, what: str) -> tuple[float, ...]:
    """One number for each channel: of an average image its mean colour."""
    if values.size == 0:
        return ()
    if values.ndim == 3 and values.shape[2] == channels:
        values = values.astype(np.float64).mean(axis=(0, 1))
    elif channels == 1 or values.size == 1:
        values = np.full(channels, values.astype(np.float64).mean())
    if values.size != channels or not np.isfinite(values).all():
        raise _WrongError(
            f"expected {what} for {counted(channels, 'channel')}, got shape {_shown(values.shape)}"
        )
    return tuple(float(value) for value in values.ravel())


def _mapping(value: MatlabValue) -> Struct:
    return value if isinstance(value, Mapping) else {}


def _is_empty(value: MatlabValue) -> bool:
    """Whether a value is MATLAB's [], '' or {}."""
    return value.size == 0 if isinstance(value, np.ndarray) else value in ("", [])


def _array(value: MatlabValue) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else np.zeros(0)


def _shown(shape: Iterable[int]) -> str:
    return "x".join(str(side) for side in shape)
