"""Analyse the tables of an experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError
from firstday.experiment.compare import compare
from firstday.experiment.covariate import encode_known, fold_of, predict_outcome
from firstday.experiment.experiment_results import COHORT, EVERYONE, ExperimentResults, Row
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
from firstday.segment.shown_counts import OF_USE, find_used

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

    Parameters
    ----------
    tables
        Tables of the experiment.
    config
        Experiment settings; the defaults if None.
    control
        Name of the control. Default: ``control`` if there is a variant of that name, else the first by name.
    weights
        Intended share of users per variant, in any unit, including variants without users. Default: equal shares of
        the variants found, which cannot reveal a variant that lost all of its users.
    lists
        Lists to evaluate off-policy, by name: `user_ix`, `item_ix`, `position` (from 1).
    anyway
        Whether to compare variants despite a sample ratio mismatch.

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
    n_of = Counter(assigned["variant"])
    counts = {name: n_of[name] for name in sorted({*n_of, *(weights or {})})}  # weights reveal variants without users
    if len(counts) < 2:
        raise DataError(
            f"assignments: {tables.name} has a single variant ({next(iter(counts))}), and at least two are needed; if "
            "another one lost all of its users, give the weights of both."
        )
    if control is None:
        control = CONTROL if CONTROL in counts else min(counts)
    elif control not in counts:
        raise ConfigError(f"control: {control!r} is not a variant of {tables.name}; choose one of {', '.join(counts)}.")
    ratio = check_sample_ratio(counts, weights or dict.fromkeys(counts, 1.0), config.least_p)
    treatments = tuple(name for name in counts if name != control)
    measured = _measure(tables, config)
    n_whole = {days: Counter(users["variant"]) for days, users in measured.items()}
    notes = [
        *tables.notes,
        *(
            f"{assigned.height - n.total():,} of {assigned.height:,} users are excluded from outcomes within "
            f"{write_days(days)}: their window has not ended."
            for days, n in n_whole.items()
            if n.total() < assigned.height
        ),
    ]
    if weights is None:
        found = ", ".join(counts)
        notes.append(f"weights: not given, so {found} are expected to be equal; give weights to detect lost variants.")
    if tables.shown is None:
        notes.append(
            "interactions: no impressions (signal shown) with timestamps; outcomes of shown items are omitted."
        )
    is_compared = anyway or not ratio.broken
    first, last = assigned.select(pl.min("assigned_at"), last=pl.max("assigned_at")).row(0)
    by_cohort = Counter(assigned.select("cohort", "variant").iter_rows())
    return ExperimentResults(
        experiment=tables.name,
        dataset=tables.dataset,
        config=config,
        control=control,
        treatments=treatments,
        first=first,
        last=last,
        until=tables.until,
        sample_ratio=ratio,
        n_by_cohort={cohort: {name: by_cohort[cohort, name] for name in counts} for cohort, _ in sorted(by_cohort)},
        n_whole={days: {name: n[name] for name in counts} for days, n in n_whole.items()},
        notes=notes,
        lists=_evaluate_lists(tables, lists or {}, config) if is_compared else (),
        **(_compare_all(tables, measured, control, treatments, config) if is_compared else {}),
    )


def _divide(tables: ExperimentTables) -> dict[str, pl.Series]:
    """Return the subgroup of each user as text, by column: everyone, the cohort, and the groups of the profile."""
    cohorts = tables.assigned["cohort"]
    groups = {EVERYONE: pl.repeat("", len(cohorts), eager=True), COHORT: cohorts, **tables.groups.to_dict()}
    if (ages := groups.get("age")) is not None:
        bands = np.searchsorted(AGE_BANDS, ages.fill_null(0), side="right")
        groups["age"] = pl.Series(AGE_LABELS).gather(bands).set(ages.is_null(), UNKNOWN)
    return groups


def _measure(tables: ExperimentTables, config: ExperimentConfig) -> dict[float, pl.DataFrame]:
    """Return outcomes and covariates of the users whose window has ended, and their subgroups, by window length."""
    users = tables.assigned.with_columns(values.alias(f"of {name}") for name, values in _divide(tables).items())
    known_before = count_known_before(tables.uses, users, config.covariate_margin_days)
    known = encode_known(known_before.to_frame().with_columns(tables.groups.get_columns()))
    folds = fold_of(users["user_id"])
    measured = {}
    for days in config.days:
        ended = tables.ended(days)
        found = outcomes_of(tables.uses, tables.shown, users.filter(ended), days)
        covariates = {
            name: predict_outcome(known[ended], found[name].to_numpy(), folds[ended])
            for name in found.drop(users.columns).columns
        }
        measured[days] = found.with_columns(
            pl.Series(f"{name}_covariate", predicted) for name, predicted in covariates.items() if predicted is not None
        )
    return measured


def _compare_all(
    tables: ExperimentTables,
    measured: Mapping[float, pl.DataFrame],
    control: str,
    treatments: Sequence[str],
    config: ExperimentConfig,
) -> dict[str, Any]:
    """Compare all users and cohorts in all windows, and groups in those of the deciding length."""

    def compare_in(outcomes: Sequence[Outcome], column: str) -> list[Row]:
        is_all = column == EVERYONE
        rows = []
        for value, outcome, treatment in product(subgroups[column].unique().sort(), outcomes, treatments):
            users = measured[outcome.days].filter(pl.col(f"of {column}") == value)
            found = compare(users, control, treatment, outcome, config, has_power=is_all)
            if found and (is_all or min(found.users_control, found.users_variant) >= config.least_users):
                rows.append(Row(outcome, treatment, column, value, found))
        return rows

    subgroups = _divide(tables)
    outcomes = [
        outcome for days in measured for outcome in list_outcomes(days, has_impressions=tables.shown is not None)
    ]
    everyone = compare_in(outcomes, EVERYONE)
    from tea_tasting.multiplicity import adjust_fdr, adjust_fwer

    holm = partial(adjust_fwer, arbitrary_dependence=True, method="bonferroni")
    decides = _choose_deciding([row.outcome for row in everyone], config)
    deciding = [row for row in everyone if row.outcome == decides]
    others = [row for row in everyone if row.outcome != decides]
    near = [outcome for outcome in outcomes if decides and outcome.days == decides.days]
    return {
        "decides": decides,
        "everyone": [*_correct(deciding, holm), *_correct(others, adjust_fdr)],
        "cohorts": compare_in(outcomes, COHORT),
        "groups": _correct([row for name in tables.groups.columns for row in compare_in(near, name)], adjust_fdr),
    }


def _choose_deciding(outcomes: Sequence[Outcome], config: ExperimentConfig) -> Outcome | None:
    """Return the deciding outcome: the configured one, or the nearest available."""
    wanted = (config.outcome, "used_of_shown", "items_used")
    names = [outcome.name for name in wanted for outcome in outcomes if outcome.name == name]
    return min(
        (outcome for outcome in outcomes if outcome.name in names[:1]),
        key=lambda outcome: (abs(outcome.days - config.outcome_days), outcome.days),
        default=None,
    )


def _correct(rows: Sequence[Row], adjust: Callable[[Any], Any]) -> list[Row]:
    """Return rows with p-values corrected for multiple testing; rows without one are not counted."""
    from tea_tasting.experiment import ExperimentResult

    values = {row: row.comparison.p_value for row in rows}
    results = {row: ExperimentResult({"p": {"pvalue": p}}) for row, p in values.items() if p is not None}
    adjusted = adjust(results) if results else {}
    return [
        replace(row, p_corrected=min(1.0, adjusted[row]["p"]["pvalue_adj"])) if row in adjusted else row for row in rows
    ]


def _evaluate_lists(
    tables: ExperimentTables, lists: Mapping[str, pl.DataFrame], config: ExperimentConfig
) -> list[ListsEstimate]:
    """Evaluate lists off-policy within the deciding window, on the users whose window has ended."""
    if not lists:
        return []
    if tables.shown is None:
        raise DataError("interactions: these users have no impressions, so lists cannot be evaluated off-policy.")
    days = config.outcome_days
    users, window = tables.assigned.filter(tables.ended(days)), timedelta(days=days)
    is_used = pl.col("is_used") & (pl.col("used_at") < pl.col("assigned_at") + window).fill_null(value=False)
    shown = take_window(tables.shown, users, days).with_columns(is_used)
    uses = take_window(tables.uses.filter("is_use"), users, days)
    shown = shown.with_columns(is_used=pl.Series(find_used(shown, uses.select(OF_USE), window)))
    return [estimate_lists(name, shown, frame, config) for name, frame in lists.items()]
