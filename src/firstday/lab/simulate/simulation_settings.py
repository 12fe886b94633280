"""Simulator settings: size of the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DAY_S = 86_400
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""Start of the log, a Monday."""


@dataclass(frozen=True)
class SimulationSettings:
    """Size of the simulated service: at least 20 users and 20 items.

    Each interactions file has a block of `block_users` users with its own random stream, so this changes the data.
    `before_share` of the users registered before the log, and nobody registers on its last `quiet_days`.
    With `series`, artists are shows that publish their items as episodes.
    """

    n_users: int
    n_items: int
    days: int = 90
    seed: int = 0
    block_users: int = 10_000
    before_share: float = 0.5
    quiet_days: int = 0
    series: bool = False

    @property
    def end_s(self) -> int:
        """Length of the log, in seconds."""
        return self.days * DAY_S
