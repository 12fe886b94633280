"""Models that several processes of pytest-xdist share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from firstday.recommend.recommender import Recommender


def train_once(name: str, factory: pytest.TempPathFactory, train: Callable[[], Recommender]) -> Path:
    """Train and save a model in whichever process of pytest-xdist comes first; return its folder in all of them."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which the processes share
    with FileLock(folder / f"{name}.lock"):
        if not (folder / name).exists():
            train().save(folder / name)
    return folder / name
