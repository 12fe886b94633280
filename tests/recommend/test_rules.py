"""Rules on lists: filters, allowed and denied items, caps, pins, boosts, rows and pages."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.ids import Ids
from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, register, strategy_names
from firstday.recommend.rules.filters import MAX_NEAR, NOW, Filter
from firstday.recommend.rules.list_rules import MAX_COMPILED_RULES, Row, Rules, compile_rules
from firstday.recommend.spec import StrategySpec
from firstday.recommend.support import strategies_of
from firstday.tables.schema import TIME_TEXT
from tests.batches import recommend_tables
from tests.recommend.test_strategies import PEOPLE

COLUMNS = {
    "in_stock": pl.Series([True, False, None, True]),
    "year": pl.Series([2019.0, 2021.0, None, 2020.0]),
    "genre": pl.Series([["jazz"], ["soul", "jazz"], [], None], dtype=pl.List(pl.String)),
    "artist_id": pl.Series([["1"], ["2"], ["3"], []], dtype=pl.List(pl.String)),
    "country": pl.Series(["FR", "DE", None, "FR"]),
    "item_id": pl.Series([4, 30, 31, 100]),
    "price": pl.Series(["3.5", "12", None, "3.99 EUR"]),
    "explicit": pl.Series(["yes", "NO", None, "no"]),
    "live": pl.Series([1.0, 0.0, None, 1.0]),
    "added_at": pl.Series(["2026-11-30T09:30:00Z", "2026-11-30T09:29:59Z", None, "2026-12-01T00:00:00Z"]),
    "until": pl.Series(["2026-12-01 10:00:00", "2026-12-01", None, "unknown"]),
}
VALUES: dict[str, dict[str, Any]] = {
    "user": {
        "age": 30,
        "country": "FR",
        "countries": ["DE", "FR"],
        "year": "2020",
        "adult": "True",
        "child": "no",
        NOW: "2026-12-01T09:30:00Z",
    },
    "lists": {"new": ("1", "3")},
}


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("in_stock", [0, 3]),
        ("not in_stock", [1]),
        ('in_stock or country == "DE"', [0, 1, 3]),
        ("not (in_stock != True or in_stock)", []),
        ("explicit == True", [0]),
        ("not explicit", [1, 3]),
        ("in_stock == user.child", [1]),
        ('genre == "jazz"', [0, 1]),
        ('"jazz" in genre', [0, 1]),
        ('genre != "soul"', [0]),
        ("year >= 2020", [1, 3]),
        ("2019 < year <= 2020.5", [3]),
        ("artist == 2", [1]),
        ('artist_id in (1, "3")', [0, 2]),
        ("country == user.country", [0, 3]),
        ("country != user.city", []),
        ('country == (user.city or "FR")', [0, 3]),
        ('(user.country or "DE") == country', [0, 3]),
        ("year > (user.since or -1)", [0, 1, 3]),
        ("year == user.year", [3]),
        ("artist in lists.new", [0, 2]),
        ("item_id > 30", [2, 3]),
        ("item_id >= user.age", [1, 2, 3]),
        ('item_id > "30"', [2, 3]),
        ("item_id in (4, '30', '031')", [0, 1]),
        ('price < "5"', [0, 1, 3]),
        ("price < user.age", []),
        ("country in ()", []),
        ("user.age >= 18 and in_stock", [0, 3]),
        ('user.country == "FR"', [0, 1, 2, 3]),
        ("user.adult and not user.child", [0, 1, 2, 3]),
        ("not user.premium", []),
        ("user.city == user.country", []),
        ("user.age < user.height", []),
        ("user.country > 3", []),
        ("added_at >= -1d", [0, 3]),
        ("added_at in (-1d, -2d)", [0]),
        ("until >= -0h", [0]),
        ('country != "-14d" and added_at < -9h', [0, 1, 3]),
        ("added_at <= user.now", [0, 1, 3]),
        ("not " * 497 + "in_stock", [1]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_items_that_meet_a_filter(text: str, items: list[int]) -> None:
    assert np.flatnonzero(Filter(text, COLUMNS, VALUES).find_items()).tolist() == items


@pytest.mark.parametrize("text", ["explicit", "until > -1d", 'not explicit or user.country == "FR"', "user.adult"])
def test_a_filter_of_some_items_is_that_of_all(text: str) -> None:
    """Whatever their values are: nothing is concluded from those of a few items."""
    listed = Filter(text, COLUMNS, VALUES).find_items()
    for n in (0, 1, 2, 3):
        for start in range(5 - n):
            some = {name: column.slice(start, n) for name, column in COLUMNS.items()}
            assert Filter(text, some, VALUES, are_all=False).find_items().tolist() == listed[start : start + n].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yeer > 2020", "did you mean 'year'"),
        ('year == "new"', "year is compared with 'new'; compare it with values of type number"),
        ('year in (2020, "new")', "year is compared with (2020, 'new')"),
        ("in_stock == 1", "values of type boolean"),
        ("year > (2020, 2021)", "'(2020, 2021)' cannot be used here"),
        ("year", "year is compared with True"),
        ('__import__("os").system("true")', "cannot be used here"),
        ("country == year", "'year' cannot be used here; write it like"),
        ("country == France", 'put text in quotes: "France"'),
        ("jazz in genre", 'put text in quotes: "jazz"'),
        ("country not in (France, Italy)", '("jazz", "soul")'),
        ("price < 5", "price is compared with 5; compare it with values of type text, or convert the column"),
        ('item_id > "x"', "item_id is compared with 'x'; compare it with values of type number"),
        ("country == this.country", "'this.country' cannot be used here"),
        ("year == " + "+".join("1" * 900), "cannot be used here"),
        ("1 == 2", "'1' cannot be used here"),
        ("in_stock is True", "'in_stock is True' cannot be used here"),
        ("in_stock < True", "'True' cannot be used here"),
        ("in_stock == -1d", "in_stock is compared with -1d; compare it with values of type boolean"),
        ("user.age > -1d", "'-1d' cannot be used here"),
        ("year > (user.since or 'x')", "compare it with values of type number"),
        ('country == user.city or "FR"', '(user.city or "FR")'),
        ("year >= -14d", "year is compared with -14d; compare it with values of type number"),
        ("lists.new", "'lists.new' cannot be used here"),
        ("user.country in lists.new", "'user.country' cannot be used here"),
        ("user.age == None", "'None' cannot be used here"),
        ("artist in lists.old", "there is no list 'old'"),
    ],
)
def test_a_wrong_filter_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Filter(text, COLUMNS, VALUES).find_items()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "items", "notes"),
    [
        ('genre == "Jazz"', [], ["genre has no value 'Jazz' (did you mean 'jazz'?)"]),
        (
            'genre in ("sol", "Jazz", "jazz")',
            [0, 1],
            ["genre has no value 'sol' (did you mean 'soul'?)", "genre has no value 'Jazz' (did you mean 'jazz'?)"],
        ),
        ('"polka" in genre', [], ["genre has no value 'polka'"]),
        ('country != "fr" and in_stock', [0, 3], ["country has no value 'fr' (did you mean 'FR'?)"]),
        ("artist == 7", [], ["artist has no value '7'"]),
        ("year == 1900", [], []),
        ('country == "FR"', [0, 3], []),
        ("country == user.city or artist in lists.new", [0, 2], []),
    ],
)
def test_texts_that_no_item_has_are_noted(text: str, items: list[int], notes: list[str]) -> None:
    condition = Filter(text, COLUMNS, VALUES)
    assert np.flatnonzero(condition.find_items()).tolist() == items
    assert [text + hint for text, hint in condition.unmatched.items()] == notes


def test_among_many_values_the_nearest_is_not_searched() -> None:
    for n_values, hint in ((MAX_NEAR, " (did you mean 'Name 7'?)"), (MAX_NEAR + 1, "")):
        names = pl.Series([f"Name {number}" for number in range(n_values)])
        condition = Filter('name == "name 7"', {"name": names}, {})
        assert not condition.find_items().any()
        assert condition.unmatched == {"name has no value 'name 7'": hint}


def test_whole_number_ids_are_numbers_and_others_are_text(tiny: Recommender) -> None:
    def list_above_30(ids: list[Any]) -> set[Any]:
        catalogue = replace(tiny.model.catalogue, items=Ids.of(ids))
        recommender = Recommender(replace(tiny.model, catalogue=catalogue))
        return {item.item_id for item in recommender.recommend({}, 6, rules={"filter": "item_id > 30"})}

    assert list_above_30([9, 30, 31, 100, 200, 7]) == {31, 100, 200}
    with pytest.raises(ConfigError, match=r"^filter: item_id is compared with 30; compare it with values of type text"):
        list_above_30(["9", "30", "31", "100", "200", "T6"])


def with_columns(recommender: Recommender) -> Recommender:
    """Return the model with made-up columns of items."""
    model = recommender.model
    rng = np.random.default_rng(0)
    n = model.n_items
    columns = {
        "in_stock": pl.Series(rng.random(n) < 0.6),
        "year": pl.Series(rng.integers(2000, 2020, n).astype(float)),
        "genre": pl.Series([list({str(value) for value in rng.choice(["jazz", "soul", "pop"], 2)}) for _ in range(n)]),
        "artist_id": pl.Series([[str(value)] for value in rng.integers(0, max(3, n // 8), n)]),
    }
    return Recommender(replace(model, catalogue=replace(model.catalogue, columns=columns)))


@pytest.fixture(scope="module", params=["tiny", "recommender"])
def shop(request: pytest.FixtureRequest) -> Recommender:
    return with_columns(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def query(shop: Recommender) -> Query:
    signals, _ = shop.model.read_signals([*PEOPLE.values()])
    return Query(shop.model, signals, 10)


def draw_rules(shop: Recommender, rng: np.random.Generator) -> Rules:
    """Draw the rules that select items."""
    items = shop.model.catalogue.items
    n = shop.model.n_items

    def draw_ids(share: float) -> list[Any]:
        return [*(items[int(ix)] for ix in np.flatnonzero(rng.random(n) < share)), "no such item"]

    conditions = ["in_stock", 'genre == "jazz"', 'genre != "soul"', f"year >= {rng.integers(2000, 2020)}"]
    chosen = rng.permutation(conditions)[: rng.integers(3)].tolist()
    allow, deny = rng.random(2) < 0.3
    return Rules(
        filter=str(rng.choice([" and ", " or "])).join(chosen),
        allow=draw_ids(0.5) if allow else None,
        deny=draw_ids(0.3) if deny else [],
    )


def assert_same_ranking(found: np.ndarray, expected: list[int], scores: dict[int, float]) -> None:
    """Check the list of one user; items whose scores are equal up to rounding may change places."""
    listed = found[found >= 0].tolist()
    assert len(listed) == len(expected)
    for item, other in zip(listed, expected, strict=True):
        assert item == other or np.isclose(scores[item], scores[other], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("strategy", [name for name in strategy_names() if name != "explore"])
def test_a_list_is_that_of_ranking_everything_and_filtering(shop: Recommender, query: Query, strategy: str) -> None:
    if strategy not in strategies_of(shop.model):
        pytest.skip(f"the model lacks {strategy}")
    everything = answer_query(replace(query, k=shop.model.n_items), strategy)
    for seed in range(8):
        rules = compile_rules(shop.model, [draw_rules(shop, np.random.default_rng(seed))], {})
        answer = answer_query(replace(query, rules=rules), strategy)
        for row, (ranked, n_ranked) in enumerate(zip(everything.items, everything.n_ranked, strict=True)):
            if answer.routes[row] != everything.routes[row]:  # a fallback answers where the strategy ranks nothing
                assert not rules.allowed[ranked[:n_ranked]].any()
                continue
            expected = [item for item in ranked.tolist() if item >= 0 and rules.allowed[item]][: query.k]
            scores = dict(zip(ranked.tolist(), everything.scores[row].tolist(), strict=True))
            assert_same_ranking(answer.items[row], expected, scores)


def arrange_slowly(ranked: list[int], values: list[list[str]], most: int, pins: dict[int, int], k: int) -> list[int]:
    """Fill the ranks one by one: the pin of the rank, or the first item left whose values are not full."""
    listed: list[int] = []
    while len(listed) < k:
        taken = {*listed, *pins.values()}
        counts = Counter(value for item in taken for value in values[item])
        left = [item for item in ranked if item not in taken and all(counts[value] < most for value in values[item])]
        last = [item for _, item in sorted(pins.items()) if item not in listed]
        pinned = pins.get(len(listed))
        following = [pinned] if pinned in last else left[:1] or last[:1]
        if not following:
            break
        listed += following
    return listed


@pytest.mark.parametrize("strategy", ["popular", "segment", "ease", "blend", "auto"])
def test_caps_and_pins_are_those_of_a_slow_reference(shop: Recommender, query: Query, strategy: str) -> None:
    model = shop.model
    items = shop.model.catalogue.items
    values = model.catalogue.columns["artist_id"].to_list()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rules = draw_rules(shop, rng)
        pins = dict(zip(rng.permutation(12)[:2].tolist(), rng.permutation(model.n_items)[:2].tolist(), strict=True))
        arranged = Rules(cap={"artist": 2}, pin={rank + 1: items[item] for rank, item in pins.items()})
        plain, capped = (compile_rules(model, layers, {}) for layers in ([rules], [rules, arranged]))
        everything = answer_query(query.ask(k=model.n_items, rules=plain), strategy).items
        for row, listed in enumerate(answer_query(query.ask(rules=capped), strategy).items):
            open_items = {*capped.items.tolist()} - {*query.excluded.row(row).tolist()}
            kept = {rank: item for rank, item in pins.items() if item in open_items}
            left = everything[row][everything[row] >= 0].tolist()
            assert listed[listed >= 0].tolist() == arrange_slowly(left, values, 2, kept, query.k)


def test_boosts_rank_by_multiplied_scores(shop: Recommender, query: Query) -> None:
    rules = compile_rules(shop.model, [Rules(boost={"in_stock": 3.0, "year >= 2010": 2.0})], {})
    assert rules.factors is not None
    plain = answer_query(query.ask(k=shop.model.n_items), "popular")
    answer = answer_query(query.ask(rules=rules), "popular")
    for row, ranked in enumerate(plain.items):
        scores = plain.scores[row] * rules.factors[ranked]
        order = np.argsort(-scores[ranked >= 0], kind="stable")[: query.k]
        assert answer.items[row, : len(order)].tolist() == ranked[order].tolist()
        np.testing.assert_array_equal(answer.scores[row, : len(order)], plain.scores[row][order])  # shares as they are


@pytest.mark.parametrize("strategy", ["segment", "blend"])
def test_boosts_are_the_same_for_one_user_and_for_many(tiny: Recommender, strategy: str) -> None:
    users = [Signals(), Signals(country="FR"), Signals(country="DE")]
    rules = {"boost": {"year >= 2021": 3.0}}  # i3, i4 and i5
    lists = list(tiny.recommend_users(users, 5, strategy, rules=rules).values())
    assert [listed.items[0].item_id for listed in lists] == ["i3", "i3", "i4" if strategy == "segment" else "i3"]
    for user, listed in zip(users, lists, strict=True):
        alone = tiny.recommend(user, 5, strategy, rules=[{}, rules])
        assert [item.item_id for item in alone] == [item.item_id for item in listed]
        # A product of one row is rounded in another order than that of many rows.
        assert [item.score for item in alone] == pytest.approx([item.score for item in listed], rel=0, abs=1e-5)


@pytest.mark.parametrize("rules", [{}, {"cap": {"genre": 2, "year": 1}, "pin": {4: "i3"}}, {"filter": "in_stock"}])
@pytest.mark.parametrize("strategy", ["segment", "explore", "auto"])
def test_pages_continue_the_same_ranking(shop: Recommender, strategy: str, rules: dict[str, Any]) -> None:
    for user in (PEOPLE["nothing known"], PEOPLE["only a ban"], PEOPLE["profile and items"]):
        whole = shop.recommend(user, 6, strategy, rules=rules)
        pages = [shop.recommend(user, 2, strategy, rules={**rules, "after": after}) for after in (0, 2, 4)]
        assert [item for page in pages for item in page] == list(whole)
        assert sum(page.n_ranked for page in pages) == whole.n_ranked


def test_rows_of_a_page_repeat_no_item(shop: Recommender) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "first", "k": 2},
        {"name": "in stock", "filter": "in_stock"},
        {"name": "rest", "cap": {"genre": 3}},
    ]
    for user in (PEOPLE["nothing known"], PEOPLE["only a ban"], PEOPLE["profile and items"]):
        page = shop.recommend_rows(user, rows, 3)
        listed = [item.item_id for row in page.values() for item in row]
        assert len(set(listed)) == len(listed)
        assert list(page) == ["first", "in stock", "rest"]
        assert list(page["first"]) == list(shop.recommend(user, 2))
        in_stock = [shop.model.catalogue.items.index_of(item.item_id) for item in page["in stock"]]
        assert shop.model.catalogue.columns["in_stock"].gather(in_stock).all()
    with pytest.raises(ConfigError, match=r"^rows: two rows have the same name; give each its own\.$"):
        shop.recommend_rows({}, [{"name": "row"}, {"name": "row"}])


def test_rows_obey_the_rules_of_their_page(shop: Recommender) -> None:
    page = Rules(
        filter="year >= user.year",
        deny=["i1"],
        boost={"in_stock": 2},
        cap={"artist": 1, "genre": 9},
        pin={1: "i3"},
        after=2,
        context={"year": 2005, "genre": "pop"},
        lists={"pop": ["i3", "i4"]},
    )
    row = Row(
        name="row",
        filter="genre == user.genre or item_id in lists.pop",
        boost={"year > 0": 3},
        cap={"genre": 2},
        context={"year": 2010},
    )
    alone = Rules(
        filter='year >= 2010 and (genre == "pop" or item_id in ("i3", "i4"))',
        deny=["i1"],
        boost={"in_stock": 2, "year > 0": 3},
        cap={"artist": 1, "genre": 2},
    )
    both, expected = (compile_rules(shop.model, layers, {}) for layers in ([page, row], [alone]))
    for name in ("allowed", "factors"):
        np.testing.assert_array_equal(getattr(both, name), getattr(expected, name))
    assert [most for *_, most in both.caps] == [1, 2]
    assert (both.pins, both.after) == ({}, 0)
    few = [Rules(allow=shop.model.catalogue.items.values[ids].to_list()) for ids in ([0, 3], [3, 4])]
    assert compile_rules(shop.model, few, {}).items.tolist() == [3]


def test_a_filter_reads_the_profile_and_the_context(tiny: Recommender) -> None:
    rules = Rules(filter="user.country in licensed_in and year > user.age")
    users = {"fr": Signals(country="FR", age=20), "de": Signals(country="DE", age=30), "nowhere": Signals()}
    lists = tiny.recommend_users(users, 4, "popular", rules=rules)
    abroad = tiny.recommend(users["fr"], 4, "popular", rules=rules.override("context", {"country": "DE"}))
    licensed = {name: {item.item_id for item in one} for name, one in {**lists, "abroad": abroad}.items()}
    in_germany = {"i1", "i3"}
    assert licensed == {"fr": {"i1", "i2", "i4"}, "de": in_germany, "nowhere": set(), "abroad": in_germany}
    assert lists["nowhere"].notes[-1] == "the rules and the user's history leave 0 items for 4 ranks"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"filter": "yeer > 3"}, "did you mean 'year'"),
        ({"cap": {"brand": 2}}, "items have no column 'brand'"),
        ({"cap": {"artist": 0}}, "rules: cap.artist is 0"),
        ({"cap": ["artist"]}, "'artist' is not of the form COLUMN:NUMBER or COLUMN=NUMBER"),
        ({"pin": "i9"}, "'i9' is not of the form RANK:ITEM_ID or RANK=ITEM_ID"),
        ({"boost": "in_stock"}, "'in_stock' is not of the form FILTER:FACTOR or FILTER=FACTOR"),
        ({"filter": "year >"}, "rules: filter: 'year >' cannot be parsed"),
        ({"filter": "(" * 500}, "cannot be parsed"),
        ({"filter": "added_at >= 14d"}, "'added_at >= 14d' cannot be parsed"),
        ({"filter": "added_at >= -100000d"}, "cannot be parsed"),
        ({"filter": "year > 2020 and " * 200}, "should have at most 2000 characters"),
        ({"boost": {"in_stock": -1}}, "rules: boost.in_stock is -1"),
        ({"pin": {"0": "i1"}}, "rules: pin.0"),
        ({"filters": "in_stock"}, "rules: filters is not a setting; did you mean filter"),
        ({"allow": "i1"}, "rules: allow"),
    ],
)
def test_a_wrong_rule_is_one_sentence(shop: Recommender, rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shop.recommend({}, rules=rules)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_in_texts_are_those_in_values() -> None:
    texts = Rules.of(
        {"cap": ["artist=9", "artist=2", "genre:1"], "pin": "3=i:9", "boost": 'genre == "a=b"=1.5', "deny": [7]}
    )
    values = {"artist": 2, "genre": 1}, {3: ["i:9"]}, {'genre == "a=b"': 1.5}, ("7",)
    assert (texts.cap, texts.pin, texts.boost, tuple(texts.deny)) == values


def test_a_pin_without_effect_is_noted(tiny: Recommender) -> None:
    user = {"interactions": [("stream", "item", "i2")]}
    rules = {"filter": "in_stock", "pin": ["1=i4", "1=i3", "1=i1", "1=i4", "2=i5", "3=i1", "4=x"]}
    answer = tiny.recommend(user, 2, "popular", rules=rules)
    assert [item.item_id for item in answer] == ["i4", "i3"]
    assert answer.notes == (
        "i3 is not pinned, since rank 1 has another pin",
        "i1 is not pinned, since rank 1 has another pin",
        "1 ids of the rules are unknown to the model",
        "the item pinned at rank 2 is left out by the rules or the user's history",
        "the item pinned at rank 3 is beyond the last rank, 2",
    )
    used = tiny.recommend(user, 2, "popular", rules={"pin": {1: "i2"}})
    assert used.notes == ("the item pinned at rank 1 is left out by the rules or the user's history",)
    page = tiny.recommend(user, 2, "popular", rules={"pin": {1: "i4", 4: "i1", 9: "i6"}, "after": 2})
    assert [item.item_id for item in page] == ["i5", "i1"]
    assert page.notes == ("the item pinned at rank 9 is beyond the last rank, 4",)
    assert [item.item_id for item in tiny.recommend(user, 6, "popular", rules={"pin": {12: "i1"}})][-1] == "i1"


def test_a_batch_notes_rules_without_effect(tiny: Recommender, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,country\nn1,DE\nn2,FR\n")
    rules = Rules(filter='genre == "Rock" or in_stock', deny=["x"], pin={9: "i1"})
    summary = recommend_tables(tiny, tmp_path, tmp_path / "lists.csv", 2, rules=rules)
    assert summary.n_rows == 4
    assert summary.notes[-2:] == (
        "Rules: genre has no value 'Rock' (did you mean 'rock'?).",
        "Rules: 1 ids of the rules are unknown to the model.",
    )


def test_notes_on_rules_are_those_of_each_user(tiny: Recommender) -> None:
    rules = {"filter": "user.country in licensed_in", "pin": {1: "i4"}}
    users = {"de": {"country": "DE"}, "fr": {"country": "FR"}, "other": {"country": "DE"}}
    lists = tiny.recommend_users(users, 1, "popular", rules=rules)
    notes = {name: listed.notes for name, listed in lists.items()}
    excluded = ("the item pinned at rank 1 is left out by the rules or the user's history",)
    assert notes == {"de": excluded, "fr": (), "other": excluded}


def test_values_that_no_user_has_are_refused_and_those_that_one_lacks_are_noted(
    tiny: Recommender, tmp_path: Path
) -> None:
    rules = {"filter": "user.country in licensed_in"}
    for wrong in ("user.contry in licensed_in", '(user.contry or "FR") in licensed_in'):
        with pytest.raises(ConfigError, match="did you mean 'country'"):
            tiny.recommend({}, rules={"filter": wrong})
        assert tiny.recommend({"contry": "FR"}, rules={"filter": wrong}).items  # a column of this user
    (note,) = tiny.recommend({}, 1, "popular", rules=rules).notes[:1]
    assert "user.country" in note
    assert not tiny.recommend({"country": "FR"}, 1, "popular", rules=rules).notes
    assert not tiny.recommend({}, 1, "popular", rules={"filter": '(user.country or "FR") in licensed_in'}).notes
    (tmp_path / "users.csv").write_text("user_id,country\nn1,DE\nn2,\n")
    batch = recommend_tables(tiny, tmp_path, tmp_path / "lists.csv", 2, rules=Rules.of(rules))
    assert any("country (1)" in note for note in batch.notes)


def test_propensities_of_explore_under_rules(tiny: Recommender) -> None:
    shop = with_columns(tiny)
    given = Rules(deny=["i6"], cap={"artist": 2}, pin={2: "i5"}, boost={"in_stock": 2})
    rules = compile_rules(shop.model, [given], {})
    n = 2_000
    signals, _ = shop.model.read_signals([Signals(user_id=number) for number in range(n)])
    answer = answer_query(Query(shop.model, signals, 3, rules=rules), "explore")
    lists = Counter(map(tuple, answer.items.tolist()))
    assert len(lists) > 2
    for listed, count in lists.items():
        rows = (answer.items == listed).all(axis=1)
        chance = float(answer.propensities[rows][0].prod())
        assert abs(count - n * chance) < 5 * np.sqrt(n * chance * (1 - chance)) + 1


@pytest.mark.usefixtures("fresh_registry")
def test_a_strategy_is_called_once_for_users_with_equal_values(tiny: Recommender) -> None:
    sizes = []

    def recommend(query: Query) -> Answer:
        sizes.append(query.n_users)
        return find_strategy("popular").recommend(query)

    register(StrategySpec(name="mine", describe="Counts its calls.", recommend=recommend))
    ages = range(1, MAX_COMPILED_RULES + 20)
    users = [Signals(age=age) for age in (*ages, *ages)]
    tiny.recommend_users(users, 2, "mine", rules=Rules(filter="item_id != user.age"))
    assert sizes == [2] * len(ages)


def test_times_count_from_the_minute_of_the_request_or_the_now_of_its_context(tiny: Recommender) -> None:
    ago = pl.Series(
        [(datetime.now(UTC) - timedelta(hours=hours)).strftime(TIME_TEXT) for hours in (1, 2, 3, 50, 60, 70)]
    )
    columns = {**tiny.model.catalogue.columns, "added_at": ago}
    shop = Recommender(replace(tiny.model, catalogue=replace(tiny.model.catalogue, columns=columns)))

    def count(**rules: Any) -> list[int]:
        compiled = compile_rules(shop.model, [Rules.of(rules)], {"now": "ignored"})
        return [compiled.n_allowed, *((compiled.factors > 1).tolist() if compiled.factors is not None else ())]

    minutes = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"]
    assert count(filter="added_at >= -1d") == [3]
    minutes.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}")
    (key,) = shop.model.compiled_rules
    assert any(minute in str(key) for minute in minutes)  # so it is compiled again in the next minute
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert count(filter="added_at >= -1d", context={"now": tomorrow}) == [0]
    assert count(boost={"added_at > -1d": 2}) == [6, True, True, True, False, False, False]
    with pytest.raises(ConfigError, match=r"^context\.now: is 'noon'; give a time such as"):
        count(filter="added_at > -1d", context={"now": "noon"})


def test_an_unknown_condition_neither_lists_nor_boosts(tiny: Recommender) -> None:
    rules = Rules(filter="in_stock or user.age >= 18", boost={"not user.child": 2, "not in_stock": 3})
    in_stock = tiny.model.catalogue.columns["in_stock"]
    unknown, adult = (compile_rules(tiny.model, [rules], user) for user in ({}, {"age": 30, "child": "false"}))
    assert unknown.allowed.tolist() == in_stock.fill_null(False).to_list()
    assert adult.allowed.all()
    assert unknown.factors is not None
    assert unknown.factors.tolist() == [3 if known is False else 1 for known in in_stock]
    assert adult.factors is not None
    assert adult.factors.tolist() == [2 * factor for factor in unknown.factors]


def test_rows_are_filled_up_with_items_passed_over(tiny: Recommender) -> None:
    user = Signals(shown=[{"item_id": f"i{item}", "list_id": "a", "position": item} for item in (1, 2, 3)])
    rows = tiny.recommend_rows(user, [{"name": "first", "k": 1}, {"name": "second", "k": 5}])
    assert sorted(item.item_id for row in rows.values() for item in row.items) == ["i1", "i2", "i3", "i4", "i5", "i6"]
