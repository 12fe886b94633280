"""MeLU: adaptation without torch is the gradient steps on each user's last layer, and training is through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from firstday.cold.train_cold_model import hidden_layers
from firstday.cold.training_loop import FixedLength, export_network
from firstday.lab.baselines.melu import Melu, MeluConfig, _sample_columns, fit_melu
from firstday.methods.item_scores import find_later
from firstday.progress import no_progress
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, stack_rows
from tests.obvious import CONFIG, N_INPUTS, D, Rising, make_data, mean_cosine, no_opinion

SETTINGS = MeluConfig(inner_steps=2, inner_rate=0.2, negative_weight=5.0)
N_ITEMS = 30
LISTS = [[0, 3, 4], [], [7], [8, 9, 10, 11, 12], [29], [5, 29]]
"""Items of some users; the last item has no vector."""


def item_vectors() -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(N_ITEMS, D)).astype(np.float32)
    vectors[-1] = 0
    return vectors


@pytest.fixture(scope="module")
def layers() -> tuple[nn.Module, nn.Linear]:
    """The body and the last layer of a network, random but for the statistics of its normalisation."""
    torch.manual_seed(3)
    hidden, width = hidden_layers(N_INPUTS, (16, 8))
    body = nn.Sequential(*hidden, FixedLength(width**0.5))
    for _ in range(5):
        body(torch.randn(64, N_INPUTS) * 2 + 1)
    return body.eval(), nn.Linear(width, D)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(len(LISTS), N_INPUTS)).astype(np.float32)


@pytest.fixture(scope="module")
def melu(layers: tuple[nn.Sequential, nn.Linear]) -> Melu:
    body, last = layers
    weights, bias = (parameter.detach().numpy() for parameter in last.parameters())
    gram = item_vectors().T @ item_vectors() / N_ITEMS
    return Melu(export_network(body), weights, bias, gram, 1.0, SETTINGS)


def pad(liked: SparseRows, vectors: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the vectors of each user's items that have one, filled up, and which are there."""
    lists = [[item for item in liked.row(row) if vectors[item].any()] for row in range(liked.n_rows)]
    items = np.zeros((len(lists), max(map(len, lists)), D), np.float32)
    there = np.zeros(items.shape[:2], np.float32)
    for row, mine in enumerate(lists):
        items[row, : len(mine)] = vectors[mine]
        there[row, : len(mine)] = 1
    return torch.from_numpy(items), torch.from_numpy(there)


def adapt_whole_layers(
    layers: Sequence[nn.Module], gram: np.ndarray, features: np.ndarray, items: torch.Tensor, there: torch.Tensor
) -> torch.Tensor:
    """Take the steps on a copy of the last layer for each user, as MeLU is defined."""
    body, last = layers
    width = dict(last.named_parameters())["weight"].shape[1]
    rates = {"weight": SETTINGS.inner_rate / width, "bias": SETTINGS.inner_rate}

    def adapt(hidden: torch.Tensor, items: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        def loss(layer: dict[str, torch.Tensor]) -> torch.Tensor:
            return lose(functional_call(last, layer, (hidden,)), items, there, gram)

        layer: dict[str, torch.Tensor] = dict(last.named_parameters())
        for _ in range(SETTINGS.inner_steps):
            slopes = grad(loss)(layer)
            layer = {name: layer[name] - rates[name] * there.any() * slopes[name] for name in layer}
        adapted: torch.Tensor = functional_call(last, layer, (hidden,))
        return adapted

    vectors: torch.Tensor = vmap(adapt)(body(torch.from_numpy(features)), items, there)
    return vectors


def lose(vector: torch.Tensor, items: torch.Tensor, there: torch.Tensor, gram: np.ndarray) -> torch.Tensor:
    """Return the loss of a user's vector on items."""
    missed = ((1 - items @ vector).square() * there).sum() / there.sum().clamp(min=1)
    loss: torch.Tensor = missed + SETTINGS.negative_weight * (vector @ torch.from_numpy(gram) @ vector)
    return loss


def test_numpy_adapts_as_torch_does_with_a_layer_for_each_user(
    layers: tuple[nn.Module, nn.Linear], melu: Melu, features: np.ndarray
) -> None:
    body, last = layers
    liked = SparseRows.from_lists(LISTS, N_ITEMS)
    with torch.no_grad():
        expected = adapt_whole_layers(layers, melu.gram, features, *pad(liked, item_vectors()))
        without = last(body(torch.from_numpy(features))).numpy()
    predicted = melu.predict(features, liked, item_vectors())
    np.testing.assert_allclose(predicted, unit_rows(expected.numpy()), atol=1e-5)
    moved = np.abs(predicted - unit_rows(without)).max(axis=1)
    assert (moved[[0, 2, 3, 5]] > 1e-2).all()
    np.testing.assert_allclose(moved[[1, 4]], 0, atol=1e-5)  # no item, and no item with a vector


def test_training_goes_through_the_adaptation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a batch, on drawn later items, and its gradients are those of whole layers that are adapted."""
    data, _ = make_data(CONFIG.override("plugins.melu", SETTINGS.model_dump()))
    users = np.arange(12)
    found: dict[str, Any] = {}

    def note_gradients(network: nn.ModuleList, _n: int, _m: int, batch_loss: Any, *_: Any, **__: Any) -> Any:
        weights = list(network.eval().parameters())
        loss = batch_loss(users)
        found.update(layers=list(network), loss=loss.item(), gradients=torch.autograd.grad(loss, weights))
        return ()

    monkeypatch.setattr("firstday.cold.training_loop.run_epochs", note_gradients)
    model = fit_melu(data, no_opinion, no_progress)
    vectors = data.embeddings.scoring_vectors / np.float32(model.scale)
    days = data.liked[0].take(users)
    draws = np.random.default_rng(data.config.seed + 1)
    later = _sample_columns(find_later(data.uses, stack_rows(data.liked), users), SETTINGS.query_items, draws)
    items = torch.from_numpy(vectors)[torch.from_numpy(later)]
    everything = torch.ones(later.shape)
    features = data.features.take(users)
    body, last = found["layers"]
    weights = [*body.parameters(), *last.parameters()]

    def lose_all(adapted: torch.Tensor) -> torch.Tensor:
        losses = [lose(*of_user, model.gram) for of_user in zip(adapted, items, everything, strict=True)]
        return torch.stack(losses).mean()

    loss = lose_all(adapt_whole_layers(found["layers"], model.gram, features, *pad(days, vectors)))
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-4)
    expected = torch.autograd.grad(loss, weights)
    unadapted = torch.autograd.grad(lose_all(last(body(torch.from_numpy(features)))), weights)
    for mine, theirs, other in zip(found["gradients"], expected, unadapted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)
        assert (mine - other).abs().max() > 1e-3


def test_it_learns_from_features_and_from_items() -> None:
    data, held_out_taste = make_data()
    items = data.embeddings.item_vectors
    model = fit_melu(data, Rising(), no_progress)
    with_items = mean_cosine(model.predict(data.validation_features, data.validation_liked, items), held_out_taste)
    nothing = SparseRows.empty(data.validation_liked.n_rows, len(items))
    without = mean_cosine(model.predict(data.validation_features, nothing, items), held_out_taste)
    blank = np.zeros_like(data.validation_features)
    items_alone = mean_cosine(model.predict(blank, data.validation_liked, items), held_out_taste)
    neither = mean_cosine(model.predict(blank, nothing, items), held_out_taste)
    assert with_items > 0.9
    assert with_items > without + 0.03
    assert items_alone > neither + 0.2
