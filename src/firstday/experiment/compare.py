"""Compare one outcome of two variants with tea-tasting: difference, ratio and power, with intervals over users."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from firstday.errors import needs_extra
from firstday.experiment.always_valid import USERS_FOR_EVERY_LOOK, count_errors
from firstday.metrics import Interval

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

USUAL_POWER = 0.8
COVARIATES = {"numer_covariate": "numerator_covariate", "denom_covariate": "denominator_covariate"}
COLUMNS = {"numer": "numerator", "denom": "denominator", **COVARIATES}
"""Columns of the user table by tea-tasting parameter."""


@dataclass(frozen=True)
class Power:
    """Power of an experiment at its current sample size, for one look.

    Parameters
    ----------
    effect
        Relative change, as a fraction.
    power
        Probability of detecting `effect`.
    smallest_effect
        Relative change detected with a power of 0.8.
    """

    effect: float
    power: float
    smallest_effect: float


@dataclass(frozen=True)
class Comparison:
    """An outcome of a treatment compared with the control.

    Parameters
    ----------
    n_control, n_treatment
        Number of users.
    control, treatment
        Outcome of each variant, adjusted by the covariate if there is one.
    difference
        Treatment minus control, with a fixed-horizon interval. The ends are NaN if there is no variance.
    ratio
        Treatment divided by control; None unless the control is positive.
    difference_always, ratio_always
        The same with always-valid intervals; None if there are too few users.
    p_value
        Two-sided p-value for one look; NaN if there is no variance.
    unadjusted
        Difference without the covariate; None if there is no covariate.
    power
        None if not requested, or if there is no variance.
    """

    n_control: int
    n_treatment: int
    control: float
    treatment: float
    difference: Interval
    ratio: Interval | None
    difference_always: Interval | None
    ratio_always: Interval | None
    p_value: float
    unadjusted: Interval | None = None
    power: Power | None = None

    @property
    def is_always_clear(self) -> bool:
        """Whether the always-valid interval excludes zero."""
        always = self.difference_always
        return always is not None and (always.low > 0 or always.high < 0)


def compare(
    users: pl.DataFrame,
    control: str,
    treatment: str,
    *,
    level: float = 0.95,
    planned_users: int = 10_000,
    effect: float | None = None,
) -> Comparison | None:
    """Compare two variants with tea-tasting: Welch's test, the delta method for ratios, CUPED with a covariate.

    Parameters
    ----------
    users
        One row per user: `variant` and `numerator`; `denominator` if the outcome is a ratio of sums instead of a mean
        over users; `numerator_covariate` and `denominator_covariate`, known or predicted before the assignment.
    control, treatment
        Names of two variants.
    level
        Confidence level.
    planned_users
        Users of both variants at which always-valid intervals are narrowest; fixed before the start.
    effect
        Relative change for which to compute the power, as a fraction of the control's outcome.

    Returns
    -------
    Comparison or None
        None if a variant has fewer than two users or a zero denominator.

    Raises
    ------
    MissingExtraError
        tea-tasting is not installed.

    References
    ----------
    A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018; A. Deng, Y. Xu, R. Kohavi,
    T. Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM 2013.
    """
    with needs_extra("an experiment's report", "experiment"):
        from tea_tasting.aggr import read_aggregates
        from tea_tasting.metrics import RatioOfMeans
    columns: dict[str, Any] = {option: column for option, column in COLUMNS.items() if column in users.columns}
    metrics: list[Any] = [RatioOfMeans(**columns, confidence_level=level, use_t=use_t) for use_t in (True, False)]
    parts = (
        users.filter(pl.col("variant") == name) for name in (control, treatment)
    )  # Polars does not fix the order in which it sums groups
    both: list[Any] = [read_aggregates(part, None, **metrics[0].aggr_cols._asdict()) for part in parts]
    if any(of.count() < 2 or of.mean(columns.get("denom")) <= 0 for of in both):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # the variance may be zero
        welch, normal = (metric.analyze_aggregates(*both) for metric in metrics)
    difference = Interval(welch.effect_size, welch.effect_size_ci_lower, welch.effect_size_ci_upper)
    ratio = None
    if welch.control > 0 and welch.treatment > 0:
        found = welch.rel_effect_size, welch.rel_effect_size_ci_lower, welch.rel_effect_size_ci_upper
        ratio = Interval(*(1 + value for value in found))
    comparison = Comparison(
        n_control=both[0].count(),
        n_treatment=both[1].count(),
        control=welch.control,
        treatment=welch.treatment,
        difference=difference,
        ratio=ratio,
        difference_always=None,
        ratio_always=None,
        p_value=welch.pvalue,
        power=None if effect is None else _solve_power(both[0], both[1], columns, level, effect),
    )
    if min(of.count() for of in both) >= USERS_FOR_EVERY_LOOK and not math.isnan(difference.low):
        comparison = _add_every_look(comparison, normal, level, planned_users)
    if "numer_covariate" in columns:
        plain = compare(users.drop(COVARIATES.values(), strict=False), control, treatment, level=level)
        comparison = replace(comparison, unadjusted=None if plain is None else plain.difference)
    return comparison


def _add_every_look(comparison: Comparison, normal: Any, level: float, planned_users: int) -> Comparison:
    """Add always-valid intervals, which are wider than those of the normal distribution."""
    n_users = comparison.n_control + comparison.n_treatment
    wider = count_errors(n_users, planned_users, level) / NormalDist().inv_cdf((1 + level) / 2)
    half = wider * (normal.effect_size_ci_upper - normal.effect_size_ci_lower) / 2
    mean, ratio = comparison.difference.mean, comparison.ratio
    difference_always, ratio_always = Interval(mean, mean - half, mean + half), None
    if ratio is not None:
        times = ((1 + normal.rel_effect_size_ci_upper) / ratio.mean) ** wider
        ratio_always = Interval(ratio.mean, ratio.mean / times, ratio.mean * times)
    return replace(comparison, difference_always=difference_always, ratio_always=ratio_always)


def _solve_power(
    control: Aggregates, treatment: Aggregates, columns: dict[str, Any], level: float, effect: float
) -> Power | None:
    """Return the power at the current sample size; None if there is no variance."""
    from tea_tasting.metrics import RatioOfMeans

    total = control + treatment
    mean = control.mean("numerator") / control.mean(columns.get("denom"))
    if not (mean > 0 and total.var("numerator") > 0):
        return None
    metric: Any = RatioOfMeans(
        **columns,
        effect_size=effect * mean,
        alpha=1 - level,
        power=USUAL_POWER,
        use_t=False,  # with few users, the t distribution gives no number
        ratio=treatment.count() / control.count(),
    )
    power, smallest = (metric.solve_power_from_aggregates(total, what)[0] for what in ("power", "effect_size"))
    return Power(effect, power.power, smallest.effect_size / mean)
