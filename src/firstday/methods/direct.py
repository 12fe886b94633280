"""`direct`: a network that maps day-one features directly to item scores (not in the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from firstday.cold.cold_model import ColdModel, Epoch
from firstday.config import RankerConfig
from firstday.display import readable
from firstday.methods.item_scores import find_later
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress
from firstday.ranking import NO_ITEM, most_used, multiply_rows, rank_scores, spread_scores
from firstday.recommend.component import Scores
from firstday.recommend.query import Query
from firstday.recommend.spec import PROBABILITY, LearningData, ListPrecision, Need, StrategySpec, near_taste
from firstday.sparse import stack_rows

if TYPE_CHECKING:
    import torch
    from torch import nn

RANKER = Need("ranker.enabled", "= true")
INITIAL_SCALE = 0.3
"""Scale of the output layer's initial weights: small, so that training starts near popularity."""
LEAST_LOG = -20.0
"""Lower bound of log-probabilities relative to the most likely of the model's reference items."""


@readable
@dataclass(frozen=True, eq=False)
class Ranker:
    """Predicts for each item the probability that it is the next one a cold user uses.

    It has the multinomial likelihood of D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW
    2018, with day-one features (step 2 of the paper) as input.
    """

    body: ColdModel  # features -> hidden activations
    items: np.ndarray  # indexes of the ranked items, int32, ascending, shape (n_ranked,)
    weights: np.ndarray  # hidden activations -> scores of the ranked items, float32, shape (n_ranked, width)
    bias: np.ndarray  # float32, shape (n_ranked,)

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Training history; the loss is in nats per item used after day one."""
        return self.body.history

    def score(self, hidden: np.ndarray) -> np.ndarray:
        """Map hidden activations to the log-probability of each ranked item, float32, shape (n, n_ranked)."""
        return log_softmax(hidden, self.weights, self.bias)


def log_softmax(hidden: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the log-softmax of the output layer, float32, shape (n, n_ranked); for parameters see `Ranker`."""
    scores = hidden @ weights.T + bias
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def fit_ranker(data: LearningData, precision: ListPrecision, progress: Progress) -> Ranker:
    """Train on the items that warm users use after day one, with early stopping; see `run_epochs`."""
    import torch
    from torch import nn

    from firstday.cold.device import choose_device, seeded, to_numpy
    from firstday.cold.training_loop import export_network, run_epochs

    config = data.config
    device = choose_device(config.device, config.threads)
    items, shares = choose_items(data)
    used = data.item_uses.keep_columns(items)
    day_one_items = stack_rows([excluded.keep_columns(items) for excluded in data.day_one_excluded])
    held_out = torch.from_numpy(data.validation_features).to(device)

    def batch_loss(rows: np.ndarray) -> torch.Tensor:
        targets = find_later(used, day_one_items, rows)
        cells = torch.from_numpy(targets.row_of_entry() * len(items) + targets.columns).to(device)
        inputs = torch.from_numpy(data.features.take(rows)).to(device)
        logs = torch.log_softmax(network(inputs), dim=1)  # (batch, n_ranked)
        return -logs.view(-1)[cells].sum() / max(1, targets.n_entries)

    def evaluate() -> float:
        return precision(rank_items(data, items, to_numpy(body(held_out)), to_numpy(last.weight), to_numpy(last.bias)))

    with seeded(config.seed, device):  # dropout draws from the global generator
        body, last = make_layers(config.ranker, data.features.n_inputs, shares)
        network = nn.Sequential(body, last)
        history = run_epochs(
            network,
            len(data.features),
            data.features.n_users,
            batch_loss,
            evaluate,
            config.ranker,
            seed=config.seed,
            device=device,
            progress=partial(progress, "ranker"),
        )
    return Ranker(export_network(body, history), items, to_numpy(last.weight), to_numpy(last.bias))


def choose_items(data: LearningData) -> tuple[np.ndarray, np.ndarray]:
    """Return the items to rank, int32, ascending, and the share of warm users who use each, shape (n_ranked,)."""
    counts = data.item_uses.ones().column_sums()
    items = most_used(counts, data.config.ranker.most_items).astype(np.int32)
    return items, counts[items] / data.uses.n_rows


def make_layers(config: RankerConfig, n_inputs: int, shares: np.ndarray) -> tuple[nn.Sequential, nn.Linear]:
    """Return the layers up to the hidden activations, and the output layer, which begins near the shares of items."""
    import torch
    from torch import nn

    from firstday.cold.train_cold_model import hidden_layers

    layers, width = hidden_layers(n_inputs, config.hidden, config.dropout)
    last = nn.Linear(width, len(shares))
    with torch.no_grad():
        last.weight.mul_(INITIAL_SCALE)
        last.bias.copy_(torch.from_numpy(np.log(shares).astype(np.float32)))
    return nn.Sequential(nn.Dropout(config.input_dropout), *layers), last


def rank_items(
    data: LearningData, items: np.ndarray, hidden: np.ndarray, weights: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Return the lists of the validation users, shape (n_validation, k); see `Ranker`."""

    def score(rows: np.ndarray) -> np.ndarray:
        return spread_scores(log_softmax(hidden[rows], weights, bias), items, data.item_uses.n_columns)

    return rank_scores(score, data.validation_excluded, data.config.recommend.k)[0]


def hidden_activations(query: Query) -> np.ndarray:
    """Return users' hidden activations, float32, shape (n_users, width)."""
    ranker: Ranker = query.learned("direct")
    return ranker.body.predict(query.features)


def ranked_positions(model: TrainedModel) -> np.ndarray:
    """Return the position of each item among the ranked ones, -1 for others, int32, shape (n_items,)."""
    ranked = model.learned["direct"].items
    positions = np.full(model.n_items, NO_ITEM, dtype=np.int32)
    positions[ranked] = np.arange(len(ranked))
    return positions


def score_direct(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float32, shape (n_rows, n_items); minus infinity for items that are not ranked."""
    ranker: Ranker = query.learned("direct")
    return spread_scores(ranker.score(query.derive(hidden_activations)[rows]), ranker.items, query.model.n_items)


def score_candidates(query: Query, rows: np.ndarray) -> Scores:
    """Score candidates by log-probability relative to the most likely reference item, as a component of `blend`."""
    ranker: Ranker = query.learned("direct")
    hidden = query.derive(hidden_activations)[rows]

    def find_logits(chosen: np.ndarray) -> np.ndarray:
        positions = query.model.derive(ranked_positions)[chosen]
        logits = multiply_rows(ranker.weights, np.maximum(positions, 0), hidden) + ranker.bias[positions]
        logits[positions < 0] = -np.inf
        return logits

    best = find_logits(np.tile(query.model.reference_items, (len(rows), 1))).max(axis=1, keepdims=True)
    level = np.where(best > -np.inf, best, np.float32(0))

    def score(chosen: np.ndarray) -> np.ndarray:
        logits = find_logits(chosen) - level
        return np.maximum(logits, np.float32(LEAST_LOG), out=logits)

    return Scores(score, are_logs=True)


DIRECT = StrategySpec(
    name="direct",
    recommend=lambda query: query.rank_scores(partial(score_direct, query), "direct", query.has_features),
    describe="Rank items by a network that goes straight from day-one features to items.",
    explain="Items that people with a similar first day went on to use, as predicted by a network.",
    reason=near_taste,
    needs=(RANKER,),
    fit=fit_ranker,
    value=Ranker,
    always_trained=True,
    component=score_candidates,
    position=1,
    scale=PROBABILITY,
)
