"""Rules of a service on its lists: which items may be listed, how many of a kind, where, and which are preferred."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Annotated, Any, Protocol, Self

import numpy as np
import polars as pl
import pydantic_core
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from firstday.config import Section, parse_settings
from firstday.data.ids import Ids
from firstday.display import readable
from firstday.errors import ConfigError, hint_at
from firstday.features.catalogue import Catalogue
from firstday.features.wire_types import as_text, as_whole
from firstday.model.trained_model import TrainedModel
from firstday.recommend.rules.filters import (
    MAX_FILTER_LENGTH,
    NOW,
    Filter,
    find_column,
    find_user_values,
    list_values,
    parse_filter,
)
from firstday.sparse import SparseRows

MAX_IDS = 100_000
"""Maximum number of ids in `Rules.allow`, in `Rules.deny`, and in each of `Rules.lists`."""
MAX_COMPILED_RULES = 80
"""Maximum number of compiled rules, and of columns with caps, that a model keeps in memory."""
MAX_FACTOR = np.float32(1e30)
"""Maximum product of the boosts of an item."""
ID = "item_id"
PAIR = re.compile(r"(\d+|.+)[=:]([^=:].*)", re.DOTALL)
"""KEY=VALUE or KEY:VALUE. If KEY is a rank, it ends at the first separator; a column or filter ends at the last one."""

FORMS = {
    "cap": "COLUMN:NUMBER or COLUMN=NUMBER",
    "pin": "RANK:ITEM_ID or RANK=ITEM_ID",
    "boost": "FILTER:FACTOR or FILTER=FACTOR",
}


def _read_pairs(value: Any, info: ValidationInfo) -> Any:
    """Read texts such as ``artist=2``, one or several, as a mapping, in which each rank has all its pins."""
    if isinstance(value, Mapping):
        return value
    pairs: dict[str, Any] = {}
    for text in _as_list(value):
        pair = PAIR.fullmatch(str(text).strip())
        if pair is None:
            raise ValueError(f"{text!r} is not of the form {FORMS[str(info.field_name)]}")
        key, content = pair.groups()
        pairs[key] = [*pairs.get(key, ()), content] if info.field_name == "pin" else content
    return pairs


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _check_filter(text: str) -> str:
    parse_filter(text)
    return text


def _check_context(context: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        pydantic_core.to_json(context, fallback=str)
    except ValueError:  # half of a surrogate pair
        raise ValueError("contains characters that are not allowed") from None
    return context


Count = Annotated[int, Field(strict=True, ge=0, le=99_000), BeforeValidator(as_whole)]
"""A number; a list of 1,000 items after this many still ends at a valid position."""
Length = Annotated[int, Field(strict=True, ge=1, le=1000), BeforeValidator(as_whole)]
_Text = Annotated[str, Field(max_length=200)]
ItemId = Annotated[_Text, BeforeValidator(as_text, json_schema_input_type=_Text | int)]
ItemIds = Annotated[Sequence[ItemId], Field(max_length=MAX_IDS)]
FilterText = Annotated[str, Field(max_length=MAX_FILTER_LENGTH), AfterValidator(_check_filter)]
Pairs = BeforeValidator(_read_pairs)
Pins = Annotated[ItemIds, Field(min_length=1), BeforeValidator(_as_list, json_schema_input_type=ItemId)]
"""Items pinned at a rank, of which only the first counts."""


class Rules(Section):
    """Rules on lists, for Python, the command line, batches and HTTP alike; docs/rules.md has examples of each.

    Rules apply before a ranking is cut to `k` items, so a list is shorter only if rules and the user's history leave
    fewer.
    """

    filter: FilterText = ""
    """Condition on the columns of `items`, such as `in_stock and year >= 2020`."""
    allow: ItemIds | None = None
    """Ids of the only items to list."""
    deny: ItemIds = ()
    """Ids of items not to list."""
    cap: Annotated[Mapping[_Text, Annotated[int, Field(ge=1)]], Pairs] = Field(default={})
    """Maximum number of items per value of a column, such as 2 per `artist`. Items without a value are not limited; an
    item with several values counts for each."""
    pin: Annotated[Mapping[Annotated[int, Field(ge=1, le=1000)], Pins], Pairs] = Field(default={})
    """Item id by rank, from 1. Pins excluded by `filter`, `allow`, `deny` or the user's history are not listed."""
    boost: Annotated[
        Mapping[FilterText, Annotated[float, Field(gt=0, le=1e6)]],
        Pairs,
    ] = Field(default={})
    """Factor of the scores of items that meet a filter."""
    after: Count = 0
    """Number of ranks to skip, for the next page of the same ranking."""
    context: Annotated[Mapping[str, Any], AfterValidator(_check_context)] = Field(default={})
    """Values of the request, read in filters as `user.NAME`. They take precedence over the user's profile."""
    lists: Mapping[_Text, ItemIds] = Field(default={})
    """Lists of ids, read in filters as `lists.NAME`: `item_id not in lists.sold_out`."""

    @classmethod
    def of(cls, rules: Self | Mapping[str, Any] | None) -> Self:
        """Return rules from a mapping; raise ConfigError if a rule is invalid."""
        if isinstance(rules, cls):
            return rules
        return parse_settings(cls, rules or {}, cls.__name__.lower())  # type: ignore[arg-type]

    @cached_property
    def text(self) -> str:
        """All rules as text, a key of caches."""
        return self.model_dump_json(fallback=str)

    @cached_property
    def names(self) -> Sequence[str]:
        """Names of the user's values and of the lists that the filters read; `NOW` for times such as ``-14d``."""
        nodes = [node for text in (self.filter, *self.boost) for node in ast.walk(parse_filter(text))]
        is_past = any(isinstance(getattr(node, "value", None), timedelta) for node in nodes)
        return [*(node.attr for node in nodes if isinstance(node, ast.Attribute)), *([NOW] if is_past else ())]

    @cached_property
    def user_values(self) -> Mapping[str, bool]:
        """Names of the user's values that the filters read, and whether each has a default throughout."""
        names: dict[str, bool] = {}
        for text in (self.filter, *self.boost):
            for name, has_default in find_user_values(text).items():
                names[name] = names.get(name, True) and has_default
        return names

    @cached_property
    def n_comparisons(self) -> int:
        """Approximate number of times that a column or the ids of all items are compared; ten pins cost as much."""
        n = len(self.cap) + (self.allow is not None) + bool(self.deny) + len(self.pin) // 10
        for tree in map(parse_filter, filter(None, (self.filter, *self.boost))):
            nodes = list(ast.walk(tree))
            n += max(1, *(sum(isinstance(node, kind) for node in nodes) for kind in (ast.cmpop, ast.Name)))
        return n


NO_RULES = Rules()
AnyRules = Rules | Mapping[str, Any] | Sequence[Rules | Mapping[str, Any]] | None
"""Rules, an equivalent dictionary, or layers of rules, such as those of a page and of a row."""


def read_layers(rules: AnyRules) -> list[Rules]:
    """Return rules in any form as layers; raise ConfigError if a rule is invalid."""
    return [Rules.of(layer) for layer in (rules if isinstance(rules, Sequence) else [rules])]


class Row(Rules):
    """A row of a page, a list with its own rules."""

    name: str = Field(max_length=100)
    """Name of the row, unique in the page."""
    k: Length | None = None
    """Length of the list; defaults to that of the page."""


@readable
@dataclass(frozen=True, eq=False)
class ItemRules:
    """Rules compiled for items, in their indexes.

    `allowed` is the mask of items that may be listed, shape (n_items,). `factors` multiply the items' scores, float32,
    shape (n_items,), None without boosts. Each cap has the values of each item, shape (n_items, n_values), their
    transpose, and the maximum number of items per value. `pins` has items by rank, from 0. `unmatched` says what of the
    filters no item has, with a hint for each; `n_unknown` ids of `allow` and `deny`, and `n_unpinned` pins, are
    unknown. Rules that follow changes of items have those of the model's items as `base`; the items in `changed`,
    int64, ascending, differ from these.
    """

    allowed: np.ndarray
    factors: np.ndarray | None = None
    caps: tuple[tuple[SparseRows, SparseRows, int], ...] = ()
    pins: Mapping[int, int] = field(default_factory=dict)
    after: int = 0
    unmatched: Mapping[str, str] = field(default_factory=dict)
    n_unknown: int = 0
    n_unpinned: int = 0
    other_pins: tuple[str, ...] = ()
    base: ItemRules | None = None
    changed: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the rules has no effect."""
        notes = [text + hint for text, hint in self.unmatched.items()]
        notes += self.other_pins
        if n_unknown := self.n_unknown + self.n_unpinned:
            notes.append(f"{n_unknown:,} ids of the rules are unknown to the model")
        return tuple(notes)

    @cached_property
    def of_model(self) -> ItemRules:
        """The rules of the model's items alone, which come first."""
        if self.base is None:
            return self
        n_items = len(self.base.allowed)
        factors = None if self.factors is None else self.factors[:n_items]
        changed = self.changed[self.changed < n_items]
        return ItemRules(self.allowed[:n_items], factors, base=self.base, changed=changed)

    @cached_property
    def items(self) -> np.ndarray:
        """Items that may be listed, int64, ascending."""
        return np.flatnonzero(self.allowed)

    @cached_property
    def n_allowed(self) -> int:
        """Number of items that may be listed."""
        return int(np.count_nonzero(self.allowed))

    def take_allowed(self, order: np.ndarray, n: int) -> np.ndarray:
        """Return the first n items of an order of all items that may be listed; fewer if there are fewer."""
        n_read = 0
        first = order[:0]
        while len(first) < min(n, self.n_allowed):
            n_read = max(2 * n_read, n * (len(order) // self.n_allowed + 1))
            first = order[:n_read][self.allowed[order[:n_read]]]
        return first[:n]

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What methods derive from the rules, by name; each checks whether it still fits."""
        return {}


class Quota:
    """Items for which rules leave room in one user's list: `open` is their mask, which ignores `excluded`.

    Pinned items count as listed from the start. `pins` has them by rank, from 0, each once, except those not allowed or
    in `excluded`, the items excluded from the user's list; caps never remove pins.
    """

    def __init__(self, rules: ItemRules, excluded: np.ndarray) -> None:
        self.caps = rules.caps
        self.counts = [np.zeros(values.n_columns, dtype=np.int64) for values, _, _ in rules.caps]
        self.open = rules.allowed.copy()
        self.pins = dict[int, int]()
        for rank, item in rules.pins.items():
            if self.open[item] and item not in excluded and item not in self.pins.values():
                self.pins[rank] = item
        for item in self.pins.values():
            self.take(item)

    def take(self, item: int) -> None:
        """Count an item that is listed."""
        self.open[item] = False
        for (values, members, max_items), counts in zip(self.caps, self.counts, strict=True):
            for value in values.row(item):
                counts[value] += 1
                if counts[value] >= max_items:
                    self.open[members.row(value)] = False


class CurrentItems(Protocol):
    """A model's items as they are now, and new ones; see `firstday.recommend.new_items.current_items`."""

    @property
    def model(self) -> TrainedModel:
        """The model."""

    @property
    def catalogue(self) -> Catalogue:
        """Ids, titles and columns of the items."""

    @property
    def listed(self) -> np.ndarray:
        """Mask of items that may be listed, bool, shape (n_items,)."""

    @property
    def changed(self) -> np.ndarray:
        """Indexes of the items that differ from those of the model, or are unknown to it, int64, ascending."""

    @property
    def changed_columns(self) -> Mapping[str, pl.Series]:
        """Ids and columns of these items."""

    @property
    def compiled_rules(self) -> dict[Any, Any]:
        """Cache of `compile_rules`."""


def compile_rules(
    model: TrainedModel, layers: Sequence[Rules], profile: Mapping[str, Any], current: CurrentItems | None = None
) -> ItemRules:
    """Return rules in the indexes of a model's items, or of its `current` ones, for users who have the given profile.

    Items must obey all layers, such as the rules of a page and of a row. In caps, lists and context, later layers take
    precedence. The context takes precedence over the profile. Pins and ranks to skip are those of the last layer. Rules
    of current items are those of the model's items, compiled again for the items that have changed.
    """
    user = _values_of(layers, profile)
    key = _key(layers, user)
    cache = (current or model).compiled_rules
    compiled: ItemRules | None = cache.get(key)
    if compiled is None:
        if current is None:
            compiled = _compile(model, layers, user)
        else:
            compiled = _follow(compile_rules(model, layers, profile), current, layers, user)
        while len(cache) >= MAX_COMPILED_RULES:
            cache.pop(next(iter(cache)), None)  # the oldest, possibly while another thread reads
        cache[key] = compiled
    return compiled


def is_compiled(items: TrainedModel | CurrentItems, layers: Sequence[Rules], profile: Mapping[str, Any]) -> bool:
    """Return whether `compile_rules` would find the rules in memory."""
    return _key(layers, _values_of(layers, profile)) in items.compiled_rules


def check_user_values(model: TrainedModel, layers: Sequence[Rules], columns: Iterable[str]) -> None:
    """Raise ConfigError if filters read a value that no user has, given the profile columns of the users at hand."""
    known = {*model.catalogue.groups, "age", NOW, *_merge(layers, "context"), *columns}
    for name in (name for rules in layers for name in rules.user_values if name not in known):
        hint = hint_at(name, tuple(sorted(known)))
        raise ConfigError(f"users have no value {name!r}{hint}; pass it in context, or as profile.", where="filter")


def find_missing(layers: Sequence[Rules], profile: Mapping[str, Any]) -> list[str]:
    """Return the names of the values that filters read without a default, and that a user lacks."""
    values = {**profile, NOW: "", **_merge(layers, "context")}
    needed = [name for rules in layers for name, has_default in rules.user_values.items() if not has_default]
    return [name for name in dict.fromkeys(needed) if values.get(name) is None]


def describe_missing(layers: Sequence[Rules], profile: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that filters read without a default, and that a user lacks."""
    return [
        f"the rules read user.{name}, which this user lacks; pass it, or give a default: (user.{name} or ...)"
        for name in find_missing(layers, profile)
    ]


def _values_of(layers: Sequence[Rules], profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that filters read as ``user.NAME``; unless the context has it, `NOW` is the current minute."""
    minute = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z")
    values = {**profile, NOW: minute, **_merge(layers, "context")}
    return {name: values.get(name) for rules in layers for name in rules.names}


def _key(layers: Sequence[Rules], user: Mapping[str, Any]) -> tuple[str, ...]:
    return (*(rules.text for rules in layers), str(user))


def check_rules(rules: Rules, items: pl.Series, columns: Mapping[str, pl.Series]) -> None:
    """Raise ConfigError if filters or caps do not fit the ids and columns of items, before a model is trained."""
    columns = {ID: items, **columns}
    for text in (rules.filter, *rules.boost):
        Filter(text, columns, {"user": _values_of([rules], {}), "lists": rules.lists}).find_items()
    for name in rules.cap:
        find_column(columns, name)


def _merge(layers: Sequence[Rules], name: str) -> dict[str, Any]:
    """Return a mapping of `Rules`, given its name, such as ``cap``, from all layers; later ones take precedence."""
    return {key: value for rules in layers for key, value in getattr(rules, name).items()}


def _compile(model: TrainedModel, layers: Sequence[Rules], user: Mapping[str, Any]) -> ItemRules:
    """Compile rules for the items of a model."""
    catalogue = model.catalogue
    columns = {ID: catalogue.items.values, **catalogue.columns}
    allowed, factors, unmatched, n_found = _apply(layers, columns, model.listed, user)
    caps = _merge(layers, "cap").items()
    n_given = sum(len(set(given)) for rules in layers for given in (rules.allow, rules.deny) if given is not None)
    return ItemRules(
        allowed,
        factors,
        tuple((*_index_values(model, name)[1:], max_items) for name, max_items in caps),
        after=layers[-1].after,
        unmatched=unmatched,
        n_unknown=n_given - int(n_found.sum()),
        **_find_pins(catalogue.items, layers[-1]),
    )


def _follow(base: ItemRules, current: CurrentItems, layers: Sequence[Rules], user: Mapping[str, Any]) -> ItemRules:
    """Compile rules for current items, given those for the items of the model."""
    changed = current.changed
    allowed, factors, unmatched, n_found = _apply(
        layers, current.changed_columns, current.listed[changed], user, are_all=False
    )
    caps = _merge(layers, "cap").items()
    n_items = len(current.listed)
    return replace(
        base,
        allowed=_set_items(base.allowed, n_items, changed, allowed),
        factors=None if factors is None else _set_items(base.factors, n_items, changed, factors),
        caps=tuple((*_follow_values(current, name), max_items) for name, max_items in caps),
        unmatched={text: hint for text, hint in base.unmatched.items() if text in unmatched},
        n_unknown=base.n_unknown - int(n_found[changed >= len(base.allowed)].sum()),
        base=base,
        changed=changed,
        **_find_pins(current.catalogue.items, layers[-1]),
    )


def _set_items(values: Any, n_items: int, changed: np.ndarray, of_changed: np.ndarray) -> np.ndarray:
    """Return an array with the values of the model's items, shape (n_items,), but for those that have changed."""
    result = np.empty(n_items, dtype=of_changed.dtype)
    result[: len(values)] = values
    result[changed] = of_changed
    return result


def _apply(
    layers: Sequence[Rules],
    columns: Mapping[str, pl.Series],
    listed: np.ndarray,
    user: Mapping[str, Any],
    *,
    are_all: bool = True,
) -> tuple[np.ndarray, np.ndarray | None, dict[str, str], np.ndarray]:
    """Apply rules to some items, of which those in the mask `listed` may be listed.

    Returns `ItemRules.allowed`, `factors` and `unmatched`, and how often `allow` and `deny` name each item. For
    `are_all`, see `Filter`.
    """
    texts = columns[ID].cast(pl.String)
    values = {"user": user, "lists": _merge(layers, "lists")}
    allowed = listed.copy()
    factors = np.ones(len(texts), dtype=np.float32)
    unmatched: dict[str, str] = {}
    n_found = np.zeros(len(texts), dtype=np.int64)
    for rules in layers:
        allowed &= Filter(rules.filter, columns, values, unmatched, are_all).find_items()
        for text, factor in rules.boost.items():
            is_met = Filter(text, columns, values, unmatched, are_all).find_items()
            factors[is_met] = np.minimum(factors[is_met] * np.float32(factor), MAX_FACTOR)
        for given, is_allowed in ((rules.allow, True), (rules.deny, False)):
            if given is not None:
                is_given = texts.is_in(pl.Series(given, dtype=pl.String).implode()).to_numpy()
                allowed &= is_given == is_allowed
                n_found += is_given
    return allowed, factors if _merge(layers, "boost") else None, unmatched, n_found


def _find_pins(ids: Ids, rules: Rules) -> dict[str, Any]:
    """Return the fields of `ItemRules` about pins."""
    pins = {rank - 1: ids.index_of(pinned[0]) for rank, pinned in rules.pin.items()}
    others = [
        f"{other} is not pinned, since rank {rank:,} has another pin"
        for rank, pinned in rules.pin.items()
        for other in list(dict.fromkeys(pinned))[1:]
    ]
    known = {rank: item for rank, item in pins.items() if item >= 0}
    return {"pins": known, "n_unpinned": len(pins) - len(known), "other_pins": tuple(others)}


def _index_values(model: TrainedModel, name: str) -> tuple[pl.Series, SparseRows, SparseRows]:
    """Return the distinct values of a column, ascending, the values of each item, and their transpose.

    The matrix has the shape (n_items, n_values). It is kept in memory.
    """
    index: tuple[pl.Series, SparseRows, SparseRows] | None = model.compiled_rules.get(("values", name))
    if index is None:
        column = find_column({ID: model.catalogue.items.values, **model.catalogue.columns}, name)
        items, values = list_values(column)
        codes = values.rank("dense").to_numpy().astype(np.int64) - 1
        rows = SparseRows.from_pairs(items, codes, None, len(column), values.n_unique())
        index = model.compiled_rules["values", name] = values.unique().sort(), rows, rows.transpose()
    return index


def _follow_values(current: CurrentItems, name: str) -> tuple[SparseRows, SparseRows]:
    """Return the values of each current item, and their transpose, like `_index_values`."""
    index: tuple[SparseRows, SparseRows] | None = current.compiled_rules.get(("values", name))
    if index is None:
        known, rows, members = _index_values(current.model, name)
        positions, values = list_values(find_column(current.changed_columns, name))
        # Other values have codes after the known ones; ids may be text next to the model's integers.
        distinct = pl.concat([known.cast(values.dtype), values]).unique(maintain_order=True)
        codes = values.to_frame("value").join(
            distinct.to_frame("value").with_row_index("code"), on="value", how="left", maintain_order="left"
        )["code"]
        items = current.changed[positions]
        shape = len(current.listed), len(distinct)
        index = (
            rows.replace_entries(~np.isin(rows.row_of_entry(), current.changed), items, codes.to_numpy(), shape),
            members.replace_entries(~np.isin(members.columns, current.changed), codes.to_numpy(), items, shape[::-1]),
        )
        current.compiled_rules["values", name] = index
    return index
