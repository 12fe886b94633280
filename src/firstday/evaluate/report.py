"""The evaluation as one HTML file that needs nothing else: no script, no network, light and dark, wide and narrow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import firstday
from firstday.cold.model import Epoch
from firstday.config import Config
from firstday.errors import ConfigError, MissingExtraError
from firstday.evaluate.drawing import theme_css
from firstday.evaluate.finding import find_main
from firstday.evaluate.intervals import Interval
from firstday.evaluate.paper_table import Comparison
from firstday.evaluate.plots import (
    SIZE_NAMES,
    by_precision,
    plot_day_one_sizes,
    plot_strategies,
    plot_training,
    used_sizes,
)
from firstday.evaluate.results import REFERENCE, Results, Row
from firstday.recommend.strategies import STRATEGIES


@dataclass(frozen=True)
class WorkedExample:
    """One new user, from profile to list, in words.

    Parameters
    ----------
    profile
        Who it is.
    liked
        What they used on day one.
    segment, segment_size
        The predicted segment, and how many warm users it has.
    segment_likes
        What its users use most.
    items
        The list, best first.
    """

    profile: str
    liked: tuple[str, ...]
    segment: int
    segment_size: int
    segment_likes: tuple[str, ...]
    items: tuple[str, ...]


def write_report(
    results: Results,
    path: str | Path,
    *,
    dataset_summary: Mapping[str, Any],
    config: Config,
    history: tuple[Epoch, ...] = (),
    example: WorkedExample | None = None,
    command: str | None = None,
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Write the report; the same arguments give the same bytes.

    Parameters
    ----------
    results
        From `run_benchmark`, with at least one strategy.
    path
        The file; a file that is there is replaced in one step.
    dataset_summary
        From `Dataset.summary`.
    config
        The configuration that was evaluated.
    history
        How training a cold model went, of any seed or of the model to keep.
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
        The file cannot be written.
    """
    path = Path(path)
    page = render_report(
        results,
        dataset_summary=dataset_summary,
        config=config,
        history=history,
        example=example,
        command=command,
        comparisons=comparisons,
    )
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            staging.write_text(page, encoding="utf-8", newline="\n")
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); choose another file.") from error


def render_report(
    results: Results,
    *,
    dataset_summary: Mapping[str, Any],
    config: Config,
    history: tuple[Epoch, ...] = (),
    example: WorkedExample | None = None,
    command: str | None = None,
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the report's HTML; see `write_report`."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError:
        raise MissingExtraError("the report", "train") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, percent=_percent, interval=_interval, signed=_signed, share=_share)
    template = environment.from_string(resources.files(__package__).joinpath("report.html").read_text("utf-8"))
    training = plot_training(history, results.k)
    # The drawings alone go in as they are; all text is escaped.
    drawings = {"strategies": plot_strategies(results), "sizes": plot_day_one_sizes(results), "training": training}
    rows = by_precision(results)
    return template.render(
        results=results,
        rows=rows,
        reference=REFERENCE if any(row.strategy == REFERENCE for row in rows) else None,
        finding=find_main(results),
        protocol=_protocol(results, config),
        convention="hits / min(K, relevant items)" if results.divide_by == "min" else "hits / K",
        about=_about(rows),
        sizes=used_sizes(results),
        size_names=SIZE_NAMES,
        counts={size: n for row in rows for size, n in row.n_by_day_one_size.items()},
        drawings={name: svg and Markup(svg) for name, svg in drawings.items()},  # noqa: S704
        reading=[f"{row.strategy} {row.metrics['precision'].mean:.1f} %" for row in rows],
        epochs=len(history),
        summary=dataset_summary,
        example=example,
        settings=to_toml(config),
        version=firstday.__version__,
        command=command,
        comparisons=comparisons,
        light=Markup(theme_css(dark=False)),  # noqa: S704
        dark=Markup(theme_css(dark=True)),  # noqa: S704
    )


def to_toml(config: Config) -> str:
    """Return a configuration as TOML that `load_config` reads back; settings without a value are comments."""
    values = config.model_dump(mode="json")
    flat = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = [_section(flat)]
    parts += [f"[{name}]\n{_section(value)}" for name, value in values.items() if isinstance(value, dict)]
    return "\n\n".join(parts) + "\n"


def _section(values: Mapping[str, Any]) -> str:
    """Return one section's lines."""
    return "\n".join(f"# {n} is not set" if v is None else f"{n} = {_literal(v)}" for n, v in values.items())


def _literal(value: Any) -> str:
    """Return a value as TOML, which agrees with JSON but for tables; DEL must be escaped."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_literal(name)} = {_literal(v)}" for name, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _protocol(results: Results, config: Config) -> tuple[str, str]:
    """Say in one sentence who is cold, and in one what day one and truth are."""
    if results.protocol == "registration":
        dates = config.registration
        day = "the 24 hours from registration on" if dates.day_one == "24-hours" else "the day of registration"
        return (
            f"Cold users are those who registered in the {dates.cold_days:g} days after the cut-off; nothing that "
            "anyone did from then on is in anything that was trained.",
            f"Day one is {day}, and a list has to find what they used in the rest of their first "
            f"{dates.target_days:g} days.",
        )
    if results.protocol == "kdd21":
        return (
            "Warm and cold users are those of the paper: they were told apart before the data was released.",
            "Of day one, features alone are known; a list has to find what users streamed in their first 30 days, and "
            "nothing is left out of it.",
        )
    if results.protocol == "sampled":
        rules = config.sampled
        share = 100 * (1 - rules.warm - rules.validation)
        return (
            f"Cold users are a random {share:.0f} % of those with at least {rules.min_items} items; nothing that they "
            "did is in anything that was trained.",
            f"Of their items, {min(rules.sizes)} to {max(rules.sizes)} and at most half are drawn as day one; a list "
            "has to find the rest.",
        )
    return (
        f"Cold users are made by the protocol {results.protocol}; nothing that they did is in anything that was "
        "trained.",
        "A list is made from day one alone and has to find what they used afterwards.",
    )


def _about(rows: list[Row]) -> dict[str, str]:
    """Return what each strategy does, in the first line of its own documentation."""
    texts = {row.strategy: STRATEGIES[row.strategy].__doc__ for row in rows if row.strategy in STRATEGIES}
    return {name: text.strip().splitlines()[0] for name, text in texts.items() if text}


def _number(value: int) -> str:
    """Write a count with thousands apart."""
    return f"{value:,}"


def _percent(value: float) -> str:
    """Write a figure in %, which stays on one line with its unit."""
    return f"{value:.1f}\N{NO-BREAK SPACE}%"


def _interval(found: Interval) -> str:
    """Write the ends of an interval."""
    return f"{found.low:.1f} to {found.high:.1f}"


def _signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign, a true minus included, and none for what rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "\N{MINUS SIGN}") + text


def _share(value: float) -> str:
    """Write a share in whole %, but never 0 or 100 for what is neither."""
    percent = 100 * value
    if 0 < percent < 1:
        return "under 1 %"
    if 99 < percent < 100:
        return "over 99 %"
    return f"{percent:.0f} %"
