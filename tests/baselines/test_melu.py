"""MeLU: adaptation without torch is the gradient steps on each user's last layer, and training is through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from firstday.baselines.melu import Melu, fit_melu
from firstday.baselines.train_melu import MeluNetwork
from firstday.cold.training_loop import export_network
from firstday.config import MeluConfig
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows
from tests.obvious import N_INPUTS, D, Rising, make_data, mean_cosine

SETTINGS = MeluConfig(inner_steps=2, inner_rate=0.2, negative_weight=5.0)
N_ITEMS = 30
LISTS = [[0, 3, 4], [], [7], [8, 9, 10, 11, 12], [29], [5, 29]]
"""Items of some users; the last item has no vector."""


def item_vectors() -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(N_ITEMS, D)).astype(np.float32)
    vectors[-1] = 0
    return vectors


@pytest.fixture(scope="module")
def network() -> MeluNetwork:
    torch.manual_seed(3)
    items = torch.from_numpy(item_vectors())
    network = MeluNetwork(N_INPUTS, (16, 8), D, items.T @ items / N_ITEMS, SETTINGS)
    network.train()
    for _ in range(5):
        network.body(torch.randn(64, N_INPUTS) * 2 + 1)
    return network.eval()


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(len(LISTS), N_INPUTS)).astype(np.float32)


@pytest.fixture(scope="module")
def melu(network: MeluNetwork) -> Melu:
    weights, bias = (parameter.detach().numpy() for parameter in network.head.parameters())
    return Melu(export_network(network.body), weights, bias, network.gram.numpy(), 1.0, SETTINGS)


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the items of each user that have a vector, filled up, and which are there."""
    items = torch.from_numpy(item_vectors())
    table = torch.full((len(LISTS), 5), N_ITEMS - 1)
    for row, mine in enumerate(LISTS):
        table[row, : len(mine)] = torch.tensor(mine, dtype=torch.int64)
    return items[table], (table < N_ITEMS - 1).float()


def adapt_whole_layers(network: MeluNetwork, features: torch.Tensor) -> torch.Tensor:
    """Take the steps on a copy of the last layer for each user, as MeLU is defined."""
    rates = {"weight": SETTINGS.inner_rate / 8, "bias": SETTINGS.inner_rate}

    def adapt(hidden: torch.Tensor, items: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        def loss(layer: dict[str, torch.Tensor]) -> torch.Tensor:
            vector = functional_call(network.head, layer, (hidden,))
            missed = ((1 - items @ vector).square() * there).sum() / there.sum().clamp(min=1)
            loss: torch.Tensor = missed + SETTINGS.negative_weight * (vector @ network.gram @ vector)
            return loss

        layer: dict[str, torch.Tensor] = dict(network.head.named_parameters())
        for _ in range(SETTINGS.inner_steps):
            slopes = grad(loss)(layer)
            layer = {name: layer[name] - rates[name] * there.any() * slopes[name] for name in layer}
        adapted: torch.Tensor = functional_call(network.head, layer, (hidden,))
        return adapted

    vectors: torch.Tensor = vmap(adapt)(network.body(features), *padded())
    return vectors


def test_numpy_adapts_as_torch_does_with_a_layer_for_each_user(
    network: MeluNetwork, melu: Melu, features: np.ndarray
) -> None:
    with torch.no_grad():
        expected = adapt_whole_layers(network, torch.from_numpy(features))
        trained_with = network(torch.from_numpy(features), *padded())
        without = network.head(network.body(torch.from_numpy(features))).numpy()
    np.testing.assert_allclose(trained_with.numpy(), expected.numpy(), atol=1e-5)
    predicted = melu.predict(features, SparseRows.from_lists(LISTS, N_ITEMS), item_vectors())
    np.testing.assert_allclose(predicted, unit_rows(expected.numpy()), atol=1e-5)
    moved = np.abs(predicted - unit_rows(without)).max(axis=1)
    assert (moved[[0, 2, 3, 5]] > 1e-2).all()
    np.testing.assert_allclose(moved[[1, 4]], 0, atol=1e-6)  # no item, and no item with a vector


def test_training_goes_through_the_adaptation(network: MeluNetwork, features: np.ndarray) -> None:
    inputs = torch.from_numpy(features)
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(network(inputs, *padded()).square().sum(), weights)
    expected = torch.autograd.grad(adapt_whole_layers(network, inputs).square().sum(), weights)
    unadapted = torch.autograd.grad(network.head(network.body(inputs)).square().sum(), weights)
    for mine, theirs, other in zip(found, expected, unadapted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
        assert (mine - other).abs().max() > 1e-3


def test_users_are_adapted_a_part_at_a_time_with_the_same_result(
    melu: Melu, features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    liked = SparseRows.from_lists(LISTS, N_ITEMS)
    whole = melu.predict(features, liked, item_vectors())
    for n_users in (1, 2, 4):
        monkeypatch.setattr("firstday.baselines.melu.ADAPTED_USERS", n_users)
        np.testing.assert_allclose(melu.predict(features, liked, item_vectors()), whole, atol=1e-6)
    nobody = melu.predict(features[:0], liked.take(np.zeros(0, np.int64)), item_vectors())
    assert nobody.shape == (0, D)


def test_it_learns_from_features_and_from_items() -> None:
    data, held_out_taste = make_data()
    items = data.embeddings.item_vectors
    model = fit_melu(data, Rising())
    with_items = mean_cosine(model.predict(data.validation_features, data.validation_liked, items), held_out_taste)
    nothing = SparseRows.empty(data.validation_liked.n_rows, len(items))
    without = mean_cosine(model.predict(data.validation_features, nothing, items), held_out_taste)
    blank = np.zeros_like(data.validation_features)
    items_alone = mean_cosine(model.predict(blank, data.validation_liked, items), held_out_taste)
    neither = mean_cosine(model.predict(blank, nothing, items), held_out_taste)
    assert with_items > 0.9
    assert with_items > without + 0.03
    assert items_alone > neither + 0.2


def test_it_is_kept_as_it_was_when_validation_saw_it() -> None:
    data, _ = make_data()
    seen: list[np.ndarray] = []

    def validate(vectors: np.ndarray) -> float:
        seen.append(vectors.copy())
        return -len(seen)

    model = fit_melu(data, validate)
    evaluated = model.body.history[-len(seen) :]
    predicted = model.predict(data.validation_features, data.validation_liked, data.embeddings.item_vectors)
    np.testing.assert_allclose(predicted, seen[0], atol=1e-5)
    assert evaluated[0].kept
    assert len(seen) > 1
