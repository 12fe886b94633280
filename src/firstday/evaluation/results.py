"""Results of an evaluation: a long table of figures, and its data frame and JSON representations."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import firstday
from firstday.config import Config
from firstday.data.frame_libraries import Library, to_library
from firstday.data.splits.target_uses import MANY_EXISTED, TargetUses
from firstday.display import readable, write_table
from firstday.errors import ArgumentError, MissingExtraError
from firstday.evaluation.plots import plot_means
from firstday.evaluation.slices import (
    ALL,
    DAY_ONE_SIZES,
    FRIENDS_ONLY,
    MODEL_AGES,
    NOTHING_DONE,
    REFERENCE,
    age_slice,
    cut_off_slice,
    group_slice,
    size_slice,
)
from firstday.evaluation.text_table import Table, write_cell, write_line, write_signed
from firstday.evaluation.verdicts import judge
from firstday.files import write_file
from firstday.metrics import (
    HEAD,
    HIT_METRICS,
    METRICS,
    MIN_COHORTS,
    USER_METRICS,
    Interval,
    PrecisionRule,
    ratio_intervals,
)
from firstday.model.folder import require_empty
from firstday.recommend.segment_description import SegmentRow
from firstday.training.option_search import Tuning

if TYPE_CHECKING:
    from firstday.evaluation.run import Run

SHORT = {"precision": "P", "recall": "R", "ndcg": "NDCG", "hit_rate": "hit rate", "mrr": "MRR", "map": "MAP"}
HEAD_METRICS = tuple(f"{metric}_at_{HEAD}" for metric in USER_METRICS)
"""Metrics of the head of lists."""
DIVERSITY = "diversity"
DEVIATIONS = tuple(f"{metric}_deviation" for metric in METRICS)
PLAIN_METRICS = (
    *DEVIATIONS,
    "user_coverage",
    "catalogue_coverage",
    "exposure_gini",
    "novelty_bits",
    "ms_per_user",
)
"""Metrics without an interval."""
OF_ALL = {"precision": "precision_all", "recall": "recall_all", HEAD_METRICS[0]: f"precision_all_at_{HEAD}"}
"""Names of metrics over all later uses of all newcomers."""
COMPARED = ("precision", HEAD_METRICS[0], OF_ALL["precision"], OF_ALL[HEAD_METRICS[0]])
"""Metrics of which differences are computed."""
JUDGED = COMPARED[:2]
"""Metrics of which differences are judged."""
MINUS_NAME = "_minus:"
MARGIN_NAME = "_not_worse:"
MINUS = f"precision{MINUS_NAME}"
MINUS_OLDER = "_minus_older_model"
OLDER_BY = "older_by_days"
RATIO = "precision_ratio:"
ROUTE_PREFIX = "route:"
"""Prefixes of the metrics that name another strategy or a route."""
UNKNOWN_VECTORS = (
    "Precomputed embeddings (the table embeddings): if they were trained on what cold users did after day one, results "
    "are inflated."
)
"""Caveat for evaluations with precomputed embeddings."""
MINUS_OTHERS = "precision_minus_others"
MIN_OWN = 50
"""Share of a strategy's own lists, in %, below which its results carry a warning."""


@dataclass(frozen=True)
class Figure:
    """One row of the results.

    Parameters
    ----------
    strategy
        Strategy that made the lists.
    metric
        Name of the metric, in % unless stated otherwise:

        ===================================  =======================================================================
        metric                               meaning
        ===================================  =======================================================================
        ``precision``, ``recall``, ``ndcg``  means over users; ``precision`` for every slice, the others for all users.
                                             Precision is hits / min(k, relevant), also called capped recall, unless
                                             `divide_by` is ``k``
        ``hit_rate``, ``mrr``, ``map``       means over users: lists with a hit; 1 / rank of the first hit; average
                                             precision, the mean of the precision at each hit's rank, with the
                                             denominator min(k, relevant)
        ``METRIC_at_10``                     these metrics at 10, if lists are longer: for all users, and precision for
                                             every slice but profile groups
        ``diversity``                        mean distance, 1 - cosine of the model's item vectors, of two items of a
                                             list, from 0 to 2; items without a vector are left out, and users with
                                             fewer than two others do not have it
        NAME                                 a metric of your own, as its function returned it (`firstday.evaluate`)
        ``precision_all``, ``recall_all``    means over all newcomers, including those who only used items that came
                                             after the cut-off, and all that they used later; lists have the items that
                                             came by the end of day one. ``precision_all_at_10`` at 10. For every
                                             slice but profile groups
        ``METRIC_minus_older_model``         for these metrics of the default list: gain over the model of the cut-off
                                             before, in points, which is older by ``older_by_days``
        ``precision_deviation``              (also ``recall_``, ``ndcg_``) standard deviation of the mean over random
                                             fifths of the users, as in the paper
        ``precision_minus:NAME``             paired difference in precision to the strategy NAME, in points; also of
                                             ``precision_at_10``, ``precision_all`` and ``precision_all_at_10``, of
                                             which the last two are by slice
        ``precision_not_worse:NAME``         this difference plus 5 % of the precision of NAME, in points: positive if a
                                             larger loss is excluded; also of ``precision_at_10``
        ``precision_ratio:NAME``             ratio of mean precision to that of NAME, 1 for equals
        ``precision_minus_others``           for a profile group: difference to all users outside it, in points;
                                             intervals are simultaneous over all groups (Bonferroni). Of groups of
                                             at least 30 users, as are the others
        ``user_coverage``                    users who get the strategy's own list instead of a fallback's
        ``catalogue_coverage``               items in at least one list of a seed, mean over seeds
        ``exposure_gini``                    Gini index of the items' numbers of lists, mean over training runs: 0 if
                                             all items are in as many, 1 if all lists have one same item
        ``novelty_bits``                     mean of -log2 of the share of warm users who use a recommended item, in
                                             bits
        ``route:NAME``                       users served by this route
        ``ms_per_user``                      time per user in batch, in milliseconds
        ===================================  =======================================================================
    slice
        Users that the figure covers:

        ===================================  ============================================================
        slice                                users
        ===================================  ============================================================
        ``all``                              all users
        ``day_one_size=0``, ``1-3``, ``4+``  by number of items used on day one; also ``4-9`` and ``10+``
        ``nothing_done``                     users with only a profile
        ``friends_only``                     those of them who have a friend whose habits the model knows
        ``seed=0``                           the cold users of one seed
        ``cut_off=2024-05-01T00:00:00Z``     the newcomers of one cut-off
        ``model_age=0-1``                    by days from cut-off to registration; also ``1-7``, ``7-30``, ``30+``
        ``country=FR``, ``age=18 to 24``     a profile group, by column and value
        ===================================  ============================================================
    mean
        The figure.
    low, high
        Its 95 % interval; None if it has none.
    p
        Two-sided p-value of a figure of zero, see `Interval`.
    n
        Number of users. A user who is cold in several seeds counts once per seed, but only once in a profile group.
    """

    strategy: str
    metric: str
    slice: str
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0

    @property
    def is_clear(self) -> bool:
        """Whether the interval of a difference excludes zero."""
        return (self.low or 0) > 0 or (self.high or 0) < 0


@readable
@dataclass(frozen=True, kw_only=True)
class Results:
    """Results of an evaluation: its settings and one long table of figures.

    Parameters
    ----------
    dataset, protocol
        Names of the dataset and of the protocol.
    k
        Length of the lists.
    reference
        Strategy that tables and reports compare the others with.
    best_single
        Method with the highest precision at each length, by metric. `auto` and `blend`, which combine others, are not
        among them, and neither are plug-ins.
    seeds
        The seeds.
    divide_by
        Denominator of precision, see `firstday.evaluate`.
    n_warm, n_cold
        Number of warm users of the last training run, and of cold users per seed.
    fit_seconds
        Training time, mean over seeds.
    figures
        The table.
    notes
        Decisions of the protocol about the data, for the first seed.
    tunings
        How each tuned baseline's options were chosen, one entry per seed and cut-off.
    groups
        Labels of the groups of each profile column; their slices are named by `group_slice`.
    segments
        Segments of the first run, largest first.
    precomputed
        Whether embeddings were precomputed; if they were trained on later behaviour, results are inflated.
    cut_offs
        Training cut-offs, and for each the number of newcomers who used something that existed before it (``users``),
        and of all; empty under `sampled`.
    target_days
        Length of the target window in days; None under `sampled`.
    later_uses
        What newcomers used after day one, by when it came; None under `sampled`.
    config
        The configuration.
    plugins
        The strategies that are not built in.
    about
        Description of each strategy.
    own_metrics
        Names of the metrics of one's own.
    runs
        The training runs; see `users` and `lists`.
    """

    dataset: str
    protocol: str
    k: int
    reference: str
    best_single: Mapping[str, str]
    seeds: tuple[int, ...]
    n_warm: int
    n_cold: int
    fit_seconds: float
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    tunings: Mapping[str, tuple[Tuning, ...]]
    groups: Mapping[str, tuple[str, ...]]
    segments: tuple[SegmentRow, ...]
    cut_offs: tuple[Mapping[str, Any], ...]
    divide_by: PrecisionRule = "min"
    precomputed: bool = False
    target_days: float | None = None
    later_uses: TargetUses | None = None
    config: Config = field(default_factory=Config, repr=False)
    plugins: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    own_metrics: tuple[str, ...] = ()
    runs: tuple[Run, ...] = field(repr=False)

    @property
    def units(self) -> str:
        """Units of intervals: users, or cohorts for all users and for those parts of them that enough cohorts have."""
        return "cohorts" if len(self.cut_offs) >= MIN_COHORTS else "users"

    @property
    def has_head(self) -> bool:
        """Whether the head of the lists was evaluated too."""
        return self.k > HEAD

    def describe_users(self) -> str:
        """Describe how many users were trained on and evaluated, and when."""
        if not self.cut_offs:
            return (
                f"{self.n_warm:,} warm and {self.n_cold:,} cold users per seed, {len(self.seeds)} seed(s), "
                f"protocol {self.protocol}."
            )
        counts = ", ".join(f"{cut_off['at'][:10]}: {cut_off['users']:,}" for cut_off in self.cut_offs)
        return (
            f"{self.n_cold:,} newcomers after {len(self.cut_offs)} cut-off(s) ({counts}), evaluated on their first "
            f"{self.target_days:g} days; {len(self.seeds)} seed(s)."
        )

    @property
    def existed(self) -> float | None:
        """Share of later uses, in %, of items that existed at training, if it is low; else None."""
        if self.later_uses is None:
            return None
        share = self.later_uses.shares()["at_training"]
        return share if share < MANY_EXISTED else None

    def describe_motion(self) -> list[str]:
        """Describe what existed when the models were trained, and whether to train more often, in sentences."""
        if self.later_uses is None:
            return []
        sentences = [self.later_uses.describe()]
        lengths = {f"{OF_ALL[HEAD_METRICS[0]]}{MINUS_OLDER}": HEAD, f"{OF_ALL['precision']}{MINUS_OLDER}": self.k}
        for gain in self._gains_over_older():
            if k := lengths.get(gain.metric):
                days = self.get(gain.strategy, OLDER_BY).mean
                points = write_line(self.write(gain.strategy, gain.metric))
                conclusion = "whether refreshing more often helps cannot be told"
                if gain.is_clear:
                    conclusion = f"refreshing more often {'helps' if gain.mean > 0 else 'does not help'}"
                sentences.append(
                    f"Models that are {days:.0f} days newer change P@{k} of {gain.strategy} over all later uses by "
                    f"{points} points ({gain.n:,} newcomers): {conclusion}."
                )
        return sentences

    def _gains_over_older(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.metric.endswith(MINUS_OLDER) and figure.slice == ALL]

    @property
    def few_own_lists(self) -> list[Figure]:
        """The `user_coverage` of strategies below `MIN_OWN`, whose other figures are mostly those of fallbacks."""
        return [figure for figure in self.figures if figure.metric == "user_coverage" and figure.mean < MIN_OWN]

    def describe_warnings(self) -> list[str]:
        """Describe which strategies' figures are mostly not their own, in sentences."""
        return [
            f"Only {own.mean:.0f} % of the lists of {own.strategy} are its own; its figures are mostly of fallbacks, "
            "or of missing lists, which score 0."
            for own in self.few_own_lists
        ]

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str, str], Figure]:
        return {(figure.strategy, figure.metric, figure.slice): figure for figure in self.figures}

    def find(self, strategy: str, metric: str, slice: str = ALL) -> Figure | None:  # noqa: A002
        """Return one figure, like `get`; None if it was not measured."""
        return self._by_key.get((strategy, metric, slice))

    def get(self, strategy: str, metric: str, slice: str = ALL) -> Figure:  # noqa: A002
        """Return one figure, such as ``get("blend", "precision_minus:segment").mean``.

        Parameters
        ----------
        strategy, metric, slice
            Names from `strategies`, and those listed at `firstday.evaluation.results.Figure`.

        Raises
        ------
        ArgumentError
            The figure was not measured.
        """
        figure = self.find(strategy, metric, slice)
        if figure is None:
            raise ArgumentError(
                f"get: {metric!r} of {slice!r} was not measured for {strategy!r}; to_frame() lists all figures."
            )
        return figure

    def write(self, strategy: str, metric: str, slice: str = ALL) -> str:  # noqa: A002
        """Format a figure and its interval; differences are signed, figures that are not in % have two digits."""
        figure = self.find(strategy, metric, slice)
        if figure is None:
            return ""
        form = "{:.2f}" if metric.startswith((RATIO, "novelty", "ms", DIVERSITY, "exposure")) else "{:.1f}"
        form = "{:.4g}" if metric in self.own_metrics else form
        is_signed = "_minus" in metric and metric not in self.own_metrics
        write = write_signed if is_signed else form.format
        return write_cell(write, figure.mean, figure.low, figure.high)

    def to_frame(self, library: Library = "polars") -> Any:
        """Return the table as a data frame with the columns of `Figure`; intervals may be null.

        Parameters
        ----------
        library
            Library of the data frame: ``polars``, ``pandas`` or ``pyarrow``.
        """
        return to_library(pl.DataFrame(self.figures, infer_schema_length=None), library)

    def users(self, library: Library = "polars") -> Any:
        """Return a data frame with one row per strategy, seed, cut-off and cold user.

        Its columns are `strategy`, `seed`, `cut_off`, `user_id`, `day_one_size`, `knowledge` (a class of
        `KNOWLEDGE`), `did_nothing`, `has_friends`, `model_age` (days, see `Figure`), `route`, `is_own` (whether the
        list is the strategy's own, not a fallback's) and the metrics, in %, NaN for users who do not have a metric.

        Parameters
        ----------
        library
            See `to_frame`.
        """
        return to_library(self._rows, library)

    @cached_property
    def _rows(self) -> pl.DataFrame:
        return pl.concat([run.tabulate_users() for run in self.runs])

    def lists(self, library: Library = "polars") -> Any:
        """Return the lists as a data frame that `firstday.score` reads, one row per strategy, user and rank.

        Its columns are `strategy`, `seed`, `cut_off`, `catalogue`, `user_id`, `rank`, `item_id` and `route`. With
        cut-offs, there are lists of two kinds (`catalogue`): of items that existed ``at_training``, and of all that
        came ``by_day_one``, until the end of the user's day one, which `precision_all` is about.

        Parameters
        ----------
        library
            See `to_frame`.
        """
        return to_library(pl.concat([run.tabulate_lists() for run in self.runs]), library)

    def save(self, folder: str | Path) -> Path:
        """Write the results to a new or empty folder: data frames as Parquet, settings and results as JSON.

        The files are ``figures.parquet`` (`to_frame`), ``users.parquet``, ``lists.parquet`` and ``results.json``, which
        also has the configuration and the version of firstday.
        """
        path = Path(folder)
        require_empty(path)
        for name, frame in {"figures": self.to_frame(), "users": self.users(), "lists": self.lists()}.items():
            frame.write_parquet(path / f"{name}.parquet")
        values = {"firstday": firstday.__version__, "config": self.config.model_dump(mode="json"), **self.to_json()}
        write_file(path / "results.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
        return path

    def compare(self, strategy: str, other: str, metric: str = "precision") -> Interval:
        """Return the mean paired difference of two strategies in a metric, in its unit, with its 95 % interval.

        Parameters
        ----------
        strategy, other
            Names from `strategies`.
        metric
            A metric of `users`.

        Raises
        ------
        ArgumentError
            A strategy or metric was not evaluated, or no user has the metric.
        """
        of_strategies = []
        for name in (strategy, other):
            if name not in self.strategies:
                raise ArgumentError(f"compare: {name!r} was not evaluated; choose among {', '.join(self.strategies)}.")
            of_strategies.append(self._rows.filter(pl.col("strategy") == name))
        rows, others = of_strategies
        if metric not in rows.select(pl.selectors.float()):
            raise ArgumentError(f"compare: {metric!r} was not measured; users() has all metrics.")
        difference = (rows[metric] - others[metric]).to_numpy()
        has_metric = ~np.isnan(difference)
        if not has_metric.any():
            raise ArgumentError(f"compare: no user has {metric!r} of both {strategy!r} and {other!r}.")
        units = [rows[name].rank("dense").to_numpy()[has_metric] for name in ("user_id", "cut_off")]
        return ratio_intervals(difference[has_metric, None], np.ones(has_metric.sum()), *units)[0]

    def _repr_facts_(self) -> Mapping[str, Any]:
        best = {name: f"{self.get(name, 'precision').mean:.1f} %" for name in self.best_first}
        facts = {name: getattr(self, name) for name in ("dataset", "protocol", "seeds", "n_warm", "n_cold")}
        return {**facts, f"P@{self.k}": best}

    def _repr_html_(self) -> str:
        table = self.compare_strategies()
        rows = [map(write_line, row.values()) for row in table.rows]
        below = f"{self.describe_users()} Brackets: 95 % interval over {self.units}."
        html = write_table(table.title, table.columns, rows, [below, *self.describe_warnings()])
        with suppress(MissingExtraError):
            html += f'<div style="background: white">{self.plot_strategies()}</div>'
        return html

    def tabulate(self, title: str, columns: Mapping[str, tuple[str, str]]) -> Table:
        """Tabulate the strategies, best first, given metric and slice by heading; omit empty columns."""
        rows = []
        for name in self.best_first:
            cells = {heading: self.write(name, *key) for heading, key in columns.items()}
            rows.append({"strategy": name, **cells})
        filled = [heading for heading in columns if any(row[heading] for row in rows)]
        return Table(title, rows, self.leader).select("strategy", *filled)

    def compare_strategies(self) -> Table:
        """Tabulate precision and NDCG, also at 10, and the difference to the reference with its verdicts."""
        columns = self._name_columns(("precision", "ndcg")) | {
            f"P@{self.k} minus {self.reference}": (f"{MINUS}{self.reference}", ALL)
        }
        table = self.tabulate(f"{self.dataset}: means over cold users, in %", columns)
        if not self.verdicts:
            return table
        rows = [{**row, self.judged_heading: self._write_verdicts(row["strategy"])} for row in table.rows]
        return replace(table, rows=rows, words=(self.judged_heading,))

    def compare_hits(self) -> Table:
        """Tabulate recall, hit rate, MRR and MAP, also at 10, and metrics of one's own."""
        title = "Recall, hit rate, MRR and MAP, in %; metrics of your own as they are"
        return self.tabulate(title, self._name_columns(("recall", *HIT_METRICS, *self.own_metrics)))

    def _name_columns(self, metrics: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return columns for `tabulate`: metrics of heads and of whole lists."""
        lengths = {f"_at_{HEAD}": HEAD, "": self.k}
        return {
            f"{SHORT.get(metric, metric)}@{k}": (f"{metric}{suffix}", ALL)
            for suffix, k in lengths.items()
            for metric in metrics
        }

    @property
    def judged_heading(self) -> str:
        """Heading of the column with the verdicts."""
        lengths = f"P@{HEAD}, P@{self.k}" if self.has_head else f"P@{self.k}"
        return f"{lengths} than {self.reference}"

    def _write_verdicts(self, strategy: str) -> str:
        of_metrics = [self.verdicts.get((strategy, metric, self.reference)) for metric in reversed(JUDGED)]
        return ", ".join(filter(None, of_metrics))

    def describe_leads(self) -> list[str]:
        """Compare the leader with the best single method at each length, in sentences."""
        sentences = []
        for metric, k in zip(JUDGED, (self.k, HEAD), strict=True):
            best = self.best_single.get(metric)
            if best and (verdict := self.verdicts.get((self.leader, metric, best))):
                difference = write_line(self.write(self.leader, f"{metric}{MINUS_NAME}{best}"))
                sentences.append(
                    f"P@{k} of {self.leader} minus that of the best single method, {best}: {difference}, {verdict}."
                )
        return sentences

    @cached_property
    def verdicts(self) -> Mapping[tuple[str, str, str], str]:
        """Words on each strategy, metric and other strategy; those on one other strategy are corrected together."""
        verdicts: dict[tuple[str, str, str], str] = {}
        references = dict.fromkeys(figure.metric.partition(MARGIN_NAME)[2] for figure in self.figures)
        for reference in filter(None, references):
            keys = [(name, metric) for name in self.strategies for metric in JUDGED]
            compared = {key: values for key in keys if (values := self.compare_with(*key, reference))}
            if compared:
                words = judge(*np.array([*compared.values()]).T)
                verdicts |= {(*key, reference): word for key, word in zip(compared, words, strict=True)}
        return verdicts

    def compare_with(self, strategy: str, metric: str, reference: str) -> tuple[float, float, float] | None:
        """Return the difference to a reference and its p-values, see `judge`; None if they were not measured."""
        difference = self.find(strategy, f"{metric}{MINUS_NAME}{reference}")
        margin = self.find(strategy, f"{metric}{MARGIN_NAME}{reference}")
        if difference is None or margin is None or difference.p is None or margin.p is None:
            return None
        return difference.mean, difference.p, margin.p / 2 if margin.mean > 0 else 1 - margin.p / 2

    def compare_all_uses(self) -> Table:
        """Tabulate precision and recall over all later uses of all newcomers, also by age of the model in days."""
        at_head, whole = OF_ALL[HEAD_METRICS[0]], OF_ALL["precision"]
        columns = {f"P@{HEAD}": (at_head, ALL), f"P@{self.k}": (whole, ALL), f"R@{self.k}": (OF_ALL["recall"], ALL)}
        metric, k = (at_head, HEAD) if self.has_head else (whole, self.k)
        for label in MODEL_AGES:
            of_age = age_slice(label)
            if figure := self.find(self.leader, metric, of_age):
                columns[f"{label} ({figure.n:,})"] = metric, of_age
        n = self.get(self.leader, whole).n
        return self.tabulate(
            f"All {n:,} newcomers, all their later uses, in %; P@{k} by age of the model in days (newcomers)", columns
        )

    def plot_strategies(self) -> str:
        """Draw the precision of the strategies, best first, with 95 % intervals, as SVG."""
        means = {name: self.get(name, "precision") for name in self.best_first}
        return plot_means(means, self.leader, f"P@{self.k}, %")

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """The strategies in evaluation order."""
        return tuple(dict.fromkeys(figure.strategy for figure in self.figures))

    @cached_property
    def best_first(self) -> tuple[str, ...]:
        """The strategies by precision, best first; ties in evaluation order."""
        return tuple(sorted(self.strategies, key=lambda name: -self.get(name, "precision").mean))

    @property
    def leader(self) -> str:
        """Strategy of the main finding: the best plug-in, else `auto`, else `segment`, else the best strategy."""
        own = (name for name in self.best_first if name in self.plugins)
        choices = (*own, "auto", REFERENCE, *self.best_first)
        return next(name for name in choices if name in self.strategies)

    def split_metric(self, strategy: str, start: str) -> dict[str, Figure]:
        """Return figures of all users by metric suffix, given a prefix (`MINUS`, `RATIO`, `ROUTE_PREFIX`)."""
        return {
            figure.metric.removeprefix(start): figure
            for figure in self.figures
            if figure.strategy == strategy and figure.metric.startswith(start)
        }

    def compared_groups(self, strategy: str) -> list[Figure]:
        """Return the difference of each large enough profile group to all others."""
        return [figure for figure in self.figures if (figure.strategy, figure.metric) == (strategy, MINUS_OTHERS)]

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values, figures in %, routes as fractions of 1."""
        values = {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "k": self.k,
            "seeds": list(self.seeds),
            "precision_convention": "hits / min(K, relevant)" if self.divide_by == "min" else "hits / K",
            "best_single": dict(self.best_single),
            "n_warm": self.n_warm,
            "n_cold": self.n_cold,
            "fit_seconds": round(self.fit_seconds, 2),
            "notes": list(self.notes),
            "vectors": "precomputed" if self.precomputed else "learned from warm users",
            "vectors_note": UNKNOWN_VECTORS if self.precomputed else None,
            "warnings": [
                {"code": "few_own_lists", "strategy": own.strategy, "user_coverage": _mean(own)}
                for own in self.few_own_lists
            ],
            "results": [self._strategy_json(name) for name in self.strategies],
            "options": {name: self._tuning_json(tunings) for name, tunings in self.tunings.items()},
        }
        if self.cut_offs:
            values |= {"cut_offs": list(self.cut_offs), "target_days": self.target_days}
        if self.later_uses is not None:
            values["later_uses"] = {state: round(share, 4) for state, share in self.later_uses.shares().items()}
            values["refresh"] = {gain.metric: with_ends("gain", gain) for gain in self._gains_over_older()}
        return values

    def _strategy_json(self, name: str) -> dict[str, Any]:
        """Return the figures of one strategy as JSON values; null for empty slices."""
        find = partial(self.find, name)
        values: dict[str, Any] = {"strategy": name}
        for metric in (*USER_METRICS, *(HEAD_METRICS if self.has_head else ()), DIVERSITY):
            values |= with_ends(metric, find(metric))
        values["metrics"] = {}
        for metric in self.own_metrics:
            values["metrics"] |= with_ends(metric, find(metric))
        if self.later_uses is not None:
            values |= self._all_uses_json(find)
        values |= {metric: _mean(find(metric)) for metric in PLAIN_METRICS}
        values |= self._slices_json(find)
        values["against"] = self._against_json(name)
        routes = sorted(self.split_metric(name, ROUTE_PREFIX).items())
        values["routes"] = {route: round(figure.mean / 100, 4) for route, figure in routes}
        values["by_group"] = {
            column: {label: _group_json(find, group_slice(column, label)) for label in labels}
            for column, labels in self.groups.items()
        }
        return values

    def _slices_json(self, find: Callable[[str, str], Figure | None]) -> dict[str, Any]:
        """Return one strategy's precision by seed, cut-off and day-one size, and with only a profile or friends."""
        values: dict[str, Any] = {}
        values["precision_by_seed"] = [_mean(find("precision", f"seed={seed}")) for seed in self.seeds]
        of_cut_offs = [cut_off_slice(cut_off["at"]) for cut_off in self.cut_offs]
        if of_cut_offs:
            values["precision_by_cut_off"] = [_mean(find("precision", of_slice)) for of_slice in of_cut_offs]
        by_size = {size: find("precision", size_slice(size)) for size in DAY_ONE_SIZES}
        for key, write in (("by_day_one_size", _mean), ("by_day_one_size_ci", _ends), ("n_by_day_one_size", _n)):
            values[key] = {size: write(figure) for size, figure in by_size.items()}
        if self.has_head:
            of_head = {size: _mean(find(HEAD_METRICS[0], size_slice(size))) for size in by_size}
            values["by_day_one_size_at_10"] = of_head
            if of_cut_offs:
                at_10 = [_mean(find(HEAD_METRICS[0], of_slice)) for of_slice in of_cut_offs]
                values["precision_at_10_by_cut_off"] = at_10
        for key, of_slice in (("profile_only", NOTHING_DONE), ("friends_only", FRIENDS_ONLY)):
            figure = find("precision", of_slice)
            values |= with_ends(key, figure)
            values[f"n_{key}"] = _n(figure)
        return values

    def _all_uses_json(self, find: Callable[..., Figure | None]) -> dict[str, Any]:
        """Return one strategy's figures over all later uses as JSON values, also by age of the model."""
        values: dict[str, Any] = {}
        for metric in OF_ALL.values():
            of_ages = {label: find(metric, age_slice(label)) for label in MODEL_AGES}
            if figure := find(metric):
                values |= with_ends(metric, figure)
            if any(of_ages.values()):
                values[f"{metric}_by_model_age"] = {label: _mean(figure) for label, figure in of_ages.items()}
                values["n_by_model_age"] = {label: _n(figure) for label, figure in of_ages.items()}
        return values

    def _against_json(self, name: str) -> dict[str, Any]:
        """Return the differences and ratios of one strategy to each reference as JSON values."""
        against: dict[str, Any] = {}
        for other in self.split_metric(name, MINUS):
            against[other] = with_ends("ratio", self.find(name, f"{RATIO}{other}"))
            for metric, suffix in zip(JUDGED, ("", "_at_10"), strict=True):
                key = f"difference{suffix}"
                difference = self.find(name, f"{metric}{MINUS_NAME}{other}")
                if difference is not None:
                    against[other] |= with_ends(key, difference)
                if compared := self.compare_with(name, metric, other):
                    of_difference, of_margin = (float(f"{p:.4g}") for p in compared[1:])
                    against[other] |= {f"{key}_p": of_difference, f"not_worse{suffix}_p": of_margin}
                    against[other][f"verdict{suffix}"] = self.verdicts[name, metric, other]
        return against

    def _tuning_json(self, tunings: tuple[Tuning, ...]) -> dict[str, Any]:
        """Return the tuning of one baseline as JSON values, a run for each seed and cut-off."""
        moments = [cut_off["at"] for cut_off in self.cut_offs] or [None]
        runs = [
            {"seed": seed, "cut_off": moment, **tuning.to_json()}
            for (seed, moment), tuning in zip(product(self.seeds, moments), tunings, strict=True)
        ]
        return {
            "grid": {name: list(values) for name, values in tunings[0].grid.items()},
            "fit_seconds": round(sum(tuning.fit_seconds for tuning in tunings) / len(tunings), 3),
            "runs": runs,
        }


def _mean(figure: Figure | Interval | None) -> float | None:
    return None if figure is None else round(figure.mean, 4)


def _ends(figure: Figure | Interval | None) -> list[float] | None:
    if figure is None:
        return None
    return [round(end, 4) for end in (figure.low, figure.high) if end is not None]


def with_ends(key: str, figure: Figure | Interval | None) -> dict[str, Any]:
    """Return a figure, and its interval as `key_ci`."""
    return {key: _mean(figure), f"{key}_ci": _ends(figure)}


def _group_json(find: Callable[[str, str], Figure | None], group: str) -> dict[str, Any]:
    precision = with_ends("precision", find("precision", group))
    gap = with_ends("minus_others", find(MINUS_OTHERS, group))
    return {**precision, **gap, "n_users": _n(find("precision", group))}


def _n(figure: Figure | None) -> int:
    return 0 if figure is None else figure.n
