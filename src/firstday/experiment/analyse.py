"""From the tables of an experiment to what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError
from firstday.experiment.compare import UserSums, compare, correct_for_many, solve_power
from firstday.experiment.covariate import USERS_FOR_COVARIATE, encode_known, fold_of, predict_outcome
from firstday.experiment.experiment_results import COHORT, EVERYONE, ExperimentResults, Row
from firstday.experiment.experiment_tables import ExperimentTables, age_bands
from firstday.experiment.off_policy import ListsEstimate, estimate_lists
from firstday.experiment.outcomes import OUTCOMES, Outcome, name_days, outcomes_of, write_days
from firstday.experiment.sample_ratio import check_sample_ratio
from firstday.segment.shown_counts import OF_USE, find_used

CONTROL = "control"
UNKNOWN = "unknown"


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
        Of the experiment.
    config
        The settings; the defaults if None.
    control
        The variant that the others are compared with; ``control`` if there is one of that name, else the first by name.
    weights
        The share of users that each variant should have, in any unit; also of one that has no user. None: equal shares
        of the variants that were found; one that lost all of its users is not noticed then.
    lists
        Lists that were not shown, by a name: `user_ix`, `item_ix`, `position` (from 1).
    anyway
        Whether to compare variants although users are not divided as they should be.

    Raises
    ------
    DataError
        There is only one variant, or a user is in two.
    ConfigError
        There is no such control, or weights are of other variants.
    MissingExtraError
        tea-tasting is not installed.
    """
    config = config or ExperimentConfig()
    assigned = tables.assigned
    counts = {str(name): int(n) for name, n in assigned.group_by("variant").len().sort("variant").rows()}
    if weights is not None:  # a variant that lost all of its users is broken, too
        counts = {name: counts.get(name, 0) for name in sorted({*counts, *weights})}
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
    if users.height:  # columns of `assigned` stand in the order of `users`
        users = users.with_columns(assigned.select("cohort", "user_id"))
    notes = [*tables.notes, *_tell_unended(users, config.days)]
    if weights is None:
        notes.append(
            f"weights: none are given, so that equal shares are expected of the variants found ({', '.join(counts)}); "
            "give weights to notice one that lost all of its users."
        )
    outcomes = tuple(outcome for outcome in OUTCOMES if tables.shown is not None or not outcome.of_shown)
    if tables.shown is None:
        notes.append(
            "interactions: nothing was shown to these users (no rows with the signal shown and a time), so that shares "
            "of shown items are left out."
        )
    rows: list[Row] = []
    decides = None
    if not ratio.is_broken or anyway:
        rows, decides = _compare_all(users, tables, outcomes, control, treatments, config)
    return ExperimentResults(
        experiment=tables.name,
        dataset=tables.dataset,
        control=control,
        treatments=treatments,
        first=_moment(assigned["assigned_at"].min()),
        last=_moment(assigned["assigned_at"].max()),
        until=tables.until,
        sample_ratio=ratio,
        n_by_cohort=_count_cohorts(assigned, counts),
        n_whole={days: _count_whole(users, days, counts) for days in config.days},
        decides=decides,
        rows=tuple(rows),
        lists=_judge_lists(tables, lists or {}, config) if not ratio.is_broken or anyway else (),
        level=config.level,
        planned_users=config.planned_users,
        notes=tuple(notes),
    )


def _moment(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


def _count_cohorts(assigned: pl.DataFrame, variants: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Count the users of each variant by week of registration."""
    table = assigned.group_by("cohort", "variant").len().sort("cohort").rows()
    cohorts: dict[str, dict[str, int]] = {str(cohort): dict.fromkeys(variants, 0) for cohort, _, _ in table}
    for cohort, variant, n in table:
        cohorts[str(cohort)][str(variant)] = int(n)
    return cohorts


def _count_whole(users: pl.DataFrame, days: float, variants: Mapping[str, int]) -> dict[str, int]:
    """Count the users of each variant whose window has ended."""
    whole = users.filter(f"is_whole_{name_days(days)}").group_by("variant").len()
    n_of = dict(whole.rows())
    return {name: int(n_of.get(name, 0)) for name in variants}


def _tell_unended(users: pl.DataFrame, days: Sequence[float]) -> Iterator[str]:
    """Say how many users take no part in each window since it has not ended."""
    for length in days:
        n = users.height - int(users[f"is_whole_{name_days(length)}"].sum())
        if n:
            yield (
                f"{n:,} of {users.height:,} users take no part in the outcomes of {write_days(length)}: their "
                "window has not ended."
            )


def _compare_all(
    users: pl.DataFrame,
    tables: ExperimentTables,
    outcomes: Sequence[Outcome],
    control: str,
    treatments: Sequence[str],
    config: ExperimentConfig,
) -> tuple[list[Row], tuple[Outcome, float] | None]:
    """Compare everyone, then cohorts, then groups in the window that decides; return what decides, too."""
    known = users.select("known_before").with_columns(tables.groups.get_columns())
    slices = {column: tables.groups[column].fill_null(UNKNOWN) for column in tables.groups.columns}
    if "age" in tables.assigned.columns:
        known = known.with_columns(tables.assigned["age"])
        slices["age"] = age_bands(tables.assigned["age"]).fill_null(UNKNOWN)
    matrix, folds = encode_known(known), fold_of(users["user_id"])
    variant = users["variant"].to_numpy()
    sums = {
        (outcome, days): _sum_users(users, outcome, days, matrix, folds)
        for days in config.days
        for outcome in outcomes
        if days >= outcome.least_days
    }

    def rows_of(key: tuple[Outcome, float], chosen: np.ndarray, column: str, value: str) -> Iterator[Row]:
        values, whole = sums[key]
        chosen = chosen & whole
        for treatment in treatments:
            both = [values.take(chosen & (variant == name)) for name in (control, treatment)]
            sizes = [len(part.numerator) for part in both]
            if column != EVERYONE and min(sizes) < config.least_users:
                continue
            if sum(sizes) < USERS_FOR_COVARIATE:
                both = [part.without_covariate() for part in both]
            comparison = compare(*both, level=config.level, planned_users=config.planned_users)
            if comparison is not None:
                power = solve_power(*both, level=config.level, effect=config.effect) if column == EVERYONE else None
                yield Row(*key, treatment, column, value, comparison, power=power)

    everyone = np.ones(users.height, dtype=bool)
    rows = [row for key in sums for row in rows_of(key, everyone, EVERYONE, "")]
    decides = _choose_deciding(rows, config)
    deciding = [row for row in rows if (row.outcome, row.days) == decides]
    others = [row for row in rows if (row.outcome, row.days) != decides]
    rows = [*_correct(deciding, "fwer"), *_correct(others, "fdr")]
    order = list(sums)
    rows.sort(key=lambda row: (order.index((row.outcome, row.days)), row.variant))
    for cohort in users["cohort"].unique().sort().to_list():
        chosen = (users["cohort"] == cohort).to_numpy()
        rows += [row for key in sums for row in rows_of(key, chosen, COHORT, cohort)]
    if decides is not None:
        groups = [
            row
            for column, values in slices.items()
            for value in values.unique().sort().to_list()
            for key in sums
            if key[1] == decides[1]
            for row in rows_of(key, (values == value).to_numpy(), column, value)
        ]
        rows += _correct(groups, "fdr")
    return rows, decides


def _sum_users(
    users: pl.DataFrame, outcome: Outcome, days: float, matrix: np.ndarray, folds: np.ndarray
) -> tuple[UserSums, np.ndarray]:
    """Return what is added up of each user with what was predicted of it, and whose window has ended."""
    name = name_days(days)
    whole = users[f"is_whole_{name}"].to_numpy()

    def column(label: str) -> np.ndarray:
        return users[f"{label}_{name}"].to_numpy().astype(np.float64)

    def predict(values: np.ndarray) -> np.ndarray | None:
        predicted = predict_outcome(matrix[whole], values[whole], folds[whole])
        if predicted is None:
            return None
        everyone = np.zeros(len(values))
        everyone[whole] = predicted
        return everyone

    numerator = column(outcome.numerator)
    denominator = None if outcome.denominator is None else column(outcome.denominator)
    covariate = predict(numerator)
    if covariate is None:
        return UserSums(numerator, denominator), whole
    return UserSums(numerator, denominator, covariate, None if denominator is None else predict(denominator)), whole


def _choose_deciding(rows: Sequence[Row], config: ExperimentConfig) -> tuple[Outcome, float] | None:
    """Return the outcome and window that decide: those of the settings, or the nearest that there is."""
    if not rows:
        return None
    names = [config.outcome] if config.outcome != "auto" else ["used_of_shown", "items_used"]
    chosen = [row for name in names for row in rows if row.outcome.name == name] or list(rows)
    chosen = [row for row in chosen if row.outcome == chosen[0].outcome]
    nearest = min(chosen, key=lambda row: (abs(row.days - config.outcome_days), row.days))
    return nearest.outcome, nearest.days


def _correct(rows: Sequence[Row], rule: str) -> list[Row]:
    """Return rows with p-values that hold for all of them at once."""
    corrected = correct_for_many([row.comparison.p_value for row in rows], "fwer" if rule == "fwer" else "fdr")
    return [replace(row, p_corrected=p) for row, p in zip(rows, corrected, strict=True)]


def _judge_lists(
    tables: ExperimentTables, lists: Mapping[str, pl.DataFrame], config: ExperimentConfig
) -> tuple[ListsEstimate, ...]:
    """Estimate how lists would have done within the window that decides, for users for whom it has ended."""
    if not lists:
        return ()
    if tables.shown is None:
        raise DataError("interactions: nothing was shown to these users, so that no lists can be judged by it.")
    window = timedelta(days=config.outcome_days)
    starts = tables.assigned.select("user_ix", "assigned_at").filter(pl.col("assigned_at") + window <= tables.until)
    ended = pl.col("assigned_at") + window
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
