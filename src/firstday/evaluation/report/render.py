"""Reports as one self-contained HTML file: no scripts, no network access, responsive, light and dark mode."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import firstday
from firstday.errors import ConfigError, needs_extra
from firstday.evaluation.comparison_tables import compare_datasets, write_share, write_signed
from firstday.evaluation.plots import (
    plot_day_one_sizes,
    plot_group,
    plot_strategies,
    plot_training,
    theme_css,
)
from firstday.evaluation.results import Figure, Results


def write_report(content: Mapping[str, Any], path: str | Path) -> None:
    """Write a report as one file; output is deterministic.

    Parameters
    ----------
    content
        From `gather_evaluation` or `gather_model`.
    path
        The ``.html`` file; an existing file is replaced atomically.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    ConfigError
        The file cannot be written.
    """
    write_page(Path(path), render_report(content))


def write_reports(contents: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write the report of one evaluation, or for several a comparison page and one report each.

    The individual reports are named after the comparison page: ``report-1-movielens-100k.html`` next to
    ``report.html``.
    """
    path = Path(path)
    if len(contents) == 1:
        write_report(contents[0], path)
        return
    all_results = [content["results"] for content in contents]
    names = [re.sub(r"[^\w.-]+", "-", results.dataset).strip("-.") for results in all_results]
    pages = [path.with_name(f"{path.stem}-{number}-{name}{path.suffix}") for number, name in enumerate(names, 1)]
    plots = {f"strategies {number}": plot_strategies(results) for number, results in enumerate(all_results, 1)}
    content = {
        "all_results": all_results,
        "tables": compare_datasets(all_results),
        "pages": [page.name for page in pages],
        "command": contents[0]["command"],
    }
    write_page(path, fill_template("datasets.html", content, plots))
    for page, one in zip(pages, contents, strict=True):
        write_report(one, page)


def check_report_path(path: str | Path) -> None:
    """Reject a name without the extension of an HTML file.

    Raises
    ------
    ConfigError
        The name has another extension.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".html", ".htm"):
        name = f"ends in {ending!r}" if ending else "has no ending"
        raise ConfigError(
            f"{path}: {name}, but a report is HTML: give it a name that ends in .html, or take --json for machines."
        )


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


def write_page(path: Path, text: str) -> None:
    """Write a page atomically."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            staging.write_text(text, encoding="utf-8", newline="\n")
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); choose another file.") from error


def write_signed_interval(figure: Figure) -> str:
    """Format the interval of a difference."""
    return f"{write_signed(figure.low or 0.0)} to {write_signed(figure.high or 0.0)}"


FILTERS = {
    "number": "{:,}".format,
    "figure": lambda value, digits=1: f"{value:.{digits}f}",
    "percent": "{:.1f}\N{NO-BREAK SPACE}%".format,
    "signed_interval": write_signed_interval,
    "signed": write_signed,
    "share": lambda share: write_share(100 * share),
}
"""Template filters by name."""
