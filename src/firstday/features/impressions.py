"""Impressions: what was shown to a user, and how likely the user saw it and passed it over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from firstday.errors import DataError

SHOWN = "shown"
"""The signal of impressions; it never counts as use."""


@dataclass(frozen=True, slots=True)
class Impression:
    """One item in one list that was shown to a user.

    Parameters
    ----------
    item_id
        The caller's id.
    position
        Its place in the list, from 1; None where it is certain that the user saw it.
    list_id
        Of the list; None where the item was shown alone.
    propensity
        How likely the policy was to show it there, above 0 and at most 1; None where nobody knows.
    policy
        What made the list, such as ``explore``; None where nobody knows.
    """

    item_id: Any
    position: int | None = None
    list_id: str | None = None
    propensity: float | None = None
    policy: str | None = None

    @classmethod
    def read(cls, value: Any, where: str) -> Impression:
        """Read an impression from an item's id, ``[item_id, position]`` or an object with the names above.

        Raises
        ------
        DataError
            It is none of these, or a part of it cannot be; `where` begins the sentence.
        """
        if isinstance(value, cls):
            read = value
        elif isinstance(value, Mapping):
            names = [field.name for field in fields(cls)]
            unknown = [name for name in value if name not in names]
            if unknown or value.get("item_id") is None:
                what = f"has an unknown {unknown[0]!r}" if unknown else "has no item_id"
                raise DataError(f"{where}: {what}; give an object of {', '.join(names)}.")
            read = cls(**value)
        elif isinstance(value, list | tuple):
            if len(value) != 2:
                raise DataError(
                    f'{where}: is {value!r}; give an item\'s id or [item_id, position], such as ["i81", 1].'
                )
            read = cls(*value)
        else:
            read = cls(value)
        if read.item_id is None or isinstance(read.item_id, Mapping | list | tuple):
            raise DataError(f"{where}: item_id is {read.item_id!r}; give an item's id.")
        position, propensity = read.position, read.propensity
        if position is not None and (isinstance(position, bool) or not isinstance(position, int) or position < 1):
            raise DataError(f"{where}: position is {position!r}; give a whole number from 1, or leave it out.")
        if propensity is not None and (
            isinstance(propensity, bool) or not isinstance(propensity, Real) or not 0 < propensity <= 1
        ):
            raise DataError(
                f"{where}: propensity is {propensity!r}; give a number above 0, at most 1, or leave it out."
            )
        return read


def weigh_passed_over(shown: Iterable[Impression], used: Collection[str], persistence: float) -> dict[str, float]:
    """Return how likely the user saw each item and passed it over, by its id as text, above 0 and at most 1.

    A user looks at a list from the top, and after each place goes on to the next with the probability `persistence`.
    What stands above something used was seen. What was used is not passed over.

    Parameters
    ----------
    shown
        All that was shown to one user.
    used
        Ids of what this user uses, as text.
    persistence
        Between 0 and 1; 1: all that was shown was seen.

    References
    ----------
    The cascade with a constant chance to go on: N. Craswell et al., "An experimental comparison of click
    position-bias models", WSDM 2008; A. Moffat and J. Zobel, "Rank-biased precision", TOIS 2008.
    """
    lists: dict[str | None, list[Impression]] = {}
    for impression in shown:
        lists.setdefault(impression.list_id, []).append(impression)
    unseen: dict[str, float] = {}
    for list_id, impressions in lists.items():
        reached = 1
        if list_id is not None:
            reached = max([1, *(entry.position or 1 for entry in impressions if str(entry.item_id) in used)])
        for entry in impressions:
            item = str(entry.item_id)
            if item not in used:
                seen = persistence ** max(0, (entry.position or 1) - reached)
                unseen[item] = unseen.get(item, 1.0) * (1 - seen)
    return {item: 1 - left for item, left in unseen.items() if left < 1}
