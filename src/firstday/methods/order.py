"""The order: a last term of `blend`, which a network learns on warm users (not in the paper).

The weights of `blend` cannot say that a component is worth more where another one is high. The network can: it maps the
scores of the components, their weighted sum and how much is known about the user to a number that is added to the sum.
It depends on the user and the item alone, and not on the clock. It is used if lists of past users gain from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from firstday.config import Config, NetworkConfig
from firstday.methods.blend import Blending, add_up, find_weights, score_part
from firstday.methods.candidates import batches, find_candidates
from firstday.methods.clock import clock_of, go_back, mean_by_week
from firstday.methods.precision import MEASURED_LENGTHS, mean_and_error, measure_lengths
from firstday.model.order import OF_BLEND, Order, join_inputs
from firstday.model.trained_model import KNOWLEDGE
from firstday.ranking import greatest
from firstday.recommend.fold import Fold, TrainingRun, day_ends
from firstday.recommend.spec import Choice, SharedValueSpec
from firstday.tables.schema import DAY_US

N_CANDIDATES = 100
"""Number of candidates of each learner: the best by weighted sum."""
NETWORK = NetworkConfig(hidden=(32, 16), epochs=10)
MIN_LEARNERS = 2
"""Minimum number of learners in each half."""
HELD_OUT = 5
"""One in so many learners is held out for early stopping."""
EXCLUDED_SCORE = np.float32(-1e4)
"""Score of excluded candidates, in place of minus infinity."""
LEAST_SPREAD = 1e-3
"""Standard deviation of an input below which it is left out."""
MIN_CLASS_USERS = 100
"""Minimum number of users by whom a class of `KNOWLEDGE` is judged on its own."""
NORMAL_99 = 2.576
"""Half-width of a 99 % interval, in standard errors."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best candidates of users who went on to use one of them; a row per user.

    `inputs` are those of `join_inputs`, and `sums` the weighted sums, float32, shape (n, n_candidates); `is_relevant`,
    of that shape, tells whether the user went on to use the candidate.
    """

    inputs: np.ndarray
    sums: np.ndarray
    is_relevant: np.ndarray

    def take(self, rows: np.ndarray) -> Ranked:
        """Return some users."""
        return Ranked(self.inputs[rows], self.sums[rows], self.is_relevant[rows])


def learn_order(run: TrainingRun) -> Choice:
    """Learn an order on the users of `TrainingRun.apart`, and keep it if lists of past users gain.

    These are the validation users; with times, with the clock as of their first days, and else also the learners.
    """
    if not run.folds:
        return None, {}
    blending, names = find_weights(run.model)
    apart = run.apart
    halves = [] if apart is None else [apart.take(np.arange(start, apart.query.n_users, 2)) for start in (0, 1)]
    ranked = [rank_candidates(half, blending, names) for half in halves if half.query.n_known.any()]
    if len(ranked) < 2 or min(len(half.sums) for half in ranked) < MIN_LEARNERS:
        return Order(names, None, np.zeros(0, np.float32), np.zeros(0, np.float32)), {}
    learners = join_ranked(ranked)
    order = train_order(learners, names, run.model.config)
    judged = [(fold, order) for fold in go_back(run.folds, run.first_uses, clock_of(run.model))]
    weeks = None
    if run.first_uses is None:
        by_other = [train_order(half, names, run.model.config) for half in ranked[::-1]]
        judged += zip(halves, by_other, strict=True)
    else:
        weeks = day_ends([fold for fold, _ in judged]) // (7 * DAY_US)
    gains = np.concatenate([measure_gain(fold, of_fold) for fold, of_fold in judged], axis=1)
    knowledge = np.concatenate([fold.query.knowledge for fold, _ in judged])
    means = [summarise(of_length, weeks) for of_length in gains]
    order = replace(
        order,
        network=order.network if is_better(gains, knowledge, weeks) else None,
        n_users=gains.shape[1],
        gains={str(k): tuple(np.round(mean, 4).tolist()) for k, mean in zip(MEASURED_LENGTHS, means, strict=True)},
        importance=measure_importance(order, learners),
    )
    return order, {"order": order.to_json()}


def rank_candidates(fold: Fold, blending: Blending, names: tuple[str, ...]) -> Ranked:
    """Return the `N_CANDIDATES` best candidates of users with interactions, by the weighted sum without the clock."""
    query = fold.query
    batches_of_users = []
    for rows in batches(np.flatnonzero(query.has_features & (query.n_known > 0))):
        parts, chosen, offsets = find_candidates(query, rows, names)
        scores = {name: score_part(parts[name], chosen) for name in names}
        total = add_up(blending.at(query.n_known[rows]), scores)
        sums = np.maximum(total + offsets, EXCLUDED_SCORE)
        is_relevant = fold.truth.take(rows).has(chosen) & (offsets > -np.inf)
        best = greatest(sums, min(N_CANDIDATES, sums.shape[1]))
        inputs = np.take_along_axis(join_inputs(scores, total, query.n_known[rows]), best[:, :, None], axis=1)
        ranked = Ranked(inputs, *(np.take_along_axis(values, best, axis=1) for values in (sums, is_relevant)))
        batches_of_users.append(ranked.take(np.flatnonzero(ranked.is_relevant.any(axis=1))))
    return join_ranked(batches_of_users)


def join_ranked(parts: Sequence[Ranked]) -> Ranked:
    """Return the users of all parts, in order."""
    return Ranked(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))


def train_order(users: Ranked, names: tuple[str, ...], config: Config) -> Order:
    """Train by the softmax over each user's candidates, from zero, with early stopping; see `run_epochs`."""
    import torch
    from torch import nn

    from firstday.cold.device import choose_device, seeded
    from firstday.cold.train_cold_model import hidden_layers
    from firstday.cold.training_loop import export_network, run_epochs

    device = choose_device(config.device, config.threads)
    spread = users.inputs.std(axis=(0, 1))
    spread = np.where(spread < LEAST_SPREAD, np.float32(np.inf), spread)  # nothing is learned about such inputs
    order = Order(names, None, users.inputs.mean(axis=(0, 1)), spread)
    is_held_out = np.arange(len(users.sums)) % HELD_OUT == 0

    def to_device(part: Ranked) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_relevant = part.is_relevant.sum(axis=1, keepdims=True, dtype=np.float32)
        arrays = order.scale(part.inputs), part.sums, part.is_relevant / n_relevant
        inputs, sums, targets = (torch.from_numpy(array).to(device) for array in arrays)
        return inputs, sums, targets

    def measure_loss(inputs: torch.Tensor, sums: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        added = network(inputs.flatten(0, 1)).view(sums.shape)
        return -(torch.log_softmax(sums + added, dim=1) * targets).sum(dim=1).mean()

    learners, held_out = (to_device(users.take(mask)) for mask in (~is_held_out, is_held_out))
    with seeded(config.seed, device):
        layers, width = hidden_layers(len(order.centre), NETWORK.hidden)
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        network = nn.Sequential(*layers, last)
        n_learners = len(learners[0])
        history = run_epochs(
            network,
            n_learners,
            n_learners,
            lambda rows: measure_loss(*(tensor[torch.from_numpy(rows).to(device)] for tensor in learners)),
            lambda: -float(measure_loss(*held_out)),
            NETWORK,
            seed=config.seed,
            device=device,
        )
    return replace(order, network=export_network(network, history), n_learners=len(users.sums))


def measure_gain(fold: Fold, order: Order) -> np.ndarray:
    """Return the points of precision that each user's lists gain, by length, shape (n_lengths, n_users)."""
    with_it, without = (measure_lengths([fold.with_learned(order=of)], "blend") for of in (order, None))
    return 100 * (with_it - without)


def is_better(gains: np.ndarray, knowledge: np.ndarray, weeks: np.ndarray | None) -> bool:
    """Return whether lists gain beyond chance, at no length and for no class of users at the expense of others.

    `gains` are in points, shape (n_lengths, n_users), `knowledge` has users' classes, and `weeks` those of their first
    days, shape (n_users,); users of a week are alike.
    """
    mean, error = summarise(gains.mean(axis=0), weeks)
    is_loss = any(of_length + its_error < 0 for of_length, its_error in (summarise(of, weeks) for of in gains))
    for number in range(len(KNOWLEDGE)):
        of_class = gains[:, knowledge == number].mean(axis=0)
        if len(of_class) >= MIN_CLASS_USERS:
            mean_of_class, error_of_class = mean_and_error(of_class)
            is_loss |= mean_of_class + NORMAL_99 * error_of_class < 0
    return mean > 2 * error and not is_loss


def summarise(gains: np.ndarray, weeks: np.ndarray | None) -> tuple[float, float]:
    """Return the mean of users' gains, shape (n_users,), and its standard error: with weeks, over these."""
    if weeks is None:
        return mean_and_error(gains)
    _, week = np.unique(weeks, return_inverse=True)
    return mean_by_week(gains, week) if week.any() else mean_and_error(gains)


def measure_importance(order: Order, users: Ranked) -> dict[str, float]:
    """Return the points of precision that users lose if the values of an input are permuted, by input in words.

    The mean over `MEASURED_LENGTHS` counts, among each user's candidates.
    """
    names = (*(f"score of {name}" for name in order.components), *OF_BLEND)
    rng = np.random.default_rng(0)
    precision = measure_ranked(users, order, users.inputs)
    importance = {}
    for number, name in enumerate(names):
        permuted = users.inputs.copy()
        permuted[:, :, number] = rng.permutation(permuted[:, :, number].ravel()).reshape(users.sums.shape)
        importance[name] = round(precision - measure_ranked(users, order, permuted), 4)
    return importance


def measure_ranked(users: Ranked, order: Order, inputs: np.ndarray) -> float:
    """Return the mean precision of lists of `MEASURED_LENGTHS` of users' candidates, in %."""
    best = np.argsort(-(users.sums + order.apply(inputs)), axis=1, kind="stable")
    hits = np.take_along_axis(users.is_relevant, best, axis=1).cumsum(axis=1)
    lengths = [min(k, best.shape[1]) for k in MEASURED_LENGTHS]
    return 100 * float(np.mean([hits[:, k - 1] / np.minimum(k, hits[:, -1]) for k in lengths]))


ORDER = SharedValueSpec(
    name="order",
    describe="What is added to the weighted sum of the default list, by the scores of its components.",
    choose=learn_order,
    value=Order,
    always_trained=True,
    based_on="blend",
)
