"""Recommend to a folder of cold users, and write the lists to a file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
from firstday.features.signals import UNKNOWN_COLUMN, Catalogue
from firstday.recommend.effects import KEEPS_OUT, NOTHING, count_weak, tell_counts
from firstday.recommend.list_files import find_list_form, write_list_file
from firstday.recommend.query import Query
from firstday.recommend.recommendation import frame_lists
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.filters import USER
from firstday.recommend.rules.list_rules import NO_RULES, Rules

USERS_AT_ONCE = 20_000


@dataclass(frozen=True)
class BatchSummary:
    """Summary of a batch.

    Parameters
    ----------
    n_users, n_rows
        Number of users answered and of rows written.
    routes
        Number of users per route.
    unknown
        Number of values unknown to the model: interactions per entity or signal, profile values per column.
    without_effect, only_kept_out
        Number of known values without effect (interactions per ``signal x entity``, friends, profile values per
        column), and number of interactions that only excluded items.
    notes
        Decisions made while reading, and all of the above in sentences.
    """

    n_users: int
    n_rows: int
    routes: Mapping[str, int]
    unknown: Mapping[str, int]
    without_effect: Mapping[str, int]
    only_kept_out: Mapping[str, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return asdict(self)


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
    """Recommend to all users of a folder.

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
        The extension of `out` is not supported.
    """
    form = find_list_form(str(out))
    if not out.resolve().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist; make it first.")
    dataset = load_newcomers(folder, drop_bad_rows=drop_bad_rows)
    lists, counts = list_users(recommender, dataset, k, strategy, keep_used=keep_used, rules=Rules.of(rules))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.resolve().parent) as staging:
        staged = Path(staging) / out.name
        write_list_file(lists, staged, form)
        staged.replace(out)
    write_left_out(left_out_path(out), dataset.left_out)
    return summarise_batch(counts, recommender.model.catalogue, dataset.notes)


@dataclass(frozen=True)
class BatchCounts:
    """Counts of a batch; the counts of parts of the users can be added.

    Parameters
    ----------
    n_users, n_rows
        Number of users answered, and of ranked items.
    routes, unknown
        See `BatchSummary`.
    weak
        Known signals without an effect on the ranking, see `firstday.recommend.effects.count_weak`.
    """

    n_users: int = 0
    n_rows: int = 0
    routes: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    weak: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def __add__(self, other: BatchCounts) -> BatchCounts:
        return BatchCounts(*map(add, vars(self).values(), vars(other).values()))


def list_users(
    recommender: Recommender,
    dataset: Dataset,
    k: int | None,
    strategy: str | None,
    *,
    keep_used: bool,
    rules: Rules = NO_RULES,
) -> tuple[pl.DataFrame, BatchCounts]:
    """Return the lists of all users of a dataset, one row per ranked item, and the counts.

    For `k`, `strategy`, `keep_used` and `rules` see `Recommender.recommend`.
    """
    catalogue, config = recommender.model.catalogue, recommender.model.config.signals
    users, actions = np.arange(len(dataset.users)), dataset.all_actions()
    passed_over = collect_passed_over(dataset, users, actions, config)
    batch, unknown = catalogue.translate(dataset, users, actions, passed_over)
    routes: Counter[str] = Counter()
    weak: Counter[tuple[str, str, int]] = Counter()
    name = strategy or recommender.model.config.recommend.strategy
    frames = []
    for at in range(0, max(1, len(users)), USERS_AT_ONCE):
        part = users[at : at + USERS_AT_ONCE]
        signals = batch.take(part)
        profile = _profile(dataset, part, rules.names(USER))
        answer = recommender.answer_batch(signals, k, name, keep_used=keep_used, rules=rules, profile=profile)
        routes.update(answer.routes.tolist())
        weak += count_weak(Query(recommender.model, signals, 1, keep_used), name, answer.routes)
        frames.append(frame_lists(catalogue, dataset.users.take(part), answer))
    lists = pl.concat(frames)
    return lists, BatchCounts(len(users), lists.height, routes, Counter(unknown), weak)


def _profile(dataset: Dataset, users: np.ndarray, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values that filters read from each user, by name; None where missing."""
    profile: dict[str, list[Any]] = {
        name: [group.values[code] if code >= 0 else None for code in group.codes[users].tolist()]
        for name, group in dataset.groups.items()
        if name in names
    }
    if "age" in names and dataset.ages is not None:
        profile["age"] = [age if age >= 0 else None for age in dataset.ages[users].tolist()]
    return profile


def summarise_batch(counts: BatchCounts, catalogue: Catalogue, notes: Sequence[str]) -> BatchSummary:
    """Return the summary of a batch, with notes on unknown values."""
    unknown = dict(counts.unknown)
    by_effect = {
        does: {name: n for (_, name, what), n in sorted(counts.weak.items()) if what == does}
        for does in (NOTHING, KEEPS_OUT)
    }
    all_notes = (*_describe_unknown(unknown, catalogue), *tell_counts(counts.weak), *notes)
    return BatchSummary(
        counts.n_users,
        counts.n_rows,
        dict(counts.routes),
        unknown,
        by_effect[NOTHING],
        by_effect[KEEPS_OUT],
        all_notes,
    )


def _describe_unknown(unknown: Mapping[str, int], catalogue: Catalogue) -> list[str]:
    sentences = []
    for name, n in sorted(unknown.items()):
        known = ""
        if name.startswith("signal "):
            known = f" (known are {', '.join(catalogue.signals)})"
        elif name.startswith(UNKNOWN_COLUMN):
            known = f" (known are {', '.join(catalogue.groups) or 'none'})"
        sentences.append(f"{n:,} values of {name} are unknown to the model and were ignored{known}.")
    return sentences
