"""Progress: the callback that long work reports to."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the steps done, and the total number of steps."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""
