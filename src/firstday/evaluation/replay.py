"""Replay: a policy shows slates to held-out users in rounds and learns which items they used and passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

import numpy as np

from firstday.artifact.trained_model import KNOWLEDGE
from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.evaluation.policies import POLICIES
from firstday.evaluation.slices import REFERENCE as PAPER
from firstday.features.impressions import weigh_rows
from firstday.features.signals import SignalBatch
from firstday.metrics import Interval, bootstrap_mean, bootstrap_ratios
from firstday.progress import Progress, open_progress
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import check_strategies, with_methods_of
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


Slate = tuple[np.ndarray, np.ndarray]
"""Items shown to users, -1 for empty positions, and mask of used items, both of shape (n_users, n_places)."""


def name_of(policy: str) -> str:
    """Return the name of a policy's strategy."""
    return policy.removesuffix(ONCE).removesuffix(USES)


def draw_depths(n_users: int, settings: ReplaySettings, rng: np.random.Generator) -> np.ndarray:
    """Draw the number of positions each user sees per slate, int64, shape (n_users, rounds); policies share it."""
    shape = (n_users, settings.rounds)
    if settings.visible is None or settings.visible >= settings.slate or settings.persistence >= 1:
        return np.full(shape, settings.slate)
    further = rng.geometric(1 - settings.persistence, shape) - 1
    return np.minimum(settings.visible + further, settings.slate)


def replay(
    query: Query, truth: SparseRows, policy: str | Strategy, settings: ReplaySettings, depths: np.ndarray
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
    """
    n_users, n_items, n_places = query.n_users, query.model.n_items, settings.slate
    name = policy if isinstance(policy, str) else ""
    strategy = POLICIES.get(name) or name_of(name) or policy
    long_list = np.zeros((n_users, 0), dtype=np.int32)
    if name.endswith(ONCE):
        long_list = answer_all(replace(query, k=min(settings.rounds * n_places, n_items)), strategy).items
    wanted = truth.row_of_entry() * n_items + truth.columns
    hits = np.zeros((n_users, settings.rounds), dtype=np.int64)
    history: list[Slate] = []
    for number in range(settings.rounds):
        if name.endswith(ONCE):
            items = long_list[:, number * n_places : (number + 1) * n_places]
        else:
            at = max(0, number - settings.delay)
            slates = [*history[:at], *((shown, np.zeros_like(used)) for shown, used in history[at:])]
            config, knows_seen = query.model.config.signals, settings.visible is None
            signals = add_history(query.signals, slates, config, knows_seen=knows_seen)
            later = replace(query, signals=signals, k=min(n_places, n_items))
            if name.endswith(USES):
                later = replace(later.without_impressions, closed=later.excluded)
            items = answer_all(later, strategy).items
        cells = np.arange(n_users)[:, None] * n_items + items
        is_seen = (np.arange(items.shape[1]) < depths[:, number, None]) & (items >= 0)
        is_wanted = is_seen & (np.append(wanted, -1)[np.searchsorted(wanted, cells)] == cells)
        hits[:, number] = is_wanted.sum(axis=1)
        history.append((items, is_wanted))
        wanted = np.setdiff1d(wanted, cells[is_wanted])
    return hits


def add_history(
    signals: SignalBatch, slates: Sequence[Slate], config: SignalConfig, *, knows_seen: bool
) -> SignalBatch:
    """Return users' signals with the outcome of some slates added, as a store would hold them.

    Parameters
    ----------
    signals
        Users' previous signals.
    slates
        Items of each slate, -1 for empty positions, and mask of used items, both of shape (n_users, n_places).
    config
        Signals that count as use, and the assumed depth that users look to (`signals.persistence`).
    knows_seen
        Whether clients report which items were seen; otherwise only positions are known.
    """
    if not slates:
        return signals
    shape = signals.n_users, signals.n_items
    items, is_used = (np.stack(parts, axis=1) for parts in zip(*slates, strict=True))  # (n_users, n_lists, n_places)
    users, lists, places = np.nonzero(items >= 0)
    shown, done = items[users, lists, places].astype(np.int64), is_used[users, lists, places]
    positions = np.zeros_like(places) if knows_seen else places + 1
    passed_over = weigh_rows(users, lists, shown, positions, done, config.persistence, shape)
    if signals.passed_over is not None:
        passed_over = _join_chances(signals.passed_over, passed_over)
    pair = (config.use[0], ITEM)
    used = SparseRows.from_pairs(users[done], shown[done], None, *shape)
    before = [signals.actions[pair]] if pair in signals.actions else []
    actions = {**signals.actions, pair: union_rows([*before, used])}
    return replace(signals, actions=actions, passed_over=passed_over.keep(~contains(used, passed_over)))


def _join_chances(first: SparseRows, second: SparseRows) -> SparseRows:
    """Return the probability that at least one of two independent events happened, entry by entry."""
    most = np.float32(1 - 1e-7)
    neither = union_rows([replace(part, weights=np.log1p(-np.minimum(part.weights, most))) for part in (first, second)])
    return replace(neither, weights=-np.expm1(neither.weights))


BEFORE = f"{PAPER}{ONCE}"
"""The policy that others are compared with: the paper's list, made once."""
DEFAULT_POLICIES = (
    "popular", BEFORE, PAPER, f"blend{ONCE}", f"blend{USES}", "blend", "auto", "explore", *POLICIES,
)  # fmt: skip
"""Policies to replay if none are named."""


@readable
@dataclass(frozen=True, eq=False)
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
    users
        User of each row, integers, shape (n,); a user may be held out for several seeds.
    knowledge
        What was known about each user before the first round, as an index in `KNOWLEDGE`, shape (n,).
    hits
        By policy: number of items each user used in each round, integers, shape (n, rounds).
    against
        The policy that others are compared with.
    """

    dataset: str
    settings: ReplaySettings
    seeds: tuple[int, ...]
    users: np.ndarray
    knowledge: np.ndarray
    hits: Mapping[str, np.ndarray]
    against: str

    @property
    def best_first(self) -> list[str]:
        """The policies, most hits first."""
        return sorted(self.hits, key=lambda name: -float(self.hits[name].sum()))

    def sum_up(self, policy: str) -> Interval:
        """Return the mean hits per user over all rounds, with its interval."""
        return bootstrap_mean(self.hits[policy].sum(axis=1), self.users)

    def compare(self, policy: str) -> Interval:
        """Return the ratio of a policy's hits to those of `against`, paired by user; 1 if `against` has none."""
        values, denominators = (self.hits[name].sum(axis=1).astype(np.float64) for name in (policy, self.against))
        if not denominators.any():
            return Interval(1.0, 1.0, 1.0)
        return bootstrap_ratios(values[:, None], denominators, self.users)[0]

    def of_class(self, known: str) -> ReplayResults:
        """Return the results of the users of one class of `KNOWLEDGE`."""
        rows = self.knowledge == KNOWLEDGE.index(known)
        hits = {name: of_policy[rows] for name, of_policy in self.hits.items()}
        return replace(self, users=self.users[rows], knowledge=self.knowledge[rows], hits=hits)

    @property
    def classes(self) -> dict[str, int]:
        """Number of rows of each class of `KNOWLEDGE`, empty classes omitted."""
        counts = np.bincount(self.knowledge, minlength=len(KNOWLEDGE)).tolist()
        return {name: n for name, n in zip(KNOWLEDGE, counts, strict=True) if n}

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values; hits are means per user."""
        by_class = {known: self.of_class(known) for known in self.classes}
        return {
            "dataset": self.dataset,
            **asdict(self.settings),
            "seeds": list(self.seeds),
            "n_users": len(self.users),
            "against": self.against,
            "results": [
                {
                    "policy": name,
                    "hits_by_round": np.round(self.hits[name].mean(axis=0), 4).tolist(),
                    **self._describe(name),
                    "by_known": {
                        known: {"n_users": len(part.users), **part._describe(name)} for known, part in by_class.items()
                    },
                }
                for name in self.best_first
            ],
        }

    def _describe(self, policy: str) -> dict[str, Any]:
        """Return the total hits of a policy and their ratio to those of `against`."""
        values: dict[str, Any] = {}
        for key, interval in (("hits", self.sum_up(policy)), ("ratio", self.compare(policy))):
            mean, *ends = (round(value, 4) for value in astuple(interval))
            values |= {key: mean, f"{key}_ci": ends}
        return values


def replay_policies(
    dataset: Dataset,
    config: Config | None = None,
    *,
    policies: Sequence[str] = (),
    settings: ReplaySettings | None = None,
    n_seeds: int = 1,
    against: str | None = None,
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

    Raises
    ------
    ConfigError
        A policy does not exist or is not available, or a setting does not fit.
    """
    settings = settings or ReplaySettings()
    names = list(dict.fromkeys(policies or DEFAULT_POLICIES))
    held = [name for policy in names if (name := name_of(policy)) not in POLICIES]
    if wrong := [policy for policy in names if name_of(policy) in POLICIES and policy not in POLICIES]:
        raise ConfigError(f"policy: {wrong[0]} learns from rounds; give {name_of(wrong[0])}.")
    config = with_methods_of(config or Config(), held)
    check_strategies(held, config)
    against = against or (BEFORE if BEFORE in names else names[0])
    if against not in names:
        raise ConfigError(f"against: {against} is not among the policies; add it to them.")
    hits: dict[str, list[np.ndarray]] = {name: [] for name in names}
    users, knowledge = [], []
    seeds = tuple(range(config.seed, config.seed + n_seeds))
    cut_offs = find_cut_offs(dataset, config)
    with open_progress(progress) as report:
        for number, seed in enumerate(seeds):
            report(f"seed {seed}", number, n_seeds)
            for holdout in hold_out(dataset, config, seed, cut_offs):
                recommender = fit(holdout.dataset, holdout.split, config.override("seed", seed), progress=report)
                query = cohort_query(recommender, holdout.newcomers, holdout.cold, settings.slate)
                depths = draw_depths(query.n_users, settings, np.random.default_rng(seed))
                for place, name in enumerate(names):
                    report("policies", place, len(names))
                    hits[name].append(replay(query, holdout.cold.truth, name, settings, depths))
                users.append(holdout.cold.users)
                knowledge.append(query.knowledge)
        report("done", n_seeds, n_seeds)
    joined = {name: np.concatenate(parts) for name, parts in hits.items()}
    return ReplayResults(
        dataset.name, settings, seeds, np.concatenate(users), np.concatenate(knowledge), joined, against
    )
