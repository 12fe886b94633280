"""The training device: chosen only here and passed on as an argument. Needs torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from firstday.config import DeviceName
from firstday.errors import ConfigError
from firstday.features.encoder import FeatureRows

SHARE_OF_MEMORY = 0.5
"""Share of a device's free memory that features may use; larger features are copied batch by batch."""


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
            f"device: is {name!r}, but torch {torch.__version__} finds none on this machine, only "
            f"{', '.join(present)}; set device to auto or to one of these."
        )
    if threads:
        torch.set_num_threads(threads)
    if chosen == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
    return torch.device(chosen)


@contextmanager
def same_result(device: torch.device) -> Iterator[None]:
    """Restrict torch to deterministic CUDA algorithms; on the CPU all are."""
    before = torch.are_deterministic_algorithms_enabled()
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generator within the context, and restore it afterwards (not on mps)."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def hold_rows(features: FeatureRows, device: torch.device) -> Callable[[np.ndarray], torch.Tensor]:
    """Return a function from row indexes to features on the device, float32, shape (n_rows, n_inputs).

    Features in memory are copied to the device once, if they fit.
    """
    if features.held is None or not _fits(features.held.nbytes, device):
        return lambda rows: torch.from_numpy(features.take(rows)).to(device)
    held = torch.from_numpy(features.held).to(device)  # shares memory on the CPU
    return lambda rows: held[torch.from_numpy(rows).to(device)]


def _fits(n_bytes: int, device: torch.device) -> bool:
    """Whether a device has enough memory for the given number of bytes."""
    if device.type == "cuda":
        return n_bytes <= SHARE_OF_MEMORY * torch.cuda.mem_get_info()[0]
    if device.type == "mps":
        return n_bytes <= SHARE_OF_MEMORY * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return True


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor from its device to the host."""
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
