"""Outlook: preview of training and evaluation on some tables, by the role assignment that both use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstday.config import Config
from firstday.data.splits.cut_offs import choose_cut_offs, choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, Protocol
from firstday.data.splits.roles import assign_roles, require_enough_users
from firstday.errors import ConfigError, DataError, count_of

PRECISION_SD = 22.0
"""Standard deviation of users' precision at 50, in percentage points.

`evaluate` measured 20.6 to 21.5 on MovieLens 100K and 9.3 to 15.1 on a simulated service.
"""
WIDE_POINTS = 4.0
"""Half-width of an interval in percentage points; wider ones do not distinguish most strategies."""
Z_95 = 1.96


@dataclass(frozen=True)
class Outlook:
    """Preview of training and evaluation on some tables; all fields are JSON values.

    Parameters
    ----------
    protocol
        Protocol of both.
    training
        Number of users, and of users per role; ``refusal``: the error that `train` would raise, or "".
    evaluation
        Number of ``cold`` users, ``target_days`` and ``cut_offs``; ``interval_points``: approximate half-width of the
        95 % interval of precision, in percentage points; ``refusal``: the error that `evaluate` would raise, or "".
    sentences
        The preview in words, without the refusal of training.
    """

    protocol: Protocol
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    sentences: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Error that `train` would raise; "" if none."""
        return str(self.training["refusal"])


def preview(histories: Histories, config: Config) -> Outlook:
    """Preview training and evaluation from the histories of all users."""
    training: dict[str, Any] = {"users": len(histories), "used": int((histories.n_used > 0).sum()), "refusal": ""}
    evaluation: dict[str, Any] = {"cold": 0, "target_days": None, "cut_offs": [], "interval_points": None}
    n_cold, plan = 0, ""
    try:
        histories = choose_target_days(histories, config)
        roles = assign_roles(histories, config)
        n_learners = int((histories.n_used[roles.warm] >= MIN_LEARNED_ITEMS).sum())
        training |= {"warm": len(roles.warm), "learners": n_learners}
        training |= {"validation": len(roles.validation), "folds": len(roles.folds)}
        require_enough_users(roles, histories, config)
    except DataError as error:
        training["refusal"] = str(error)
    evaluation["refusal"] = training["refusal"]
    try:
        if histories.log is not None:
            cut_offs = choose_cut_offs(histories, config)
            evaluation |= {"target_days": cut_offs.target_days, "cut_offs": cut_offs.to_json()}
            n_cold, plan = sum(cut_offs.users), f"train {cut_offs.describe()}"
        else:
            roles = assign_roles(histories, config, with_cold=True)
            require_enough_users(roles, histories, config, with_cold=True)
            n_cold = len(roles.cold)
            plan = f"report on {n_cold:,} cold users, drawn at random"
    except (ConfigError, DataError) as error:
        evaluation["refusal"] = str(error)
    if not evaluation["refusal"]:
        evaluation |= {"cold": n_cold, "interval_points": round(Z_95 * PRECISION_SD / n_cold**0.5, 1)}
    sentences = tuple(_describe(config, training, evaluation, plan)) if histories.counts["uses"] else ()
    return Outlook("sampled" if histories.log is None else "registration", training, evaluation, sentences)


def _describe(config: Config, training: Mapping[str, Any], evaluation: Mapping[str, Any], plan: str) -> Iterator[str]:
    """Describe the users for training and validation, and those for evaluation."""
    use = ""
    if not training["refusal"]:
        n_segments = config.segments.resolve(training["learners"])
        n = f"{training['validation']:,}"
        role = f"{n} of them for cross-fitting in {training['folds']} folds"
        use = (
            f": {training['warm']:,} would be warm, in {n_segments:,} segment{'s' * (n_segments > 1)}, "
            f"{role if training['folds'] else f'and {n} held out for validation'}"
        )
    yield f"{count_of(training['used'], training['users'], 'users')} used an item{use}."
    if evaluation["refusal"]:
        if evaluation["refusal"] != training["refusal"]:
            yield f"Evaluation would be refused: {evaluation['refusal']}"
        return
    yield f"Evaluation would {plan}."
    half_width = evaluation["interval_points"]
    advice = ", too wide to distinguish most strategies" if half_width > WIDE_POINTS else ""
    yield (
        f"With {evaluation['cold']:,} cold users the 95 % interval of P@{config.recommend.k} is about plus or minus "
        f"{half_width:.{0 if half_width > 2.5 else 1}f} points{advice}."
    )
