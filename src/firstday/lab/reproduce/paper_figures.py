"""Table 1 of the paper: names of its methods and their figures in %, next to others."""

from __future__ import annotations

from collections.abc import Mapping

from firstday.evaluation.results import SHORT, Results
from firstday.evaluation.slices import REFERENCE
from firstday.evaluation.text_table import Table
from firstday.lab.reproduce.deezer_kdd21 import Space
from firstday.metrics import METRICS

PaperRow = Mapping[str, float | None]
"""Figures of one method, in %: means over test users (``precision`` etc.) and the paper's "+-" (``precision_deviation``
etc.), None if unavailable."""


FIGURES = tuple(key for metric in METRICS for key in (metric, f"{metric}_deviation"))


def _row(*figures: float | None) -> PaperRow:
    return dict(zip(FIGURES, figures, strict=True))


_POPULARITY = _row(8.92, 0.21, 3.01, 0.08, 9.72, 0.20)
TITLES: Mapping[str, str] = {
    "popular": "Popularity",
    "day_one": "Registration Day Streams",
    "input_clusters": "Input Features Clustering",
    "dropoutnet_personal": "DropoutNet, full",
    "dropoutnet_segment": "DropoutNet, semi",
    "melu_personal": "MeLU, full",
    "melu_segment": "MeLU, semi",
    "personal": "Deezer, full-personalised",
    "segment": "Deezer, semi-personalised",
}
"""Names of the strategies in the paper, in the order of its table."""
TABLE: Mapping[Space, Mapping[str, PaperRow]] = {
    "svd": {
        "popular": _POPULARITY,
        "day_one": _row(9.30, 0.22, 3.48, 0.06, 9.73, 0.23),
        "input_clusters": _row(8.84, 0.22, 2.97, 0.08, 9.75, 0.23),
        "dropoutnet_personal": _row(10.04, None, 3.75, None, 10.46, None),
        "dropoutnet_segment": _row(20.85, None, 7.55, None, 22.61, None),
        "melu_personal": _row(15.00, None, 5.12, None, 16.79, None),
        "melu_segment": _row(19.66, None, 6.87, None, 21.63, None),
        "personal": _row(9.58, 0.18, 3.53, 0.03, 9.77, 0.17),
        "segment": _row(22.75, 0.32, 8.26, 0.15, 24.59, 0.30),
    },
    "mf": {
        "popular": _POPULARITY,
        "day_one": _row(16.88, 0.46, 5.99, 0.11, 17.72, 0.43),
        "input_clusters": _row(8.85, 0.22, 2.98, 0.08, 9.75, 0.22),
        "dropoutnet_personal": _row(16.30, None, 5.77, None, 17.62, None),
        "dropoutnet_segment": _row(19.83, None, 6.93, None, 21.55, None),
        "melu_personal": _row(13.92, None, 4.71, None, 15.49, None),
        "melu_segment": _row(19.35, None, 6.71, None, 21.33, None),
        "personal": _row(18.50, 0.43, 6.63, 0.10, 20.22, 0.41),
        "segment": _row(19.00, 0.42, 6.93, 0.10, 20.38, 0.45),
    },
}
"""Figures by space and strategy, from Table 1 of the paper."""
LEARNED_BASELINES = ("dropoutnet_personal", "dropoutnet_segment", "melu_personal", "melu_segment")
"""Learned baselines, which take minutes to train."""


def compare_with_paper(results: Results, space: Space, code: Results | None = None) -> Table:
    """Compare strategies with the paper's Table 1, and with `code`, the results of the authors' code, if any."""
    sources = {"authors' code": code, "here": results} if code else {"here": results}
    rows: list[dict[str, str]] = []
    for name in results.strategies:
        figures = {"paper": TABLE[space].get(name)}
        for source, of_source in sources.items():
            has_name = name in of_source.strategies
            figures[source] = {key: of_source.get(name, key).mean for key in FIGURES} if has_name else None
        for heading, metric in zip((TITLES.get(name, name), f"  {name}", ""), METRICS, strict=True):
            cells = {source: _write_deviation(row, metric) for source, row in figures.items()}
            rows.append({"method": heading, "metric": f"{SHORT[metric]}@{results.k}", **cells})
    title = f"{results.dataset}: Table 1 of the paper ({space}), in %, ± deviation over random fifths of the users"
    return Table(title, rows, TITLES[REFERENCE])


def _write_deviation(row: PaperRow | None, metric: str) -> str:
    """Format the mean of a metric, with its deviation where there is one."""
    if row is None:
        return "-"
    spread = row[f"{metric}_deviation"]
    return f"{row[metric]:.2f}" + ("" if spread is None else f" ± {spread:.2f}")
