"""Outlook: preview of training and evaluation on some tables, by the role assignment that both use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firstday.config import Config
from firstday.data.splits.cut_offs import CutOffs, choose_cut_offs, choose_target_days
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, Histories, Protocol
from firstday.data.splits.protocol import describe_protocol
from firstday.data.splits.roles import assign_roles, require_enough_users
from firstday.data.splits.target_uses import TargetUses
from firstday.data.summary import Summary
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

    Both mappings have a ``refusal``: the error that `train` or `evaluate` would raise, or "".
    """

    protocol: Protocol
    training: Mapping[str, Any]  # number of users, and of users per role
    # number of ``cold`` users, ``target_days``, ``cut_offs``; ``interval_points``: approximate half-width of the 95 %
    # interval of precision, in percentage points; with cut-offs ``later_uses``, see `TargetUses.shares`, and
    # ``median_age_days``
    evaluation: Mapping[str, Any]
    sentences: tuple[str, ...]  # the preview in words, without the refusal of training

    @property
    def refusal(self) -> str:
        """Error that `train` would raise; "" if none."""
        return str(self.training["refusal"])


CountUses = Callable[[CutOffs], TargetUses]


def preview(summary: Summary, histories: Histories, config: Config, count_uses: CountUses) -> Outlook:
    """Preview training and evaluation from the counts and histories of all users.

    `count_uses` counts what newcomers used in their target windows.
    """
    n_used = int((histories.n_used > 0).sum())
    training: dict[str, Any] = {"users": len(histories), "used": n_used, "refusal": ""}
    evaluation: dict[str, Any] = {"cold": 0, "target_days": None, "cut_offs": [], "interval_points": None}
    used = f"{count_of(n_used, len(histories), 'users')} used an item"
    sentences: list[str] = []
    try:
        histories = choose_target_days(histories, config)
        roles = assign_roles(histories, config)
        n_warm = len(roles.warm)
        n_validation = len(roles.validation)
        n_folds = len(roles.folds)
        n_learners = int((histories.n_used[roles.warm] >= MIN_LEARNED_ITEMS).sum())
        training |= {"warm": n_warm, "learners": n_learners, "validation": n_validation, "folds": n_folds}
        require_enough_users(roles, histories, config)
    except DataError as error:
        training["refusal"] = evaluation["refusal"] = str(error)
    else:
        n_segments = config.segments.resolve(n_learners)
        held_out = f"of them for cross-fitting in {n_folds} folds" if n_folds else "held out for validation"
        used += (
            f": {n_warm:,} would be warm, in {n_segments:,} segment{'s' * (n_segments > 1)}, "
            f"{'' if n_folds else 'and '}{n_validation:,} {held_out}"
        )
        facts, sentences = _preview_evaluation(histories, config, count_uses)
        evaluation |= facts
    protocol = describe_protocol(summary, histories, config)
    return Outlook(histories.protocol, training, evaluation, (protocol, f"{used}.", *sentences))


def _preview_evaluation(
    histories: Histories, config: Config, count_uses: CountUses
) -> tuple[dict[str, Any], list[str]]:
    """Return the facts and sentences of the evaluation."""
    facts: dict[str, Any] = {}
    sentences: list[str] = []
    try:
        if histories.log is None:
            roles = assign_roles(histories, config, with_cold=True)
            require_enough_users(roles, histories, config, with_cold=True)
            n_cold = len(roles.cold)
            plan = f"report on {n_cold:,} cold users, drawn at random"
        else:
            cut_offs = choose_cut_offs(histories, config)
            facts = {"target_days": cut_offs.target_days, "cut_offs": cut_offs.to_json()}
            n_cold = sum(cut_offs.users)
            plan = f"train {cut_offs.describe()}"
            uses = count_uses(cut_offs)
            facts |= {"later_uses": uses.shares(), "median_age_days": uses.median_age_days}
            sentences = [uses.describe(), uses.advise(cut_offs.target_days)]
    except (ConfigError, DataError) as error:
        return {"refusal": str(error)}, [f"Evaluation would be refused: {error}"]
    half_width = round(Z_95 * PRECISION_SD / n_cold**0.5, 1)
    advice = ", too wide to distinguish most strategies" if half_width > WIDE_POINTS else ""
    interval = (
        f"With {n_cold:,} cold users the 95 % interval of P@{config.recommend.k} is about plus or minus "
        f"{half_width:.{0 if half_width > 2.5 else 1}f} points{advice}."
    )
    return {**facts, "cold": n_cold, "interval_points": half_width, "refusal": ""}, [
        f"Evaluation would {plan}.",
        interval,
        *filter(None, sentences),
    ]
