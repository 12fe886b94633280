"""Reports as one self-contained HTML file: no scripts, no network access, responsive, light and dark mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import firstday
from firstday.errors import needs_extra
from firstday.evaluation.comparison_tables import compare_datasets, write_signed
from firstday.evaluation.plots import plot_day_one_sizes, plot_group, plot_strategies, plot_training, theme_css
from firstday.evaluation.results import Results


def render_comparison(all_results: Sequence[Results], command: str | None = None) -> str:
    """Render a comparison of strategies on several datasets as a page."""
    plots = {f"strategies {number}": plot_strategies(results) for number, results in enumerate(all_results, 1)}
    content = {"all_results": all_results, "tables": compare_datasets(all_results), "command": command}
    return fill_template("datasets.html", content, plots)


def render_report(content: Mapping[str, Any]) -> str:
    """Render the content from `gather_evaluation` or `gather_model` as a page."""
    results: Results | None = content.get("results")
    plots = {"training": plot_training(content["history"], content["k"])}
    if results is not None:
        plots["strategies"] = plot_strategies(results)
        plots["sizes"] = plot_day_one_sizes(results) if results.sizes() else None
        plots |= {f"group {column}": plot_group(results, column, at) for at, column in enumerate(results.groups)}
    return fill_template("model.html" if results is None else "evaluation.html", content, plots)


def fill_template(
    template: str, content: Mapping[str, Any], plots: Mapping[str, str | None], *, package: str | None = None
) -> str:
    """Render a template; all text is escaped except plots and the theme.

    Parameters
    ----------
    template
        File name of the template, in `package` or this package.
    content
        Template variables.
    plots
        Plots by name, each a single ``<svg>`` element.
    package
        Package whose templates take precedence.

    Raises
    ------
    MissingExtraError
        Jinja2 is not installed.
    """
    with needs_extra("the report", "train"):
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    packages = [name for name in (package, "firstday.evaluation.report") if name is not None]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
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
