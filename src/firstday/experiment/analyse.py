"""Analyse the tables of an experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError
from firstday.experiment.compare import COHORT, EVERYONE, Comparison, compare
from firstday.experiment.covariate import encode_known, fold_of, predict_outcome
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.experiment_tables import UNKNOWN, ExperimentTables
from firstday.experiment.off_policy import ListsEstimate, estimate_lists
from firstday.experiment.outcomes import (
    Outcome,
    count_known_before,
    list_outcomes,
    outcomes_of,
    take_window,
    write_days,
)
from firstday.experiment.sample_ratio import check_sample_ratio
from firstday.impressions.counts import OF_USE, find_used

CONTROL = "control"
AGE_BANDS = (18, 25, 35, 45, 55)
"""Lower bound of each age band except the first, in years."""
AGE_LABELS = ("under 18", "18-24", "25-34", "35-44", "45-54", "55+")


def analyse(
    tables: ExperimentTables,
    config: ExperimentConfig | None = None,
    *,
    control: str | None = None,
    weights: Mapping[str, float] | None = None,
    lists: Mapping[str, pl.DataFrame] | None = None,
    anyway: bool = False,
) -> ExperimentResults:
    """Compare every treatment of an experiment with its control.

    `weights` are the intended shares of users by variant, in any unit, including variants without users. None: equal
    shares of the variants found, which cannot reveal a variant that lost all of its users. `lists` are to be evaluated
    off-policy, by name: `user_ix`, `item_ix`, `position` (from 1). After a sample ratio mismatch, variants are compared
    only with `anyway`.

    Raises
    ------
    DataError
        There is only one variant.
    ConfigError
        The control is unknown, or the weights are not those of the variants.
    MissingExtraError
        tea-tasting is not installed.
    """
    config = config or ExperimentConfig()
    assigned = tables.assigned
    variants = sorted({*assigned["variant"], *(weights or {})})  # weights reveal variants without users

    def count(users: pl.DataFrame) -> dict[str, int]:
        found = Counter(users["variant"])
        return {name: found[name] for name in variants}

    if len(variants) < 2:
        raise DataError(
            f"assignments: {tables.name} has a single variant ({variants[0]}), and at least two are needed; if "
            "another one lost all of its users, give the weights of both."
        )
    control = control or (CONTROL if CONTROL in variants else variants[0])
    if control not in variants:
        raise ConfigError(
            f"control: {control!r} is not a variant of {tables.name}; choose one of {', '.join(variants)}."
        )
    ratio = check_sample_ratio(count(assigned), weights or dict.fromkeys(variants, 1.0), config.least_p)
    n_whole = {days: count(assigned.filter(tables.ended(days))) for days in config.days}
    notes = [*tables.notes, *_describe_gaps(tables, n_whole)]
    if weights is None:
        names = ", ".join(variants)
        notes.append(
            f"weights: not given, so equal shares of {names} are assumed; give weights to detect lost variants."
        )
    first, last = assigned["assigned_at"].sort()[[0, -1]]
    results = ExperimentResults(
        experiment=tables.name,
        dataset=tables.dataset,
        config=config,
        control=control,
        treatments=tuple(name for name in variants if name != control),
        first=first,
        last=last,
        until=tables.until,
        sample_ratio=ratio,
        n_by_cohort={week: count(assigned.filter(cohort=week)) for week in assigned["cohort"].unique().sort()},
        n_whole=n_whole,
        notes=notes,
    )
    if ratio.broken and not anyway:
        return results
    return replace(results, **_compare_all(tables, results), lists=_evaluate_lists(tables, lists or {}, config))


def _describe_gaps(tables: ExperimentTables, n_whole: Mapping[float, Mapping[str, int]]) -> Iterator[str]:
    """Describe which users and outcomes are left out."""
    n_users = tables.assigned.height
    for days, n in n_whole.items():
        if n_excluded := n_users - sum(n.values()):
            yield (
                f"{n_excluded:,} of {n_users:,} users are excluded from outcomes within {write_days(days)}: their "
                "window has not ended."
            )
    if tables.shown.is_empty():
        yield "interactions: no impressions (signal shown) with timestamps; outcomes of shown items are omitted."


def _measure(tables: ExperimentTables, config: ExperimentConfig) -> dict[float, pl.DataFrame]:
    """Return users whose window has ended, by its length: subgroups ("of COLUMN"), outcomes and covariates."""
    subgroups = tables.assigned.select(pl.lit("").alias(EVERYONE), COHORT).hstack(tables.groups)
    if "age" in subgroups.columns:
        ages = subgroups["age"]
        bands = pl.Series(AGE_LABELS).gather(pl.Series(AGE_BANDS).search_sorted(ages, "right"))
        subgroups = subgroups.with_columns(age=bands.set(ages.is_null(), UNKNOWN))
    users = tables.assigned.hstack(subgroups.rename("of {}".format))
    known_before = count_known_before(tables.uses, users, config.covariate_margin_days)
    known = encode_known(known_before.to_frame().hstack(tables.groups))
    folds = fold_of(users["user_id"])
    measured = {}
    for days in config.days:
        ended = tables.ended(days)
        outcomes = outcomes_of(tables.uses, tables.shown, users.filter(ended), days)
        measured[days] = outcomes
        for outcome in outcomes.drop(users.columns):
            predicted = predict_outcome(known[ended], outcome.to_numpy(), folds[ended])
            if predicted is not None:
                covariate = pl.Series(f"{outcome.name}_covariate", predicted)
                measured[days] = measured[days].with_columns(covariate)
    return measured


def _compare_all(tables: ExperimentTables, results: ExperimentResults) -> dict[str, Any]:
    """Compare all users and cohorts in all windows, and groups in that of the primary outcome.

    The primary outcome is the configured one, or the nearest available.
    """
    from tea_tasting.multiplicity import adjust_fdr, adjust_fwer

    config = results.config
    measured = _measure(tables, results.config)
    outcomes = list_outcomes(measured)

    def compare_in(outcomes: Sequence[Outcome], column: str) -> list[Comparison]:
        subgroup = pl.col(f"of {column}")
        rows = []
        for value in next(iter(measured.values())).select(subgroup.unique().sort()).to_series():
            for outcome in outcomes:
                users = measured[outcome.days].filter(subgroup == value)
                for treatment in results.treatments:
                    rows.append(compare(users, results.control, treatment, outcome, config, column, value))
        return [row for row in rows if row is not None]

    def rate(outcome: Outcome) -> tuple[float, ...]:
        return wanted.index(outcome.name), abs(outcome.days - config.outcome_days), outcome.days

    everyone = compare_in(outcomes, EVERYONE)
    wanted = (config.outcome, "used_of_shown", "items_used")
    candidates = [row.outcome for row in everyone if row.outcome.name in wanted]
    primary = min(candidates, key=rate, default=None)
    near = [outcome for outcome in outcomes if primary and outcome.days == primary.days]
    holm = {"arbitrary_dependence": True, "method": "bonferroni"}
    of_primary = _correct([row for row in everyone if row.outcome == primary], adjust_fwer, **holm)
    others = _correct([row for row in everyone if row.outcome != primary], adjust_fdr)
    groups = [row for name in tables.groups.columns for row in compare_in(near, name)]
    return {
        "primary": primary,
        "everyone": of_primary + others,
        "cohorts": compare_in(outcomes, COHORT),
        "groups": _correct(groups, adjust_fdr),
    }


def _correct(rows: Sequence[Comparison], adjust: Callable[..., Any], **options: Any) -> list[Comparison]:
    """Return rows with p-values corrected for multiple testing; rows without one are not counted."""
    from tea_tasting.experiment import ExperimentResult

    values = {row: {"pvalue": row.p_value} for row in rows if row.p_value is not None}
    (adjusted,) = adjust(ExperimentResult(values), **options).values()
    return [replace(row, p_corrected=adjusted[row]["pvalue_adj"]) if row in adjusted else row for row in rows]


def _evaluate_lists(
    tables: ExperimentTables, lists: Mapping[str, pl.DataFrame], config: ExperimentConfig
) -> list[ListsEstimate]:
    """Evaluate lists off-policy within the primary window, on the users whose window has ended."""
    days = config.outcome_days
    users = tables.assigned.filter(tables.ended(days))
    window = timedelta(days=days)
    is_in_time = pl.col("used_at") < pl.col("assigned_at") + window
    shown = take_window(tables.shown, users, days)
    shown = shown.with_columns(pl.col("is_used") & is_in_time.fill_null(value=False))
    uses = take_window(tables.uses.filter("is_use"), users, days)
    shown = shown.with_columns(is_used=pl.Series(find_used(shown, uses.select(OF_USE), window)))
    return [estimate_lists(name, shown, frame, config) for name, frame in lists.items()]
