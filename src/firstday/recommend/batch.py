"""Recommend to a folder of cold users, and write the lists to a file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.left_out import left_out_path, write_left_out
from firstday.data.newcomers import load_newcomers
from firstday.errors import DataError
from firstday.features.impressions import collect_passed_over
from firstday.recommend.effects import count_weak
from firstday.recommend.list_files import find_list_form, write_list_file
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommendation import frame_lists
from firstday.recommend.recommender import Recommender, answer_under_rules
from firstday.recommend.rules.list_rules import NO_RULES, Rules
from firstday.recommend.spec import Strategy

USERS_AT_ONCE = 20_000


@dataclass(frozen=True)
class BatchSummary:
    """Summary of a batch; summaries of disjoint users can be added.

    Parameters
    ----------
    n_users, n_rows
        Number of users answered and of rows written.
    routes
        Number of users per route.
    unknown
        Number of values unknown to the model: interactions per entity or signal, profile values per column.
    without_effect, only_kept_out
        Number of known signals without effect, and of those that only excluded items: interactions per ``signal x
        entity``, friends, impressions, profile values per column.
    notes
        One sentence on each of the three counts above, and the notes made while reading the tables.
    """

    n_users: int = 0
    n_rows: int = 0
    routes: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    without_effect: Counter[str] = field(default_factory=Counter)
    only_kept_out: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()

    def __add__(self, other: BatchSummary) -> BatchSummary:
        return BatchSummary(*map(add, vars(self).values(), vars(other).values()))

    def with_notes(self, notes: Sequence[str]) -> BatchSummary:
        """Return the summary with notes on what had no effect, followed by those made while reading."""
        found = {
            "Unknown to the model and ignored": self.unknown,
            "Ignored, because neither the features nor the strategy use them": self.without_effect,
            "Only excluded items": self.only_kept_out,
        }
        sentences = [
            f"{what}: {', '.join(f'{name} ({n:,})' for name, n in sorted(counts.items()))}."
            for what, counts in found.items()
            if counts
        ]
        return replace(self, notes=(*sentences, *notes))

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return dict(vars(self))


def recommend_tables(
    recommender: Recommender,
    folder: Path,
    out: Path,
    k: int | None = None,
    strategy: str | None = None,
    *,
    keep_used: bool = False,
    rules: Rules | Mapping[str, Any] | None = None,
    drop_bad_rows: float = 0.0,
) -> BatchSummary:
    """Recommend to all users in the tables of a folder, and write one file.

    Parameters
    ----------
    recommender
        The model.
    folder
        Tables of cold users, see `firstday.data.newcomers.load_newcomers`.
    out
        Output file, written atomically; its extension selects the format. Columns: `user_id`, `rank` (from 1),
        `item_id`, `title`, `score`, `route`, `scale` (see `Recommendation.score_scale`; ``fills the list up`` for
        fill-up items).
    k, strategy, keep_used, rules
        See `Recommender.recommend`.
    drop_bad_rows
        Maximum share of bad rows per table, from 0 to 1. Bad rows are left out and listed in ``NAME.left-out.jsonl``
        next to `out`.

    Raises
    ------
    DataError
        The tables cannot be read, or the output folder does not exist.
    ConfigError
        The extension of `out` is not supported, or see `Recommender.recommend`.
    """
    form = find_list_form(str(out))
    if not out.resolve().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist; create it first.")
    dataset = load_newcomers(folder, drop_bad_rows=drop_bad_rows)
    lists, summary = list_users(recommender, dataset, k, strategy, keep_used=keep_used, rules=Rules.of(rules))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.resolve().parent) as staging:
        staged = Path(staging) / out.name
        write_list_file(lists, staged, form)
        staged.replace(out)
    write_left_out(left_out_path(out), dataset.left_out)
    return summary.with_notes(dataset.notes)


def list_users(
    recommender: Recommender,
    dataset: Dataset,
    k: int | None,
    strategy: str | None,
    *,
    keep_used: bool,
    rules: Rules = NO_RULES,
) -> tuple[pl.DataFrame, BatchSummary]:
    """Return the lists of all users of a dataset, one row per ranked item, and a summary without notes.

    For `k`, `strategy`, `keep_used` and `rules` see `Recommender.recommend`.
    """
    catalogue, config = recommender.model.catalogue, recommender.model.config.signals
    users, actions = np.arange(len(dataset.users)), dataset.all_actions()
    passed_over = collect_passed_over(dataset, users, actions, config)
    batch, unknown = catalogue.translate(dataset, users, actions, passed_over)
    routes, ignored, excluding = Counter[str](), Counter[str](), Counter[str]()
    name = strategy or recommender.model.config.recommend.strategy
    frames = []
    for start in range(0, max(1, len(users)), USERS_AT_ONCE):
        part = users[start : start + USERS_AT_ONCE]
        signals = batch.take(part)
        profile = partial(_profile, dataset, part)
        answer = recommender.answer_batch(signals, k, name, keep_used=keep_used, rules=rules, profile=profile)
        routes.update(answer.routes.tolist())
        weak = count_weak(Query(recommender.model, signals, 1, keep_used), name, answer.routes)
        ignored, excluding = ignored + weak[0], excluding + weak[1]
        frames.append(frame_lists(catalogue, dataset.users.take(part), answer))
    lists = pl.concat(frames)
    return lists, BatchSummary(len(users), lists.height, routes, Counter(unknown), ignored, excluding)


def answer_under(query: Query, strategy: str | Strategy, rules: Rules, dataset: Dataset, users: np.ndarray) -> Answer:
    """Answer a query of users of a dataset, given by index, by a strategy under rules."""
    return answer_under_rules(query, strategy, [rules], partial(_profile, dataset, users))[0]


def _profile(dataset: Dataset, users: np.ndarray, row: int) -> dict[str, Any]:
    """Return the values that filters may read from a user; None where missing."""
    user = users[row]
    codes = {name: (group.values, group.codes[user]) for name, group in dataset.groups.items()}
    profile: dict[str, Any] = {name: values[code] if code >= 0 else None for name, (values, code) in codes.items()}
    if dataset.ages is not None and dataset.ages[user] >= 0:
        profile["age"] = int(dataset.ages[user])
    return profile
