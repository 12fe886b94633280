"""Choice of the protocol: `registration` for logs with a clock, `sampled` for others."""

from __future__ import annotations

from dataclasses import dataclass

from firstday.config import Config
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import Histories, LogSpan, Protocol
from firstday.data.summary import Summary
from firstday.errors import count_of


@dataclass(frozen=True)
class ProtocolChoice:
    """The protocol of some tables."""

    log: LogSpan | None  # time span of the log under `registration`, empty without times; None under `sampled`
    reason: str  # why, as a clause

    @property
    def protocol(self) -> Protocol:
        """The name of the protocol."""
        return "sampled" if self.log is None else "registration"


def choose_protocol(summary: Summary, config: Config) -> ProtocolChoice:
    """Choose the protocol from counts of all users: the configured one, or `registration` if the log has a clock.

    A log has a clock if most interactions have a time, and registration times are known or most users with several
    interactions came back after 24 hours. Users without a registration time register at their first interaction.
    """
    log = LogSpan(0, 0)
    if summary.first is not None and summary.last is not None:
        log = LogSpan(summary.first, summary.last + 1)
    if config.protocol != "auto":
        return ProtocolChoice(None if config.protocol == "sampled" else log, "it is set")
    if 2 * summary.timed <= summary.interactions:
        return ProtocolChoice(None, f"{count_of(summary.timed, summary.interactions, 'interactions')} have a time")
    if summary.dated:
        return ProtocolChoice(log, f"{count_of(summary.dated, summary.users, 'users')} have a registration time")
    n_within = count_of(summary.users_within_24_hours, summary.users_with_several, "users with several interactions")
    reason = f"{n_within} did everything within 24 hours"
    if 2 * summary.users_within_24_hours > summary.users_with_several:
        return ProtocolChoice(None, reason)
    return ProtocolChoice(log, f"the first interaction registers a user, and only {reason}")


def describe_protocol(summary: Summary, histories: Histories, config: Config) -> str:
    """Say which protocol is chosen and why, and how many users each protocol can hold out."""
    choice = choose_protocol(summary, config)
    sentence = f"Protocol {choice.protocol}, since {choice.reason}"
    min_items = config.sampled.min_items
    n_busy = int((histories.n_used >= min_items).sum())
    if summary.first is None:
        return f"{sentence}; `registration` needs interactions.timestamp."
    if choice.log is None:
        n_returned = summary.users_with_several - summary.users_within_24_hours
        return (
            f"{sentence}: {count_of(n_busy, len(histories), 'users')} used at least {min_items} items and can be held "
            f"out; under `registration`, at most {n_returned:,}, who came back after 24 hours."
        )
    histories = choose_target_days(histories, config)
    n_newcomers = int(histories.can_be_evaluated.sum())
    return (
        f"{sentence}: {count_of(n_newcomers, len(histories), 'users')} used something new within "
        f"{histories.target_days:g} days of registration and can be held out; under `sampled`, {n_busy:,}, who used at "
        f"least {min_items} items."
    )
