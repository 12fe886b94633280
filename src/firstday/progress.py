"""Progress: how long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done of it, and what there is in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""
