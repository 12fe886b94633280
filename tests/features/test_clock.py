"""Nothing after the cut-off reaches a model: what happened then could not be known when users registered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import UTC_MICROSECONDS, Events
from firstday.data.impressions import IMPRESSION_TYPES, Impressions
from firstday.data.splits.registration import split_registration
from firstday.data.splits.split import Split
from firstday.embed.embeddings import select_uses
from firstday.embed.methods import collect_warm_logs, fit_embeddings
from firstday.evaluation.run import evaluate
from firstday.recommend.recommender import Recommender, answer_all
from firstday.recommend.spec import strategies_of
from firstday.training.fit import choose_protocol, cohort_query, fit, train
from tests.synthetic import SEED, THREADS, networks_of
from tests.timed import DAY, LOG, make_log

MARKER = 58
"""An item that nobody used before the cut-off."""


CONFIG = parse_config(
    {
        "seed": SEED,
        "threads": THREADS,
        "embedding": {"dimensions": 8},
        "segments": {"n_segments": 4, "top_items": 60},
        "cold_model": {"hidden": [8], "epochs": 1, "batch_size": 64},
        "ranker": {"hidden": [8], "epochs": 1, "batch_size": 64},
        "recommend": {"k": 20},
        "registration": {"cold_days": 10, "target_days": 5, "min_items": 3},
    }
)
BARE = parse_config({**CONFIG.model_dump(), "ranker": {"enabled": False}})


def divide(log: Dataset, config: Config = CONFIG) -> Split:
    return split_registration(log, config.signals, config.registration, config.sampled, seed=SEED)


def cut_off(split: Split) -> int:
    assert split.warm_window is not None
    return int(split.warm_window.end[split.warm].max())


def plant(log: Dataset, users: np.ndarray, until: int) -> Dataset:
    """Let users use the marker item, many times, from the cut-off on."""
    return LOG.add(log, [(int(user), until + hour * DAY // 24, MARKER) for user in users for hour in range(3)])


def arrays(model: TrainedModel) -> dict[str, np.ndarray]:
    """Everything in a model that is learned."""
    counted = {"segments": model.segments.items, "everyone": model.everyone, **model.profile_groups}
    return {
        "centroids": model.segments.centroids,
        "top": model.segments.top_items,
        "items": model.fold_in.item_vectors,
        "clusters": model.input_clusters.centroids,
        **{f"group {name}": means for name, means in model.encoder.group_means.items()},
        **{f"{name} {part}": value for name, c in counted.items() for part, value in _parts(c).items()},
    }


def _parts(counted: object) -> dict[str, np.ndarray]:
    counts = counted.counts  # type: ignore[attr-defined]
    return {"columns": counts.columns, "weights": counts.weights, "sizes": counted.sizes}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def without() -> Dataset:
    """Return the log without the marker."""
    log = make_log()
    return replace(log, events=Events.of(log.events.whole().filter(pl.col("target_ix") != MARKER)))


@pytest.fixture(scope="module")
def planted(without: Dataset) -> Dataset:
    """Return the same log, where every warm user uses the marker from the cut-off on."""
    split = divide(without)
    planted = plant(without, split.warm, cut_off(split))
    assert len(planted.events) == len(without.events) + 3 * len(split.warm)
    return planted


@pytest.fixture(scope="module")
def after(planted: Dataset) -> Recommender:
    return fit(planted, divide(planted), CONFIG)


def test_what_warm_users_do_after_the_cut_off_changes_nothing(without: Dataset, after: Recommender) -> None:
    before = fit(without, divide(without), CONFIG).model
    one, other = arrays(before), arrays(after.model)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name
    assert networks_of(before) == networks_of(after.model)


@pytest.mark.parametrize("method", ["svd", "word2vec"])
def test_nor_does_it_change_vectors_of_another_method(method: str, without: Dataset, planted: Dataset) -> None:
    config = parse_config({"embedding": {"method": method, "dimensions": 8, "word2vec_epochs": 2}})
    one, other = (
        fit_embeddings(
            collect_warm_logs(
                log, split, config, select_uses(split.warm_actions, config.signals, len(split.warm), len(log.items))
            ),
            config.embedding,
            seed=SEED,
            threads=1,
        )
        for log, split in ((without, divide(without)), (planted, divide(planted)))
    )
    np.testing.assert_array_equal(one.user_vectors, other.user_vectors)
    np.testing.assert_array_equal(one.item_vectors, other.item_vectors)


def test_a_marker_after_the_cut_off_cannot_be_recommended_from(planted: Dataset, after: Recommender) -> None:
    model, split = after.model, divide(planted)
    assert model.everyone.counts.column_sums()[MARKER] == 0
    assert model.segments.items.counts.column_sums()[MARKER] == 0
    assert not model.fold_in.item_vectors[MARKER].any()
    for strategy in strategies_of(model):
        answer = answer_all(cohort_query(after, planted, split.cold, 20), strategy)
        assert MARKER not in answer.items, strategy


def test_what_was_shown_or_used_after_the_cut_off_is_counted_for_no_segment(without: Dataset) -> None:
    """Everyone is shown item 0 just before it and the marker at it; both are used a little later, as their lists'."""
    split, n = divide(without), len(without.users)
    until = cut_off(split)
    rows = pl.DataFrame(
        {
            "user_ix": np.repeat(np.arange(n), 2),
            "item_ix": np.tile([0, MARKER], n),
            "at": np.tile([until - 1, until], n),
            "used": until + 1,
        }
    ).select(
        "user_ix",
        "item_ix",
        pl.col("at").cast(UTC_MICROSECONDS).alias("timestamp"),
        pl.lit("a").alias("list_id"),
        pl.lit(1).alias("position"),
        pl.lit(None).alias("propensity"),
        pl.lit(None).alias("policy"),
        pl.lit(value=True).alias("is_used"),
        pl.col("used").cast(UTC_MICROSECONDS).alias("used_at"),
    )
    typed = rows.select(pl.col(name).cast(kind) for name, kind in IMPRESSION_TYPES.items())
    log = replace(without, impressions=Impressions((typed,), typed.height))
    counts = fit(log, split, BARE, weigh=False).model.shown_counts
    assert counts is not None
    window = split.warm_window
    assert window is not None
    n_known = int(((window.start < until) & (window.end == until)).sum())
    assert len(split.warm) < n_known < n - len(split.cold)  # light users are counted, too
    assert counts.shown.column_sums()[[0, MARKER]].tolist() == [n_known, 0]
    assert counts.used.column_sums()[MARKER] == 0


def test_the_test_would_see_a_leak() -> None:
    """The same marker an instant before the cut-off is in everything."""
    log = make_log()
    split = divide(log)
    planted = LOG.add(log, [(int(user), cut_off(split) - 1, MARKER) for user in split.warm])
    model = fit(planted, divide(planted), BARE, weigh=False).model
    assert model.everyone.counts.column_sums()[MARKER] >= len(split.warm)
    assert MARKER in model.segments.top_items[:, 0]  # everybody uses it


def test_evaluation_says_the_protocol_and_what_it_decided() -> None:
    log = make_log()
    results = evaluate(log, BARE, strategies=["popular"])
    assert results.protocol == "registration"
    assert results.to_json()["protocol"] == "registration"
    assert "are warm" in results.to_json()["notes"][0]
    facts = train(log, BARE).model.facts
    assert facts["data"]["protocol"] == "registration"
    assert "held out" in " ".join(facts["data"]["notes"])


def test_which_protocol_suits_the_data() -> None:
    config, log = CONFIG, make_log()
    assert choose_protocol(log, config) == "registration"
    assert choose_protocol(replace(log, registered_at=None), config) == "sampled"
    assert choose_protocol(LOG.without_times(log), config) == "sampled"
    asked = config.override("protocol", "sampled")
    assert choose_protocol(log, asked) == "sampled"
