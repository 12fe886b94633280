"""Compare one outcome of two variants with tea-tasting: difference, ratio and power, with intervals over users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import needs_extra
from firstday.experiment.covariate import USERS_FOR_COVARIATE
from firstday.experiment.outcomes import Outcome

USERS_FOR_EVERY_LOOK = 100
"""Minimum users per variant: the intervals rest on the central limit theorem."""
Ends = tuple[float, float]
"""Bounds of an interval."""


@dataclass(frozen=True)
class Comparison:
    """An outcome of a variant compared with the control, with the names of the JSON; None where a figure is undefined.

    Parameters
    ----------
    users_control, users_variant
        Number of users.
    control, value_of_variant
        Outcome of each variant, adjusted by the covariate if there is one.
    difference
        Variant minus control.
    difference_ci, difference_always_ci
        Fixed-horizon interval, and always-valid interval if there are enough users; None without variance.
    ratio, ratio_ci, ratio_always_ci
        Variant divided by control; None unless both are positive.
    p_value
        Two-sided p-value for one look; None without variance.
    unadjusted_difference, unadjusted_difference_ci
        Difference without the covariate; None if there is no covariate.
    effect, power, smallest_effect
        Relative change, as a fraction, the probability of detecting it at the current sample size, and the relative
        change detected with a power of 0.8; None if not requested.
    """

    users_control: int
    users_variant: int
    control: float
    value_of_variant: float
    difference: float
    difference_ci: Ends | None = None
    difference_always_ci: Ends | None = None
    ratio: float | None = None
    ratio_ci: Ends | None = None
    ratio_always_ci: Ends | None = None
    p_value: float | None = None
    unadjusted_difference: float | None = None
    unadjusted_difference_ci: Ends | None = None
    effect: float | None = None
    power: float | None = None
    smallest_effect: float | None = None

    @property
    def is_always_clear(self) -> bool:
        """Whether the always-valid interval excludes zero."""
        low, high = self.difference_always_ci or (0.0, 0.0)
        return low > 0 or high < 0


def compare(
    users: pl.DataFrame,
    control: str,
    treatment: str,
    outcome: Outcome,
    config: ExperimentConfig,
    *,
    has_power: bool = False,
) -> Comparison | None:
    """Compare two variants with tea-tasting: Welch's test, the delta method for ratios, CUPED with a covariate.

    Parameters
    ----------
    users
        One row per user: `variant`, the columns of the outcome, and optionally their covariates, such as
        ``items_used_covariate``, known or predicted before the assignment.
    control, treatment
        Names of two variants.
    outcome
        The outcome: a ratio of sums, or a mean over users if it has no denominator.
    config
        Confidence level, planned users, and the effect whose power is computed.
    has_power
        Whether to compute the power.

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
    # Polars does not fix the order in which it sums groups.
    variants = [users.filter(pl.col("variant") == name) for name in (control, treatment)]
    plain: dict[str, Any] = {"numer": outcome.name, "denom": outcome.denominator}
    covariates = {f"{part}_covariate": f"{column}_covariate" for part, column in plain.items()}
    columns = plain | {part: column for part, column in covariates.items() if column in users.columns}
    if "numer_covariate" not in columns or sum(map(len, variants)) < USERS_FOR_COVARIATE:
        columns = plain
    metric: Any = RatioOfMeans(**columns, confidence_level=config.level)
    both: list[Any] = [read_aggregates(variant, None, **metric.aggr_cols._asdict()) for variant in variants]
    if any(of.count() < 2 or of.mean(outcome.denominator) <= 0 for of in both):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # the variance may be zero
        normal, unadjusted, found = (
            RatioOfMeans(**names, confidence_level=config.level, use_t=use_t).analyze_aggregates(*both)
            for names, use_t in ((columns, False), (plain, True), (columns, True))
        )
    figures: dict[str, Any] = {"difference_ci": _ends(found, "effect_size")}
    counts = [of.count() for of in both]
    if found.control > 0 and found.treatment > 0:
        figures |= {"ratio": 1 + found.rel_effect_size, "ratio_ci": _ends(found, "rel_effect_size", 1)}
    if columns != plain:
        ends = _ends(unadjusted, "effect_size")
        figures |= {"unadjusted_difference": unadjusted.effect_size, "unadjusted_difference_ci": ends}
    if figures["difference_ci"] is not None:
        figures["p_value"] = found.pvalue
        if min(counts) >= USERS_FOR_EVERY_LOOK:
            times = count_errors(sum(counts), config) / NormalDist().inv_cdf((1 + config.level) / 2)
            figures |= _widen(normal, times, figures.get("ratio"))
        if has_power and unadjusted.control > 0:
            effect = config.effect * unadjusted.control
            options = {"effect_size": effect, "alpha": 1 - config.level, "ratio": counts[1] / counts[0]}
            metric = RatioOfMeans(**columns, **options, use_t=False)  # with few users, the t distribution has no result
            power, least = (
                metric.solve_power_from_aggregates(both[0] + both[1], what)[0] for what in ("power", "effect_size")
            )
            least_effect = least.effect_size / unadjusted.control
            figures |= {"effect": config.effect, "power": power.power, "smallest_effect": least_effect}
    return Comparison(counts[0], counts[1], found.control, found.treatment, found.effect_size, **figures)


def _ends(found: Any, name: str, start: float = 0) -> Ends | None:
    """Return the interval of a result of tea-tasting; None without variance."""
    low, high = getattr(found, f"{name}_ci_lower"), getattr(found, f"{name}_ci_upper")
    return None if math.isnan(low) else (start + low, start + high)


def _widen(normal: Any, times: float, ratio: float | None) -> dict[str, Ends]:
    """Return always-valid intervals: those of the normal distribution, made wider."""
    half = times * (normal.effect_size_ci_upper - normal.effect_size)
    intervals = {"difference_always_ci": (normal.effect_size - half, normal.effect_size + half)}
    if ratio is not None:
        factor = ((1 + normal.rel_effect_size_ci_upper) / ratio) ** times
        intervals["ratio_always_ci"] = (ratio / factor, ratio * factor)
    return intervals


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
