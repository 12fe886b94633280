"""The table: exact where the method is exact, and beside the paper's figures."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.sources.deezer_kdd21 import PaperData, read_paper_data
from firstday.evaluation.paper_figures import LEARNED_BASELINES, TABLE, TITLES, in_paper_order, subtract_paper, title_of
from firstday.evaluation.results import Results
from firstday.reproduce.paper_model import fit_paper_model
from firstday.reproduce.table import Reproduction, choose_strategies, configure, reproduce_table
from tests.released import STREAMED, Made, make_released
from tests.reproduce.conftest import K
from tests.synthetic import SEED

BRIEF = {"hidden": [8], "epochs": 1, "batch_size": 64}

DAY_ONE_SIZES = {"0": range(1), "1-3": range(1, 4), "4-9": range(4, 10), "10+": range(10, 100)}


def judge(lists: dict[int, list[int]], made: Made) -> dict[str, float]:
    """Return P, R and NDCG in % by the paper's definitions, one user at a time."""
    total = dict.fromkeys(("precision", "recall", "ndcg"), 0.0)
    for user, items in lists.items():
        truth = set(made.songs["test"][user])
        hits = [item in truth for item in items]
        total["precision"] += sum(hits) / min(K, len(truth))
        total["recall"] += sum(hits) / len(truth)
        gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
        total["ndcg"] += gain / sum(1 / math.log2(place + 2) for place in range(min(K, len(truth))))
    return {metric: 100 * value / len(lists) for metric, value in total.items()}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return what the hand-made folder holds."""
    return make_released(tmp_path_factory.mktemp("again") / "deezer")


def most_streamed(made: Made) -> list[int]:
    """Rank songs by training users who streamed them, ties by their place in the file."""
    count = Counter(song for songs in made.songs["train"] for song in songs)
    place = {song: number for number, song in enumerate(made.song_ids)}
    return sorted(made.song_ids, key=lambda song: (-count[song], place[song]))


def check(results: Results, strategy: str, expected: dict[str, float]) -> None:
    for metric, value in expected.items():
        assert results.get(strategy, metric).mean == pytest.approx(value, rel=1e-12), (strategy, metric)


def routes_of(results: Results) -> dict[str, dict[str, float]]:
    return {row["strategy"]: row["routes"] for row in results.to_json()["results"]}


def test_popularity_is_exact(found: Reproduction, made: Made) -> None:
    top = most_streamed(made)[:K]
    check(found.results, "popular", judge(dict.fromkeys(range(50), top), made))


@pytest.mark.parametrize(("space", "similarity"), [("svd", "cosine"), ("mf", "dot"), ("svd", "dot")])
def test_registration_day_streams_are_exact(released: Path, made: Made, space: str, similarity: str) -> None:
    data = read_paper_data(released, space)  # type: ignore[arg-type]
    given = {"embedding": {"similarity": "dot"}} if (space, similarity) == ("svd", "dot") else {}
    config = Config.model_validate({"recommend": {"k": K}, "cold_model": BRIEF, **given})
    found = reproduce_table(data, configure(config, 240, 4, 4, as_published=False), ["day_one"])
    vectors = made.song_vectors[space].astype(np.float64)
    if similarity == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lists, n_idle = {}, 0
    for user, mean in enumerate(made.means["test", space][:, 2 + STREAMED]):
        if np.isnan(mean).all():  # nothing streamed: the most popular ones
            lists[user], n_idle = most_streamed(made)[:K], n_idle + 1
            continue
        scores = vectors @ mean.astype(np.float64)
        lists[user] = [made.song_ids[song] for song in np.argsort(-scores, kind="stable")[:K]]
    assert 0 < n_idle < len(lists)
    check(found.results, "day_one", judge(lists, made))
    share = n_idle / len(lists)
    assert routes_of(found.results) == {"day_one": {"day_one": round(1 - share, 4), "popular": round(share, 4)}}


def test_classes_of_users_follow_from_the_counts(found: Reproduction, made: Made) -> None:
    counts = made.numbers["test"][:, STREAMED].tolist()
    expected = {size: 2 * sum(n in span for n in counts) for size, span in DAY_ONE_SIZES.items()}  # in two seeds
    assert found.results.sizes() == {size: n for size, n in expected.items() if n}


def test_the_same_seed_gives_the_same_table(data: PaperData, paper_config: Config, found: Reproduction) -> None:
    again = reproduce_table(data, paper_config, ["segment", "input_clusters"])
    for name in ("segment", "input_clusters"):
        first, other = (each.results.get(name, "precision", f"seed={SEED}") for each in (found, again))
        assert first == other


def test_the_learned_baselines_are_trained_where_they_are_asked_for(data: PaperData, paper_config: Config) -> None:
    assert paper_config.methods == ()
    found = reproduce_table(data, paper_config, ["popular", *LEARNED_BASELINES])
    assert routes_of(found.results) == {name: {name: 1.0} for name in found.results.strategies}
    assert {"dropoutnet", "melu"} < set(found.seconds)
    titles = [title_of(name) for name in in_paper_order(found.results.strategies)][1:]
    assert titles == ["DropoutNet, full", "DropoutNet, semi", "MeLU, full", "MeLU, semi"]


def test_what_the_paper_has_not_is_trained_where_it_is_asked_for(data: PaperData, paper_config: Config) -> None:
    found = reproduce_table(data, paper_config, ["popular", "segment", "neighbors", "direct", "blend"])
    assert routes_of(found.results) == {name: {name: 1.0} for name in found.results.strategies}
    assert "ranker" in found.seconds


def test_json_is_the_contract(found: Reproduction) -> None:
    values = json.loads(json.dumps(found.to_json()))
    assert list(values)[:3] == ["dataset", "space", "simulated"]
    assert (values["dataset"], values["k"], values["seeds"]) == ("deezer-kdd21", K, [SEED, SEED + 1])
    assert (values["n_warm"], values["n_validation"], values["n_cold"]) == (240, 60, 50)
    assert (values["items"], values["dimensions"], values["inputs"], values["simulated"]) == (90, 6, 139, False)
    by_name = {row["strategy"]: row for row in values["results"]}
    assert list(by_name) == ["popular", "day_one", "input_clusters", "personal", "segment"]
    for name, row in by_name.items():
        assert (row["title"], row["paper"]) == (TITLES[name], TABLE["svd"][name])
        assert row["minus_paper"]["precision"] == pytest.approx(row["precision"] - row["paper"]["precision"], abs=1e-4)
        assert row["precision_deviation"] > 0
    assert set(values["seconds"]) == {"segments", "input clusters", "cold model", "lists"}
    assert 1 <= values["training"]["kept"] <= values["training"]["epochs"] <= 2
    assert 0 <= values["training"]["validation_precision"] <= 100


def test_strategies_that_the_paper_has_not_stand_last_without_its_figures(
    data: PaperData, paper_config: Config
) -> None:
    found = reproduce_table(data, paper_config, ["fold_in", "popular"])
    assert in_paper_order(found.results.strategies) == ("popular", "fold_in")
    assert (title_of("popular"), title_of("fold_in")) == ("Popularity", "fold_in")
    assert subtract_paper(found.results, "fold_in", "svd") is None
    assert found.to_json()["results"][0]["paper"] is None


def test_sizes_follow_from_the_data_unless_given(data: PaperData) -> None:
    papers = configure(Config(), 70_000, None, None, as_published=False)
    assert (papers.segments.n_segments, papers.recommend.input_clusters) == (1000, 100)
    assert configure(Config(), 7_000, None, None, as_published=False).segments.n_segments == 100
    given = configure(Config(), 70_000, 12, 5, as_published=False)
    assert (given.segments.n_segments, given.recommend.input_clusters) == (12, 5)
    model = fit_paper_model(
        data, configure(parse_config({"cold_model": BRIEF}), len(data.train), 7, 3, as_published=False)
    )
    assert (len(model.segments), len(model.input_clusters)) == (7, 3)


def test_as_published_is_the_released_codes_training() -> None:
    settings = configure(Config(), 70_000, None, None, as_published=True).cold_model
    assert (settings.schedule, settings.learning_rate, settings.weight_decay) == ("flat", 1e-5, 0)
    assert (settings.epochs, settings.batch_size, settings.hidden) == (130, 512, (400, 300, 200))
    assert settings.patience >= settings.epochs


def test_the_table_has_every_method_of_the_paper() -> None:
    for rows in TABLE.values():
        assert list(rows) == list(TITLES)
    assert TABLE["svd"]["segment"] == {
        "precision": 22.75, "precision_deviation": 0.32, "recall": 8.26, "recall_deviation": 0.15,
        "ndcg": 24.59, "ndcg_deviation": 0.3,
    }  # fmt: skip
    named = choose_strategies(with_baselines=False)
    assert named == ("popular", "day_one", "input_clusters", "personal", "segment")
    assert choose_strategies() == tuple(TITLES)
    assert choose_strategies(["group"]) == ("group",)


def test_no_figure_of_the_paper_is_mistyped() -> None:
    """Compare with the table of the task's description, as text, where figures stand in another form."""
    text = """
    9.30 0.22 3.48 0.06 9.73 0.23 16.88 0.46 5.99 0.11 17.72 0.43
    8.84 0.22 2.97 0.08 9.75 0.23 8.85 0.22 2.98 0.08 9.75 0.22
    9.58 0.18 3.53 0.03 9.77 0.17 18.50 0.43 6.63 0.10 20.22 0.41
    22.75 0.32 8.26 0.15 24.59 0.30 19.00 0.42 6.93 0.10 20.38 0.45
    """
    written = [float(number) for number in re.findall(r"[\d.]+", text)]
    names = ("day_one", "input_clusters", "personal", "segment")
    ours: list[float | None] = []
    for name in names:
        for space in ("svd", "mf"):
            ours += TABLE[space][name].values()
    assert ours == written
