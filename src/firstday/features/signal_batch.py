"""`SignalBatch`: signals of many users, as indexes of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from firstday.config import SignalConfig
from firstday.data.events import Pair
from firstday.data.user_rows import take_rows
from firstday.display import readable
from firstday.embed.embeddings import compute_affinity, select_items
from firstday.sparse import SparseRows, union_rows


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

    def find_rejected(
        self, config: SignalConfig, members_of_items: Mapping[str, SparseRows]
    ) -> Iterator[tuple[Pair, np.ndarray]]:
        """Yield the pairs by which users reject entity members, with a mask of the entries that exclude their items.

        Members with too many items exclude none; see `SignalConfig.never_recommend`. Masks are bool, shape
        (n_entries,), and `members_of_items` has the members of each item, shape (n_items, n_members).
        """
        for pair, rows in self.actions.items():
            links = members_of_items.get(pair[1])
            if links is not None and (largest := config.max_rejected(pair, links.n_rows)):
                yield pair, links.transposed.lengths()[rows.columns] <= largest

    def excluded_items(
        self,
        config: SignalConfig,
        members_of_items: Mapping[str, SparseRows],
        new_of_members: Mapping[str, SparseRows] | None = None,
    ) -> SparseRows:
        """Return the items that interactions exclude from each user's list, shape (n_users, n_items).

        These are the items that the user used or rejected, and the items of rejected members; see `find_rejected`. Of
        the latter, only those of `new_of_members`, each of shape (n_members, n_items), unless None.
        """
        closing = [signal for signal, _ in self.actions if config.excludes_item(signal)]
        excluded = [select_items(self.actions, closing, self.n_users, self.n_items)]
        for pair, is_rejected in self.find_rejected(config, members_of_items):
            links = members_of_items[pair[1]].transposed if new_of_members is None else new_of_members.get(pair[1])
            if links is not None:
                excluded.append(self.actions[pair].keep(is_rejected).through(links))
        return union_rows(excluded)

    def take(self, rows: np.ndarray) -> SignalBatch:
        """Select users, given by row, in the given order."""
        of_users = {name: value for name, value in vars(self).items() if name not in ("n_users", "n_items")}
        return replace(self, n_users=len(rows), **take_rows(of_users, rows))
