"""Rules of a service on its lists: which items may be listed, how many of a kind, where, and which are preferred."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import BeforeValidator, Field, field_validator

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Section, parse_settings
from firstday.display import readable
from firstday.errors import ConfigError
from firstday.recommend.rules.filters import LISTS, USER, Filter, find_column
from firstday.sparse import SparseRows

MOST_IDS = 100_000
"""Maximum ids of `Rules.allow`, of `Rules.deny` and of a list."""
MOST_COMPILED = 64
"""Maximum number of compiled rules that a model keeps in memory."""
ID = "item_id"
"""Name of the item ids in a filter."""


def _texts(form: str, pattern: str) -> BeforeValidator:
    """Return a validator that accepts texts such as ``artist=2``, or several, in place of a mapping."""

    def read(value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, Mapping) or not isinstance(texts, Sequence):
            return value
        pairs = [re.fullmatch(pattern, str(text).strip(), re.DOTALL) for text in texts]
        if None in pairs:
            raise ValueError(f"{texts[pairs.index(None)]!r} is not of the form {form}")
        return {pair[1]: pair[2] for pair in pairs if pair}

    return BeforeValidator(read)


def _as_text(value: Any) -> Any:
    """Write a whole number as text: 81 and "81" are the same id."""
    return str(value) if type(value) is int else value


def as_whole(value: Any) -> Any:
    """Read 81.0 as 81, which JSON Schema calls an integer, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=100_000), BeforeValidator(as_whole)]
Length = Annotated[int, Field(strict=True, ge=1, le=1000), BeforeValidator(as_whole)]
ItemId = Annotated[str, Field(max_length=200), BeforeValidator(_as_text, json_schema_input_type=str | int)]
ItemIds = Annotated[Sequence[ItemId], Field(max_length=MOST_IDS)]
Caps = Annotated[Mapping[str, Annotated[int, Field(ge=1)]], _texts("COLUMN=NUMBER", r"([^=:]+)[=:](.+)")]
Pins = Annotated[Mapping[Annotated[int, Field(ge=1, le=1000)], ItemId], _texts("RANK=ITEM_ID", r"([^=:]+)[=:](.+)")]
Boosts = Annotated[Mapping[str, Annotated[float, Field(gt=0, le=1e6)]], _texts("FILTER=FACTOR", r"(.+)[=:]([^=:]+)")]


class Rules(Section):
    """Rules on lists, for Python, the command line, batches and HTTP alike; docs/rules.md has examples of each.

    Rules select items before they are scored, so a list has `k` items wherever the rules leave as many.
    """

    filter: str = ""
    """Condition on the columns of `items`, such as `in_stock and year >= 2020`."""
    allow: ItemIds | None = None
    """Ids of the only items to list."""
    deny: ItemIds = ()
    """Ids of items not to list."""
    cap: Caps = Field(default={})
    """Maximum number of items per value of a column, such as 2 per `artist`. Items without a value are not limited; an
    item with several values counts for each."""
    pin: Pins = Field(default={})
    """Item id by rank, from 1. A pinned item that another rule or the user's history excludes is not listed."""
    boost: Boosts = Field(default={})
    """Factor of the scores of items that meet a filter."""
    after: Count = 0
    """Number of ranks to skip, for the next page of the same ranking."""
    context: Mapping[str, Any] = Field(default={})
    """Values of the request, read in filters as `user.NAME`. They take precedence over the user's profile."""
    lists: Mapping[str, ItemIds] = Field(default={})
    """Lists of ids, read in filters as `lists.NAME`: `item_id not in lists.sold_out`."""

    @classmethod
    def of(cls, rules: Rules | Mapping[str, Any] | None) -> Rules:
        """Return rules from a mapping; raise ConfigError if a rule is invalid."""
        return rules if isinstance(rules, Rules) else parse_settings(cls, rules, "rules") if rules else NO_RULES

    @field_validator("filter", "boost")
    @classmethod
    def _check_filters(cls, value: Any) -> Any:
        for text in [value] if isinstance(value, str) else value:
            try:
                Filter.parse(text or "True")
            except ConfigError as error:  # the setting's name and the stop are added to it
                raise ValueError(str(error).removeprefix("filter: ").rstrip(".")) from None
        return value

    @field_validator("pin")
    @classmethod
    def _check_pins(cls, value: Any) -> Any:
        if len(set(value.values())) < len(value):
            raise ValueError("an item is pinned twice")
        return value

    @cached_property
    def digest(self) -> bytes:
        """Hash of everything but `lists`."""
        return blake2b(self.model_dump_json(include=set(Rules.model_fields) - {"lists"}).encode()).digest()

    @cached_property
    def conditions(self) -> Mapping[str, Filter]:
        """Parsed filters by their texts."""
        return {text: Filter.parse(text) for text in (self.filter, *self.boost) if text}

    def names(self, prefix: str) -> list[str]:
        """Return the names that filters read by prefix, such as ``country`` for ``user.country``, sorted."""
        return sorted({name for condition in self.conditions.values() for name in condition.names[prefix]})


NO_RULES = Rules()


class Row(Rules):
    """A row of a page, a list with its own rules."""

    name: str = Field(max_length=100)
    """Name of the row, unique in the page."""
    k: Length | None = None
    """Length of the list; defaults to that of the page."""

    def under(self, rules: Rules) -> Row:
        """Return the row under the rules of its page, `pin` and `after` excepted; the row's caps take precedence."""
        if rules == NO_RULES:
            return self
        filters = [f"({text})" for text in (rules.filter, self.filter) if text]
        changes = {
            name: {**getattr(rules, name), **getattr(self, name)} for name in ("cap", "boost", "context", "lists")
        }
        allow = rules.allow if self.allow is None else self.allow
        if rules.allow is not None and self.allow is not None:
            allow = sorted({*rules.allow} & {*self.allow})
        deny = [*rules.deny, *self.deny]
        return self.override({**changes, "filter": " and ".join(filters), "allow": allow, "deny": deny})


@readable
@dataclass(frozen=True, eq=False)
class ItemRules:
    """Rules in item indexes of a model.

    Parameters
    ----------
    allowed
        Mask of items that may be listed, bool, shape (n_items,).
    popular
        These items, the most popular first, int32, shape (n_allowed,).
    factors
        Factor of each item's scores, float32, shape (n_items,). None: all 1.
    caps
        Values of each item, shape (n_items, n_values), and the maximum number of items per value.
    pins
        Item by rank, from 0.
    after
        Number of ranks to skip.
    n_unknown
        Number of ids in the rules that the model does not know.
    """

    allowed: np.ndarray
    popular: np.ndarray
    factors: np.ndarray | None = None
    caps: tuple[tuple[SparseRows, int], ...] = ()
    pins: Mapping[int, int] = field(default_factory=dict)
    after: int = 0
    n_unknown: int = 0

    @cached_property
    def items(self) -> np.ndarray:
        """Items that may be listed, int64, ascending."""
        return np.flatnonzero(self.allowed)

    @cached_property
    def closed(self) -> np.ndarray:
        """Items that may not be listed, int64, ascending."""
        return np.flatnonzero(~self.allowed)

    def quota_without(self, excluded: np.ndarray) -> Quota:
        """Return the quota of a user's list, without the pins of excluded items."""
        return Quota(self.caps, {rank: item for rank, item in self.pins.items() if item not in excluded})

    @property
    def rearranges(self) -> bool:
        """Whether lists are made of longer rankings."""
        return bool(self.caps or self.pins or self.after) or self.factors is not None


class Quota:
    """Items that one user's list still has room for, under caps and pins.

    Parameters
    ----------
    caps
        See `ItemRules`.
    pins
        Item by rank, from 0; all are taken.
    """

    def __init__(self, caps: Sequence[tuple[SparseRows, int]], pins: Mapping[int, int]) -> None:
        self.caps = [(values, most, np.zeros(values.n_columns, dtype=np.int64)) for values, most in caps]
        self.pins, self._taken = pins, set[int]()
        for item in pins.values():
            self.take(item)

    def take(self, item: int) -> None:
        """Count an item that is listed."""
        self._taken.add(item)
        for values, _, counts in self.caps:
            counts[values.row(item)] += 1

    def has_room(self, item: int) -> bool:
        """Return whether an item may be listed next."""
        return item not in self._taken and all((counts[of.row(item)] < most).all() for of, most, counts in self.caps)


def compile_rules(model: TrainedModel, rules: Rules, profile: Mapping[str, Any]) -> ItemRules:
    """Return the rules in indexes of a model, for users with a profile; `Rules.context` takes precedence.

    Raises
    ------
    ConfigError
        A filter or a cap names a column that the model's items do not have, or compares it with another type.
    """
    user = {**profile, **rules.context}
    user = {name: user[name] for name in rules.names(USER) if user.get(name) is not None}
    lists = {name: id(ids) for name, ids in rules.lists.items()}  # valid as long as the cache holds the rules
    key, compiled = (rules.digest, str(lists), str(user)), model.compiled_rules
    if key not in compiled:
        while len(compiled) >= MOST_COMPILED:
            compiled.pop(next(iter(compiled)), None)
        compiled[key] = rules, _compile(model, rules, user)
    found: ItemRules = compiled[key][1]
    return found


def _compile(model: TrainedModel, rules: Rules, user: Mapping[str, Any]) -> ItemRules:
    ids = model.catalogue.items
    columns = {ID: ids.values.cast(pl.String), **model.catalogue.columns}
    values = {USER: user, LISTS: rules.lists}
    masks = {text: condition.mask(columns, values) for text, condition in rules.conditions.items()}
    given = [rules.allow or (), rules.deny, tuple(rules.pin.values())]
    found = ids.lookup(pl.Series([*chain(*given)], dtype=pl.String))
    allow, deny, pinned = np.split(found, np.cumsum([len(of_rule) for of_rule in given[:2]]))
    allowed = model.listed & masks.get(rules.filter, True)
    if rules.allow is not None:
        allowed &= np.isin(np.arange(len(ids)), allow)
    allowed[deny[deny >= 0]] = False
    factors = None
    if rules.boost:
        factors = np.ones(len(ids), dtype=np.float32)
        for text, factor in rules.boost.items():
            factors[masks[text]] *= factor
    caps = tuple((_values_of_items(columns, name), most) for name, most in rules.cap.items())
    ranks = zip(rules.pin, pinned.tolist(), strict=True)
    pins = {rank - 1: item for rank, item in ranks if item >= 0 and allowed[item]}
    popular = model.popular_items[allowed[model.popular_items]]
    return ItemRules(allowed, popular, factors, caps, pins, rules.after, int((found < 0).sum()))


def _values_of_items(columns: Mapping[str, pl.Series], name: str) -> SparseRows:
    """Return the values of each item in a column, shape (n_items, n_values)."""
    column = columns[find_column(columns, name)]
    rows = pl.DataFrame({"item": np.arange(len(column)), "value": column})
    rows = (rows.explode("value") if column.dtype == pl.List else rows).drop_nulls().unique()
    codes = rows["value"].rank("dense").to_numpy().astype(np.int64) - 1
    return SparseRows.from_pairs(rows["item"].to_numpy(), codes, None, len(column), int(codes.max(initial=-1)) + 1)
