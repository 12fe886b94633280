"""Simulator settings: size of the service and behavior of its users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from firstday.config import MAX_SEED
from firstday.display import readable
from firstday.errors import ConfigError

DAY_S = 86_400


class Layout(StrEnum):
    """Output layout of the simulator."""

    TABLES = "tables"
    DEEZER_KDD21 = "deezer-kdd21"


@readable
@dataclass(frozen=True)
class SimulationSettings:
    """Size of the simulated service and behavior of its users.

    Parameters
    ----------
    n_users, n_items
        Number of users and items.
    days
        Length of the log, in days.
    seed
        Equal seeds and sizes give equal files.
    begin
        Start of the log.
    block_users
        Number of users per interactions file. Each block has its own random stream, so this changes the data.
    before_share
        Share of users who registered before the log.
    nothing_share, stream_share
        Share of new users with only a profile on day one, and share with a stream on day one (PAPER, The problem).
    questionnaire_share
        Share of new users with more than a profile who answer the questionnaire.
    missing_age_share
        Share of users without an age.
    sessions_per_day
        Median session rate of users who stay, after the initial curiosity.
    rate_spread, length_spread
        Standard deviation, over users, of the logarithm of the session rate and of the streams per session.
    streams_per_session
        Median, over users, of the mean number of streams per session.
    soon_gone_share, soon_gone_days, stay_days
        Share of users who leave soon, their mean lifetime, and that of the others, in days.
    curious_days, curiosity
        The session rate t days after registration is `1 + curiosity * exp(-t / curious_days)` times the usual one.
    favorite_artist_share
        Share of streams from the user's favorite artists.
    chart_share
        Mean share of streams from the country's charts; it varies over users.
    strange_share
        Share of streams from scenes outside the user's taste, as autoplay produces.
    drift_days
        Time constant of the drift from the first to the mature taste, in days (63 % of the way).
    sharpening
        Exponent from scene weights of the first taste to those of the mature taste.
    registering_days
        Number of days, from the start of the log, on which users register. Default: all days.
    """

    n_users: int
    n_items: int
    days: int = 90
    seed: int = 0
    begin: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    block_users: int = 10_000
    before_share: float = 0.5
    nothing_share: float = 0.05
    stream_share: float = 0.77
    questionnaire_share: float = 0.6
    missing_age_share: float = 0.04
    sessions_per_day: float = 0.25
    rate_spread: float = 0.8
    length_spread: float = 0.5
    streams_per_session: float = 6.0
    soon_gone_share: float = 0.25
    soon_gone_days: float = 4.0
    stay_days: float = 75.0
    curious_days: float = 6.0
    curiosity: float = 1.5
    favorite_artist_share: float = 0.6
    chart_share: float = 0.2
    strange_share: float = 0.08
    drift_days: float = 40.0
    sharpening: float = 1.5
    registering_days: int | None = None

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises
        ------
        ConfigError
            A size is too small or too large.
        """
        for name, value, low, high in (
            ("users", self.n_users, 20, 2**31 - 2),
            ("items", self.n_items, 20, 2_000_000),
            ("days", self.days, 2, 3_650),
            ("seed", self.seed, 0, MAX_SEED),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name}: {value:,} cannot be simulated; give {low:,} to {high:,}.")

    @property
    def n_blocks(self) -> int:
        """Number of blocks of users, one file of interactions each."""
        return -(-self.n_users // self.block_users)

    @property
    def end_s(self) -> int:
        """Length of the log, in seconds."""
        return self.days * DAY_S
