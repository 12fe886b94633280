"""Replay: a policy shows slates to cold users in rounds and learns which items they used and passed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.errors import ConfigError
from firstday.evaluation.slices import REFERENCE as PAPER
from firstday.features.signal_batch import SignalBatch
from firstday.impressions.passed_over import infer_passed_over
from firstday.lab.replay.policies import POLICIES
from firstday.lab.replay.replay_results import ReplayResults, ReplaySettings, describe_hits
from firstday.progress import Progress, open_progress
from firstday.recommend.answers import answer_query
from firstday.recommend.batch import read_profile
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Rules, check_rules
from firstday.recommend.spec import Strategy
from firstday.recommend.support import check_strategies, with_methods_of
from firstday.sparse import SparseRows, union_rows
from firstday.training.fit import fit

ONCE = "@once"
"""Suffix of a strategy that is queried once; its long list is shown slate by slate."""
USES = "@uses"
"""Suffix of a strategy that is queried every round but learns from used items only; passed-over items are just
excluded."""


def name_of(policy: str) -> str:
    """Return the name of a policy's strategy."""
    return policy.removesuffix(ONCE).removesuffix(USES)


def draw_depths(n_users: int, settings: ReplaySettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the number of positions each user sees per slate, int64, shape (n_users, rounds); policies share it."""
    shape = (n_users, settings.rounds)
    if settings.visible is None:
        return np.full(shape, settings.slate)
    further = rng.geometric(max(1 - settings.persistence, 1e-9), shape) - 1
    return np.minimum(settings.visible + further, settings.slate)


def replay(
    query: Query,
    truth: SparseRows,
    policy: str,
    settings: ReplaySettings,
    depths: np.ndarray,
    answer: Callable[[Query, str | Strategy], Answer] = answer_query,
) -> np.ndarray:
    """Run a policy; return the number of items each user used in each round, int64, shape (n_users, rounds).

    A user uses every visible item that is in the truth and not yet used. The policy learns only which items of its
    slates were used, and the probability that each other item was seen.

    `query` has the signals known before the first round, `truth` the items each user uses, shape (n_users, n_items),
    `policy` is as in `replay_policies`, `depths` comes from `draw_depths`, and `answer` makes the slates.
    """
    n_items = query.model.n_items
    strategy = POLICIES.get(policy) or name_of(policy)
    items = np.full((query.n_users, settings.rounds, settings.slate), -1)
    is_used = np.zeros(items.shape, dtype=bool)
    wanted = truth.row_of_entry() * n_items + truth.columns
    query = replace(query, k=min(settings.slate, n_items))
    if is_once := policy.endswith(ONCE):
        long_list = answer(replace(query, k=min(settings.slate * settings.rounds, n_items)), strategy).items
        items.reshape(query.n_users, -1)[:, : long_list.shape[1]] = long_list
    for number in range(settings.rounds):
        if not is_once:
            is_reported = is_used & (np.arange(settings.rounds) < number - settings.delay)[:, None]
            later = replace(query, signals=add_history(query, items[:, :number], is_reported, settings))
            if policy.endswith(USES):
                later = replace(later.without_impressions, excluded_override=later.excluded)
            items[:, number, : query.k] = answer(later, strategy).items
        cells = np.arange(query.n_users)[:, None] * n_items + items[:, number]
        is_seen = (np.arange(settings.slate) < depths[:, number, None]) & (items[:, number] >= 0)
        is_used[:, number] = is_seen & np.isin(cells, wanted)
        wanted = np.setdiff1d(wanted, cells[is_used[:, number]])
    return is_used.sum(axis=2)


def add_history(query: Query, items: np.ndarray, is_used: np.ndarray, settings: ReplaySettings) -> SignalBatch:
    """Return users' signals with the outcome of some slates added, as a store would hold them.

    `items` of each slate have shape (n_users, n_slates, slate), -1 for empty positions; `is_used` is the mask of the
    items that the policy knows to be used, of at least this shape. If users see the whole slate, clients report so;
    otherwise only positions are known.
    """
    signals = query.signals
    config = query.model.config.signals
    shape = (query.n_users, query.model.n_items)
    users, lists, places = np.nonzero(items >= 0)
    shown = items[users, lists, places]
    done = is_used[users, lists, places]
    positions = np.zeros_like(places) if settings.visible is None else places + 1
    passed_over = infer_passed_over(users, lists, shown, positions, done, config.persistence, shape)
    if signals.passed_over is not None:
        passed_over = union_rows([signals.passed_over, passed_over])
        passed_over = replace(passed_over, weights=np.minimum(passed_over.weights, 1))
    pair = (config.use[0], ITEM)
    used = SparseRows.from_pairs(users[done], shown[done], None, *shape)
    before = signals.actions.get(pair, SparseRows.empty(*shape))
    return replace(signals, actions={**signals.actions, pair: union_rows([before, used])}, passed_over=passed_over)


BEFORE = f"{PAPER}{ONCE}"
"""The policy that others are compared with: the paper's list, made once."""
DEFAULT_POLICIES = (
    "popular", BEFORE, PAPER, f"blend{ONCE}", f"blend{USES}", "blend", "auto", "explore", *POLICIES,
)  # fmt: skip
"""Policies to replay if none are named."""


def replay_policies(
    dataset: Dataset,
    config: Config | None = None,
    *,
    policies: Sequence[str] = (),
    settings: ReplaySettings | None = None,
    n_seeds: int = 1,
    against: str | None = None,
    rules: Rules | Mapping[str, Any] | None = None,
    progress: Progress | bool | None = True,
) -> ReplayResults:
    """Hold out cold users, train on the others, and run policies on the cold users in rounds, once per seed.

    `policies` are strategies, queried every round, strategies with suffix `ONCE` or `USES`, or names in `POLICIES`.
    They are compared with `against`, by default `BEFORE` if it is included, otherwise the first. All slates obey
    `rules`. Raise ConfigError if a policy does not exist or is not available.
    """
    settings = settings or ReplaySettings()
    rules = Rules.of(rules)
    check_rules(rules, dataset.items.values, dataset.columns)
    names = list(dict.fromkeys(policies or DEFAULT_POLICIES))
    strategies = [name_of(policy) for policy in names if policy not in POLICIES]
    config = with_methods_of(config or Config(), strategies)
    check_strategies(strategies, config)
    against = against or (BEFORE if BEFORE in names else names[0])
    if against not in names:
        raise ConfigError(f"against: {against} is not among the policies; add it to them.")
    runs = []
    seeds = tuple(range(config.seed, config.seed + n_seeds))
    cut_offs = find_cut_offs(dataset, config)
    with open_progress(progress) as report:
        for number, seed in enumerate(seeds):
            report(f"seed {seed}", number, n_seeds)
            for holdout in hold_out(dataset, config, seed, cut_offs):
                fitted = fit(
                    holdout.dataset,
                    holdout.split,
                    config.override("seed", seed),
                    moment_us=holdout.cut_off,
                    progress=report,
                )
                cold = replace(holdout.cold.with_truth(), unavailable=None)  # what is shown adds to what is excluded
                query = cohort_query(fitted.recommender, holdout.newcomers, cold, settings.slate)
                depths = draw_depths(query.n_users, settings, np.random.default_rng(seed))
                profile = partial(read_profile, holdout.newcomers, cold.users)
                answer = partial(answer_query, layers=[rules], profile=profile)
                hits = {name: replay(query, cold.truth, name, settings, depths, answer) for name in names}
                runs.append((hits, cold.users))
        report("done", n_seeds, n_seeds)
    by_run, users = zip(*runs, strict=True)
    joined = {name: np.concatenate([hits[name] for hits in by_run]) for name in names}
    rows = list(describe_hits(joined, np.concatenate(users), against))
    return ReplayResults(dataset.name, settings, seeds, len(joined[against]), against, rows)
