"""`SignalBatch`: signals of many users, as indexes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from firstday.config import SignalConfig
from firstday.data.events import Pair
from firstday.data.user_rows import take_rows
from firstday.display import readable
from firstday.embed.embeddings import compute_affinity, select_items
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, eq=False)
class SignalBatch:
    """Signals of many users in a model's dense indexes; -1 means unknown.

    Parameters
    ----------
    n_users
        Number of users.
    actions
        Interactions by (signal, entity) pair, each of shape (n_users, n_members).
    groups
        Codes of each profile column, int32, shape (n_users,), -1 if missing or unseen.
    ages
        int16, shape (n_users,), -1 if missing.
    n_items
        Number of items of the model.
    friends
        Each user's friends among the stored users, shape (n_users, n_stored); None without friends.
    passed_over
        Probability that the user passed over an item, in (0, 1], shape (n_users, n_items); None without impressions.
        Impressions are not interactions: they affect neither features nor `excluded_items`.
    user_ids
        The caller's ids of the users, None where unknown: object, shape (n_users,). None if all are unknown.
    """

    n_users: int
    n_items: int
    actions: Mapping[Pair, SparseRows] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    ages: np.ndarray | None = None
    friends: SparseRows | None = None
    passed_over: SparseRows | None = None
    user_ids: np.ndarray | None = None

    @property
    def profile(self) -> dict[str, np.ndarray]:
        """Codes of each profile column, with ages as ``age``."""
        return {**self.groups, **({} if self.ages is None else {"age": self.ages})}

    def affinity(self, config: SignalConfig) -> SparseRows:
        """Return each user's positive affinities to items, shape (n_users, n_items)."""
        return compute_affinity(self.actions, config, self.n_users, self.n_items)

    def excluded_items(self, config: SignalConfig) -> SparseRows:
        """Return the items that interactions exclude from each user's list, shape (n_users, n_items).

        These are items that the user interacted with by a signal in `SignalConfig.use` or `never_recommend`.
        """
        return select_items(self.actions, (*config.use, *config.never_recommend), self.n_users, self.n_items)

    def take(self, rows: np.ndarray) -> SignalBatch:
        """Select users, given by row, in the given order."""
        of_users = {name: value for name, value in vars(self).items() if name not in ("n_users", "n_items")}
        return replace(self, n_users=len(rows), **take_rows(of_users, rows))
