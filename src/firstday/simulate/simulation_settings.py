"""Simulator settings: size of the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DAY_S = 86_400
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""Start of the log, a Monday."""


@dataclass(frozen=True)
class SimulationSettings:
    """Size of the simulated service.

    Parameters
    ----------
    n_users, n_items
        Number of users and items, at least 20 each.
    days
        Length of the log, in days.
    seed
        Equal seeds and sizes give equal files.
    block_users
        Number of users per interactions file. Each block has its own random stream, so this changes the data.
    before_share
        Share of users who registered before the log.
    quiet_days
        Number of days at the end of the log on which nobody registers.
    """

    n_users: int
    n_items: int
    days: int = 90
    seed: int = 0
    block_users: int = 10_000
    before_share: float = 0.5
    quiet_days: int = 0

    @property
    def end_s(self) -> int:
        """Length of the log, in seconds."""
        return self.days * DAY_S
