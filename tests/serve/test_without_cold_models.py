"""A model without DropoutNet and MeLU, as `firstday train` makes it, is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firstday.artifact.folder import save_model
from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_of
from firstday.serve.models import load_served
from tests.serve.conftest import StartApp


def test_a_model_without_them_is_warmed_by_what_it_has(recommender: Recommender, tmp_path: Path) -> None:
    bare = Recommender(replace(recommender.model, learned={}))
    served = load_served(bare.save(tmp_path / "model"))
    for strategy in strategies_of(bare.model):
        assert served.recommender.answer_users([Signals(age=30)], 5, strategy).answer.items.shape == (1, 5)
    with pytest.raises(ConfigError, match="melu_segment needs a model trained with"):
        served.recommender.answer_users([Signals(age=30)], 5, "melu_segment")


def test_the_document_names_the_strategies_of_the_model_that_answers(
    recommender: Recommender, tmp_path: Path, start_app: StartApp
) -> None:
    bare = replace(recommender.model, learned={})
    folder = save_model(bare, tmp_path / "model")
    with start_app(folder).open_client() as http:

        def named() -> list[str]:
            names: list[str] = http.get("/v1/openapi.json").json()["components"]["schemas"]["StrategyName"]["enum"]
            return names

        assert named() == list(strategies_of(bare))
        save_model(recommender.model, folder)
        assert http.post("/v1/model/reload").status_code == 200
        assert named() == list(strategies_of(recommender.model))
