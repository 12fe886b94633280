"""Signals: what is known of a new user, for one user in the caller's ids or for many in dense indexes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from firstday.config import SignalConfig
from firstday.data.events import ITEM, Pair
from firstday.embed.embeddings import compute_affinity
from firstday.errors import DataError
from firstday.sparse import SparseRows, union_rows

PICK_SIGNAL = "onboarding"
"""The signal that a yes or a pick while registering becomes, where the model knows it."""


@dataclass(frozen=True, init=False)
class Signals:
    """All that is known of one new user; every part may be missing.

    Parameters
    ----------
    age
        Years, or None.
    interactions
        Triples (signal, entity, id), such as ``("favorite", "item", "i81")``.
    friends
        Ids of the user's friends; only kept users count.
    groups
        Categorical profile columns by name, such as ``country="FR"``.

    Raises
    ------
    DataError
        An interaction that is not a triple, friends that are not a list, or an age outside 0 to 120.
    """

    age: int | None
    interactions: tuple[tuple[str, str, Any], ...]
    friends: tuple[Any, ...]
    groups: Mapping[str, str]

    def __init__(
        self,
        /,
        *,
        age: int | None = None,
        interactions: Iterable[Sequence[Any]] = (),
        friends: Iterable[Any] = (),
        **groups: str | None,
    ) -> None:
        triples = []
        if isinstance(interactions, str) or not isinstance(interactions, Iterable):
            raise DataError(f"interactions: is {interactions!r}; give a list of [signal, entity, id].")
        for number, entry in enumerate(interactions):
            is_sequence = isinstance(entry, tuple | list) or (
                isinstance(entry, Sequence) and not isinstance(entry, str)
            )
            if not is_sequence or len(entry) != 3:
                raise DataError(
                    f"interactions[{number}]: is {entry!r}; give [signal, entity, id], such as "
                    '["favorite", "item", "i81"].'
                )
            triples.append((str(entry[0]), str(entry[1]), entry[2]))
        if isinstance(friends, str) or not isinstance(friends, Iterable):
            raise DataError(f"friends: is {friends!r}; give a list of user ids.")
        if age is not None and (isinstance(age, bool) or not isinstance(age, Real) or not 0 <= age <= 120):
            raise DataError(f"age: is {age!r}; give whole years from 0 to 120, or leave it out.")
        object.__setattr__(self, "age", None if age is None else int(age))
        object.__setattr__(self, "interactions", tuple(triples))
        object.__setattr__(self, "friends", tuple(friends))
        object.__setattr__(self, "groups", {k: str(v) for k, v in groups.items() if v is not None})

    @classmethod
    def from_json(cls, text: str) -> Signals:
        """Read ``{"age": 24, "country": "FR", "interactions": [["favorite", "item", "i81"]], "friends": ["u7"]}``.

        Raises
        ------
        DataError
            The text is no JSON object of this form.
        """
        try:
            values = json.loads(text)
        except RecursionError:
            raise DataError('user: is JSON nested too deeply; give an object such as {"age": 24}.') from None
        except json.JSONDecodeError as error:
            raise DataError(f'user: is not JSON ({error}); give an object such as {{"age": 24}}.') from None
        if not isinstance(values, dict):
            raise DataError(f'user: is a {type(values).__name__}; give a JSON object such as {{"age": 24}}.')
        interactions = values.pop("interactions", None)
        interactions = () if interactions is None else interactions
        if not isinstance(interactions, list | tuple) or any(not isinstance(entry, list) for entry in interactions):
            raise DataError('interactions: is no list of lists; give [["favorite", "item", "i81"], ...].')
        friends = values.pop("friends", None)
        friends = () if friends is None else friends
        if not isinstance(friends, list | tuple) or any(
            isinstance(friend, list | dict) or friend is None for friend in friends
        ):
            raise DataError('friends: is no list of ids; give ["u7", ...].')
        wrong = [name for name, value in values.items() if isinstance(value, list | dict)]
        if wrong:
            raise DataError(f"{wrong[0]}: is a {type(values[wrong[0]]).__name__}; give one value.")
        return cls(age=values.pop("age", None), interactions=interactions, friends=friends, **values)


@dataclass(frozen=True, eq=False)
class SignalBatch:
    """Signals of many users, in a model's dense indexes; -1 stands for unknown.

    Parameters
    ----------
    n_users
        How many users there are.
    actions
        Their interactions by (signal, entity) pair, each of shape (n_users, n_targets).
    groups
        int32 codes of each profile column, shape (n_users,), -1 where missing or never seen.
    ages
        int16, shape (n_users,), -1 where missing.
    n_items
        How many items the model has.
    friends
        Each user's friends among the kept users, shape (n_users, n_kept); None where nobody has any.
    """

    n_users: int
    n_items: int
    actions: Mapping[Pair, SparseRows] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    ages: np.ndarray | None = None
    friends: SparseRows | None = None

    def affinity(self, config: SignalConfig) -> SparseRows:
        """Return positive affinities for items, shape (n_users, n_items)."""
        return compute_affinity(self.actions, config, self.n_users, self.n_items)

    def closed_items(self, config: SignalConfig) -> SparseRows:
        """Return items to leave out of lists: used ones and those never to be recommended, (n_users, n_items)."""
        left_out = (*config.use, *config.never_recommend)
        parts = [rows for (signal, entity), rows in self.actions.items() if entity == ITEM and signal in left_out]
        return union_rows(parts) if parts else SparseRows.empty(self.n_users, self.n_items)

    def take(self, rows: np.ndarray) -> SignalBatch:
        """Return the batch of the given users, in the order given."""
        return SignalBatch(
            len(rows),
            self.n_items,
            {pair: actions.take(rows) for pair, actions in self.actions.items()},
            {name: codes[rows] for name, codes in self.groups.items()},
            None if self.ages is None else self.ages[rows],
            None if self.friends is None else self.friends.take(rows),
        )
