"""Stored lists of item ids, which filters can read: ``item_id not in lists.sold_out``."""

from __future__ import annotations

from collections.abc import Sequence

from firstday.recommend.rules.list_rules import Rules
from firstday.serve.store.base import Store

POLL_S = 0.5
"""Seconds between checks for changes by other workers."""


class ItemLists:
    """The stored lists, held in memory.

    A request reads `rules`, whose `lists` these are, once and uses them throughout. If the store fails, the last lists
    read remain in use.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._changed_us, self.rules = store, -1, Rules()

    async def poll(self) -> None:
        """Read the lists if they have changed."""
        changed_us = (await self._store.find_changes()).get("items", 0)
        if changed_us != self._changed_us:
            self.rules, self._changed_us = Rules.model_construct(lists=await self._store.read_lists()), changed_us

    async def put(self, name: str, items: Sequence[str] | None) -> None:
        """Store a list, or delete it if `items` is None."""
        await self._store.put_list(name, items)
        await self.poll()
