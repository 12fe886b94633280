"""A model without DropoutNet and MeLU, as `firstday train` makes it, is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategies_of
from firstday.serve.models import load_served


def test_a_model_without_them_is_warmed_by_what_it_has(recommender: Recommender, tmp_path: Path) -> None:
    bare = Recommender(replace(recommender.model, learned={}))
    served = load_served(bare.save(tmp_path / "model"))
    for strategy in strategies_of(bare.model):
        assert served.recommender.answer_users([Signals(age=30)], 5, strategy).answer.items.shape == (1, 5)
    with pytest.raises(ConfigError, match="melu_segment needs a model trained with"):
        served.recommender.answer_users([Signals(age=30)], 5, "melu_segment")
