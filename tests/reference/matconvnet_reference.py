"""MatConvNet's layers in NumPy, from its manual; nothing of the package is used here.

Maps are ``[height, width, channels]`` in float64, filters ``[height, width, channels, number]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def evaluate(layers: Sequence[Mapping[str, Any]], image: np.ndarray) -> dict[str, np.ndarray]:
    """Output of every layer; `inputs` are names of layers, by default the one before."""
    made = {"input": image.astype(np.float64)}
    before = "input"
    for layer in layers:
        inputs = [made[name] for name in layer.get("inputs", [before])]
        made[layer["name"]] = LAYERS[layer["type"]](layer, *inputs)
        before = layer["name"]
    del made["input"]
    return made


def _four(layer: Mapping[str, Any]) -> list[int]:
    pad = np.atleast_1d(layer.get("pad", 0)).ravel()
    return [int(pad[0])] * 4 if len(pad) == 1 else [int(each) for each in pad]


def _two(layer: Mapping[str, Any], name: str) -> tuple[int, int]:
    values = np.atleast_1d(layer.get(name, 1)).ravel()
    return int(values[0]), int(values[-1])


def _windows(
    x: np.ndarray, size: tuple[int, int], stride: tuple[int, int], dilate: tuple[int, int]
) -> np.ndarray:
    """``[out height, out width, size height, size width, channels]``."""
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilate, strict=True)]
    rows, columns = ((x.shape[a] - reach[a]) // stride[a] + 1 for a in (0, 1))
    out = np.empty((rows, columns, *size, x.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            top, left = i * dilate[0], j * dilate[1]
            out[:, :, i, j] = x[
                top : top + rows * stride[0] : stride[0],
                left : left + columns * stride[1] : stride[1],
            ][:rows, :columns]
    return out


def _padded(x: np.ndarray, pad: Sequence[int], value: float) -> np.ndarray:
    return np.pad(x, ((pad[0], pad[1]), (pad[2], pad[3]), (0, 0)), constant_values=value)


def _conv(layer: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    filters = np.asarray(layer["weights"][0], np.float64)
    filters = filters.reshape((*filters.shape, 1, 1)[:4])
    size, into = filters.shape[:2], filters.shape[2]
    groups = x.shape[2] // into
    share = filters.shape[3] // groups
    parts = []
    for g in range(groups):
        part = _padded(x[:, :, g * into : (g + 1) * into], _four(layer), 0.0)
        windows = _windows(part, size, _two(layer, "stride"), _two(layer, "dilate"))
        bank = filters[..., g * share : (g + 1) * share]
        flat = windows.reshape(*windows.shape[:2], -1) @ bank.reshape(-1, share)
        parts.append(flat)
    y = np.concatenate(parts, axis=2)
    biases = layer["weights"][1:2]
    return y + np.asarray(biases[0], np.float64).ravel() if biases else y


def _pool(layer: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    size, stride, pad = _two(layer, "pool"), _two(layer, "stride"), _four(layer)
    rows = (x.shape[0] + pad[0] + pad[1] - size[0]) // stride[0] + 1
    columns = (x.shape[1] + pad[2] + pad[3] - size[1]) // stride[1] + 1
    y = np.empty((rows, columns, x.shape[2]))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride[0] - pad[0], j * stride[1] - pad[2]
            seen = x[max(top, 0) : top + size[0], max(left, 0) : left + size[1]]
            pooled = seen.max(axis=(0, 1)) if layer["method"] == "max" else seen.mean(axis=(0, 1))
            y[i, j] = pooled
    return y


def _normalize(layer: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    size, kappa, alpha, beta = layer["param"]
    size, channels = int(size), x.shape[2]
    y = np.empty_like(x)
    for k in range(channels):
        first = max(k - (size - 1) // 2, 0)
        last = min(k + -(-(size - 1) // 2), channels - 1)
        total = (x[:, :, first : last + 1] ** 2).sum(axis=2)
        y[:, :, k] = x[:, :, k] / (kappa + alpha * total) ** beta
    return y


def _bnorm(layer: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    multipliers, biases, moments = (np.asarray(w, np.float64) for w in layer["weights"])
    return multipliers.ravel() * (x - moments[:, 0]) / moments[:, 1] + biases.ravel()


def _softmax(_: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(axis=2, keepdims=True))
    return raised / raised.sum(axis=2, keepdims=True)


def _relu(layer: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, layer.get("leak", 0.0) * x)


LAYERS = {
    "conv": _conv,
    "relu": _relu,
    "pool": _pool,
    "normalize": _normalize,
    "bnorm": _bnorm,
    "softmax": _softmax,
    "sigmoid": lambda _, x: 1 / (1 + np.exp(-x)),
    "dropout": lambda _, x: x,
    "concat": lambda _, *maps: np.concatenate(maps, axis=2),
    "sum": lambda _, *maps: np.sum(maps, axis=0),
}
