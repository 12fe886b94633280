"""Target uses: what newcomers used after day one, by when the item came and by its age at the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset, Entity
from firstday.data.events import ITEM, Window
from firstday.data.splits.histories import LogSpan, read_histories
from firstday.data.user_rows import NEVER
from firstday.tables.schema import DAY_US

AT_TRAINING = "at_training"
BY_DAY_ONE = "by_day_one"
STATES = (AT_TRAINING, BY_DAY_ONE, "later")
"""When an item existed: before the cut-off, by the end of the newcomer's day one, or only later."""
MANY_EXISTED = 80.0
"""Share of uses, in %, that existed at training, below which precision describes a part of the uses only."""
MAX_AGE_DAYS = 1_000


@dataclass(frozen=True, eq=False)
class TargetUses:
    """Numbers of items that newcomers first used in their target windows.

    Parameters
    ----------
    by_state
        By `STATES`, int64, shape (3,): of the item and, by entity with enough members for lists, of the oldest item of
        its members.
    by_age
        By age of the item in days, up to `MAX_AGE_DAYS`, int64.
    """

    by_state: Mapping[str, np.ndarray]
    by_age: np.ndarray

    def __add__(self, other: TargetUses) -> TargetUses:
        by_state = {name: counts + other.by_state[name] for name, counts in self.by_state.items()}
        return TargetUses(by_state, self.by_age + other.by_age)

    def shares(self, entity: str = ITEM) -> dict[str, float]:
        """Return the share of uses by state in %, of items or of the members of an entity."""
        counts = self.by_state[entity]
        return dict(zip(STATES, (100 * counts / max(1, counts.sum())).tolist(), strict=True))

    @property
    def median_age_days(self) -> int:
        """Median age of the items at their uses, in days."""
        return int(np.searchsorted(self.by_age.cumsum(), self.by_age.sum() / 2))

    def describe(self) -> str:
        """Describe the shares in one sentence."""
        at_training, by_day_one, later = self.shares().values()
        return (
            f"Of what newcomers used after day one, {at_training:.0f} % existed when the model was trained, "
            f"{by_day_one:.0f} % came by the end of their day one, and {later:.0f} % only later."
        )

    def advise(self, target_days: float) -> str:
        """Suggest entities that live longer, if items live shorter than the target window; else ""."""
        if self.shares()["at_training"] >= MANY_EXISTED or self.median_age_days >= target_days:
            return ""
        shares = {name: self.shares(name)["at_training"] for name in self.by_state}
        lasting = [f"{name} ({share:.0f} %)" for name, share in shares.items() if share >= MANY_EXISTED]
        longer = f"recommend what lives longer (and the share that existed): {', '.join(lasting)}; see docs/tables.md"
        return (
            f"Half of these uses, within {target_days:g} days, are of items at most {self.median_age_days:,} days old; "
            f"{longer if lasting else 'train more often'}."
        )


def count_target_uses(
    part: Dataset, config: Config, log: LogSpan, target_days: float, moments: Sequence[int], first_seen: np.ndarray
) -> TargetUses:
    """Count the target uses of a part's newcomers.

    `moments` are the cut-offs, ascending; `first_seen` is when each item first existed for all users.
    """
    histories = replace(read_histories(part, config, log), target_days=target_days)
    registered_us = histories.registered_us
    life = histories.life(config.registration)
    assert life is not None
    is_newcomer = histories.can_be_evaluated & (registered_us >= moments[0])
    target = Window(np.where(is_newcomer, histories.day_end_us, NEVER), histories.target_end_us)
    cut_off = np.asarray(moments)[np.searchsorted(moments, registered_us, side="right") - 1]
    came = {ITEM: first_seen}
    for name, entity in part.entities.items():
        if entity.items.n_rows > config.recommend.k:  # otherwise lists of its members would hold them all
            came[name] = _find_oldest(entity, first_seen)
    by_state = {name: np.zeros(len(STATES), dtype=np.int64) for name in came}
    by_age = np.zeros(MAX_AGE_DAYS + 1, dtype=np.int64)
    codes = part.events.codes_of(ITEM, config.signals.use)
    for frame in part.events.frames():
        rows = life.select(frame.filter(pl.col("pair").is_in(codes)))
        uses = target.select(rows.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min()))
        user = uses["user_ix"].to_numpy()
        item = uses["target_ix"].to_numpy()
        age_us = uses["timestamp"].to_physical().to_numpy() - first_seen[item]
        by_age += np.bincount(np.minimum(age_us // DAY_US, MAX_AGE_DAYS), minlength=len(by_age))
        for name, counts in by_state.items():
            moment = came[name][item]
            state = (moment >= cut_off[user]).astype(np.int64) + (moment >= histories.day_end_us[user])
            counts += np.bincount(state, minlength=len(STATES))
    return TargetUses(by_state, by_age)


def _find_oldest(entity: Entity, first_seen: np.ndarray) -> np.ndarray:
    """Return when the oldest item of each item's members first existed; items without a member keep their own time."""
    member = entity.items.row_of_entry()
    item = entity.items.columns
    of_member = np.full(entity.items.n_rows, NEVER)
    np.minimum.at(of_member, member, first_seen[item])
    came = first_seen.copy()
    np.minimum.at(came, item, of_member[member])
    return came
