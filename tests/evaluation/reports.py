"""Evaluations of made-up lists whose precision is known, and their reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.evaluation.figures import Scores
from firstday.evaluation.report.render import render_evaluation
from firstday.evaluation.results import Results
from firstday.evaluation.run import Run, join_runs
from firstday.recommend.segment_description import SegmentItem, SegmentRow

HOSTILE = "<script>alert('x')</script> & \"quoted\" " + "long " * 40
RIGHT_TO_LEFT = "ألف ليلة وليلة (1999)"
N = 300
SIZES = np.arange(N) % 12
MEANS = {"popular": 40.0, "segment": 50.0, "fold_in": 45.0}
COUNTRY = np.repeat(np.array([HOSTILE, "$DE_", "not known"], dtype=object), (160, 100, 40))
ITEMS = Ids.of([f"i{item}" for item in range(20)])
PROFILES = {"age": np.tile([20, 40], N // 2), "country": COUNTRY}
SUMMARY = {"users": 1943, "items": 1682, "pairs": {"stream x item": 100000}, "entities": {"genre": 19}, "friends": 0}


def results(
    means: Mapping[str, float] = MEANS,
    *,
    spread: float = 20.0,
    gap: float = 0.0,
    sizes: np.ndarray = SIZES,
    profiles: Mapping[str, np.ndarray] = {},
    n_segments: int = 0,
    **changes: Any,
) -> Results:
    """Return results of strategies with these means of precision; users of `$DE_` get `gap` points less than others."""
    run = make_run(means, spread=spread, gap=gap, sizes=sizes, profiles=profiles, segments=segments(n_segments))
    return replace(join_runs([run], dataset="tiny", protocol="sampled"), **changes)


def results_at_cut_offs(means: Mapping[str, Mapping[str, float]]) -> Results:
    """Return results of strategies with these means of precision by moment of the cut-off."""
    runs = [make_run(of_strategies, cut_off=moment) for moment, of_strategies in means.items()]
    return join_runs(runs, dataset="tiny", protocol="registration", target_days=30)


def make_run(
    means: Mapping[str, float],
    *,
    spread: float = 20.0,
    gap: float = 0.0,
    sizes: np.ndarray = SIZES,
    profiles: Mapping[str, np.ndarray] = {},
    segments: tuple[SegmentRow, ...] = (),
    **facts: Any,
) -> Run:
    scores = {}
    for number, (name, mean) in enumerate(means.items()):
        noise = np.random.default_rng(number).permutation(np.linspace(-spread, spread, N))
        noise -= gap * ((COUNTRY == "$DE_") - (COUNTRY == "$DE_").mean())
        metrics = dict.fromkeys(("precision", "precision_at_10", "recall", "ndcg"), mean + noise)
        metrics |= dict.fromkeys(("ndcg_at_10", "hit_rate", "mrr", "map", "diversity", "novelty_bits"), noise)
        routes = np.where(sizes == 0, "group", name)
        scores[name] = Scores(metrics, routes, 0.05, np.tile(np.arange(len(ITEMS)), (N, 1)))
    nobody = np.zeros(N, dtype=bool)
    return Run(
        scores=scores,
        users=pl.DataFrame(
            {
                "user_id": range(N),
                "knowledge": "profile",
                "day_one_size": sizes,
                "did_nothing": nobody,
                "has_friends": nobody,
                "model_age": np.nan,
            }
        ),
        n_warm=1400,
        k=50,
        profiles=profiles,
        items=ITEMS,
        segments=segments,
        seed=0,
        fit_seconds=1.5,
        **facts,
    )


def segments(n: int) -> tuple[SegmentRow, ...]:
    """Return segments with odd titles, largest first."""
    rows = []
    for number in range(n):
        title = RIGHT_TO_LEFT if number % 2 else HOSTILE
        items = (SegmentItem("i1", title, 0.75, 0.25, 3.0), SegmentItem("i2", "", 0.5, 0.4, 1.25))
        rows.append(SegmentRow(number, 405 - number, 0.1 + number / 10_000, items, items[:1]))
    return tuple(rows)


def render(shown: Results, **changes: Any) -> str:
    return render_evaluation(shown, **{"dataset_summary": SUMMARY, **changes})


class Page(HTMLParser):
    """Tags with attributes, and the text outside of styles, of a page; an end tag that closes nothing is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())
