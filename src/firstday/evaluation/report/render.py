"""Reports as one self-contained HTML file: no scripts, no network access, responsive, light and dark mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import firstday
from firstday.errors import needs_extra
from firstday.evaluation.comparisons import (
    compare_cut_offs,
    compare_groups,
    compare_sizes,
    describe_lists,
    describe_tunings,
    plot_cut_offs,
    plot_day_one_sizes,
)
from firstday.evaluation.plots import theme_css
from firstday.evaluation.results import HEAD_METRICS, UNKNOWN_VECTORS, Results
from firstday.evaluation.slices import BASELINE, MIN_USERS
from firstday.evaluation.text_table import Table, write_signed
from firstday.evaluation.verdicts import MEANING
from firstday.metrics import MIN_COHORTS
from firstday.recommend.model_card import describe_data

PROTOCOLS = {
    "registration": "Cold users registered between a cut-off and the next one; training saw nothing after the cut-off. "
    "Day one is 24 hours from registration, unless registration.day_one says otherwise; lists are scored on what users "
    "used in the rest of their target window, of the items that existed at the cut-off.",
    "sampled": "Cold users are drawn at random; training saw none of their actions. Some of their items, at most half, "
    "are drawn as day one; lists are scored on the rest.",
}
"""Who is cold, and what day one and relevant items are, by protocol."""


def render_evaluation(
    results: Results,
    *,
    dataset_summary: Mapping[str, Any],
    command: str | None = None,
    protocol: str | None = None,
    paper: Table | None = None,
) -> str:
    """Render the report of an evaluation as a page.

    `dataset_summary` is `Dataset.summary`, and `command` reproduces the results. `protocol` describes a protocol that
    is not in `PROTOCOLS`, and `paper` compares the results with the paper's.
    """
    metrics = ("precision", HEAD_METRICS[0]) if results.has_head else ("precision",)
    content = {
        "results": results,
        **_main_finding(results),
        "protocol": protocol or PROTOCOLS[results.protocol],
        "about": {name: results.about[name] for name in results.best_first if name in results.about},
        "strategies": results.compare_strategies(),
        "all_uses": None if results.later_uses is None else results.compare_all_uses(),
        "motion": results.describe_motion(),
        "sizes": [compare_sizes(results, metric) for metric in metrics],
        "cut_offs": [compare_cut_offs(results, metric) for metric in metrics],
        "hits": results.compare_hits(),
        "lists": describe_lists(results),
        "tunings": describe_tunings(results),
        "groups": {column: compare_groups(results, column) for column in results.groups},
        "unknown_vectors": UNKNOWN_VECTORS,
        "min_users": MIN_USERS,
        "min_cohorts": MIN_COHORTS,
        "meaning": MEANING,
        "segments": results.segments,
        "data": describe_data({"dataset": results.dataset, **dataset_summary}),
        "settings": results.config.model_dump_json(exclude_defaults=True, indent=1),
        "command": command,
        "paper": paper,
    }
    plots = {
        "strategies": results.plot_strategies(),
        "cut_offs": plot_cut_offs(results),
        "sizes": plot_day_one_sizes(results),
    }
    return fill_template("evaluation.html", content, plots)


def _main_finding(results: Results) -> dict[str, Any]:
    """Compare the leader with the reference, else with `popular`; a plug-in, or without both, with the best other.

    Return the name of that strategy, the gain in % (None without hits of the other), the paired difference and the
    verdict.
    """
    leader = results.leader
    others = [name for name in results.best_first if name != leader]
    choices = others if leader in results.plugins else (results.reference, BASELINE, *others)
    other = next((name for name in choices if name in others), None)
    below = results.get(other, "precision").mean if other else 0.0
    return {
        "other": other,
        "gain": 100 * (results.get(leader, "precision").mean / below - 1) if below else None,
        "difference": results.compare(leader, other) if other else None,
        "verdict": results.verdicts.get((leader, "precision", other or "")),
    }


def fill_template(template: str, content: Mapping[str, Any], plots: Mapping[str, str | None]) -> str:
    """Render a template of this package; all text is escaped except plots and the theme.

    `plots` are by name, each a single ``<svg>`` element. Raise MissingExtraError if Jinja2 is not installed.
    """
    with needs_extra("the report", "train"):
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    environment = Environment(
        loader=PackageLoader("firstday.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(
        **content,
        version=firstday.__version__,
        plots={name: svg and Markup(svg) for name, svg in plots.items()},  # noqa: S704
        light=Markup(theme_css(dark=False)),  # noqa: S704
        dark=Markup(theme_css(dark=True)),  # noqa: S704
    )


FILTERS = {
    "number": "{:,}".format,
    "figure": lambda value, digits=1: f"{value:.{digits}f}",
    "percent": "{:.1f}\N{NO-BREAK SPACE}%".format,
    "signed": write_signed,
    "share": "{:.0%}".format,
}
"""Template filters by name."""
