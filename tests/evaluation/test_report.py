"""What the report of an evaluation tells."""

from __future__ import annotations

import json
import re
import sys
from html import unescape

import pytest

from firstday.cli.printing import print_results
from firstday.config import parse_config
from firstday.errors import MissingExtraError
from firstday.evaluation.results import UNKNOWN_VECTORS, Figure
from firstday.evaluation.text_table import write_signed
from firstday.metrics import Interval
from tests.evaluation.reports import HOSTILE, PROFILES, RIGHT_TO_LEFT, Page, render, results

COMMAND = "firstday evaluate 'a & b'"


def h1(html: str) -> str:
    heading = re.search(r"<h1>.*?</h1>", html, re.DOTALL)
    assert heading
    return Page(heading[0]).text


@pytest.fixture(scope="module")
def page() -> str:
    return render(results(dataset=HOSTILE, profiles=PROFILES, gap=12, n_segments=10), command=COMMAND)


def write_ends(figure: Figure | Interval) -> str:
    assert figure.low is not None
    assert figure.high is not None
    return f"{write_signed(figure.low)} to {write_signed(figure.high)}"


def test_report_says_the_main_finding_and_shows_tables_data_and_command(page: str) -> None:
    assert h1(page) == "segment finds 50.0 % of what a list of 50 can, against 40.0 % for popular: +25 %"
    text = Page(page).text
    evaluated = results(profiles=PROFILES, gap=12)
    gap = evaluated.get("segment", "precision_minus_others", "country=$DE_")
    difference = evaluated.compare("segment", "popular")
    for words in (
        f"User by user, segment is 10.0 points above popular (95 % interval {write_ends(difference)}).",
        "hits / min(K, relevant items), as in the paper",
        "Cold users are drawn at random",
        "1,400 warm and 300 cold users per seed, 1 seed(s)",
        "fold_in 92 %, group 8 %",
        "0 (25) 1-3 (75) 4-9 (150) 10+ (50)",
        "Users 1,943 Items 1,682 Signals stream x item 100,000 Entities genre 19",
        COMMAND,
        " ".join(HOSTILE.split()),
        RIGHT_TO_LEFT,
        "Of 5 groups, ",
        f"$DE_ {-gap.mean:.1f} points less ({write_ends(gap)})",
        f"{write_signed(gap.mean)} {write_ends(gap)}",
        "with 95 % intervals over users that hold for all groups",
        "hit rate@50",
        "under 25 (150)",
        "not known (40)",
        "10 segment(s) of the run with seed 0 hold",
    ):
        assert words in text, words
    for words in ("None", "combinations", UNKNOWN_VECTORS, "The best strategy here", "Friends"):
        assert words not in text, words


def test_report_needs_nothing_from_outside_and_no_script(page: str) -> None:
    for tag, attributes in Page(page).tags:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        for name, value in attributes.items():
            assert name != "src"
            assert not name.startswith("on")
            assert not name.endswith("href") or str(value).startswith("#")
    html = re.sub(r'xmlns(:xlink)?="http://www.w3.org/[^"]*"', "", page)
    assert "http" not in html.replace("http-equiv", "")
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_a_page_with_everything_is_well_formed(page: str) -> None:
    shown = Page(page)
    assert shown.open == []
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in shown.tags:
        for name in ("href", "xlink:href", "aria-labelledby", "clip-path"):
            if target := attributes.get(name):
                assert target.removeprefix("url(").rstrip(")").removeprefix("#") in ids, target
    names = [tag for tag, _ in shown.tags]
    assert names.count("h1") == names.count("main") == 1
    assert names.count("table") == names.count("caption") == 10
    assert all("scope" in attributes for tag, attributes in shown.tags if tag == "th")
    labels = [attributes["aria-label"] for _, attributes in shown.tags if attributes.get("role") == "img"]
    assert len(labels) == names.count("svg") == names.count("figure") == 2
    assert all(labels)


def test_sections_without_content_are_left_out() -> None:
    page = render(results(), dataset_summary={})
    for heading in ("Groups of users", "Segments", "By cut-off"):
        assert f"{heading}</h2>" not in page
    assert "None" not in Page(page).text


MINUS = "\N{MINUS SIGN}"
OF_50 = "% of what a list of 50 can"


@pytest.mark.parametrize(
    ("means", "spread", "heading", "sentence"),
    [
        (
            {"segment": 38, "popular": 42},
            0,
            f"segment finds 38.0 {OF_50}, against 42.0 % for popular: {MINUS}10 %",
            f"4.0 points below popular (95 % interval {MINUS}4.0 to {MINUS}4.0); verdict: behind. "
            "The best strategy here is popular",
        ),
        (
            {"popular": 40, "segment": 50, "auto": 40.5},
            20,
            f"auto finds 40.5 {OF_50}, against 50.0 % for segment: {MINUS}19 %",
            "The best strategy here is segment, with 50.0 %.",
        ),
    ],
)
def test_any_choice_of_strategies_gives_a_finding(
    means: dict[str, float], spread: float, heading: str, sentence: str
) -> None:
    shown = results(means, spread=spread)
    page = render(shown)
    assert h1(page) == heading
    assert sentence in Page(page).text
    assert (f"P@50 minus {shown.reference}" in page) == (len(means) > 1)
    accented = re.findall(r'<tr class="accent">\s*<th scope="row"><bdi>(\w+)', page)
    assert set(accented) == {heading.split()[0]}


def test_changed_settings_are_shown_as_json_that_reads_back() -> None:
    config = parse_config({"seed": 7, "signals": {"affinity": {'my "like"': 2.0}}, "segments": {"n_segments": 30}})
    shown = re.findall(r"<code>({.*?})</code>", render(results(config=config)), re.DOTALL)
    assert parse_config(json.loads(unescape(shown[0]))) == config
    assert "not the defaults" not in render(results())


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_missing_library_is_named_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"the report needs .* 'firstday\[train\]'"):
        render(results())


def test_json_and_table_say_that_vectors_are_precomputed(capsys: pytest.CaptureFixture[str]) -> None:
    for shown, vectors, note in (
        (results(), "learned from warm users", None),
        (results(precomputed=True), "precomputed", UNKNOWN_VECTORS),
    ):
        assert (shown.to_json()["vectors"], shown.to_json()["vectors_note"]) == (vectors, note)
        print_results(shown)
        assert (UNKNOWN_VECTORS in " ".join(capsys.readouterr().out.split())) == shown.precomputed
