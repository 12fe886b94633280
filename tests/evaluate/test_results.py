"""The results of an evaluation made by hand, figure by figure."""

from __future__ import annotations

import json
from pathlib import Path

from firstday.config import Config
from firstday.reproduce.table import Reproduction
from tests.evaluate.tiny import evaluate_tiny

PINNED = Path(__file__).with_name("tiny_results.json")


def test_the_json_of_a_tiny_evaluation_is_pinned() -> None:
    text = json.dumps(evaluate_tiny().to_json(), indent=1, ensure_ascii=False)
    assert text + "\n" == PINNED.read_text(encoding="utf-8")


def test_the_json_of_a_reproduction_has_the_papers_figures_beside() -> None:
    summary = {"items": 6, "n_validation": 7}
    found = Reproduction(evaluate_tiny(), "mf", True, Config(), summary, (), {"lists": 0.123})
    values = found.to_json()
    assert list(values)[:5] == ["dataset", "space", "simulated", "items", "n_validation"]
    popular, segment = values["results"]
    assert popular["title"] == "Popularity"
    assert popular["paper"] == {
        "precision": 8.92, "precision_deviation": 0.21, "recall": 3.01, "recall_deviation": 0.08,
        "ndcg": 9.72, "ndcg_deviation": 0.2,
    }  # fmt: skip
    assert segment["title"] == "Deezer, semi-personalised"
    assert segment["minus_paper"] == {
        metric: round(segment[metric] - paper, 4) for metric, paper in
        {"precision": 19.0, "recall": 6.93, "ndcg": 20.38}.items()
    }  # fmt: skip
    assert values["training"] == {"epochs": 0, "kept": None, "validation_precision": None}
    assert values["seconds"] == {"lists": 0.12}


def test_the_json_of_the_largest_gap_is_pinned() -> None:
    values = evaluate_tiny(copies=20).to_json()
    assert values["largest_gap"] == {
        "strategy": "segment", "column": "age", "group": "not known", "precision": 45.8333, "others": 91.6667,
        "difference": -45.8333, "difference_ci": [-55.5208, -36.1459], "n_compared": 6,
    }  # fmt: skip
    assert values["results"][1]["by_group"]["plan"] == {
        "free": {"precision": 80.5556, "precision_ci": [77.0833, 84.1667], "n_users": 60},
        "paid": {"precision": 62.5, "precision_ci": [51.25, 73.75], "n_users": 40},
    }
