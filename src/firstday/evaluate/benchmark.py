"""Cold users x strategies x seeds: who gets how good a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.split import Cohort, Split
from firstday.evaluate.breakdown import break_down, look_at_seed
from firstday.evaluate.lists import measure_novelty
from firstday.evaluate.metrics import PrecisionRule, measure
from firstday.evaluate.popularity import count_by_part, divide_by_use
from firstday.evaluate.results import BASELINE, REFERENCE, Results
from firstday.evaluate.summary import Scores, join_metric, summarise
from firstday.evaluate.tuning import TunedPeer, Tuning
from firstday.recommend.query import Query, Strategy
from firstday.recommend.recommender import Recommender
from firstday.recommend.strategies import answer_all

Progress = Callable[[str, int, int], None]


def cohort_query(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int) -> Query:
    """Ask a model for lists for the users of a cohort, from their profile and day one alone."""
    batch, _ = recommender.model.catalogue.translate(dataset, cohort.users, cohort.day_one)
    return Query(recommender.model, batch, k)


@dataclass(frozen=True, eq=False)
class Trial:
    """A trained model and the cold users to judge it by.

    Parameters
    ----------
    query
        The cold users, asking the model.
    cohort
        Who they are, and what they used afterwards.
    idle
        Whether each left nothing but a profile on day one, bool, shape (n_cold,).
    n_warm
        How many users the model was trained on.
    fit_seconds
        Time to train.
    notes
        What was decided about the data.
    peers
        Peers fitted for this trial alone, by the names of their strategies.
    """

    query: Query
    cohort: Cohort
    idle: np.ndarray
    n_warm: int
    fit_seconds: float
    notes: tuple[str, ...] = ()
    peers: Mapping[str, TunedPeer] = field(default_factory=dict)


def score_strategy(query: Query, cohort: Cohort, strategy: str | Strategy, divide_by: PrecisionRule) -> Scores:
    """Make one strategy's lists for a cohort and measure them."""
    answer_all(query.take(np.arange(1)), strategy)  # what a model prepares once is not a user's time
    fresh = replace(query)  # nothing computed for another strategy is counted as free
    began = perf_counter()
    answer = answer_all(fresh, strategy)
    seconds = perf_counter() - began
    metrics = measure(answer.items, cohort.truth, divide_by=divide_by)
    reached = len(np.unique(answer.items[answer.items >= 0])) / query.model.n_items
    novelty = measure_novelty(answer.items, query.model.everyone)
    places = count_by_part(answer.items, divide_by_use(query.model))
    return Scores(metrics, Counter(answer.routes.tolist()), seconds, novelty, reached, places)


def run_benchmark(
    dataset: Dataset,
    split: Callable[[int], Split],
    fit: Callable[[Split, int], Recommender],
    strategies: Sequence[str],
    *,
    k: int,
    seeds: Sequence[int],
    protocol: str,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    tune: Callable[[Split, Recommender], Mapping[str, TunedPeer]] = lambda _split, _recommender: {},
    progress: Progress = lambda _stage, _done, _total: None,
) -> Results:
    """Split, train and judge on cold users once for each seed.

    Parameters
    ----------
    dataset
        The data.
    split
        Makes the split of a seed.
    fit
        Trains on a split.
    strategies, k, seeds, protocol, divide_by, against, progress
        See `judge_strategies`.
    tune
        Fits and tunes the peers that strategies ask for, which no model holds.
    """

    def attempt(seed: int) -> Trial:
        parts = split(seed)
        began = perf_counter()
        recommender = fit(parts, seed)
        seconds = perf_counter() - began
        query = cohort_query(recommender, dataset, parts.cold, k)
        peers = tune(parts, recommender)
        return Trial(query, parts.cold, parts.cold.did_nothing, len(parts.warm), seconds, parts.notes, peers)

    return judge_strategies(
        dataset.name,
        attempt,
        strategies,
        seeds=seeds,
        protocol=protocol,
        divide_by=divide_by,
        against=against,
        progress=progress,
    )


def judge_strategies(
    name: str,
    attempt: Callable[[int], Trial],
    strategies: Sequence[str],
    *,
    seeds: Sequence[int],
    protocol: str,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    progress: Progress = lambda _stage, _done, _total: None,
) -> Results:
    """Judge strategies on the cold users of one model for each seed.

    Parameters
    ----------
    name
        Of the data, for the record.
    attempt
        Trains with a seed and asks for the cold users.
    strategies
        Names of `STRATEGIES`, or of peers that `attempt` fits; a name given twice counts once.
    seeds
        Each gives another model, and another split where the protocol draws one.
    protocol
        Its name, for the record.
    divide_by
        See `measure`.
    against
        Strategies with which the others are compared; those that are not judged are passed over.
    progress
        Called with what is being done, seeds done, and seeds in all.

    Returns
    -------
    Results
        Means over users of all seeds, with intervals over users.
    """
    strategies = tuple(dict.fromkeys(strategies))
    found: dict[str, list[Scores]] = {strategy: [] for strategy in strategies}
    users, sizes, idle, befriended, fit_seconds, n_warm, k = [], [], [], [], [], 0, 0
    notes: tuple[str, ...] = ()
    tunings: dict[str, list[Tuning]] = {}
    facts = []
    for number, seed in enumerate(seeds):
        progress(f"seed {seed}", number, len(seeds))
        trial = attempt(seed)
        facts.append(look_at_seed(trial.query, trial.cohort, is_first=number == 0))
        for done, strategy in enumerate(strategies):
            progress("lists", done, len(strategies))
            peer = trial.peers.get(strategy)
            asked = strategy if peer is None else peer.recommend
            found[strategy].append(score_strategy(trial.query, trial.cohort, asked, divide_by))
            if peer is not None:
                tunings.setdefault(strategy, []).append(peer.tuning)
        progress("lists", len(strategies), len(strategies))
        users.append(trial.cohort.users)
        sizes.append(trial.cohort.day_one_size)
        idle.append(trial.idle)
        befriended.append(_have_friends(trial.query))
        fit_seconds.append(trial.fit_seconds)
        n_warm, k = trial.n_warm, trial.query.k
        notes = notes or trial.notes
        del trial  # a model and features less in memory while the next is trained
    progress("done", len(seeds), len(seeds))
    user, size = np.concatenate(users), np.concatenate(sizes)
    return Results(
        name,
        protocol,
        k,
        tuple(seeds),
        divide_by,
        len(users[0]),
        n_warm,
        summarise(found, user, size, np.concatenate(idle), np.concatenate(befriended), against),
        float(np.mean(fit_seconds)),
        notes,
        {name: tuple(of_seeds) for name, of_seeds in tunings.items()},
        break_down(
            facts,
            {name: join_metric(scores, "precision") for name, scores in found.items()},
            {name: np.sum([score.places for score in scores], axis=0) for name, scores in found.items()},
            user,
            reference=REFERENCE,
            baseline=BASELINE,
        ),
    )


def _have_friends(query: Query) -> np.ndarray:
    """Tell which users have a friend whose habits the model knows, bool, shape (n_users,)."""
    friends = query.signals.friends
    return np.zeros(query.n_users, dtype=bool) if friends is None else np.asarray(friends.lengths() > 0)
