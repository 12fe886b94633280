"""Holdout: training data of an evaluation, and the cold users to evaluate on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.cut_offs import CutOffs, choose_cut_offs, choose_target_days
from firstday.data.splits.histories import LogSpan, Protocol, read_histories
from firstday.data.splits.protocol import choose_protocol
from firstday.data.splits.registration import collect_newcomers, split_registration
from firstday.data.splits.roles import assign_roles, require_enough_users
from firstday.data.splits.sampled import split_sampled
from firstday.data.splits.snapshot import find_first_seen, take_snapshot
from firstday.data.splits.split import Cohort, Split
from firstday.data.summary import summarise
from firstday.data.user_rows import NEVER
from firstday.errors import DataError
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US


@dataclass(frozen=True, eq=False)
class AllUses:
    """What cold users went on to use, and when they and the items came, by the indexes of `Holdout.newcomers`."""

    truth: SparseRows  # items used afterwards, also those that came after the cut-off, shape (n, n_items)
    registered_us: np.ndarray  # registration, in microseconds since 1970 UTC, int64, shape (n,)
    first_seen: np.ndarray  # when each item first existed, see `find_first_seen`
    cut_off: int  # of the holdout

    @property
    def model_age(self) -> np.ndarray:
        """Days from the cut-off to each user's registration, float64, shape (n,)."""
        return (self.registered_us - self.cut_off) / DAY_US


@dataclass(frozen=True, eq=False)
class Holdout:
    """Training data, and the cold users to evaluate on."""

    dataset: Dataset  # training data
    split: Split  # roles of its users
    newcomers: Dataset  # dataset of the cold users
    # Their day ones use the indexes of `newcomers`, their truth those of `dataset`; it is empty if they only used items
    # that came after the cut-off.
    cold: Cohort
    cut_off: int | None = None  # exclusive end of the training data, microseconds since 1970 UTC; None under `sampled`
    all_uses: AllUses | None = None  # None under `sampled`


def log_of(dataset: Dataset, config: Config) -> LogSpan | None:
    """Return the log's time span under the protocol `registration`, None under `sampled`; see `choose_protocol`."""
    return choose_protocol(summarise(dataset), config)


def protocol_of(dataset: Dataset, config: Config) -> Protocol:
    """Return the protocol of a dataset; see `choose_protocol`."""
    return "sampled" if log_of(dataset, config) is None else "registration"


def find_cut_offs(dataset: Dataset, config: Config) -> CutOffs | None:
    """Return the cut-offs of an evaluation, None under `sampled`; for errors see `choose_cut_offs`."""
    log = log_of(dataset, config)
    return None if log is None else choose_cut_offs(read_histories(dataset, config, log), config)


def hold_out(dataset: Dataset, config: Config, seed: int, cut_offs: CutOffs | None) -> Iterator[Holdout]:
    """Yield the holdout of each cut-off, or one random holdout without cut-offs; the seed determines what is drawn.

    Raises DataError if no cut-off has a newcomer to evaluate.
    """
    if cut_offs is None:
        split = split_for_training(dataset, config, seed, with_cold=True)
        yield Holdout(dataset, split, dataset, split.cold)
        return
    config = config.override({"protocol": "registration", "registration.target_days": cut_offs.target_days})
    registered_us = cut_offs.histories.registered_us
    first_seen = find_first_seen(dataset)
    ends = (*cut_offs.moments[1:], NEVER)
    is_empty = True
    for cut_off, end in zip(cut_offs.moments, ends, strict=True):
        snapshot = take_snapshot(dataset, registered_us, cut_off)
        is_newcomer = cut_offs.histories.can_be_evaluated & (registered_us >= cut_off) & (registered_us < end)
        cold = collect_newcomers(dataset, config, cut_offs.histories, np.flatnonzero(is_newcomer), cut_off)
        truth = cold.truth.keep_columns(dataset.items.lookup(snapshot.items.values))
        if truth.n_entries:
            is_empty = False
            split = split_for_training(snapshot, config, seed, end=cut_off)
            all_uses = AllUses(cold.truth, registered_us[cold.users], first_seen, cut_off)
            yield Holdout(snapshot, split, dataset, replace(cold, truth=truth), cut_off, all_uses)
    if is_empty:
        raise DataError(
            "users: no newcomer used an item that existed before the cut-off, so there is nothing to evaluate; provide "
            "a longer log, or items.added_at."
        )


def split_for_training(
    dataset: Dataset,
    config: Config,
    seed: int,
    *,
    with_cold: bool = False,
    held_out: np.ndarray | None = None,
    end: int | None = None,
) -> Split:
    """Split the users of a dataset for one training run, by the configured protocol.

    `end` is the exclusive end of the log, in microseconds since 1970 UTC; None: just after the last interaction. For
    `with_cold` and `held_out`, see `assign_roles`. Raises DataError if there are too few users or, under
    `registration`, no times.
    """
    config = config.override("seed", seed)
    log = log_of(dataset, config)
    if log is not None and end is not None:
        log = replace(log, end=end)
    histories = choose_target_days(read_histories(dataset, config, log), config)
    roles = assign_roles(histories, config, with_cold=with_cold, held_out=held_out)
    require_enough_users(roles, histories, config, with_cold=with_cold)
    split = split_sampled if log is None else split_registration
    return split(dataset, config, histories, roles)
