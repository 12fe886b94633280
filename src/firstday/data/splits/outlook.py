"""Outlook: preview of training and evaluation on some tables, from the same role assignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstday.config import Config
from firstday.data.splits.cut_offs import choose_cut_offs, choose_target_days
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
    """Preview of training and evaluation on some tables; all fields are JSON values.

    Parameters
    ----------
    protocol
        How cold users are separated from warm ones.
    training
        Number of users, and of users per role; ``refusal``: the error that `train` would raise, or "".
    evaluation
        Number of ``cold`` users, ``target_days`` and ``cut_offs``; ``interval_points``: approximate half-width of the
        95 % interval of precision, in percentage points; ``refusal`` likewise.
    sentences
        The same in words, without the refusal of training.
    """

    protocol: Protocol
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    sentences: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Error that `train` would raise; "" if none."""
        return str(self.training["refusal"])


def foresee(histories: Histories, config: Config) -> Outlook:
    """Preview training and evaluation, given the histories of all users."""
    training: dict[str, Any] = {"users": len(histories), "used": int((histories.n_used > 0).sum()), "refusal": ""}
    evaluation: dict[str, Any] = {"cold": 0, "target_days": None, "cut_offs": [], "interval_points": None}
    n_cold, when = 0, ""
    try:
        histories = choose_target_days(histories, config)
        roles = assign_roles(histories, config)
        n_learners = int((histories.n_used[roles.warm] >= LEAST_LEARNED).sum())
        training |= {"warm": len(roles.warm), "learners": n_learners}
        training |= {"validation": len(roles.validation), "folds": len(roles.folds)}
        refuse_too_few(roles, histories, config)
    except DataError as error:
        training["refusal"] = str(error)
    evaluation["refusal"] = training["refusal"]
    try:
        if histories.log is not None:
            cut_offs = choose_cut_offs(histories, config)
            evaluation |= {"target_days": cut_offs.target_days, "cut_offs": cut_offs.to_json()}
            n_cold, when = sum(cut_offs.users), f"train {cut_offs.describe()}"
        else:
            roles = assign_roles(histories, config, with_cold=True)
            refuse_too_few(roles, histories, config, with_cold=True)
            n_cold = len(roles.cold)
            when = f"report on {n_cold:,} cold users, drawn at random"
    except (ConfigError, DataError) as error:
        evaluation["refusal"] = str(error)
    if not evaluation["refusal"]:
        evaluation |= {"cold": n_cold, "interval_points": round(NORMAL * USER_DEVIATION / n_cold**0.5, 1)}
    sentences = tuple(_describe(config, training, evaluation, when)) if histories.counts["uses"] else ()
    return Outlook("sampled" if histories.log is None else "registration", training, evaluation, sentences)


def _describe(config: Config, training: Mapping[str, Any], evaluation: Mapping[str, Any], when: str) -> Iterator[str]:
    """Describe who would be warm, and on whom an evaluation reports."""
    use = ""
    if not training["refusal"]:
        n_segments = config.segments.resolve(training["learners"])
        n = f"{training['validation']:,}"
        how = f"{n} of them for cross-fitting in {training['folds']} folds"
        use = (
            f": {training['warm']:,} would be warm, in {n_segments:,} segment{'s' * (n_segments > 1)}, "
            f"{how if training['folds'] else f'and {n} held out for validation'}"
        )
    yield f"{count_of(training['used'], training['users'], 'users')} used an item{use}."
    if evaluation["refusal"]:
        if evaluation["refusal"] != training["refusal"]:
            yield f"Evaluation would be refused: {evaluation['refusal']}"
        return
    yield f"Evaluation would {when}."
    half_width = evaluation["interval_points"]
    advice = ", too wide to tell most strategies apart" if half_width > WIDE else ""
    yield (
        f"With {evaluation['cold']:,} cold users the 95 % interval of P@{config.recommend.k} is about plus or minus "
        f"{half_width:.{0 if half_width > 2.5 else 1}f} points{advice}."
    )
