"""Guests in the table of users: their rule, and how they become one person with one row."""

from __future__ import annotations

import polars as pl

from firstday.tables.faults import OR_DROP, Rule
from firstday.tables.schema import HOMES

_GUEST_IDS = pl.col("guest_ids")
_EVERY_GUEST = _GUEST_IDS.explode()
_OWNERS = pl.col("user_id").filter(_GUEST_IDS.list.len() > 0).cast(pl.String)
_NO_GUESTS = pl.concat_list(_EVERY_GUEST.filter(_EVERY_GUEST.is_duplicated()).implode(), _OWNERS.implode())
GUEST_RULE = Rule(
    "name a guest who has guests, or whom another user names, too",
    _GUEST_IDS.list.set_intersection(_NO_GUESTS).list.len() > 0,
    "shared_guest",
    f"name each guest for one user, who is nobody's guest, {OR_DROP}",
    "guest_ids",
    pl.col("user_id"),
)
"""Rule for the guests of users."""


def split_guests(users: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return `users` with one row per person, and a table of the ids of persons with guests, if there are any.

    A person registers when the first of their ids does. Of other values, the person's own take precedence. The table
    has each `own_id` and its person's `user_id`, as text, in the order of registration; a guest without a time precedes
    the person.
    """
    if "guest_ids" not in users.columns:
        return {}
    named = users.select(pl.col("user_id").cast(pl.String), own_id="guest_ids").explode("own_id").drop_nulls()
    named = named.unique("own_id", maintain_order=True)  # several have a fault
    users = users.drop("guest_ids")
    if named.is_empty():
        return {"users": users}
    known = users.with_columns(pl.col("user_id").cast(pl.String))
    rows = pl.concat([known, named.select(user_id="own_id")], how="diagonal").unique("user_id", maintain_order=True)
    rows = name_persons(rows.with_columns(own_id="user_id"), named)
    rows = rows.sort(pl.col("own_id") == pl.col("user_id"), maintain_order=True)  # guests first
    time = pl.selectors.by_name("registered_at", require_all=False)
    persons = rows.group_by("user_id", maintain_order=True).agg(time.min(), (~time).drop_nulls().last())
    if "registered_at" in rows.columns:
        rows = rows.sort("registered_at", maintain_order=True)
    return {
        "users": persons.select(users.columns).cast({"user_id": users.schema["user_id"]}),
        "guests": rows.filter(pl.col("user_id").is_in(named["user_id"].implode())).select("own_id", "user_id"),
    }


def name_persons(rows: pl.DataFrame, guests: pl.DataFrame) -> pl.DataFrame:
    """Replace the ids of guests by those of their persons; user ids become text."""
    names = [column for column, home in HOMES.items() if home == "users"]
    ids = pl.selectors.by_name(names, require_all=False).cast(pl.String)
    return rows.with_columns(ids.replace(guests["own_id"], guests["user_id"]))
