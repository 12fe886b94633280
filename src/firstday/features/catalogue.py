"""`Catalogue`: ids and names that a model knows; translates signals to its indexes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
import polars as pl

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Pair
from firstday.data.ids import Ids
from firstday.display import readable
from firstday.errors import hint_at
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import RESERVED, Signals
from firstday.impressions.passed_over import infer_passed_over
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, eq=False)
class Catalogue:
    """Ids and names that a model knows from its training data."""

    items: Ids
    entities: Mapping[str, Ids]  # ids of the members of each other entity
    groups: Mapping[str, tuple[str, ...]]  # values of each profile column
    has_ages: bool  # whether the users table has ages
    signals: tuple[str, ...]
    titles: tuple[str, ...] | None = None  # item titles, "" if missing; None without titles
    people: Ids | None = None  # ids of the stored users, who may be friends; None if the model stores none
    # Display names of the members of other entities, "" if unknown; entities without names are omitted.
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, pl.Series] = field(default_factory=dict)  # see `Dataset.columns`

    @classmethod
    def of(cls, dataset: Dataset, signals: tuple[str, ...], people: Ids | None = None) -> Catalogue:
        """Build from a dataset."""
        return cls(
            dataset.items,
            {name: entity.ids for name, entity in dataset.entities.items()},
            {name: group.values for name, group in dataset.groups.items()},
            dataset.ages is not None,
            signals,
            dataset.titles,
            people,
            {name: entity.names for name, entity in dataset.entities.items() if entity.names and any(entity.names)},
            dataset.columns,
        )

    @cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        return {name: {value: code for code, value in enumerate(values)} for name, values in self.groups.items()}

    def title_of(self, item_ix: int) -> str:
        """Return an item's title; "" if it has none."""
        return self.titles[item_ix] if self.titles else ""

    def name_of(self, entity: str, target: int) -> str:
        """Return an item's title, or the name of another entity's member; "" if it has none."""
        if entity == ITEM:
            return self.title_of(target)
        return self.names[entity][target] if entity in self.names else ""

    def ids_of(self, entity: str) -> Ids:
        """Return the ids of items, or of another known entity's members."""
        return self._ids[entity]

    @cached_property
    def _ids(self) -> dict[str, Ids]:
        return {ITEM: self.items, **self.entities}

    def find_unknown(self, signal: str | None, entity: str, identity: Any) -> str | None:
        """Describe the unknown part of an interaction, or of an impression (`signal` None); None if all are known."""
        if signal is not None and signal not in self.signals:
            return f"signal {signal!r} is unknown{hint_at(signal, self.signals)}"
        if entity not in self._ids:
            return f"entity {entity!r} is unknown{hint_at(entity, tuple(self._ids))}"
        return None if self._ids[entity].index_of(identity) >= 0 else f"{entity} {identity!r} is unknown"

    def read(
        self, users: Sequence[Signals], config: SignalConfig | None = None
    ) -> tuple[SignalBatch, list[tuple[str, ...]]]:
        """Translate signals from the caller's ids into indexes.

        Also returns, for each user, one sentence per signal, id or value that is unknown and therefore ignored.
        `config` (default: `SignalConfig()`) defines which signals are uses, and the persistence for impressions.
        """
        config = config or SignalConfig()
        ignored: list[list[str]] = [[] for _ in users]
        actions = self._read_interactions(users, ignored)
        groups = self._read_groups(users, ignored)
        ages = self._read_ages(users, ignored)
        friends = self._read_friends(users, ignored)
        has_impressions = any(user.shown for user in users)
        passed_over = self._read_passed_over(users, config) if has_impressions else None
        user_ids = np.array([user.user_id for user in users], dtype=object)
        batch = SignalBatch(len(users), len(self.items), actions, groups, ages, friends, passed_over, user_ids)
        return batch, [tuple(sentences) for sentences in ignored]

    def _read_interactions(self, users: Sequence[Signals], ignored: list[list[str]]) -> dict[Pair, SparseRows]:
        """Return the known interactions by pair; add a sentence for each other one to the user's `ignored`."""
        cells: defaultdict[Pair, list[tuple[int, int]]] = defaultdict(list)
        for row, user in enumerate(users):
            for action in user.interactions:
                if unknown := self.find_unknown(action.signal, action.entity, action.entity_id):
                    ignored[row].append(unknown)
                else:
                    member = self._ids[action.entity].index_of(action.entity_id)
                    cells[action.signal, action.entity].append((row, member))
        return {pair: _count_cells(found, len(users), len(self._ids[pair[1]])) for pair, found in cells.items()}

    def _read_groups(self, users: Sequence[Signals], ignored: list[list[str]]) -> dict[str, np.ndarray]:
        """Return the codes of the profile columns; add a sentence for each unknown column or value to `ignored`."""
        codes = {name: np.full(len(users), -1, dtype=np.int32) for name in self.groups}
        for row, user in enumerate(users):
            for name, value in user.groups.items():
                if name not in codes:
                    hint = hint_at(name, (*codes, *RESERVED))
                    ignored[row].append(f"profile column {name!r} is unknown{hint}")
                elif value not in self._codes[name]:
                    ignored[row].append(f"{name} {value!r} was never seen")
                else:
                    codes[name][row] = self._codes[name][value]
        return codes

    def _read_ages(self, users: Sequence[Signals], ignored: list[list[str]]) -> np.ndarray | None:
        """Return ages as in `SignalBatch`; if the model has none, add a sentence to `ignored` of users with an age."""
        if self.has_ages:
            return np.array([-1 if user.age is None else user.age for user in users], dtype=np.int16)
        for row, user in enumerate(users):
            if user.age is not None:
                ignored[row].append("age is not used by this model")
        return None

    def _read_friends(self, users: Sequence[Signals], ignored: list[list[str]]) -> SparseRows | None:
        """Return the stored friends as in `SignalBatch`; add a sentence about the others to `ignored`."""
        cells = []
        for row, user in enumerate(users):
            ids = set(user.friends)
            if ids and self.people is None:
                ignored[row].append("friends are not used by this model")
            elif ids and self.people is not None:
                members = {self.people.index_of(friend) for friend in ids} - {-1}
                cells += [(row, member) for member in members]
                if len(members) < len(ids):
                    ignored[row].append(f"{len(ids) - len(members):,} of {len(ids):,} friends are unknown")
        return None if self.people is None else _count_cells(cells, len(users), len(self.people))

    def _read_passed_over(self, users: Sequence[Signals], config: SignalConfig) -> SparseRows:
        """Return the probability that each user passed over each known item; see `infer_passed_over`."""
        n_items = len(self.items)
        numbers: dict[str, int] = defaultdict(count(n_items).__next__)  # of lists and unknown items
        rows = []
        for row, user in enumerate(users):
            uses = (action for action in user.interactions if action.entity == ITEM and action.signal in config.use)
            used = {str(use.entity_id) for use in uses}
            for entry in user.shown:
                name = str(entry.item_id)
                item = self.items.index_of(name)
                if item < 0:  # also has a number: if it is used, the items above it were seen
                    item = numbers[name]
                list_ix = -1 if entry.list_id is None else numbers[str(entry.list_id)]
                visit = -1 if entry.visit is None else numbers[f"visit {entry.visit}"]
                rows.append((row, list_ix, item, entry.position or 1, name in used, visit))
        owners, list_ixs, items, positions, is_used, visits = np.array(rows, dtype=np.int64).T
        return infer_passed_over(
            owners, list_ixs, items, positions, is_used, config.persistence, (len(users), n_items), visits
        )

    def translate(
        self,
        dataset: Dataset,
        users: np.ndarray,
        actions: Mapping[Pair, SparseRows],
        passed_over: SparseRows | None = None,
    ) -> tuple[SignalBatch, dict[str, int]]:
        """Translate a dataset's users (`user_ix`), their interactions and passed-over items into the model's indexes.

        Also returns a dictionary with the number of unknown interactions by entity, and of unknown profile values by
        column. If the signal or column itself is unknown, the key is ``signal NAME`` or ``profile column NAME``.
        """
        unknown: Counter[str] = Counter()
        translated = self._translate_actions(dataset, actions, unknown)
        codes = self._translate_groups(dataset, users, unknown)
        ages = None
        if self.has_ages:
            ages = np.full(len(users), -1, dtype=np.int16) if dataset.ages is None else dataset.ages[users]
        friends = None
        if self.people is not None and dataset.friends is not None:
            friends = map_columns(dataset.friends.take(users), dataset.friend_ids or dataset.users, self.people).ones()
        if passed_over is not None:
            passed_over = map_columns(passed_over, dataset.items, self.items)
        user_ids = dataset.users.values.gather(users).to_numpy().astype(object)
        batch = SignalBatch(len(users), len(self.items), translated, codes, ages, friends, passed_over, user_ids)
        return batch, dict(+unknown)

    def _translate_actions(
        self, dataset: Dataset, actions: Mapping[Pair, SparseRows], unknown: Counter[str]
    ) -> dict[Pair, SparseRows]:
        """Return the known interactions by pair, and count the others in `unknown`."""
        translated = {}
        for (signal, entity), rows in actions.items():
            ids = self._ids.get(entity)
            dataset_ids = dataset.items if entity == ITEM else dataset.entities[entity].ids
            is_known = signal in self.signals or ids is dataset_ids
            n_missing = rows.n_entries
            if is_known and ids is not None:
                translated[signal, entity] = map_columns(rows, dataset_ids, ids)
                n_missing -= translated[signal, entity].n_entries
            unknown[entity if signal in self.signals else f"signal {signal}"] += n_missing
        return translated

    def _translate_groups(self, dataset: Dataset, users: np.ndarray, unknown: Counter[str]) -> dict[str, np.ndarray]:
        """Return the codes of the profile columns, and count the unknown values in `unknown`."""
        codes = dict.fromkeys(self.groups, np.full(len(users), -1, dtype=np.int32))
        for name, group in dataset.groups.items():
            known_codes = self._codes.get(name, {})
            # A missing value has code -1, which selects the last.
            code_of = np.array([*(known_codes.get(value, -1) for value in group.values), -1], dtype=np.int32)
            values = group.codes[users]
            n_missing = int(np.count_nonzero((code_of[values] < 0) & (values >= 0)))
            unknown[name if name in self.groups else f"profile column {name}"] += n_missing
            if name in self.groups:
                codes[name] = code_of[values]
        return codes


def map_columns(rows: SparseRows, old_ids: Ids, new_ids: Ids) -> SparseRows:
    """Map columns from the indexes of one set of ids to those of another; drop unknown ids."""
    if new_ids is old_ids:  # the model was trained on this dataset
        return rows
    columns = new_ids.lookup(old_ids.values)[rows.columns]
    is_known = columns >= 0
    return SparseRows.from_pairs(
        rows.row_of_entry()[is_known], columns[is_known], rows.weights[is_known], rows.n_rows, len(new_ids)
    )


def _count_cells(cells: Sequence[tuple[int, int]], n_rows: int, n_columns: int) -> SparseRows:
    """Return a matrix with the number of occurrences of each (row, column) pair."""
    rows, columns = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    return SparseRows.from_pairs(rows, columns, None, n_rows, n_columns)
