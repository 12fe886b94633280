"""Networks are trained on one device: chosen in one place, the same model each time, nothing read back in a pass."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from firstday.baselines.dropoutnet import fit_dropoutnet
from firstday.baselines.melu import fit_melu
from firstday.baselines.train_mult_dae import train_autoencoder
from firstday.cold.device import choose_device, hold_rows
from firstday.cold.train_cold_model import train_cold_model
from firstday.cold.train_ranker import train_ranker
from firstday.cold.training_loop import run_epochs
from firstday.config import ColdModelConfig, Config, DeviceName, RankerConfig
from firstday.errors import ConfigError
from firstday.recommend.spec import UseData
from tests.networks import network_bytes
from tests.obvious import CONFIG, make_data, no_opinion

PRESENT: list[DeviceName] = ["cpu"]
PRESENT += ["cuda"] if torch.cuda.is_available() else []
PRESENT += ["mps"] if torch.backends.mps.is_available() else []
ABSENT: list[DeviceName] = [name for name in ("cuda", "mps") if name not in PRESENT]


def fit_all(config: Config) -> dict[str, Any]:
    """Train every network on a few users; return its numbers."""
    data, _ = make_data(config, n=64)
    small = ColdModelConfig(hidden=(16, 8), epochs=2, batch_size=32, schedule="flat")
    seeds: dict[str, Any] = {"seed": config.seed, "threads": config.threads, "device": config.device}
    cold = train_cold_model(
        data.features, data.embeddings.user_vectors, data.validation_features, no_opinion, small, **seeds
    )
    ranker = train_ranker(
        data.features,
        data.liked,
        data.uses,
        data.validation_features,
        lambda score, _items: float(score(np.arange(3)).mean()),
        RankerConfig(hidden=(8,), epochs=2, batch_size=32, schedule="flat"),
        **seeds,
    )
    training = UseData(data.uses, data.uses, **seeds)
    layers = train_autoencoder(data.uses, training, steps=1, width=4, dropout=0.5, weight_decay=0.01)
    melu = fit_melu(data, no_opinion)
    return {
        "cold_model": (network_bytes(cold), cold.history),
        "ranker": (network_bytes(ranker.body), ranker.history, ranker.weights.tobytes(), ranker.bias.tobytes()),
        "dropoutnet": network_bytes(fit_dropoutnet(data, no_opinion).network),
        "melu": (network_bytes(melu.body), melu.weights.tobytes(), melu.bias.tobytes(), melu.gram.tobytes()),
        "mult_dae": [layer.tobytes() for layer in layers],
    }


def few(device: DeviceName = "cpu") -> Config:
    """Return settings that train little, and are judged after each pass."""
    return CONFIG.override({"cold_model.epochs": 2, "cold_model.schedule": "flat", "device": device, "threads": 1})


class Reads(TorchFunctionMode):
    """Notes what is read from tensors on the host."""

    READERS = frozenset(
        {"item", "cpu", "numpy", "tolist", "__array__", "__float__", "__int__", "__bool__", "__index__"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self.READERS:
            self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


class Scalars(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes numbers that are read from tensors below the surface, and sizes that hang on a tensor's content."""

    READERS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.split(".")[0] in self.READERS:
            self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Watch each pass of any training, from its first batch until the network is judged: what was read in it."""
    seen: list[list[str]] = []

    def watched(
        network: Any, n_rows: int, n_users: int, batch_loss: Callable[[Any], Any], check: Any, *args: Any, **named: Any
    ) -> Any:
        watching: list[Any] = []

        def loss(rows: Any) -> Any:
            if not watching:
                watching.extend(mode.__enter__() for mode in (Reads(), Scalars()))  # type: ignore[no-untyped-call]
            return batch_loss(rows)

        def judge() -> float:
            for mode in reversed(watching):
                mode.__exit__(None, None, None)
            seen.append([name for mode in watching for name in mode.seen])
            watching.clear()
            return float(check())

        return run_epochs(network, n_rows, n_users, loss, judge, *args, **named)

    for module in ("cold.train_cold_model", "cold.train_ranker", "baselines.train_melu", "baselines.train_mult_dae"):
        monkeypatch.setattr(f"firstday.{module}.run_epochs", watched)
    monkeypatch.setattr("firstday.cold.training_loop.run_epochs", watched)  # which DropoutNet imports when it trains
    return seen


def digest(trained: dict[str, Any]) -> str:
    """Return a line for each network that differs where any of its numbers differs."""
    return " ".join(f"{name}={hashlib.sha256(repr(value).encode()).hexdigest()}" for name, value in trained.items())


PRINT_DIGEST = "from tests.cold.test_device import digest, few, fit_all; print(digest(fit_all(few({device!r}))))"


@pytest.mark.parametrize("device", PRESENT)
def test_one_device_gives_the_same_bytes_in_another_process_and_nothing_is_read_in_a_pass(
    device: DeviceName, passes: list[list[str]]
) -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    here = digest(fit_all(few(device)))
    assert torch.equal(torch.rand(3), expected)  # the caller's random numbers are left alone
    assert not torch.are_deterministic_algorithms_enabled()
    assert len(passes) >= 4 * 2 + 1
    assert passes == [[]] * len(passes)
    command = [sys.executable, "-c", PRINT_DIGEST.format(device=device)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == here
    other = digest(fit_all(few(device).override("seed", CONFIG.seed + 1)))
    assert not set(other.split()) & set(here.split())


def test_the_first_device_that_is_there_is_taken() -> None:
    order: tuple[DeviceName, ...] = ("cuda", "mps", "cpu")
    assert choose_device("auto").type == next(name for name in order if name in PRESENT)
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_there_is_refused_in_one_sentence(device: DeviceName) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(device)
    assert str(caught.value) == (
        f"device: is '{device}', but torch {torch.__version__} finds none on this machine, only {', '.join(PRESENT)}; "
        "set device to auto or to one of these."
    )


@pytest.mark.parametrize("device", PRESENT)
def test_features_are_the_same_whether_they_are_held_or_made_for_each_batch(device: DeviceName) -> None:
    features = make_data()[0].features
    rows = np.array([399, 0, 7, 7])
    place = choose_device(device)
    held = hold_rows(features, place)(rows)
    assert held.device.type == place.type
    made = hold_rows(replace(features, held=None), place)(rows)
    assert torch.equal(held, made)
    np.testing.assert_array_equal(held.cpu().numpy(), features.take(rows))


def test_a_number_that_is_read_would_be_seen(passes: list[list[str]]) -> None:
    from firstday.cold import training_loop

    network = torch.nn.Linear(3, 1)

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        loss: torch.Tensor = network(torch.ones(len(rows), 3)).square().mean()
        return loss * (1 if loss > 0 else 2) / max(1.0, float(loss.detach().sum()))

    config = ColdModelConfig(epochs=2, batch_size=4, schedule="flat")
    training_loop.run_epochs(network, 8, 8, batch_loss, lambda: 0.0, config, seed=0, device=choose_device("cpu"))
    assert len(passes) == 2
    assert all({"__bool__", "__float__", "_local_scalar_dense.default"} <= set(names) for names in passes)
