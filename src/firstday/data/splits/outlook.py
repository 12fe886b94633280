"""Outlook: preview of training and evaluation on some tables, from the same role assignment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from firstday.config import Config
from firstday.data.splits.cut_offs import CutOffs, choose_cut_offs, choose_target_days
from firstday.data.splits.histories import LEAST_LEARNED, Histories, Protocol
from firstday.data.splits.roles import assign_roles, refuse_too_few
from firstday.errors import ConfigError, DataError, count_of

USER_DEVIATION = 22.0
"""Standard deviation of users' precision at 50, in percentage points.

`evaluate` measured 20.6 to 21.5 on MovieLens 100K and 9.3 to 15.1 on a simulated service.
"""
WIDE = 4.0
"""Half-width of the interval above which most strategies are indistinguishable, in percentage points."""
NORMAL = 1.96


@dataclass(frozen=True)
class Outlook:
    """Preview of training and evaluation on some tables.

    Parameters
    ----------
    protocol
        How cold users are separated from warm ones.
    counts
        Number of users, and of users per role in training.
    cut_offs
        Cut-offs of an evaluation; None under `sampled`, or if it is refused.
    cold
        Number of cold users in an evaluation.
    refusal, evaluation_refusal
        Errors that `train` and `evaluate` would raise; "" if none.
    sentences
        The same in words, without the refusal of training.
    """

    protocol: Protocol
    counts: dict[str, int]
    cut_offs: CutOffs | None = None
    cold: int = 0
    refusal: str = ""
    evaluation_refusal: str = ""
    sentences: tuple[str, ...] = ()

    @property
    def half_width(self) -> float | None:
        """Approximate half-width of the 95 % interval of precision, in percentage points; None if refused."""
        return NORMAL * USER_DEVIATION / self.cold**0.5 if self.cold else None

    def to_json(self) -> dict[str, Any]:
        """Return the outlook as JSON values."""
        return {
            "protocol": self.protocol,
            "training": {**self.counts, "refusal": self.refusal},
            "evaluation": {
                "cold": self.cold,
                "target_days": None if self.cut_offs is None else self.cut_offs.target_days,
                "cut_offs": [] if self.cut_offs is None else self.cut_offs.to_json(),
                "interval_points": None if self.half_width is None else round(self.half_width, 1),
                "refusal": self.evaluation_refusal,
            },
            "sentences": list(self.sentences),
        }


def foresee(histories: Histories, config: Config) -> Outlook:
    """Preview training and evaluation, given the histories of all users."""
    refusal = evaluation_refusal = ""
    counts = {"users": len(histories), "used": int((histories.n_used > 0).sum())}
    cut_offs, n_cold = None, 0
    try:
        histories = choose_target_days(histories, config)
        roles = assign_roles(histories, config)
        n_learners = int((histories.n_used[roles.warm] >= LEAST_LEARNED).sum())
        counts |= {"warm": len(roles.warm), "learners": n_learners}
        counts |= {"validation": len(roles.validation), "folds": len(roles.folds)}
        refuse_too_few(roles, histories, config)
    except DataError as error:
        refusal = str(error)
    try:
        if histories.log is not None:
            cut_offs = choose_cut_offs(histories, config)
            n_cold = sum(cut_offs.users)
        else:
            roles = assign_roles(histories, config, with_cold=True)
            refuse_too_few(roles, histories, config, with_cold=True)
            n_cold = len(roles.cold)
    except (DataError, ConfigError) as error:
        evaluation_refusal = str(error)
    evaluation_refusal = evaluation_refusal or refusal
    protocol: Protocol = "sampled" if histories.log is None else "registration"
    outlook = Outlook(protocol, counts, cut_offs, 0 if evaluation_refusal else n_cold, refusal, evaluation_refusal)
    if not histories.counts["uses"]:
        return outlook
    return replace(outlook, sentences=tuple(_describe(outlook, histories, config)))


def _describe(outlook: Outlook, histories: Histories, config: Config) -> Iterator[str]:
    """Describe who would be warm, who is excluded, and on whom an evaluation reports."""
    counts = outlook.counts
    use, n_segments = "", 0
    if not outlook.refusal:
        n_segments = config.segments.resolve(counts["learners"])
        how = f"for cross-fitting in {counts['folds']} folds" if counts["folds"] else "held out for validation"
        use = (
            f": {counts['warm']:,} would be warm, in {n_segments:,} segment{'s' * (n_segments > 1)}, and "
            f"{counts['validation']:,} {how}"
        )
    yield f"{count_of(counts['used'], counts['users'], 'users')} used an item{use}."
    n_undated = histories.counts["undated"]
    others = (
        (counts["users"] - counts["used"] - n_undated, "without an item"),
        (n_undated, "with neither a registration nor an interaction with a time"),
        (int(((histories.n_used > 0) & ~histories.has_vector).sum()), "with items but no precomputed vector"),
    )
    if any(n for n, _ in others):
        yield f"Not warm: {'; '.join(f'{n:,} {which}' for n, which in others if n)}."
    if n_segments == 1:
        yield "With one segment, every list by segment is the list of the most popular items; bring more users."
    if n_once := counts.get("warm", 0) - counts.get("learners", 0):
        yield f"{n_once:,} of the warm users used a single item: they count for what is popular, and no more."
    if counts.get("learners", 0) > config.training.most_users:
        yield (
            f"Vectors, segments and networks would be learned from {config.training.most_users:,} of the warm users "
            "(training.most_users), and all of them counted."
        )
    if outlook.evaluation_refusal:
        if outlook.evaluation_refusal != outlook.refusal:
            yield f"Evaluation would be refused: {outlook.evaluation_refusal}"
        return
    if outlook.cut_offs is None:
        yield f"Evaluation would report on {outlook.cold:,} cold users, drawn at random."
    else:
        yield f"Evaluation would train {outlook.cut_offs.describe()}."
    assert outlook.half_width is not None
    half_width = outlook.half_width
    advice = ", too wide to tell most strategies apart" if half_width > WIDE else ""
    yield (
        f"With {outlook.cold:,} cold users the 95 % interval of P@{config.recommend.k} is about plus or minus "
        f"{half_width:.{0 if half_width > 2.5 else 1}f} points{advice}."
    )
