from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterable, Mapping
from html import unescape
from html.parser import HTMLParser
from itertools import chain
from typing import Any

import pytest

from firstday.cold.cold_model import Epoch
from firstday.config import Config, parse_config
from firstday.errors import MissingExtraError
from firstday.evaluation.report.content import gather_evaluation
from firstday.evaluation.report.render import render_report
from firstday.evaluation.results import UNKNOWN_VECTORS, Figure, Results
from firstday.metrics import Interval
from firstday.recommend import registry
from firstday.recommend.registry import find_strategy, register
from firstday.recommend.spec import StrategySpec
from tests.evaluation import tiny

SUMMARY = {
    "users": 1943,
    "items": 1682,
    "interactions": 100000,
    "pairs": {"stream x item": 100000},
    "entities": {"genre": 19},
    "groups": {"country": 21},
    "friends": 0,
}
HISTORY = tuple(Epoch(n, 2 / n, precision, kept=n == 2) for n, precision in enumerate((30.0, 41.25, 41.25, None), 1))
HOSTILE = "<script>alert('x')</script> & \"quoted\" " + "long " * 40
RIGHT_TO_LEFT = "ألف ليلة وليلة (1999)"


SIZES = {"0": (-5, 40), "1-3": (0, 1200), "4-9": (3, 150)}
"""Points of precision above that of all users, and users, by day-one size."""


def around(mean: float, half: float = 2.0) -> Interval:
    return Interval(mean, mean - half, mean + half)


def figure(strategy: str, metric: str, value: Interval | float, of_slice: str = "all", n: int = 1390) -> Figure:
    if isinstance(value, Interval):
        return Figure(strategy, metric, of_slice, value.mean, value.low, value.high, n)
    return Figure(strategy, metric, of_slice, value, n=n)


def row(
    strategy: str,
    precision: float,
    difference: Interval | None = None,
    *,
    versus_popular: Interval | None = None,
    half: float = 2.0,
    routes: Mapping[str, float] | None = None,
    sizes: Mapping[str, tuple[float, int]] = SIZES,
) -> tuple[Figure, ...]:
    """Return the figures of one strategy."""
    metrics = {"precision": around(precision, half), "recall": around(20), "ndcg": around(40)}
    if difference is not None:
        metrics["precision_minus:segment"] = difference
    if versus_popular is not None:
        metrics["precision_minus:popular"] = versus_popular
    plain = {"precision_deviation": 1.0, "recall_deviation": 0.5, "ndcg_deviation": 1.5, "ms_per_user": 0.125}
    plain |= {"user_coverage": 87.5, "catalogue_coverage": 12.5, "novelty_bits": 2.25}
    plain |= {f"route:{name}": share for name, share in (routes or {strategy: 100.0}).items()}
    return (
        *(figure(strategy, metric, value) for metric, value in (metrics | plain).items()),
        *(
            figure(strategy, "precision", around(precision + above), f"day_one_size={size}", n)
            for size, (above, n) in sizes.items()
        ),
    )


POPULAR = row("popular", 40, Interval(-10, -12.5, -7.25))
SEGMENT = row("segment", 50, versus_popular=Interval(10, 7.25, 12.5))
FOLD_IN = row("fold_in", 45, Interval(-5, -8, 0.5), routes={"fold_in": 87.5, "group": 12.1, "popular": 0.4})


def results(*rows: tuple[Figure, ...], more: Iterable[Figure] = (), **changes: Any) -> Results:
    """Return results of these strategies; `more` are further figures of them."""
    values: dict[str, Any] = {
        "dataset": "tiny",
        "protocol": "sampled",
        "k": 50,
        "seeds": (0, 1),
        "divide_by": "min",
        "n_cold": 695,
        "n_warm": 1400,
        "figures": (*chain.from_iterable(rows or (POPULAR, SEGMENT, FOLD_IN)), *more),
        "fit_seconds": 1.5,
    }
    return Results(**{**values, **changes})


def render(shown: Results, **changes: Any) -> str:
    values: dict[str, Any] = {"dataset_summary": SUMMARY, "config": Config(), **changes}
    return render_report(gather_evaluation(shown, **values))


class Page(HTMLParser):
    """Tags with attributes, ids, and the text outside of styles, of a page."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def h1(html: str) -> str:
    heading = re.search(r"<h1>.*?</h1>", html, re.DOTALL)
    assert heading
    return Page(heading[0]).text


@pytest.fixture(scope="module")
def page() -> str:
    return render(results(dataset=HOSTILE, history=HISTORY), command="firstday evaluate 'a & b'")


def test_report_says_the_main_finding_and_shows_tables_data_and_command(page: str) -> None:
    assert h1(page) == "segment finds 50.0 % of what a list of 50 can, against 40.0 % for popular: +25 %"
    text = Page(page).text
    assert "The best strategy here" not in text
    assert "Friends" not in text
    for words in (
        "User by user, segment is 10.0 points above popular (95 % interval +7.2 to +12.5).",
        "hits / min(K, relevant items), as in the paper",
        "Cold users are a random 20 % of those with at least 20 items",
        "1,400 warm and 695 cold users per seed, 2 seed(s)",
        "fold_in 45.0 43.0 to 47.0 20.0",
        "\N{MINUS SIGN}5.0 \N{MINUS SIGN}8.0 to +0.5",
        "fold_in 88 %, group 12 %, popular 0 %",
        "0 (40) 1-3 (1,200) 4-9 (150)",
        "Users 1,943 Items 1,682 Interactions 100,000 Signals stream x item 100,000 Entities genre 19",
        "firstday evaluate 'a & b'",
        " ".join(HOSTILE.split()),
    ):
        assert words in text, words


def test_report_needs_nothing_from_outside_and_no_script(page: str) -> None:
    for tag, attributes in Page(page).tags:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        for name, value in attributes.items():
            assert name != "src"
            assert not name.startswith("on")
            if name.endswith("href"):
                assert value is not None
                assert value.startswith("#")
    html = re.sub(r'xmlns(:xlink)?="http://www.w3.org/[^"]*"', "", page)
    assert "http" not in html.replace("http-equiv", "")
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_same_input_gives_the_same_report(page: str) -> None:
    assert render(results(dataset=HOSTILE, history=HISTORY), command="firstday evaluate 'a & b'") == page


def test_without_history_and_groups_their_sections_are_left_out() -> None:
    page = render(results(), dataset_summary={})
    assert page.count("<svg") == 2
    assert "Training</h2>" not in page
    assert "Groups of users</h2>" not in page
    assert "None" not in Page(page).text


MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("rows", "heading", "sentence"),
    [
        ((SEGMENT,), "segment finds 50.0 % of what a list of 50 can", ""),
        (
            (FOLD_IN, SEGMENT),
            "segment finds 50.0 % of what a list of 50 can, against 45.0 % for fold_in: +11 %",
            "only their first day is known.",
        ),
        (
            (row("segment", 50, versus_popular=around(50)), row("popular", 0, around(-50))),
            "segment finds 50.0 % of what a list of 50 can, against 0.0 % for popular",
            "50.0 points above popular",
        ),
        (
            (row("segment", 38, versus_popular=Interval(-4, -6, -2)), row("popular", 42, Interval(4, 2, 6))),
            f"segment finds 38.0 % of what a list of 50 can, against 42.0 % for popular: {MINUS}10 %",
            f"4.0 points below popular (95 % interval {MINUS}6.0 to {MINUS}2.0). The best strategy here is popular",
        ),
        (
            (POPULAR, SEGMENT, row("auto", 41, around(-9), versus_popular=Interval(1, -1, 3))),
            "auto finds 41.0 % of what a list of 50 can, against 40.0 % for popular: +2 %",
            f"1.0 points above popular (95 % interval {MINUS}1.0 to +3.0), which may be chance. The best strategy here",
        ),
    ],
)
def test_any_choice_of_strategies_gives_a_finding(
    rows: tuple[tuple[Figure, ...], ...], heading: str, sentence: str
) -> None:
    page = render(results(*rows))
    assert h1(page) == heading
    assert sentence in Page(page).text
    assert ("P@50 minus segment" in page) == any(
        figure.metric == "precision_minus:segment" for figures in rows for figure in figures
    )
    accented = re.findall(r'<tr class="accent">\s*<th scope="row"><bdi>(\w+)', page)
    assert set(accented) == {heading.split()[0]}


def test_the_heading_is_about_a_plug_in_and_the_best_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that gives everybody what `popular` does, where `segment` is the best other."""
    for of in (tiny.LISTS, tiny.ROUTES, tiny.SECONDS):
        monkeypatch.setitem(of, "mine", of["popular"])
    assert tiny.evaluate_tiny().leader == "segment"  # no plug-in of this name is known
    try:
        register(
            StrategySpec(name="mine", describe="What everyone uses.", recommend=find_strategy("popular").recommend)
        )
        judged = tiny.evaluate_tiny(against=("segment",))
        assert judged.leader == "mine"
        same, behind = (judged.get("mine", f"precision_minus:{name}") for name in ("popular", "segment"))
        assert (same.mean, same.low, same.high) == (0, 0, 0)
        text = Page(render(judged)).text
        assert f"against {judged.get('segment', 'precision').mean:.1f} % for segment" in text
        assert f"User by user, mine is {-behind.mean:.1f} points below segment (95 % interval" in text
    finally:
        registry._registries.cache_clear()


def test_other_protocols_and_conventions_are_named() -> None:
    text = Page(render(results(protocol="registration", divide_by="k", precomputed=True))).text
    assert "segment hits with 50.0 % of a list of 50, against" in text
    assert "Precision (P@50) is hits / K, a mean" in text
    assert "registered between a cut-off and the next one" in text
    assert UNKNOWN_VECTORS in text
    assert "cold users are those of the paper" in Page(render(results(protocol="kdd21"))).text


def test_changed_settings_are_shown_as_json_that_reads_back() -> None:
    config = parse_config({"seed": 7, "signals": {"affinity": {'my "like"': 2.0}}, "segments": {"n_segments": 30}})
    shown = re.findall(r"<code>({.*?})</code>", render(results(), config=config), re.DOTALL)
    assert parse_config(json.loads(unescape(shown[0]))) == config
    assert "not the defaults" not in render(results())


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_missing_library_is_named_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == library:
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"the report needs .* 'firstday\[train\]'"):
        render(results())
