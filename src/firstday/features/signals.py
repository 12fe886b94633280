"""Signals of new users, in the caller's ids or in a model's indexes, and the names that a model understands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from firstday.config import SHOWN, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Pair
from firstday.data.ids import Ids
from firstday.display import readable
from firstday.embed.embeddings import compute_affinity
from firstday.errors import DataError, hint_at
from firstday.features.impressions import Impression, weigh_impressions
from firstday.sparse import SparseRows, union_rows

PICK_SIGNAL = "onboarding"
"""The signal that a yes or a pick while registering becomes, where the model knows it."""


RESERVED = ("age", "interactions", "friends", "shown", "user_id")
"""Parts of `Signals` that are no profile columns: no column can have such a name."""


PICK: Mapping[str, str | None] = {"entity": ITEM, "entity_id": None}
INTERACTION: Mapping[str, str | None] = {"signal": "stream", **PICK}
"""Parts of a pick and of an interaction, with what they are where they are left out; None: they must be there."""


UNKNOWN_COLUMN = "profile column "
"""Before the name of a profile column that a model does not know."""


@readable
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
    shown
        What was shown to the user, each an `Impression` or what `Impression.read` takes. An interaction of the signal
        ``shown`` on an item is one, too.
    user_id
        Whose they are. It decides nothing but what `explore` leaves to chance: the same user who was shown the same
        gets the same list. None: what is known of the user decides.
    groups
        Categorical profile columns by name, such as ``country="FR"``.

    Raises
    ------
    DataError
        An interaction that is not a triple, friends or impressions that are not a list, or an age outside 0 to 120.
    """

    age: int | None
    interactions: tuple[tuple[str, str, Any], ...]
    friends: tuple[Any, ...]
    shown: tuple[Impression, ...]
    user_id: Any
    groups: Mapping[str, str]

    def __init__(
        self,
        /,
        *values: Any,
        age: int | None = None,
        interactions: Iterable[Sequence[Any]] = (),
        friends: Iterable[Any] = (),
        shown: Iterable[Any] = (),
        user_id: Any = None,
        **groups: str | None,
    ) -> None:
        if values:
            kind = type(values[0]).__name__
            raise DataError(f"Signals: takes no {kind}; give Signals(age=24, ...) or Signals(**VALUES).")
        triples: list[tuple[str, str, Any]] = []
        impressions: list[Impression] = []
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
            if entry[0] == SHOWN and entry[1] == ITEM:
                impressions.append(Impression.read(entry[2], f"interactions[{number}]"))
            else:
                triples.append((str(entry[0]), str(entry[1]), entry[2]))
        if isinstance(friends, str) or not isinstance(friends, Iterable):
            raise DataError(f"friends: is {friends!r}; give a list of user ids.")
        if isinstance(shown, str | Mapping) or not isinstance(shown, Iterable):
            raise DataError(f"shown: is {shown!r}; give a list of items' ids or of [item_id, position].")
        impressions += [Impression.read(entry, f"shown[{number}]") for number, entry in enumerate(shown)]
        if age is not None and (isinstance(age, bool) or not isinstance(age, Real) or not 0 <= age <= 120):
            raise DataError(f"age: is {age!r}; give whole years from 0 to 120, or leave it out.")
        object.__setattr__(self, "age", None if age is None else int(age))
        object.__setattr__(self, "interactions", tuple(triples))
        object.__setattr__(self, "friends", tuple(friends))
        object.__setattr__(self, "shown", tuple(impressions))
        object.__setattr__(self, "user_id", user_id)
        object.__setattr__(self, "groups", {k: str(v) for k, v in groups.items() if v is not None})

    def _repr_facts_(self) -> Mapping[str, Any]:
        parts = {"age": self.age, **self.groups, **{name: getattr(self, name) for name in RESERVED[1:]}}
        return {name: part for name, part in parts.items() if part not in (None, ())}

    def copy(self, **changes: Any) -> Signals:
        """Return the same signals but for some parts, each by its name."""
        return Signals(**{**self.groups, **{name: getattr(self, name) for name in RESERVED}, **changes})

    @classmethod
    def from_json(cls, text: str) -> Signals:
        """Read the JSON of what `of` takes.

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
        return cls.of(values)

    @classmethod
    def of(cls, user: Signals | Mapping[str, Any], where: str = "user") -> Signals:
        """Return signals as they are, or read them from a dictionary, whose form is the same wherever users are given.

        Parameters
        ----------
        user
            ``{"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]], "friends": ["u7"], "interactions":
            [["favorite", "item", "i81"]], "shown": [["i9", 2]]}``, all of it optional. Picks, interactions and what was
            shown may be objects, too: ``{"signal": "favorite", "entity": "item", "entity_id": "i81"}``. Profile columns
            may stand beside ``age``. None stands for what is not known.
        where
            Begins the sentence where it is neither.

        Raises
        ------
        DataError
            It is neither, or the dictionary is not of this form.
        """
        if isinstance(user, cls):
            return user
        if not isinstance(user, Mapping):
            raise DataError(
                f'{where}: is a {type(user).__name__}; give fd.Signals(...) or a dictionary such as {{"age": 24}}.'
            )
        values = dict(user)
        profile = values.pop("profile") if isinstance(values.get("profile"), Mapping) else {}
        picks = values.pop("picks") if isinstance(values.get("picks"), list | tuple) else ()
        parts = {name: values.pop(name, None) for name in ("interactions", "friends", "shown")}
        interactions = () if parts["interactions"] is None else parts["interactions"]
        if not isinstance(interactions, list | tuple) or any(
            not isinstance(entry, list | tuple | Mapping) for entry in interactions
        ):
            raise DataError('interactions: is no list of lists; give [["favorite", "item", "i81"], ...].')
        friends = () if parts["friends"] is None else parts["friends"]
        if not isinstance(friends, list | tuple) or any(
            isinstance(friend, list | dict) or friend is None for friend in friends
        ):
            raise DataError('friends: is no list of ids; give ["u7", ...].')
        values |= {name: value for name, value in profile.items() if name not in RESERVED}
        if reserved := [name for name in profile if name in RESERVED]:
            raise DataError(f"profile: {reserved[0]} cannot be the name of a profile column; give it beside profile.")
        if wrong := [name for name, value in values.items() if isinstance(value, list | tuple | dict)]:
            raise DataError(f"{wrong[0]}: is a {type(values[wrong[0]]).__name__}; give one value.")
        chosen = [(PICK_SIGNAL, *_in_order(pick, PICK, f"picks[{ix}]")) for ix, pick in enumerate(picks)]
        done = [_in_order(entry, INTERACTION, f"interactions[{ix}]") for ix, entry in enumerate(interactions)]
        shown = () if parts["shown"] is None else parts["shown"]
        age = values.pop("age", None)
        return cls(age=age, interactions=[*chosen, *done], friends=friends, shown=shown, **values)


def _in_order(entry: Any, parts: Mapping[str, str | None], where: str) -> Sequence[Any]:
    """Return what an interaction or a pick says in the order of its parts, where it is written as an object."""
    if not isinstance(entry, Mapping):
        if len(parts) == len(PICK) and not (isinstance(entry, list | tuple) and len(entry) == len(PICK)):
            raise DataError(f"{where}: is {entry!r}; give [entity, id], such as ['artist', 'a7'].")
        return entry  # type: ignore[no-any-return]
    unknown = [name for name in entry if name not in parts]
    missing = [name for name, default in parts.items() if default is None and entry.get(name) is None]
    if unknown or missing:
        what = f"has an unknown {unknown[0]!r}" if unknown else f"has no {missing[0]}"
        raise DataError(f"{where}: {what}; give an object of {', '.join(parts)}.")
    return [entry.get(name, default) for name, default in parts.items()]


@readable
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
    passed_over
        How likely each user saw an item and passed it over, above 0 and at most 1, shape (n_users, n_items); None where
        nothing was shown to anyone. It is no interaction: features and lists' exclusions know nothing of it.
    user_ids
        The caller's ids of the users, None where unknown, objects, shape (n_users,); None where all are.
    """

    n_users: int
    n_items: int
    actions: Mapping[Pair, SparseRows] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    ages: np.ndarray | None = None
    friends: SparseRows | None = None
    passed_over: SparseRows | None = None
    user_ids: np.ndarray | None = None

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
            None if self.passed_over is None else self.passed_over.take(rows),
            None if self.user_ids is None else self.user_ids[rows],
        )


@readable
@dataclass(frozen=True, eq=False)
class Catalogue:
    """The names and ids of a model's training data.

    Parameters
    ----------
    items
        Items' ids.
    entities
        Ids of the members of each other entity.
    groups
        The values of each profile column.
    has_ages
        Whether the users table has ages.
    signals
        Known signals.
    titles
        Items' titles, "" where missing; None without titles.
    people
        Ids of the kept users, who may be friends; None where the model keeps none.
    names
        What people call the members of other entities, "" where unknown; entities without any name are left out.
    """

    items: Ids
    entities: Mapping[str, Ids]
    groups: Mapping[str, tuple[str, ...]]
    has_ages: bool
    signals: tuple[str, ...]
    titles: tuple[str, ...] | None = None
    people: Ids | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, signals: tuple[str, ...], people: Ids | None = None) -> Catalogue:
        """Take the names from a dataset."""
        return cls(
            dataset.items,
            {name: entity.ids for name, entity in dataset.entities.items()},
            {name: group.values for name, group in dataset.groups.items()},
            dataset.ages is not None,
            signals,
            dataset.titles,
            people,
            {name: entity.names for name, entity in dataset.entities.items() if entity.names and any(entity.names)},
        )

    @cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        return {name: {value: code for code, value in enumerate(values)} for name, values in self.groups.items()}

    def title_of(self, item_ix: int) -> str:
        """Return an item's title, "" where it has none."""
        return self.titles[item_ix] if self.titles else ""

    def name_of(self, entity: str, target: int) -> str:
        """Return an item's title, or the name of a member of another entity, "" where it has none."""
        if entity == ITEM:
            return self.title_of(target)
        return self.names[entity][target] if entity in self.names else ""

    def find_name(self, entity: str, identity: Any) -> str:
        """Return the title or name of what an id names, "" where it is unknown or has none."""
        ids = self._ids_of(entity)
        target = -1 if ids is None else ids.index_of(identity)
        return self.name_of(entity, target) if target >= 0 else ""

    def ids_of(self, entity: str) -> Ids:
        """Return the ids of items, or of the members of another entity that the model knows."""
        return self.items if entity == ITEM else self.entities[entity]

    def _ids_of(self, entity: str) -> Ids | None:
        return self.items if entity == ITEM else self.entities.get(entity)

    def find_unknown(self, signal: str | None, entity: str, identity: Any) -> str | None:
        """Say what of an interaction is unknown; None where all of it is known. An impression has no signal."""
        ids = self._ids_of(entity)
        if signal is not None and signal not in self.signals:
            return f"signal {signal!r} is unknown{hint_at(signal, self.signals)}"
        if ids is None:
            return f"entity {entity!r} is unknown{hint_at(entity, (ITEM, *self.entities))}"
        return None if ids.index_of(identity) >= 0 else f"{entity} {identity!r} is unknown"

    def read(
        self, users: Sequence[Signals], config: SignalConfig | None = None
    ) -> tuple[SignalBatch, list[tuple[str, ...]]]:
        """Turn signals in the caller's ids into indexes.

        Parameters
        ----------
        users
            In the caller's ids.
        config
            What counts as use, and how far down a list a user looks, where something was shown; the defaults if left
            out.

        Returns
        -------
        batch : SignalBatch
            The signals that the model knows.
        ignored : list of tuple of str
            For each user, a sentence for every unknown signal; unknown signals are no errors.
        """
        ignored: list[list[str]] = [[] for _ in users]
        cells_by_pair: dict[Pair, list[tuple[int, int]]] = {}
        for row, user in enumerate(users):
            for signal, entity, identity in user.interactions:
                ids = self._ids_of(entity)
                target = -1 if ids is None or signal not in self.signals else ids.index_of(identity)
                if target >= 0:
                    cells_by_pair.setdefault((signal, entity), []).append((row, target))
                elif (unknown := self.find_unknown(signal, entity, identity)) is not None:
                    ignored[row].append(unknown)
        actions = {}
        for pair, cells in cells_by_pair.items():
            ids = self._ids_of(pair[1])
            actions[pair] = _count_cells(cells, len(users), 0 if ids is None else len(ids))
        codes = {name: np.full(len(users), -1, dtype=np.int32) for name in self.groups}
        for row, user in enumerate(users):
            for name, value in user.groups.items():
                if name not in codes:
                    ignored[row].append(f"profile column {name!r} is unknown{hint_at(name, (*codes, *RESERVED))}")
                elif value not in self._codes[name]:
                    ignored[row].append(f"{name} {value!r} was never seen")
                else:
                    codes[name][row] = self._codes[name][value]
            if user.age is not None and not self.has_ages:
                ignored[row].append("age is not used by this model")
        ages = np.array([-1 if user.age is None else user.age for user in users], dtype=np.int16)
        friends = self._read_friends(users, ignored)
        passed_over = (
            self._read_passed_over(users, config or SignalConfig()) if any(user.shown for user in users) else None
        )
        batch = SignalBatch(
            len(users),
            len(self.items),
            actions,
            codes,
            ages if self.has_ages else None,
            friends,
            passed_over,
            np.array([user.user_id for user in users], dtype=object),
        )
        return batch, [tuple(sentences) for sentences in ignored]

    def _read_friends(self, users: Sequence[Signals], ignored: list[list[str]]) -> SparseRows | None:
        """Index the friends among the kept users; note for each user how many are unknown."""
        users_with_friends = [(row, set(user.friends)) for row, user in enumerate(users) if user.friends]
        if self.people is None:
            for row, _ in users_with_friends:
                ignored[row].append("friends are not used by this model")
            return None
        cells: list[tuple[int, int]] = []
        for row, friend_ids in users_with_friends:
            kept_friends = {(row, friend) for friend in map(self.people.index_of, friend_ids) if friend >= 0}
            if len(kept_friends) < len(friend_ids):
                ignored[row].append(
                    f"{len(friend_ids) - len(kept_friends):,} of {len(friend_ids):,} friends are unknown"
                )
            cells += kept_friends
        return _count_cells(cells, len(users), len(self.people)) if users_with_friends else None

    def _read_passed_over(self, users: Sequence[Signals], config: SignalConfig) -> SparseRows:
        """Return how likely each user passed over what was shown; items that the model does not know tell nothing."""
        impressions = []
        for row, user in enumerate(users):
            actions = user.interactions if user.shown else ()
            used = {str(identity) for signal, entity, identity in actions if entity == ITEM and signal in config.use}
            impressions += [(row, entry, str(entry.item_id) in used) for entry in user.shown]
        rows, names, weights = weigh_impressions(impressions, config.persistence)
        items = np.array([self.items.index_of(name) for name in names], dtype=np.int64)
        known = items >= 0
        return SparseRows.from_pairs(
            rows[known], items[known], weights[known].astype(np.float32), len(users), len(self.items)
        )

    def translate(
        self,
        dataset: Dataset,
        users: np.ndarray,
        actions: Mapping[Pair, SparseRows],
        passed_over: SparseRows | None = None,
    ) -> tuple[SignalBatch, dict[str, int]]:
        """Turn a dataset's users into the model's indexes.

        Parameters
        ----------
        dataset
            The users' dataset; its indexes may differ from the model's.
        users
            Their `user_ix` in the dataset, shape (n,).
        actions
            Their interactions, rows in the order of `users`, columns in the dataset's indexes.
        passed_over
            What they passed over, likewise (`firstday.features.impressions.collect_passed_over`); items that the model
            does not know tell nothing.

        Returns
        -------
        batch : SignalBatch
            The signals that the model knows.
        unknown : dict of str to int
            Numbers of unknown interactions by entity, or by ``signal NAME`` where the signal is unknown; of unknown
            profile values by column, and of all values of an unknown ``profile column NAME``.
        """
        unknown: dict[str, int] = {}
        translated = {}
        for (signal, entity), rows in actions.items():
            ids = self._ids_of(entity)
            dataset_ids = dataset.items if entity == ITEM else dataset.entities[entity].ids
            if ids is dataset_ids:  # trained on this very dataset
                translated[signal, entity] = rows
                continue
            is_known = ids is not None and signal in self.signals
            mapping = ids.lookup(dataset_ids.values) if ids is not None and is_known else np.full(len(dataset_ids), -1)
            target = mapping[rows.columns]
            has_target = target >= 0
            if not has_target.all():
                name = entity if signal in self.signals else f"signal {signal}"
                unknown[name] = unknown.get(name, 0) + int((~has_target).sum())
            if ids is not None and is_known:
                translated[signal, entity] = SparseRows.from_pairs(
                    rows.row_of_entry()[has_target], target[has_target], rows.weights[has_target], len(users), len(ids)
                )
        codes = {}
        for name in self.groups:
            codes[name] = np.full(len(users), -1, dtype=np.int32)
            if name in dataset.groups:
                dataset_codes = dataset.groups[name].codes[users]
                values = [self._codes[name].get(value, -1) for value in dataset.groups[name].values]
                mapping = np.array([*values, -1], dtype=np.int32)  # a missing code is -1: the last
                codes[name] = mapping[dataset_codes]
                unseen = int(((codes[name] < 0) & (dataset_codes >= 0)).sum())
                if unseen:
                    unknown[name] = unseen
        for name, group in dataset.groups.items():
            n_values = 0 if name in self.groups else int((group.codes[users] >= 0).sum())
            if n_values:
                unknown[f"{UNKNOWN_COLUMN}{name}"] = n_values
        ages = None
        if self.has_ages:
            ages = np.full(len(users), -1, np.int16) if dataset.ages is None else dataset.ages[users]
        friends = None
        if self.people is not None and dataset.friends is not None:
            dataset_friends = dataset.friends.take(users)
            friend_ix = self.people.lookup((dataset.friend_ids or dataset.users).values)[dataset_friends.columns]
            is_kept = friend_ix >= 0
            friends = SparseRows.from_pairs(
                dataset_friends.row_of_entry()[is_kept], friend_ix[is_kept], None, len(users), len(self.people)
            )
        user_ids = dataset.users.values.gather(users).to_numpy().astype(object)
        if passed_over is not None and self.items is not dataset.items:
            items = self.items.lookup(dataset.items.values)[passed_over.columns]
            is_known = items >= 0
            rows, weights = passed_over.row_of_entry()[is_known], passed_over.weights[is_known]
            passed_over = SparseRows.from_pairs(rows, items[is_known], weights, len(users), len(self.items))
        batch = SignalBatch(
            len(users), len(self.items), translated, codes, ages, friends, passed_over, user_ids=user_ids
        )
        return batch, unknown


def _count_cells(cells: Sequence[tuple[int, int]], n_rows: int, n_columns: int) -> SparseRows:
    """Build the same as `SparseRows.from_pairs`, faster for the few cells of a request."""
    counts = Counter(cells)
    sorted_cells = sorted(counts)
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    for row, _ in sorted_cells:
        starts[row + 1] += 1
    columns = np.array([column for _, column in sorted_cells], dtype=np.int32)
    weights = np.array([counts[cell] for cell in sorted_cells], dtype=np.float32)
    return SparseRows(starts.cumsum(), columns, weights, n_columns)
