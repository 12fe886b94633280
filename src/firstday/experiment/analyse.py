"""Analyse the tables of an experiment with tea-tasting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import polars as pl

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError, needs_extra
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.experiment_tables import ExperimentTables
from firstday.experiment.outcomes import MEANS, SHARES_OF_SHOWN, measure, write_days
from firstday.experiment.sample_ratio import check_sample_ratio

CONTROL = "control"


def analyse(
    tables: ExperimentTables,
    config: ExperimentConfig | None = None,
    *,
    control: str | None = None,
    weights: Mapping[str, float] | None = None,
    anyway: bool = False,
) -> ExperimentResults:
    """Compare every treatment of an experiment with its control.

    `weights` are the intended shares of users by variant, in any unit, including variants without users. None: equal
    shares of the variants found, which cannot reveal a variant that lost all of its users. After a sample ratio
    mismatch, variants are compared only with `anyway`.

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
    comparisons = {}
    if anyway or not ratio.broken:
        shares = () if tables.shown.is_empty() else SHARES_OF_SHOWN
        for days in config.days:
            means = [name for name in MEANS if days > 1 or name != "came_back"]
            outcomes = [*shares, *means, *tables.outcomes]
            comparisons[days] = compare(measure(tables, days), control, outcomes, config.level)
    return ExperimentResults(
        experiment=tables.name,
        dataset=tables.dataset,
        config=config,
        control=control,
        first=first,
        last=last,
        until=tables.until,
        sample_ratio=ratio,
        n_whole=n_whole,
        notes=notes,
        comparisons=comparisons,
    )


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


def compare(users: pl.DataFrame, control: str, outcomes: Sequence[str], level: float) -> dict[str, Any]:
    """Return the `ExperimentResult` of tea-tasting for each treatment: Welch's test, the delta method for shares.

    `users` are from `measure`. Variants with fewer than two users are left out.

    References
    ----------
    A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018.
    """
    with needs_extra("an experiment's analysis", "experiment"):
        import tea_tasting as tt
        from tea_tasting.aggr import read_aggregates
    users = users.filter(pl.len().over("variant") > 1)
    names = users["variant"].unique()
    if control not in names or len(names) < 2:
        return {}
    metrics: dict[str, Any] = {
        name: tt.RatioOfMeans(name, "shown" if name in SHARES_OF_SHOWN else None, confidence_level=level)
        for name in outcomes
    }
    columns = reduce(or_, (metric.aggr_cols for metric in metrics.values()))._asdict()
    # Polars does not fix the order in which it sums groups.
    variants = {name: read_aggregates(users.filter(variant=name), None, **columns) for name in names}
    with np.errstate(invalid="ignore", divide="ignore"):  # the variance may be zero
        results = tt.Experiment(metrics).analyze(variants, control, all_variants=True)
    return {treatment: result for (_, treatment), result in results.items()}
