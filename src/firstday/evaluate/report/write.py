"""Reports as one file: HTML that needs no script, no network, light and dark, wide and narrow; or Markdown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from firstday.artifact.model import TrainedModel
from firstday.cold.model import Epoch
from firstday.config import Config
from firstday.errors import ConfigError, MissingExtraError
from firstday.evaluate.drawing import theme_css
from firstday.evaluate.paper_table import Comparison
from firstday.evaluate.plots import plot_day_one_sizes, plot_strategies, plot_training
from firstday.evaluate.report.content import WorkedExample, gather_evaluation, gather_model
from firstday.evaluate.report.formats import FILTERS, escape_markdown
from firstday.evaluate.report.pictures import plot_group, plot_popularity, plot_segments
from firstday.evaluate.results import Results
from firstday.evaluate.segment_rows import SegmentRow

Form = Literal["html", "md"]
FORMS: Mapping[str, Form] = {".html": "html", ".htm": "html", ".md": "md"}
"""By the ending of a file's name."""


def find_form(path: str | Path) -> Form:
    """Return the form of a report by its file's name.

    Raises
    ------
    ConfigError
        The name has another ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMS:
        found = f"ends in {ending!r}" if ending else "has no ending"
        raise ConfigError(f"{path}: {found}; a report is .html or .md: give its name one of these endings.")
    return FORMS[ending]


def write_report(
    results: Results,
    path: str | Path,
    *,
    dataset_summary: Mapping[str, Any],
    config: Config,
    history: Sequence[Epoch] = (),
    segments: Sequence[SegmentRow] = (),
    example: WorkedExample | None = None,
    command: str | None = None,
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Write the report of an evaluation; the same arguments give the same bytes.

    Parameters
    ----------
    results
        From `run_benchmark`, with at least one strategy.
    path
        The file, ``.html`` or ``.md``; a file that is there is replaced in one step.
    dataset_summary
        From `Dataset.summary`.
    config
        The configuration that was evaluated.
    history, segments
        How training the cold model went, and the segments, of the model to keep; those of the first seed if left out.
    example
        One new user to show.
    command
        What to run to get the same results.
    comparisons
        The paper's figures beside ours, for its own data.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    ConfigError
        The file cannot be written, or has another ending.
    """
    text = render_report(
        results,
        find_form(path),
        dataset_summary=dataset_summary,
        config=config,
        history=history,
        segments=segments,
        example=example,
        command=command,
        comparisons=comparisons,
    )
    _write(Path(path), text)


def render_report(results: Results, form: Form = "html", **content: Any) -> str:
    """Return the text of the report; see `write_report`."""
    values = gather_evaluation(results, **content)
    if form == "md":
        return _render("evaluation.md", values)
    groupings = () if values["groups"] is None else values["groups"].groupings
    leader = values["finding"].leader.strategy
    return _render(
        "evaluation.html",
        values,
        strategies=plot_strategies(results),
        sizes=plot_day_one_sizes(results),
        groups=[plot_group(one, number, leader, results) for number, one in enumerate(groupings)],
        popularity=values["popularity"] and plot_popularity(values["popularity"], [r.strategy for r in values["rows"]]),
    )


def write_model_report(
    model: TrainedModel, manifest: Mapping[str, Any], path: str | Path, *, command: str | None = None
) -> None:
    """Write the report of a model: its data, segments and training.

    Parameters
    ----------
    model
        The model.
    manifest
        From `read_manifest`.
    path
        The file, ``.html`` or ``.md``.
    command
        What was run to write it.

    Raises
    ------
    MissingExtraError
        Jinja2 or Matplotlib is not installed.
    ConfigError
        The file cannot be written, or has another ending.
    """
    form = find_form(path)
    _write(Path(path), _render(f"model.{form}", gather_model(model, manifest, command)))


def _render(template: str, values: Mapping[str, Any], **drawings: Any) -> str:
    """Fill a template; drawings that every report has are made here."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
        from markupsafe import Markup
    except ModuleNotFoundError:
        raise MissingExtraError("the report", "train") from None
    is_html = template.endswith(".html")
    environment = Environment(
        loader=PackageLoader("firstday.evaluate.report"),
        autoescape=select_autoescape(),
        finalize=None if is_html else escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    marked: dict[str, Any] = {}
    if is_html:
        drawings["training"] = plot_training(values["history"], values["k"])
        drawings["segments"] = values["segments"] and plot_segments(values["segments"].rows)
        # The drawings alone go in as they are; all text is escaped.
        marked = {"light": Markup(theme_css(dark=False)), "dark": Markup(theme_css(dark=True))}  # noqa: S704
        marked["drawings"] = {
            name: [Markup(svg) for svg in drawn] if isinstance(drawn, list) else drawn and Markup(drawn)  # noqa: S704
            for name, drawn in drawings.items()
        }
    return environment.get_template(template).render(**values, **marked)


def _write(path: Path, text: str) -> None:
    """Write a file in one step."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            staging.write_text(text, encoding="utf-8", newline="\n")
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); choose another file.") from error
