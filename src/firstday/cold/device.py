"""The training device, which is chosen here and passed as an argument. Needs torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from firstday.config import DeviceName
from firstday.errors import ConfigError


def choose_device(name: DeviceName, threads: int = 0) -> torch.device:
    """Return the device and configure torch for it; ``auto`` is the first available of cuda, mps and cpu.

    `threads` is the number of CPU threads; 0: torch's default.
    """
    availability = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [kind for kind, is_available in availability.items() if is_available]
    device_name = available[0] if name == "auto" else name
    if device_name not in available:
        raise ConfigError(
            f"device: {name!r} is not available on this machine with torch {torch.__version__}; set it to auto or "
            f"{' or '.join(available)}."
        )
    if threads:
        torch.set_num_threads(threads)
    if device_name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
    return torch.device(device_name)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators and use deterministic algorithms on CUDA; at exit, restore all but mps's seed."""
    is_cuda = device.type == "cuda"
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if is_cuda else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(was_deterministic or is_cuda)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was_deterministic)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array on the host; the array of a CPU tensor shares its memory."""
    return tensor.detach().cpu().numpy()
