"""The training device: chosen only here and passed on as an argument. Needs torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from firstday.config import DeviceName
from firstday.errors import ConfigError


def choose_device(name: DeviceName, threads: int = 0) -> torch.device:
    """Return the named device, and configure torch for it; `threads` 0 keeps torch's default.

    ``auto`` is the first available of cuda, mps, cpu.

    Raises
    ------
    ConfigError
        The device is not available.
    """
    is_there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    present = [kind for kind, there in is_there.items() if there]
    chosen = present[0] if name == "auto" else name
    if chosen not in present:
        raise ConfigError(
            f"device: {name!r} is not available on this machine with torch {torch.__version__}; set it to auto or "
            f"{' or '.join(present)}."
        )
    if threads:
        torch.set_num_threads(threads)
    if chosen == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
    return torch.device(chosen)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generator and restrict CUDA to deterministic algorithms; restore both (not on mps)."""
    is_cuda, before = device.type == "cuda", torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if is_cuda else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(before or is_cuda)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor from its device to the host."""
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
