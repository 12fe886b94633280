"""Replay: a policy shows slates to cold users in rounds and learns which items they used and passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.evaluation.policies import POLICIES
from firstday.evaluation.results import with_ends
from firstday.evaluation.slices import REFERENCE as PAPER
from firstday.features.impressions import weigh_rows
from firstday.features.signals import SignalBatch
from firstday.metrics import Interval, bootstrap_mean, bootstrap_means, bootstrap_ratios
from firstday.progress import Progress, open_progress
from firstday.recommend.batch import answer_under
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import check_strategies, with_methods_of
from firstday.recommend.rules.list_rules import Rules, check_rules
from firstday.recommend.spec import Strategy
from firstday.sparse import SparseRows, contains, union_rows
from firstday.training.fit import cohort_query, fit

ONCE = "@once"
"""Suffix of a strategy that is queried once; its long list is shown slate by slate."""
USES = "@uses"
"""Suffix of a strategy that is queried every round but learns from used items only; passed-over items are just
excluded."""


@dataclass(frozen=True)
class ReplaySettings:
    """How a policy interacts with users.

    Parameters
    ----------
    rounds
        Number of slates shown to each user.
    slate
        Items per slate.
    visible
        Number of top positions that the user certainly sees. The policy knows only the positions, and assumes how far
        users look from `signals.persistence`. None: the user sees all positions, and the policy knows it.
    persistence
        Probability that a user who saw a position beyond these also sees the next one (a cascade with abandonment).
    delay
        Delay of feedback, in rounds; until then, used items look passed over.
    """

    rounds: int = 10
    slate: int = 12
    visible: int | None = None
    persistence: float = 0.8
    delay: int = 0


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
    answer_query: Callable[[Query, str | Strategy], Answer] = answer_all,
) -> np.ndarray:
    """Run a policy; return the number of items each user used in each round, int64, shape (n_users, rounds).

    A user uses every visible item that is in the truth and not yet used. The policy learns only which items of its
    slates were used, and the probability that each other item was seen.

    Parameters
    ----------
    query
        The users, querying a model, with the signals known before the first round.
    truth
        Items each user uses, shape (n_users, n_items).
    policy
        A strategy, queried every round; with suffix `ONCE`, queried once; with suffix `USES`, without impressions.
    settings
        How the policy interacts with users.
    depths
        Number of positions each user sees per slate (`draw_depths`).
    answer_query
        Function that makes the slates.
    """
    n_items, n_places = query.model.n_items, settings.slate
    strategy, is_once = POLICIES.get(policy) or name_of(policy), policy.endswith(ONCE)
    query = replace(query, k=min(n_places * (settings.rounds if is_once else 1), n_items))
    long_list = answer_query(query, strategy).items if is_once else None
    wanted = truth.row_of_entry() * n_items + truth.columns
    items = np.full((query.n_users, settings.rounds, n_places), -1)
    is_used = np.zeros(items.shape, dtype=bool)
    for number in range(settings.rounds):
        if long_list is not None:
            slate = long_list[:, number * n_places : (number + 1) * n_places]
        else:
            is_reported = is_used & (np.arange(settings.rounds) < number - settings.delay)[:, None]
            later = replace(query, signals=add_history(query, items[:, :number], is_reported, settings))
            if policy.endswith(USES):
                later = replace(later.without_impressions, excluded_override=later.excluded)
            slate = answer_query(later, strategy).items
        items[:, number, : slate.shape[1]] = slate
        cells = np.arange(query.n_users)[:, None] * n_items + items[:, number]
        is_seen = (np.arange(n_places) < depths[:, number, None]) & (items[:, number] >= 0)
        is_used[:, number] = is_seen & np.isin(cells, wanted)
        wanted = np.setdiff1d(wanted, cells[is_used[:, number]])
    hits: np.ndarray = is_used.sum(axis=2)
    return hits


def add_history(query: Query, items: np.ndarray, is_used: np.ndarray, settings: ReplaySettings) -> SignalBatch:
    """Return users' signals with the outcome of some slates added, as a store would hold them.

    Parameters
    ----------
    query
        The users and the model, whose configuration has the assumed depth that users look to (`signals.persistence`).
    items
        Items of each slate, -1 for empty positions, shape (n_users, n_slates, n_places).
    is_used
        Mask of the items that the policy knows to be used, of at least this shape.
    settings
        If users see the whole slate, clients report so; otherwise only positions are known.
    """
    signals, config, shape = query.signals, query.model.config.signals, (query.n_users, query.model.n_items)
    users, lists, places = np.nonzero(items >= 0)
    if not len(users):
        return signals
    shown, done = items[users, lists, places], is_used[users, lists, places]
    positions = np.zeros_like(places) if settings.visible is None else places + 1
    passed_over = weigh_rows(users, lists, shown, positions, done, config.persistence, shape)
    if signals.passed_over is not None:
        passed_over = union_rows([signals.passed_over, passed_over])
        passed_over = replace(passed_over, weights=np.minimum(passed_over.weights, 1))
    pair = (config.use[0], ITEM)
    used = SparseRows.from_pairs(users[done], shown[done], None, *shape)
    before = [signals.actions[pair]] if pair in signals.actions else []
    actions = {**signals.actions, pair: union_rows([*before, used])}
    return replace(signals, actions=actions, passed_over=passed_over.keep(~contains(used, passed_over)))


BEFORE = f"{PAPER}{ONCE}"
"""The policy that others are compared with: the paper's list, made once."""
DEFAULT_POLICIES = (
    "popular", BEFORE, PAPER, f"blend{ONCE}", f"blend{USES}", "blend", "auto", "explore", *POLICIES,
)  # fmt: skip
"""Policies to replay if none are named."""


@readable
@dataclass(frozen=True)
class ReplayResults:
    """Hits of each policy's slates.

    Parameters
    ----------
    dataset
        Name of the dataset.
    settings
        How the policies interacted with users.
    seeds
        Seeds of the splits and models.
    n_users
        Number of users; a user may be cold for several seeds.
    against
        The policy that others are compared with.
    rows
        One per policy, most hits first, as JSON values: mean hits per user, by round and in total, and their ratio to
        those of `against`, paired by user; also by what was known before the first round.
    """

    dataset: str
    settings: ReplaySettings
    seeds: tuple[int, ...]
    n_users: int
    against: str
    rows: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "dataset": self.dataset,
            **asdict(self.settings),
            "seeds": list(self.seeds),
            "n_users": self.n_users,
            "against": self.against,
            "results": list(self.rows),
        }


def describe_hits(
    hits: Mapping[str, np.ndarray], users: np.ndarray, knowledge: np.ndarray, against: str
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `ReplayResults`.

    Parameters
    ----------
    hits
        By policy: number of items each user used in each round, integers, shape (n, rounds).
    users
        User of each row, integers, shape (n,).
    knowledge
        What was known about each user before the first round, as an index in `KNOWLEDGE`, shape (n,).
    against
        The policy that others are compared with.
    """

    def describe(values: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        below = hits[against][rows].sum(axis=1)
        ratio = bootstrap_ratios(values[:, None], below, users[rows])[0] if below.any() else Interval(1.0, 1.0, 1.0)
        return with_ends("hits", bootstrap_mean(values, users[rows])) | with_ends("ratio", ratio)

    everyone = np.ones(len(users), dtype=bool)
    classes = {name: knowledge == number for number, name in enumerate(KNOWLEDGE)}
    for name in sorted(hits, key=lambda name: -hits[name].sum()):
        rounds = [with_ends("hits", mean) for mean in bootstrap_means(hits[name], users)]
        totals = hits[name].sum(axis=1)
        yield {
            "policy": name,
            "hits_by_round": [of_round["hits"] for of_round in rounds],
            "hits_by_round_ci": [of_round["hits_ci"] for of_round in rounds],
            **describe(totals, everyone),
            "by_known": {
                known: {"n_users": int(rows.sum()), **describe(totals[rows], rows)}
                for known, rows in classes.items()
                if rows.any()
            },
        }


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

    Parameters
    ----------
    dataset, config, progress
        See `firstday.training.fit.train`.
    policies
        Names of strategies, which are queried every round, names with suffix `ONCE` or `USES`, or names in `POLICIES`.
    settings
        How policies interact with users.
    n_seeds
        Number of seeds, starting at `config.seed`.
    against
        The policy that others are compared with; by default `BEFORE` if it is included, otherwise the first.
    rules
        The service's own rules, which all slates obey.

    Raises
    ------
    ConfigError
        A policy does not exist or is not available, or a setting does not fit.
    """
    settings, rules = settings or ReplaySettings(), Rules.of(rules)
    check_rules(rules, dataset.items.values, dataset.columns)
    names = list(dict.fromkeys(policies or DEFAULT_POLICIES))
    held = [name_of(policy) for policy in names if policy not in POLICIES]
    config = with_methods_of(config or Config(), held)
    check_strategies(held, config)
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
                recommender = fit(holdout.dataset, holdout.split, config.override("seed", seed), progress=report)
                query = cohort_query(recommender, holdout.newcomers, holdout.cold, settings.slate)
                depths = draw_depths(query.n_users, settings, np.random.default_rng(seed))
                answer = answer_under(rules, holdout.newcomers, holdout.cold.users)
                hits = {name: replay(query, holdout.cold.truth, name, settings, depths, answer) for name in names}
                runs.append((hits, holdout.cold.users, query.knowledge))
        report("done", n_seeds, n_seeds)
    by_run, users, knowledge = zip(*runs, strict=True)
    joined = {name: np.concatenate([hits[name] for hits in by_run]) for name in names}
    rows = tuple(describe_hits(joined, np.concatenate(users), np.concatenate(knowledge), against))
    return ReplayResults(dataset.name, settings, seeds, sum(map(len, users)), against, rows)
