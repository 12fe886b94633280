"""Outlook: what training and evaluation would make of tables, before either is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.registration import Log, count_held_out, find_cut_off, tell_too_few, write_moment
from firstday.data.splits.roles import Protocol, RoleCounts, count_roles
from firstday.data.splits.sampled import are_too_few, share_out, tell_no_use, tell_too_few_items
from firstday.errors import ConfigError, DataError, count_of

USER_DEVIATION = 22.0
"""Standard deviation over users of the precision of a list of 50, in points of a per cent, rather too much than too
little. Measured (`evaluate`, one seed): on MovieLens 100K, of 189 cold users, 20.6 for `personal`, 20.9 for `blend`,
21.2 for `popular`, 21.5 for `segment`; on a simulated service, of 166, from 9.3 (`popular`) to 15.1 (`personal`)."""
FEW_COLD = 150
"""With fewer cold users than this, an interval reaches 4 points to either side, or further."""
NORMAL = 1.96
"""Standard errors to either side of a mean in a 95 % interval."""


@dataclass(frozen=True)
class Roles:
    """What one command would make of the users; without times, or with part of the vectors, on average over seeds.

    Parameters
    ----------
    warm, validation, cold
        How many users have each role.
    refusal
        The error that the command would end with; "" if none.
    """

    warm: int = 0
    validation: int = 0
    cold: int = 0
    refusal: str = ""


@dataclass(frozen=True)
class Outlook:
    """What training and evaluation would make of tables.

    Parameters
    ----------
    protocol
        How users would be told apart.
    training, evaluation
        Who would have which role; nobody is cold in training.
    counts
        What that follows from.
    sentences
        The same for people, without the refusal of training.
    """

    protocol: Protocol
    training: Roles
    evaluation: Roles
    counts: RoleCounts = field(default_factory=RoleCounts)
    sentences: tuple[str, ...] = ()

    @property
    def trainable(self) -> bool:
        """Whether training would begin."""
        return not self.training.refusal

    @property
    def half_width(self) -> float | None:
        """About half the 95 % interval of a precision over cold users, in points of a per cent; None if refused."""
        return None if self.evaluation.refusal else NORMAL * USER_DEVIATION / self.evaluation.cold**0.5

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        half_width = self.half_width
        return {
            "protocol": self.protocol,
            "counts": {**asdict(self.counts), "light": self.counts.light},
            "training": asdict(self.training),
            "evaluation": {
                **asdict(self.evaluation),
                "interval_points": None if half_width is None else round(half_width, 1),
            },
            "sentences": list(self.sentences),
        }


def foresee(dataset: Dataset, config: Config, protocol: Protocol) -> Outlook:
    """Return the outlook for a whole dataset; what a split would raise is its refusal.

    Parameters
    ----------
    dataset, config, protocol
        See `find_warm`.
    """
    try:
        log = None if protocol == "sampled" else Log.of(dataset.events)
        counts = count_roles(dataset, config, protocol, log)
    except (DataError, ConfigError) as error:
        refused = Roles(refusal=str(error))
        return Outlook(protocol, refused, refused, RoleCounts(len(dataset.users), len(dataset.events)))
    return outlook(counts, config, protocol, log)


def outlook(counts: RoleCounts, config: Config, protocol: Protocol, log: Log | None) -> Outlook:
    """Return what training and evaluation would make of everyone.

    Parameters
    ----------
    counts
        Of everyone: the sum over all parts.
    config, protocol, log
        See `find_warm`.
    """
    if not counts.uses:
        refused = Roles(refusal=tell_no_use(counts.interactions, config.signals))
        return Outlook(protocol, refused, refused, counts)
    if protocol == "sampled":
        training, evaluation = (_share_sampled(counts, config, with_cold=with_cold) for with_cold in (False, True))
    else:
        assert log is not None
        training, evaluation = _hold_out(counts, config, log), _cut(counts, config, log)
    bare = Outlook(protocol, training, evaluation, counts)
    sentences = (*_tell_training(bare, config), *_tell_evaluation(bare, config, log))
    return Outlook(protocol, training, evaluation, counts, sentences)


def _share_sampled(counts: RoleCounts, config: Config, *, with_cold: bool) -> Roles:
    """Divide users as the protocol `sampled` does."""
    n_warm, n_validation, n_cold = share_out(counts.eligible, config.sampled, with_cold=with_cold)
    n_warm = round(n_warm * counts.warm / max(1, counts.eligible))  # those who have a vector
    refused = are_too_few(n_warm, n_validation, n_cold, with_cold=with_cold)
    refusal = tell_too_few_items(counts.eligible, counts.users, config.sampled) if refused else ""
    return Roles(n_warm, n_validation, n_cold, refusal)


def _hold_out(counts: RoleCounts, config: Config, log: Log) -> Roles:
    """Divide users as `train` does under `registration`, on average: who is held out is drawn."""
    n_drawn, n_complete = count_held_out(counts.complete, config.registration), max(1, counts.complete)
    n_warm = counts.warm - round(n_drawn * counts.complete_warm / n_complete)
    n_validation = round(n_drawn * counts.complete_judged / n_complete)
    refusal = ""
    # Refused for certain: by no draw are there two.
    if counts.warm - max(0, n_drawn - (counts.complete - counts.complete_warm)) < 2:
        refusal = tell_too_few("warm", n_warm, config.registration, log, log.end, with_cold=False)
    elif min(n_drawn, counts.complete_judged) < 2:
        refusal = tell_too_few("validation", n_validation, config.registration, log, log.end, with_cold=False)
    return Roles(n_warm, n_validation, 0, refusal)


def _cut(counts: RoleCounts, config: Config, log: Log) -> Roles:
    """Divide users as `evaluate` does under `registration`."""
    rules = config.registration
    try:
        cut_off = find_cut_off(rules, log)
    except (DataError, ConfigError) as error:
        return Roles(refusal=str(error))
    n_validation = round(rules.validation * counts.cold)
    roles = Roles(counts.early_warm, n_validation, counts.cold - n_validation)
    for kind, n, least in (("warm", roles.warm, 2), ("validation", roles.validation, 2), ("cold", roles.cold, 1)):
        if n < least:
            return replace(roles, refusal=tell_too_few(kind, n, rules, log, cut_off, with_cold=True))
    return roles


def _tell_training(bare: Outlook, config: Config) -> Iterator[str]:
    """Tell who would be warm, and what is left out."""
    counts, roles = bare.counts, bare.training
    is_dated = bare.protocol == "registration"
    min_items = config.registration.min_items if is_dated else config.sampled.min_items
    n_segments = config.segments.resolve(roles.warm)
    use = ""
    if bare.trainable:
        about = "about " if is_dated or counts.warm < counts.eligible else ""
        use = (
            f": {about}{roles.warm:,} would be warm, in {n_segments:,} segment{'s' * (n_segments > 1)}, and "
            f"{about}{roles.validation:,} held out for validation"
        )
    yield f"{count_of(counts.eligible, counts.users, 'users')} used at least {min_items} items{use}."
    n_idle, n_bare = counts.users - counts.used - counts.undated, counts.eligible - counts.warm
    hint = f" ({bare.protocol}.min_items is a setting)" if counts.light > counts.eligible else ""
    others = (
        (counts.light, f"with fewer items, too light to learn from{hint}"),
        (n_idle, "with none"),
        (counts.undated, "with neither a registration nor an interaction with a time"),
        (n_bare, "with enough items but no precomputed vector"),
    )
    if any(n for n, _ in others):
        yield f"Not warm: {'; '.join(f'{n:,} {which}' for n, which in others if n)}."
    if not bare.trainable:
        return
    if min(roles.warm, roles.validation) < 2:
        yield "Training needs 2 warm users and 2 for validation: whether it gets them is drawn; bring a longer log."
    elif n_segments == 1:
        yield "With one segment, every list by segment is the list of the most popular items; bring more users."
    if roles.warm > config.training.most_users:
        yield (
            f"Vectors, segments and networks would be learned from {config.training.most_users:,} of the warm users "
            "(training.most_users), and all of them counted."
        )


def _tell_evaluation(bare: Outlook, config: Config, log: Log | None) -> Iterator[str]:
    """Tell whom lists would be judged by, and how wide intervals would be."""
    counts, roles, half_width = bare.counts, bare.evaluation, bare.half_width
    if roles.refusal:
        if roles.refusal != bare.training.refusal:
            yield f"Evaluation would be refused: {roles.refusal}"
        return
    assert half_width is not None
    cut, who, idle, seeds = "", "", "", " or evaluate with several seeds (--seeds 5)"
    if bare.protocol == "registration":
        assert log is not None
        cut, seeds = f" (cut-off {write_moment(find_cut_off(config.registration, log))})", " or a longer log"
        who = f", who registered in the {config.registration.cold_days:g} days after it"
        idle = f"; {counts.idle:,} more who registered then used nothing new" if counts.idle else ""
    yield (
        f"Evaluation{cut} would learn from {roles.warm:,} warm users and {roles.validation:,} for validation, and "
        f"report on {roles.cold:,} cold ones{who}{idle}."
    )
    advice = f", too wide to tell most strategies apart; bring more users{seeds}" if roles.cold < FEW_COLD else ""
    yield (
        f"With {roles.cold:,} cold users the 95 % interval of P@{config.recommend.k} is about plus or minus "
        f"{half_width:.{0 if half_width > 2.5 else 1}f} points{advice}."
    )
