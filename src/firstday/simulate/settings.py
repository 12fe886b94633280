"""Settings of the simulator: how large the service is, and how its people behave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from firstday.config import MAX_SEED
from firstday.errors import ConfigError

DAY_S = 86_400
MIN_USERS, MAX_USERS = 20, 2**31 - 2
MIN_ITEMS, MAX_ITEMS = 20, 2_000_000
MIN_DAYS, MAX_DAYS = 2, 3_650


class Layout(StrEnum):
    """What the simulator writes."""

    TABLES = "tables"
    DEEZER_KDD21 = "deezer-kdd21"


@dataclass(frozen=True)
class SimulationSettings:
    """How large the service is, and how its people behave.

    Parameters
    ----------
    n_users, n_items
        Users and items.
    days
        Length of the log, days.
    seed
        The same seed and sizes give the same files.
    begin
        First moment of the log.
    block_users
        Users of one file of interactions; each block has its own random stream, so that this number is part of what
        the data is.
    before_share
        Share of users who registered before the log begins.
    nothing_share, stream_share
        Share of newcomers who leave only a profile on day one, and share who stream something (PAPER, The problem).
    questionnaire_share
        Share of the other newcomers who answer the questionnaire of the first start.
    missing_age_share
        Share of users whose age is unknown.
    sessions_per_day
        Median rate of sessions of a newcomer who stays, once the first week's curiosity is over.
    rate_spread, length_spread
        Standard deviation, over users, of the logarithm of the rate and of the streams in a session.
    streams_per_session
        Median over users of the mean number of streams in a session.
    soon_gone_share, soon_gone_days, stay_days
        Share of users who leave soon, and the mean lifetimes of these and of the others, days.
    curious_days, curiosity
        A newcomer has `1 + curiosity * exp(-t / curious_days)` times the usual rate t days after registration.
    favorite_artist_share
        Share of streams that are chosen among the user's own few favorite artists.
    chart_share
        Mean share of streams that come from the charts of the country; it varies over users.
    strange_share
        Share of streams that autoplay takes from outside the user's scenes.
    drift_days
        Time after which 63 % of a user's way from the first to the mature taste is done, days.
    sharpening
        Power on the weights of a user's scenes in the mature taste, over that of the first taste.
    registering_days
        Days from the log's first on which people register; None: all of them.
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
        """Refuse sizes that make no service.

        Raises
        ------
        ConfigError
            A size is too small or too large.
        """
        for what, value, low, high in (
            ("users", self.n_users, MIN_USERS, MAX_USERS),
            ("items", self.n_items, MIN_ITEMS, MAX_ITEMS),
            ("days", self.days, MIN_DAYS, MAX_DAYS),
            ("seed", self.seed, 0, MAX_SEED),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{what}: {value:,} cannot be simulated; give {low:,} to {high:,}.")

    @property
    def n_blocks(self) -> int:
        """Number of blocks of users, each one file of interactions."""
        return -(-self.n_users // self.block_users)

    @property
    def end_s(self) -> int:
        """Length of the log, seconds."""
        return self.days * DAY_S
