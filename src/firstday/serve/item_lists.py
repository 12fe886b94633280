"""Lists of item ids that the service keeps, for filters: ``item_id not in lists.sold_out``."""

from __future__ import annotations

from collections.abc import Sequence

from firstday.recommend.rules.list_rules import Rules
from firstday.serve.store.base import Store

POLL_S = 0.5
"""Time between two looks for changes of other workers, in seconds."""


class ItemLists:
    """The stored lists, in memory.

    Requests read `rules`, whose `lists` these are, once and keep that reference. If the store fails, the last known
    lists remain in use.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._changed_us, self.rules = store, -1, Rules()

    async def follow(self) -> None:
        """Read the lists if they have changed."""
        changed_us = await self._store.find_lists_change()
        if changed_us != self._changed_us:
            self.rules, self._changed_us = Rules.model_construct(lists=await self._store.read_lists()), changed_us

    async def put(self, name: str, items: Sequence[str] | None) -> None:
        """Store a list, or delete it if `items` is None."""
        await self._store.put_list(name, items)
        await self.follow()
