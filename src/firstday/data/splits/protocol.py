"""Choice of the protocol: `registration` for logs with a clock, `sampled` for others."""

from __future__ import annotations

from firstday.config import Config
from firstday.data.splits.histories import Histories, LogSpan
from firstday.data.summary import Summary
from firstday.errors import count_of


def choose_protocol(summary: Summary, config: Config) -> LogSpan | None:
    """Return the log's time span under the protocol `registration`, empty without times; None under `sampled`.

    The protocol ``auto`` means `registration` if the log has a clock: most interactions have a time, and registration
    times are known or at most half of the users with several interactions did everything within 24 hours. Users
    without a registration time register at their first interaction.
    """
    is_spread = summary.dated or 2 * summary.users_within_24_hours <= summary.users_with_several
    has_clock = is_spread and 2 * summary.timed > summary.interactions
    if config.protocol == "sampled" or (config.protocol == "auto" and not has_clock):
        return None
    first, last = summary.moments or (0, -1)
    return LogSpan(first, last + 1)


def describe_protocol(summary: Summary, histories: Histories, config: Config) -> str:
    """Say which protocol is chosen and why, and how many users each can hold out."""
    n_within = summary.users_within_24_hours
    n_several = summary.users_with_several
    min_items = config.sampled.min_items
    n_busy = int((histories.n_used >= min_items).sum())
    return (
        f"Protocol {histories.protocol} (setting {config.protocol}): "
        f"{count_of(summary.timed, summary.interactions, 'interactions')} have a time, "
        f"{count_of(summary.dated, summary.users, 'users')} a registration time, and "
        f"{count_of(n_within, n_several, 'users with several interactions')} did everything within 24 hours; "
        f"`registration` can hold out up to {n_several - n_within:,} users, who came back later, and `sampled` "
        f"{n_busy:,}, who used at least {min_items} items."
    )
