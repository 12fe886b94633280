"""Compare one outcome of two variants with tea-tasting: difference, ratio and power, with intervals over users."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import needs_extra
from firstday.experiment.covariate import USERS_FOR_COVARIATE
from firstday.experiment.outcomes import Outcome

EVERYONE = "everyone"
COHORT = "cohort"
USERS_FOR_EVERY_LOOK = 100
"""Minimum users per variant: the intervals rest on the central limit theorem."""
ONE_ERROR = math.erf(math.sqrt(0.5))
"""Confidence level of a normal interval of one standard error on each side."""
Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class Comparison:
    """An outcome of a treatment compared with the control, for all users or a subgroup; figures as named in the JSON.

    `column` and `value` are the subgroup: ``everyone`` and ""; ``cohort`` and a week; or a profile column and its
    value. Users are those whose window has ended. `control` and `value_of_variant` are the outcomes, adjusted by the
    covariate if there is one, `difference` is variant minus control, `ratio` variant divided by control; None unless
    both are positive. Intervals and p-values are None without variance, always-valid intervals also with few users.

    `p_corrected` is corrected for multiple testing within its family. `power` is the probability of detecting a
    relative change of `effect` at the current sample size, and `smallest_effect` is the relative change detected with a
    power of 0.8; None for subgroups.
    """

    outcome: Outcome
    variant: str
    column: str
    value: str
    users_control: int
    users_variant: int
    control: float
    value_of_variant: float
    difference: float
    ratio: float | None = None
    p_value: float | None = None
    p_corrected: float | None = None
    difference_ci: Bounds = None
    difference_always_ci: Bounds = None
    ratio_ci: Bounds = None
    ratio_always_ci: Bounds = None
    unadjusted_difference: float | None = None
    unadjusted_difference_ci: Bounds = None
    effect: float | None = None
    power: float | None = None
    smallest_effect: float | None = None

    @property
    def is_always_clear(self) -> bool:
        """Whether the always-valid interval excludes zero."""
        low, high = self.difference_always_ci or (0.0, 0.0)
        return low > 0 or high < 0

    def write_values(self) -> tuple[str, str]:
        """Format the outcome of the control and of the treatment with its unit."""
        form = "{:.2%}" if self.outcome.is_share else "{:.3g}"
        return form.format(self.control), form.format(self.value_of_variant)

    def write_change(self) -> tuple[str, str, str]:
        """Format the change and its fixed and always-valid intervals: relative if there is a ratio, else absolute."""
        form = "{:+.3g}"
        start = 0
        intervals = (self.difference,), self.difference_ci, self.difference_always_ci
        if self.ratio is not None:
            form = "{:+.1%}"
            start = 1
            intervals = (self.ratio,), self.ratio_ci, self.ratio_always_ci
        change, fixed, always = (
            " to ".join(form.format(value - start) for value in values or ()) or "-" for values in intervals
        )
        return change, fixed, always

    def sentence(self, control: str, level: float) -> str:
        """Summarise the comparison with the control."""
        before, after = self.write_values()
        start = f"{self.outcome.title.capitalize()}: {self.variant} {after}, {control} {before}"
        if self.p_corrected is None:
            return f"{start}: no variance."
        change, interval, always = self.write_change()
        verdict = "significant if this is the planned day" if self.p_corrected < 1 - level else "not significant"
        if self.is_always_clear:
            interval = always
            verdict = "significant at every look"
        return f"{start}: {change} ({100 * level:g}% interval {interval}): {verdict}."

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {**vars(self), "outcome": self.outcome.name, "days": self.outcome.days}


def compare(
    users: pl.DataFrame,
    control: str,
    treatment: str,
    outcome: Outcome,
    config: ExperimentConfig,
    column: str = EVERYONE,
    value: str = "",
) -> Comparison | None:
    """Compare two variants with tea-tasting: Welch's test, the delta method for ratios, CUPED with a covariate.

    `users` has `variant`, the columns of the outcome and optionally their covariates, known or predicted before the
    assignment, such as `items_used_covariate`; `column` and `value` name the subgroup. Return None if a variant has too
    few users (2; `least_users` in a subgroup) or a zero denominator.

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
    # Polars does not fix the order in which it sums groups.
    variants = [users.filter(variant=name) for name in (control, treatment)]
    counts = [variant.height for variant in variants]
    plain: dict[str, Any] = {"numer": outcome.name, "denom": outcome.denominator}
    columns = dict(plain)
    if sum(counts) >= USERS_FOR_COVARIATE:
        columns |= {
            f"{part}_covariate": covariate
            for part, name in plain.items()
            if (covariate := f"{name}_covariate") in users.columns
        }
    stated = RatioOfMeans(**columns, confidence_level=config.level)
    both: list[Any] = [read_aggregates(variant, None, **stated.aggr_cols._asdict()) for variant in variants]
    least = 2 if column == EVERYONE else config.least_users
    if min(counts) < least or any(of.mean(outcome.denominator) <= 0 for of in both):
        return None
    unadjusted = RatioOfMeans(**plain, confidence_level=config.level)
    with np.errstate(invalid="ignore", divide="ignore"):  # the variance may be zero
        found, before = (metric.analyze_aggregates(*both) for metric in (stated, unadjusted))
    figures: dict[str, Any] = {}
    ratio = 1 + found.rel_effect_size if min(found.control, found.treatment) > 0 else None
    if math.isfinite(found.pvalue):
        figures |= {"p_value": found.pvalue, "difference_ci": _bounds(found, "effect_size")}
        if ratio:
            figures["ratio_ci"] = _bounds(found, "rel_effect_size", 1)
        if columns != plain and math.isfinite(before.pvalue):
            figures["unadjusted_difference"] = before.effect_size
            figures["unadjusted_difference_ci"] = _bounds(before, "effect_size")
        if min(counts) >= USERS_FOR_EVERY_LOOK:
            normal = RatioOfMeans(**columns, confidence_level=ONE_ERROR, use_t=False).analyze_aggregates(*both)
            figures |= _bound_always(normal, ratio, count_errors(sum(counts), config))
        if column == EVERYONE and before.control > 0:
            figures |= _find_power(columns, both, before.control, counts[1] / counts[0], config)
    return Comparison(
        outcome=outcome,
        variant=treatment,
        column=column,
        value=value,
        users_control=counts[0],
        users_variant=counts[1],
        control=found.control,
        value_of_variant=found.treatment,
        difference=found.effect_size,
        ratio=ratio,
        **figures,
    )


def _bound_always(normal: Any, ratio: float | None, n_errors: float) -> dict[str, Bounds]:
    """Return always-valid intervals, given a normal result with intervals of one standard error on each side."""
    half = n_errors * (normal.effect_size_ci_upper - normal.effect_size)
    intervals: dict[str, Bounds] = {}
    intervals["difference_always_ci"] = normal.effect_size - half, normal.effect_size + half
    if ratio:
        factor = ((1 + normal.rel_effect_size_ci_upper) / ratio) ** n_errors
        intervals["ratio_always_ci"] = ratio / factor, ratio * factor
    return intervals


def _find_power(
    columns: Mapping[str, str], both: Sequence[Any], control: float, ratio: float, config: ExperimentConfig
) -> dict[str, float]:
    """Return the power for the configured relative effect, and the smallest detectable effect; `ratio` is of users."""
    from tea_tasting.metrics import RatioOfMeans

    options = {"effect_size": config.effect * control, "alpha": 1 - config.level}
    # With few users, the t distribution has no result.
    metric: Any = RatioOfMeans(**columns, **options, ratio=ratio, use_t=False)
    power, detected = (
        metric.solve_power_from_aggregates(both[0] + both[1], what)[0] for what in ("power", "effect_size")
    )
    return {"effect": config.effect, "power": power.power, "smallest_effect": detected.effect_size / control}


def _bounds(found: Any, name: str, start: float = 0) -> Bounds:
    """Return an interval of a result of tea-tasting."""
    return start + getattr(found, f"{name}_ci_lower"), start + getattr(found, f"{name}_ci_upper")


def count_errors(n_users: int, config: ExperimentConfig) -> float:
    """Return the half-width of an always-valid interval, in standard errors, for the users of both variants so far.

    It is narrowest at the planned users of both variants, which must be fixed before the start.

    References
    ----------
    I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52 (2024): the Gaussian mixture, with their approximation of the
    parameter that is optimal at one sample size; after S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021).
    """
    twice_log = -2 * math.log(1 - config.level)
    seen = n_users * (twice_log + math.log(twice_log + 1)) / config.planned_users
    return math.sqrt(2 * (seen + 1) / seen * math.log(math.sqrt(seen + 1) / (1 - config.level)))
