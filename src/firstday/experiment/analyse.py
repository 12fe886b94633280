"""Analyse the tables of an experiment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError, needs_extra
from firstday.experiment.compare import COVARIATES, compare
from firstday.experiment.covariate import USERS_FOR_COVARIATE, encode_known, fold_of, predict_outcome
from firstday.experiment.experiment_results import COHORT, EVERYONE, ExperimentResults, Row
from firstday.experiment.experiment_tables import ExperimentTables, age_bands
from firstday.experiment.off_policy import ListsEstimate, estimate_lists
from firstday.experiment.outcomes import OUTCOMES, Outcome, name_days, outcomes_of, write_days
from firstday.experiment.sample_ratio import check_sample_ratio
from firstday.segment.shown_counts import OF_USE, find_used

CONTROL = "control"
UNKNOWN = "unknown"
Window = tuple[Outcome, float]
"""An outcome and the length of its window in days."""


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
    n_of = Counter(assigned["variant"].to_list())
    counts = {name: n_of[name] for name in sorted({*n_of, *(weights or {})})}  # weights reveal variants without users
    if len(counts) < 2:
        raise DataError(
            f"assignments: {tables.name} has one variant ({next(iter(counts))}); two are compared. If another one lost "
            "all of its users, give the weights of both to notice it."
        )
    if control is None:
        control = CONTROL if CONTROL in counts else next(iter(counts))
    elif control not in counts:
        raise ConfigError(f"control: {control!r} is no variant of {tables.name}; choose of {', '.join(counts)}.")
    ratio = check_sample_ratio(counts, weights or dict.fromkeys(counts, 1.0), config.least_p)
    treatments = tuple(name for name in counts if name != control)
    users = outcomes_of(
        tables.uses,
        tables.shown,
        assigned,
        days=config.days,
        until=tables.until,
        margin_days=config.covariate_margin_days,
    )
    n_whole = {days: Counter(users.filter(f"is_whole_{name_days(days)}")["variant"].to_list()) for days in config.days}
    notes = [
        *tables.notes,
        *(
            f"{users.height - n.total():,} of {users.height:,} users take no part in the outcomes of "
            f"{write_days(days)}: their window has not ended."
            for days, n in n_whole.items()
            if n.total() < users.height
        ),
    ]
    if weights is None:
        notes.append(
            f"weights: none are given, so that equal shares are expected of the variants found ({', '.join(counts)}); "
            "give weights to notice one that lost all of its users."
        )
    if tables.shown is None:
        notes.append(
            "interactions: nothing was shown to these users (no rows with the signal shown and a time), so that shares "
            "of shown items are left out."
        )
    is_told = anyway or not ratio.is_broken
    rows, decides = _compare_all(users, tables, control, treatments, config) if is_told else ([], None)
    first, last = assigned.select(pl.min("assigned_at"), last=pl.max("assigned_at")).row(0)
    by_cohort = Counter(assigned.select("cohort", "variant").iter_rows())
    return ExperimentResults(
        experiment=tables.name,
        dataset=tables.dataset,
        control=control,
        treatments=treatments,
        first=first,
        last=last,
        until=tables.until,
        sample_ratio=ratio,
        n_by_cohort={cohort: {name: by_cohort[cohort, name] for name in counts} for cohort, _ in sorted(by_cohort)},
        n_whole={days: {name: n[name] for name in counts} for days, n in n_whole.items()},
        decides=decides,
        rows=tuple(rows),
        lists=_judge_lists(tables, lists or {}, config) if is_told else (),
        level=config.level,
        planned_users=config.planned_users,
        notes=tuple(notes),
    )


def _compare_all(
    users: pl.DataFrame, tables: ExperimentTables, control: str, treatments: Sequence[str], config: ExperimentConfig
) -> tuple[list[Row], Window | None]:
    """Return the rows of all users, of cohorts, and of groups in the deciding window; also return that window."""
    slices = {COHORT: tables.assigned["cohort"]} | {
        name: (age_bands(values) if name == "age" else values).fill_null(UNKNOWN)
        for name, values in tables.groups.to_dict().items()
    }
    known = encode_known(users.select("known_before").with_columns(tables.groups.get_columns()))
    folds = fold_of(tables.assigned["user_id"])
    users = users.with_columns(values.alias(f"of {name}") for name, values in slices.items())
    measured = {
        (outcome, days): _measure(users, outcome, days, known, folds)
        for days in config.days
        for outcome in OUTCOMES
        if days >= outcome.least_days and not (tables.shown is None and outcome.denominator)
    }

    def rows_of(windows: Iterable[Window], column: str, value: str = "") -> Iterator[Row]:
        for window in windows:
            chosen = measured[window]
            if column != EVERYONE:
                chosen = chosen.filter(pl.col(f"of {column}") == value)
            for treatment in treatments:
                both = chosen.filter(pl.col("variant").is_in([control, treatment]))
                if both.height < USERS_FOR_COVARIATE:
                    both = both.drop(COVARIATES.values(), strict=False)
                effect = config.effect if column == EVERYONE else None
                planned_users = config.planned_users
                found = compare(
                    both, control, treatment, level=config.level, planned_users=planned_users, effect=effect
                )
                if found and (column == EVERYONE or min(found.n_control, found.n_treatment) >= config.least_users):
                    yield Row(*window, treatment, column, value, found)

    with needs_extra("an experiment's report", "experiment"):
        from tea_tasting.multiplicity import adjust_fdr, adjust_fwer
    holm = partial(adjust_fwer, arbitrary_dependence=True, method="bonferroni")
    rows = list(rows_of(measured, EVERYONE))
    decides = _choose_deciding(rows, config)
    deciding = [row for row in rows if row.window == decides]
    others = [row for row in rows if row.window != decides]
    corrected = _correct(deciding, holm) + _correct(others, adjust_fdr)
    order = list(measured)
    rows = sorted(corrected, key=lambda row: (order.index(row.window), row.variant))
    parts = [(name, value) for name, values in slices.items() for value in values.unique().sort().to_list()]
    for cohort in (part for part in parts if part[0] == COHORT):
        rows += rows_of(measured, *cohort)
    if decides is not None:
        windows = [window for window in measured if window[1] == decides[1]]
        groups = [row for part in parts if part[0] != COHORT for row in rows_of(windows, *part)]
        rows += _correct(groups, adjust_fdr)
    return rows, decides


def _measure(users: pl.DataFrame, outcome: Outcome, days: float, known: np.ndarray, folds: np.ndarray) -> pl.DataFrame:
    """Return the users whose window has ended, with numerator, denominator and their covariates."""
    name = name_days(days)
    whole = users[f"is_whole_{name}"].to_numpy()
    measured = users.filter(whole)
    labels = {"numerator": outcome.name, "denominator": outcome.denominator}
    values = {part: measured[f"{label}_{name}"].cast(pl.Float64) for part, label in labels.items() if label is not None}
    measured = measured.with_columns(**values)
    predicted = {part: predict_outcome(known[whole], of.to_numpy(), folds[whole]) for part, of in values.items()}
    if predicted["numerator"] is None:
        return measured
    return measured.with_columns(pl.Series(f"{part}_covariate", of) for part, of in predicted.items() if of is not None)


def _choose_deciding(rows: Sequence[Row], config: ExperimentConfig) -> Window | None:
    """Return the deciding outcome and window: the configured ones, or the nearest available."""
    if not rows:
        return None
    names = [config.outcome] if config.outcome != "auto" else ["used_of_shown", "items_used"]
    chosen = [row for name in names for row in rows if row.outcome.name == name] or list(rows)
    chosen = [row for row in chosen if row.outcome == chosen[0].outcome]
    return min(chosen, key=lambda row: (abs(row.days - config.outcome_days), row.days)).window


def _correct(rows: Sequence[Row], adjust: Callable[[Any], Any]) -> list[Row]:
    """Return rows with p-values corrected for multiple testing; NaN is left as it is and not counted."""
    from tea_tasting.experiment import ExperimentResult

    values = {number: row.comparison.p_value for number, row in enumerate(rows)}
    results = {number: ExperimentResult({"p": {"pvalue": p}}) for number, p in values.items() if not math.isnan(p)}
    adjusted = adjust(results) if results else {}
    return [
        replace(row, p_corrected=min(1.0, adjusted[number]["p"]["pvalue_adj"])) if number in adjusted else row
        for number, row in enumerate(rows)
    ]


def _judge_lists(
    tables: ExperimentTables, lists: Mapping[str, pl.DataFrame], config: ExperimentConfig
) -> tuple[ListsEstimate, ...]:
    """Evaluate lists off-policy within the deciding window, on the users whose window has ended."""
    if not lists:
        return ()
    if tables.shown is None:
        raise DataError("interactions: nothing was shown to these users, so that no lists can be judged by it.")
    window = timedelta(days=config.outcome_days)
    ended = pl.col("assigned_at") + window
    starts = tables.assigned.select("user_ix", "assigned_at").filter(ended <= tables.until)
    shown = tables.shown.join(starts, on="user_ix").filter(
        (pl.col("timestamp") >= pl.col("assigned_at")) & (pl.col("timestamp") < ended)
    )
    shown = shown.with_columns(is_used=pl.col("is_used") & (pl.col("used_at") < ended).fill_null(value=False))
    uses = tables.uses.filter("is_use").join(starts, on="user_ix").filter(pl.col("timestamp") < ended)
    shown = shown.with_columns(is_used=pl.Series(find_used(shown, uses.select(OF_USE), window)))
    return tuple(
        estimate_lists(name, shown, frame, least_users=config.effective_users, level=config.level)
        for name, frame in lists.items()
    )
