"""A field that a dataset declares is read, restricted and joined by its declaration alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.fields import as_microseconds, as_texts, join_fields, per_item, per_user, read_columns
from firstday.data.load import load
from firstday.data.parts import pack, unpack

Tables = dict[str, pl.DataFrame]


@dataclass(frozen=True, eq=False)
class Wider(Dataset):
    """A dataset with two more fields."""

    seen_at: np.ndarray | None = field(default=None, metadata=per_user("seen_at", as_microseconds))
    brands: tuple[str, ...] | None = field(default=None, metadata=per_item("brand", as_texts))


def widen(dataset: Dataset) -> Wider:
    users = pl.DataFrame({"seen_at": range(len(dataset.users))})
    items = pl.DataFrame({"brand": ["a", None, "b", "c"][: len(dataset.items)]})
    read = {**read_columns(Wider, "users", users), **read_columns(Wider, "items", items)}
    return Wider(**vars(dataset), **read)


def test_a_field_is_read_from_its_column_if_there_is_one(five_users: Tables) -> None:
    wider = widen(load(five_users))
    assert wider.seen_at is not None
    assert wider.seen_at.tolist() == [0, 1, 2, 3, 4]
    assert wider.brands == ("a", "", "b", "c")
    assert read_columns(Wider, "users", pl.DataFrame({"age": [20, None]})).keys() == {"ages"}


def test_a_field_is_restricted_with_its_users_or_items(five_users: Tables) -> None:
    kept = widen(load(five_users)).keep_users(np.array([1, 4])).keep_items(np.array([0, 2]))
    assert isinstance(kept, Wider)
    assert kept.seen_at is not None
    assert kept.seen_at.tolist() == [1, 4]
    assert kept.brands == ("a", "b")


def test_a_field_is_joined_in_the_order_of_users(five_users: Tables) -> None:
    wider = widen(load(five_users))
    parts = [wider.keep_users(np.array([1, 4])), replace(wider.keep_users(np.array([0, 2, 3])), ages=None)]
    joined = join_fields(parts, [np.array([1, 4], np.int32), np.array([0, 2, 3], np.int32)])
    assert joined["seen_at"].tolist() == [0, 1, 2, 3, 4]
    assert joined["ages"][[0, 2, 3]].tolist() == [-1, -1, -1]
    assert "brands" not in joined


def test_a_packed_part_has_the_fields_of_its_users_alone(five_users: Tables) -> None:
    dataset = load(five_users)
    catalogue = replace(dataset.keep_users(np.array([], np.int64)), titles=None)
    part = unpack(pack(dataset), catalogue)
    assert part.titles is None
    assert part.ages is not None
    assert part.ages.tolist() == np.asarray(dataset.ages).tolist()
