"""The machine that measurements were made on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

CPUINFO = Path("/proc/cpuinfo")


def machine(device: str = "cpu") -> dict[str, Any]:
    """What times depend on: processor, threads, platform, and the GPU if one was used.

    Args:
        device: where was computed.

    Example:
        >>> sorted(machine())
        ['cpu', 'gpu', 'platform', 'threads']
    """
    return {
        "cpu": _processor(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "gpu": None if device == "cpu" else torch.cuda.get_device_name(device),
    }


def _processor() -> str:
    """Its name as the system has it; only Linux keeps it in a file."""
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
