"""Settings of the two protocols: who is warm and who is cold, and what day one is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from firstday.config_values import Count, Fraction, Section, Share

DAY_ONES_IN_ALL, FEWEST_DAY_ONES, MOST_DAY_ONES = 100_000, 4, 50
"""Day ones that are drawn to train on where nothing is set: in all, and of each warm user."""


class SampledProtocolConfig(Section):
    """The `sampled` protocol: day one drawn at random where the data has no clock."""

    min_items: Count = Field(
        default=20,
        description="Items that a user needs to be warm or cold; with fewer, one counts as a friend, if at all.",
    )
    warm: Share = Field(default=0.7, description="Share of users that are warm.")
    validation: Share = Field(default=0.1, description="Share of users for early stopping and tuning.")
    sizes: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 1, 2, 3, 5, 8, 10), description="Day-one sizes, in items."
    )
    probabilities: tuple[Fraction, ...] = Field(
        default=(0.10, 0.15, 0.15, 0.20, 0.20, 0.10, 0.10), description="Probability of each day-one size."
    )

    day_ones: Count | None = Field(
        default=None,
        description="Day ones drawn of each warm user, to train on; empty: so many that there are about 100,000 in "
        "all, from 4 to 50 of each.",
    )

    def resolve_day_ones(self, n_warm: int) -> int:
        """Return the number of day ones of each of that many warm users."""
        return self.day_ones or min(max(DAY_ONES_IN_ALL // max(1, n_warm), FEWEST_DAY_ONES), MOST_DAY_ONES)

    @model_validator(mode="after")
    def _can_be_drawn(self) -> SampledProtocolConfig:
        if len(self.sizes) != len(self.probabilities):
            raise ValueError(
                f"{len(self.sizes)} sizes have {len(self.probabilities)} probabilities; give one for each size"
            )
        if not sum(self.probabilities):
            raise ValueError("all probabilities are 0; make one positive")
        if self.warm + self.validation > 1 - 1e-9:
            raise ValueError("warm and validation add up to 1 or more; leave a share for cold users")
        return self


class RegistrationProtocolConfig(Section):
    """The `registration` protocol: cold users are those who registered last, day one is what it says."""

    cut_off: AwareDatetime | None = Field(
        default=None,
        description="Moment with its zone (2024-05-01T00:00:00Z). Warm users registered before it, and nothing after "
        "it is in any statistic; empty: the last midnight in UTC that leaves `cold_days` and `target_days` before "
        "the log's end. `train` uses the whole log.",
    )
    cold_days: float = Field(
        default=7.0, gt=0, description="Days after the cut-off in which cold users registered. Source: PAPER (a week)."
    )
    target_days: float = Field(
        default=30.0,
        gt=1,
        description="Days from registration to the end of the target window, which begins where day one ends. "
        "Source: PAPER.",
    )
    min_items: Count = Field(default=20, description="Used items before the cut-off that make a user warm.")
    validation: Share = Field(
        default=0.5, description="Share of cold users for early stopping and tuning; the others are reported on."
    )
    held_out: Share = Field(
        default=0.1,
        description="In `train`: share of the users whose target window is in the log that are held out to stop "
        "training at the right moment (at most 10,000).",
    )
    day_one: Literal["24-hours", "calendar-day"] = Field(
        default="24-hours",
        description="What day one is: 24 hours from registration on, or up to midnight in the user's time zone.",
    )
    time_zone: str = Field(default="UTC", description="Time zone (IANA name) of calendar days, unless a column tells.")
    time_zone_column: str = Field(
        default="", description="Column of `users` with IANA names of time zones; empty: none."
    )
    early_hours: float = Field(
        default=1.0,
        ge=0,
        description="What was done up to so many hours before registration counts as day one (clocks of two systems "
        "differ); what was done earlier is left out.",
    )
