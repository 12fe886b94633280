"""One outcome of two variants side by side: difference and ratio with intervals by user, and power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from firstday.errors import needs_extra
from firstday.experiment.always_valid import USERS_FOR_EVERY_LOOK, count_errors
from firstday.metrics import Interval

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

USUAL_POWER = 0.8


@dataclass(frozen=True, eq=False)
class UserSums:
    """What is added up of each user of one variant; the outcome is the sum of `numerator` over that of `denominator`.

    Parameters
    ----------
    numerator
        float64, shape (n_users,).
    denominator
        float64, shape (n_users,); None: the outcome is a mean over users.
    numerator_covariate, denominator_covariate
        float64, shape (n_users,), what was known or predicted of both before the assignment; None: nothing.
    """

    numerator: np.ndarray
    denominator: np.ndarray | None = None
    numerator_covariate: np.ndarray | None = None
    denominator_covariate: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> UserSums:
        """Return the sums of some users."""
        columns = (self.numerator, self.denominator, self.numerator_covariate, self.denominator_covariate)
        numerator, *others = (None if column is None else column[chosen] for column in columns)
        assert numerator is not None
        return UserSums(numerator, *others)

    def without_covariate(self) -> UserSums:
        """Return the same without covariates."""
        return UserSums(self.numerator, self.denominator)

    def _columns(self) -> dict[str, np.ndarray]:
        columns = {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "numerator_covariate": self.numerator_covariate,
            "denominator_covariate": self.denominator_covariate,
        }
        return {name: column for name, column in columns.items() if column is not None}

    def _can_compare(self) -> bool:
        return len(self.numerator) > 1 and (self.denominator is None or self.denominator.sum() > 0)


@dataclass(frozen=True)
class Comparison:
    """An outcome of a treatment against the control.

    Parameters
    ----------
    n_control, n_treatment
        Users of each.
    control, treatment
        The outcome of each; with a covariate, as if both variants had the same users.
    difference
        Treatment minus control, with its interval for one look; the ends are NaN where nobody differs.
    ratio
        Treatment divided by control; None where the control has nothing or less.
    difference_always, ratio_always
        The same with intervals that hold at every look; None where users are too few.
    p_value
        Of no difference, for one look; NaN where nobody differs.
    unadjusted
        The difference without the covariate; None where there is no covariate.
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

    @property
    def is_clear(self) -> bool:
        """Whether the interval for one look excludes no difference."""
        return self.difference.low > 0 or self.difference.high < 0

    @property
    def is_always_clear(self) -> bool:
        """Whether the interval for every look excludes no difference."""
        always = self.difference_always
        return always is not None and (always.low > 0 or always.high < 0)


def compare(
    control: UserSums, treatment: UserSums, *, level: float = 0.95, planned_users: int = 10_000
) -> Comparison | None:
    """Compare two variants by tea-tasting: Welch's test, ratios by the delta method, CUPED where there is a covariate.

    Parameters
    ----------
    control, treatment
        Their users; both with the same columns.
    level
        Of confidence.
    planned_users
        At how many users of both variants always-valid intervals are narrowest; chosen before the start.

    Returns
    -------
    Comparison or None
        None where a variant has fewer than two users, or nothing to divide by.

    Raises
    ------
    MissingExtraError
        tea-tasting is not installed.

    References
    ----------
    A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018; A. Deng, Y. Xu, R. Kohavi,
    T. Walker, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", WSDM 2013.
    """
    if not (control._can_compare() and treatment._can_compare()):
        return None
    with needs_extra("an experiment's report", "experiment"):
        from tea_tasting.metrics import RatioOfMeans
    both = _aggregate(control), _aggregate(treatment)
    options = _name_columns(control) | {"confidence_level": level}
    with np.errstate(invalid="ignore", divide="ignore"):  # nobody may differ
        welch = RatioOfMeans(**options, use_t=True).analyze_aggregates(*both)
        normal = RatioOfMeans(**options, use_t=False).analyze_aggregates(*both)
    difference = Interval(
        float(welch.effect_size), float(welch.effect_size_ci_lower), float(welch.effect_size_ci_upper)
    )
    ratio = difference_always = ratio_always = None
    if welch.control > 0 and welch.treatment > 0:
        ends = welch.rel_effect_size_ci_lower, welch.rel_effect_size_ci_upper
        ratio = Interval(1 + float(welch.rel_effect_size), 1 + float(ends[0]), 1 + float(ends[1]))
    n_control, n_treatment = len(control.numerator), len(treatment.numerator)
    if min(n_control, n_treatment) >= USERS_FOR_EVERY_LOOK and not math.isnan(difference.low):
        wider = count_errors(n_control + n_treatment, planned_users, level) / NormalDist().inv_cdf((1 + level) / 2)
        half = wider * (normal.effect_size_ci_upper - normal.effect_size_ci_lower) / 2
        difference_always = Interval(difference.mean, difference.mean - half, difference.mean + half)
        if ratio is not None:
            times = ((1 + normal.rel_effect_size_ci_upper) / ratio.mean) ** wider
            ratio_always = Interval(ratio.mean, ratio.mean / times, ratio.mean * times)
    unadjusted = None
    if control.numerator_covariate is not None:
        plain = compare(control.without_covariate(), treatment.without_covariate(), level=level)
        unadjusted = None if plain is None else plain.difference
    return Comparison(
        n_control=n_control,
        n_treatment=n_treatment,
        control=float(welch.control),
        treatment=float(welch.treatment),
        difference=difference,
        ratio=ratio,
        difference_always=difference_always,
        ratio_always=ratio_always,
        p_value=float(welch.pvalue),
        unadjusted=unadjusted,
    )


@dataclass(frozen=True)
class Power:
    """What an experiment of so many users can find at one look.

    Parameters
    ----------
    effect
        A relative change, as a fraction of 1.
    power
        How likely it would be found if it were there.
    smallest_effect
        The relative change that would be found four times in five.
    """

    effect: float
    power: float
    smallest_effect: float


def solve_power(control: UserSums, treatment: UserSums, *, level: float = 0.95, effect: float = 0.03) -> Power | None:
    """Return the power of a comparison with these users, by tea-tasting; None where nobody differs.

    Parameters
    ----------
    control, treatment
        Their users; both with the same columns.
    level
        Of confidence.
    effect
        The change whose power is told, as a fraction of what the control has.
    """
    if not (control._can_compare() and treatment._can_compare()):
        return None
    with needs_extra("an experiment's report", "experiment"):
        from tea_tasting.metrics import RatioOfMeans
    control_sums, treatment_sums = _aggregate(control), _aggregate(treatment)
    total = control_sums + treatment_sums
    if not (control_sums.mean("numerator") > 0 and total.var("numerator") > 0):
        return None
    names = _name_columns(control)
    mean = control_sums.mean("numerator") / control_sums.mean(names["denom"])
    metric = RatioOfMeans(
        **names,
        effect_size=effect * mean,
        alpha=1 - level,
        power=USUAL_POWER,
        use_t=False,  # of few users, the other has no number
        ratio=len(treatment.numerator) / len(control.numerator),
    )
    power = metric.solve_power_from_aggregates(total, "power")[0].power
    smallest = metric.solve_power_from_aggregates(total, "effect_size")[0].effect_size
    return Power(effect, float(power), float(smallest) / mean)


def _name_columns(sums: UserSums) -> dict[str, Any]:
    """Name the columns of users' sums as tea-tasting wants them."""
    names = sums._columns()
    return {
        "numer": "numerator",
        "denom": "denominator" if "denominator" in names else None,
        "numer_covariate": "numerator_covariate" if "numerator_covariate" in names else None,
        "denom_covariate": "denominator_covariate" if "denominator_covariate" in names else None,
        "alternative": "two-sided",
        "equal_var": False,
    }


def _aggregate(sums: UserSums) -> Aggregates:
    """Return means, variances and covariances of the columns."""
    from tea_tasting.aggr import Aggregates

    columns = sums._columns()
    names, values = list(columns), np.stack([column.astype(np.float64) for column in columns.values()])
    moments = np.atleast_2d(np.cov(values, ddof=1))
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    return Aggregates(
        count_=values.shape[1],
        mean_={name: float(mean) for name, mean in zip(names, values.mean(axis=1), strict=True)},
        var_={name: float(moments[i, i]) for i, name in enumerate(names)},
        cov_={(names[i], names[j]): float(moments[i, j]) for i, j in pairs},
    )


def correct_for_many(p_values: Sequence[float], rule: Literal["fdr", "fwer"]) -> list[float]:
    """Return p-values that say the same after a look at all of them; NaN stays, and counts as none.

    Parameters
    ----------
    p_values
        Of one family of questions.
    rule
        ``fdr``: of what is called a difference, few are none (Benjamini and Hochberg 1995); ``fwer``: not even one is
        (Holm 1979).
    """
    with needs_extra("an experiment's report", "experiment"):
        from tea_tasting.experiment import ExperimentResult
        from tea_tasting.multiplicity import adjust_fdr, adjust_fwer
    known = [(place, p) for place, p in enumerate(p_values) if not math.isnan(p)]
    corrected = [math.nan] * len(p_values)
    if not known:
        return corrected
    results: dict[object, Any] = {place: ExperimentResult({"p": {"pvalue": p}}) for place, p in known}
    if rule == "fdr":
        adjusted = adjust_fdr(results)
    else:
        adjusted = adjust_fwer(results, arbitrary_dependence=True, method="bonferroni")
    for place, result in adjusted.items():
        corrected[int(place)] = min(1.0, float(result["p"]["pvalue_adj"]))
    return corrected
