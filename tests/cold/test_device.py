"""Networks are trained on one device: chosen in one place, the same model each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from firstday.cold.device import choose_device
from firstday.cold.train_cold_model import train_cold_model
from firstday.config import Config, DeviceName
from firstday.errors import ConfigError
from firstday.methods.direct import fit_ranker
from firstday.progress import no_progress
from tests.networks import network_bytes
from tests.obvious import CONFIG, make_data, no_opinion

PRESENT: list[DeviceName] = ["cpu"]
PRESENT += ["cuda"] if torch.cuda.is_available() else []
PRESENT += ["mps"] if torch.backends.mps.is_available() else []
ABSENT: list[DeviceName] = [name for name in ("cuda", "mps") if name not in PRESENT]


def fit_all(config: Config) -> dict[str, Any]:
    """Train every network on a few users; return its numbers."""
    data, _ = make_data(config, n=64)
    cold = train_cold_model(data.features, data.embeddings.user_vectors, data.validation_features, no_opinion, config)
    ranker = fit_ranker(data, no_opinion, no_progress)
    return {
        "cold_model": (network_bytes(cold), cold.history),
        "ranker": (network_bytes(ranker.body), ranker.history, ranker.weights.tobytes(), ranker.bias.tobytes()),
    }


def few(device: DeviceName = "cpu") -> Config:
    """Return settings that train little, and are judged after each pass."""
    ranker = {"hidden": (8,), "epochs": 2, "batch_size": 32, "schedule": "flat"}
    cold = {"cold_model.epochs": 2, "cold_model.schedule": "flat"}
    return CONFIG.override({**cold, "ranker": ranker, "device": device, "threads": 1})


def check_bytes(fit_all: Callable[[Config], dict[str, Any]], device: DeviceName) -> None:
    """Check that a function trains the same networks whatever was drawn before, and others with another seed.

    tests/cli/test_train.py has the same of two processes.
    """
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    here = fit_all(few(device))
    assert torch.equal(torch.rand(3), expected)  # the caller's random numbers are left alone
    assert not torch.are_deterministic_algorithms_enabled()
    assert fit_all(few(device)) == here
    other = fit_all(few(device).override("seed", CONFIG.seed + 1))
    assert not [name for name in here if other[name] == here[name]]


@pytest.mark.parametrize("device", PRESENT)
def test_one_seed_gives_the_same_bytes_on_one_device(device: DeviceName) -> None:
    check_bytes(fit_all, device)


def test_the_first_device_that_is_there_is_taken() -> None:
    order: tuple[DeviceName, ...] = ("cuda", "mps", "cpu")
    assert choose_device("auto").type == next(name for name in order if name in PRESENT)
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_there_is_refused_in_one_sentence(device: DeviceName) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(device)
    assert str(caught.value) == (
        f"device: '{device}' is not available on this machine with torch {torch.__version__}; set it to auto or "
        f"{' or '.join(PRESENT)}."
    )
