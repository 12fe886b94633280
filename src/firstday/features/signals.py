"""Signals of new users, as the caller's ids or a model's indexes, and the catalogue that translates between them.

Picks, interactions and impressions are declared here once, for Python, JSON, HTTP and the store. Over HTTP, ids and
names have limits. In Python, where the context of a validation is `IN_PROCESS`, an id is any single value and a name
any text.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import astuple, dataclass, field, is_dataclass, replace
from functools import cached_property, partial
from itertools import count
from numbers import Real
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from firstday.config import SHOWN, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Pair
from firstday.data.ids import Ids
from firstday.data.user_rows import take_rows
from firstday.display import readable, shorten
from firstday.embed.embeddings import compute_affinity, select_items
from firstday.errors import DataError, describe_fault, hint_at
from firstday.impressions.passed_over import infer_passed_over
from firstday.sparse import SparseRows

ID_LENGTH = 128
"""Maximum characters of an id over HTTP."""
MAX_INTEGER = 2**53 - 1
"""Largest integer that every JSON parser reads exactly; over HTTP, larger ids must be text."""
BAD_CHARACTERS = r"\x00-\x1F\x7F-\x9F\uFFFD"
"""Control characters, and the replacement character of invalid UTF-8."""
IN_PROCESS = "in_process"
"""Context of validations of values from Python and the command line."""
FORM = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Pydantic configuration of dataclasses that callers send as objects."""


def as_whole(value: Any) -> Any:
    """Convert a number without decimals, such as 81.0 or one of NumPy, to an integer; JSON Schema counts both."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return int(value) if is_number and value % 1 == 0 else value


def as_text(value: Any) -> Any:
    """Convert an integer to text: 81 and "81" are the same id."""
    value = as_whole(value)
    return str(value) if type(value) is int else value


def integer_as_text(value: Any) -> Any:
    """Convert an integer to text, unless it is too large for JSON."""
    return value if isinstance(value, int | float) and abs(value) > MAX_INTEGER else as_text(value)


def limit_unless_in_process(parse: Callable[[Any], Any]) -> WrapValidator:
    """Return a validator that replaces all others of a type by `parse` if the context is `IN_PROCESS`."""

    def validate(value: Any, limit: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        return parse(value) if info.context == IN_PROCESS else limit(value)

    return WrapValidator(validate)


def check_single(value: Any) -> Any:
    """Return an id or a profile value; refuse None and collections."""
    if value is None or isinstance(value, Mapping | list | tuple):
        raise ValueError("give one value")
    return value


Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
IdText = Annotated[str, Field(min_length=1, max_length=ID_LENGTH, pattern=rf"^[^{BAD_CHARACTERS}]+$")]
Id = Annotated[
    IdText,
    BeforeValidator(integer_as_text, json_schema_input_type=IdText | Integer),
    limit_unless_in_process(check_single),
]
EntityId = Annotated[Id, Field(description="Your id of an item, or of a member of another entity.")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,63}$"), limit_unless_in_process(str)]
Position = Annotated[int, Field(strict=True, ge=1, le=100_000), BeforeValidator(as_whole)]
Signal = Annotated[
    Name,
    Field(
        description="Signal: stream, favorite, skip, ban, search, ...; or shown for an impression, which never counts "
        "as use."
    ),
]
Target = Annotated[Name, Field(description="item, or another entity of the model, such as artist.")]
ListId = Annotated[
    Id | None,
    Field(description="List id: that of the service if it recorded the list, otherwise your own."),
]
ListPosition = Annotated[
    Position | None,
    Field(description="Position of the item in the list, from 1. Omit it if the user certainly saw the item."),
]
Propensity = Annotated[
    Annotated[float, Field(gt=0, le=1)] | None,
    Field(
        description="Probability that the policy shows the item at this position. Defaults to the value in the "
        "recorded list, if any. Does not affect lists."
    ),
]
Policy = Annotated[
    Name | None,
    Field(
        description="Policy that made the list. Defaults to the policy of the recorded list, if any. Does not affect "
        "lists."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """An item or entity member that a user chose during registration."""

    __pydantic_config__ = FORM

    entity: Target = ITEM
    entity_id: EntityId


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A user action."""

    __pydantic_config__ = FORM

    signal: Signal = "stream"
    entity: Target = ITEM
    entity_id: EntityId

    @property
    def is_impression(self) -> bool:
        """Whether this is an item impression, which never counts as use."""
        return self.signal == SHOWN and self.entity == ITEM


@dataclass(frozen=True, slots=True)
class Impression:
    """An item shown to the user, in a list or, without `list_id`, on its own."""

    __pydantic_config__ = ConfigDict(**FORM, revalidate_instances="always")

    item_id: EntityId
    position: ListPosition = None
    list_id: ListId = None
    propensity: Propensity = None
    policy: Policy = None


def _as_object(names: Sequence[str], value: Any) -> Any:
    """Convert a list of all named fields, in order, to the equivalent object."""
    if is_dataclass(value):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    raise ValueError(f"give [{', '.join(names)}], or an object with these fields")


def _as_impression(value: Any) -> Any:
    """Convert an item id, or [id, position], to the equivalent object."""
    is_id = not (is_dataclass(value) or isinstance(value, list | tuple | Mapping))
    return {"item_id": value} if is_id else _as_object(("item_id", "position"), value)


AnyPick = Annotated[
    Pick,
    BeforeValidator(partial(_as_object, ("entity", "entity_id")), json_schema_input_type=tuple[Name, EntityId] | Pick),
]
AnyInteraction = Annotated[
    Interaction,
    BeforeValidator(
        partial(_as_object, ("signal", "entity", "entity_id")),
        json_schema_input_type=tuple[Name, Name, EntityId] | Interaction,
    ),
]
AnyImpression = Annotated[
    Impression,
    BeforeValidator(_as_impression, json_schema_input_type=EntityId | tuple[EntityId, Position | None] | Impression),
]
"""A pick, an interaction and an impression in any form: an object, a list of fields, or, of an impression, an id."""

PICK_SIGNAL = "onboarding"
"""Signal of a pick, or of a yes in the questionnaire, if the model was trained with it."""


RESERVED = ("age", "interactions", "friends", "shown", "user_id")
"""Fields of `Signals` that are not profile columns, and therefore cannot be names of profile columns."""


USER_FORM = 'give fd.Signals(...) or an object such as {"age": 24}'


def _as_list(value: Any) -> Any:
    """Convert any iterable but text and mappings to a list."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else value


Age = Annotated[int, Field(strict=True, ge=0, le=120), BeforeValidator(as_whole)]
_List = BeforeValidator(_as_list)
_Profile = Mapping[str, Annotated[str, BeforeValidator(lambda value: str(check_single(value)))]]


@readable
@dataclass(frozen=True, init=False)
class Signals:
    """Everything known about one new user; every field is optional.

    Parameters
    ----------
    age
        Years, or None.
    interactions
        Each an `Interaction`, a triple (signal, entity, id), such as ``("favorite", "item", "i81")``, or a dictionary.
    friends
        Ids of the user's friends; only friends that the model stores count.
    shown
        Impressions, each an `Impression`, an item id, a pair (id, position), or a dictionary. Interactions with items
        by the signal ``shown`` are also impressions.
    user_id
        Id of the user. It only seeds the random choices of `explore`, together with the items that the user liked and
        passed over; None: these alone are the seed.
    groups
        Categorical profile columns by name, such as ``country="FR"``.

    Raises
    ------
    DataError
        A value has the wrong form, or the age is outside 0 to 120. Its `where` names the first such value, such as
        ``interactions[3].entity_id``, and its `code` is the type of pydantic's error.
    """

    age: Age | None = None
    interactions: Annotated[tuple[AnyInteraction, ...], _List] = ()
    friends: Annotated[tuple[Id, ...], _List] = ()
    shown: Annotated[tuple[AnyImpression, ...], _List] = ()
    user_id: Any = None
    groups: Annotated[_Profile, Field(validation_alias="profile")] = field(default_factory=dict)

    def __init__(
        self,
        /,
        *,
        age: int | None = None,
        interactions: Iterable[Any] | None = (),
        friends: Iterable[Any] | None = (),
        shown: Iterable[Any] | None = (),
        user_id: Any = None,
        **groups: Any,
    ) -> None:
        picks = groups.pop("picks") if isinstance(groups.get("picks"), list | tuple) else ()
        profile = groups.pop("profile") if isinstance(groups.get("profile"), Mapping) else {}
        if reserved := [name for name in profile if name in RESERVED]:
            text = f"{reserved[0]} cannot be the name of a profile column; put it next to profile."
            raise DataError(text, where="profile", code="reserved")
        columns = {**groups, **profile}
        fields = {
            "age": age,
            "interactions": interactions,
            "friends": friends,
            "shown": shown,
            "user_id": user_id,
            "profile": {name: value for name, value in columns.items() if value is not None},
        }
        _validate(_SIGNALS, {name: value for name, value in fields.items() if value is not None}, self)
        pick_actions = [
            Interaction(signal=PICK_SIGNAL, entity=pick.entity, entity_id=pick.entity_id)
            for pick in _validate(_PICKS, {"picks": picks})["picks"]
        ]
        actions = [*pick_actions, *self.interactions]
        impressions = [Impression(action.entity_id) for action in actions if action.is_impression]
        self.__dict__.update(
            interactions=tuple(action for action in actions if not action.is_impression),
            shown=(*impressions, *self.shown),
        )

    def _repr_facts_(self) -> Mapping[str, Any]:
        parts = {"age": self.age, **self.groups, **{name: getattr(self, name) for name in RESERVED[1:]}}
        parts["interactions"] = tuple(map(astuple, self.interactions))
        return {name: part for name, part in parts.items() if part not in (None, ())}

    def copy(self, **changes: Any) -> Signals:
        """Return a copy with some fields replaced."""
        return Signals(**{**self.groups, **{name: getattr(self, name) for name in RESERVED}, **changes})

    def extend(self, interactions: Iterable[Interaction], shown: Iterable[Impression]) -> Signals:
        """Return a copy with more interactions and impressions, which are not validated again."""
        signals = copy(self)
        signals.__dict__["interactions"] += tuple(interactions)
        signals.__dict__["shown"] += tuple(shown)
        return signals

    @classmethod
    def from_json(cls, text: str | bytes) -> Signals:
        """Parse signals from JSON; for the form see `of`.

        Raises
        ------
        DataError
            The text is not a JSON object of this form.
        """
        try:
            user = json.loads(text)
        except (RecursionError, ValueError) as error:
            raise DataError(f"is not valid JSON ({error}); {USER_FORM}.", where="user", code="json_invalid") from None
        return cls.of(user)

    @classmethod
    def of(cls, user: Signals | Mapping[str, Any]) -> Signals:
        """Return signals unchanged, or parse them from a dictionary. The form is the same for all commands and calls.

        Parameters
        ----------
        user
            ``{"age": 24, "profile": {"country": "FR"}, "picks": [["artist", "a7"]], "friends": ["u7"], "interactions":
            [["favorite", "item", "i81"]], "shown": [["i9", 2]]}``; all fields are optional. Picks, interactions and
            impressions may also be objects: ``{"signal": "favorite", "entity": "item", "entity_id": "i81"}``. Profile
            columns may be at the top level, next to ``age``. None means unknown.

        Raises
        ------
        DataError
            The value is neither signals nor a mapping, or the mapping does not have this form.
        """
        if isinstance(user, cls):
            return user
        if not isinstance(user, Mapping) or any(not isinstance(name, str) for name in user):
            raise DataError(f"is a {type(user).__name__}; {USER_FORM}.", where="user", code="dict_type")
        return cls(**user)


_SIGNALS = TypeAdapter(Signals)
_PICKS = TypeAdapter(Mapping[str, list[AnyPick]])


def _validate(adapter: TypeAdapter[Any], values: Mapping[str, Any], instance: Signals | None = None) -> Any:
    """Validate a user's values, into an instance if one is given; raise DataError for the first invalid value."""
    try:
        return adapter.validator.validate_python(values, self_instance=instance, context=IN_PROCESS)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where, text = describe_fault(fault)
        raise DataError(f"{text} (got {shorten(fault['input'])}).", where=where, code=fault["type"]) from None


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
                rows.append((row, list_ix, item, entry.position or 1, name in used))
        owners, list_ixs, items, positions, is_used = np.array(rows, dtype=np.int64).T
        return infer_passed_over(owners, list_ixs, items, positions, is_used, config.persistence, (len(users), n_items))

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
        absent = np.full(len(users), -1, dtype=np.int32)
        codes = dict.fromkeys(self.groups, absent)
        for name, group in dataset.groups.items():
            known_codes = self._codes.get(name, {})
            # A missing value has code -1, which selects the last.
            code_of = np.array([*(known_codes.get(value, -1) for value in group.values), -1], dtype=np.int32)
            values = group.codes[users]
            n_missing = int(np.count_nonzero((code_of[values] < 0) & (values >= 0)))
            unknown[name if name in self.groups else f"profile column {name}"] += n_missing
            if name in self.groups:
                codes[name] = code_of[values]
        ages = None
        if self.has_ages:
            ages = absent.astype(np.int16) if dataset.ages is None else dataset.ages[users]
        friends = None
        if self.people is not None and dataset.friends is not None:
            friends = map_columns(dataset.friends.take(users), dataset.friend_ids or dataset.users, self.people).ones()
        if passed_over is not None:
            passed_over = map_columns(passed_over, dataset.items, self.items)
        user_ids = dataset.users.values.gather(users).to_numpy().astype(object)
        batch = SignalBatch(len(users), len(self.items), translated, codes, ages, friends, passed_over, user_ids)
        return batch, dict(+unknown)


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
