"""What a search tries around a configuration."""

from __future__ import annotations

from dataclasses import replace

from firstday.config import Config
from firstday.data.splits.split import Split
from firstday.tuning.settings_to_try import Choice, list_choices, scale
from tests.synthetic import small_config


def by_name(config: Config, split: Split, *, is_precomputed: bool = False) -> dict[str, Choice]:
    n_warm = min(len(split.warm), config.training.most_users)
    choices = list_choices(config, n_warm, len(split.warm_day_one), 121, is_precomputed=is_precomputed)
    return {choice.name: choice for choice in choices}


def test_whole_numbers_stay_whole_and_within_their_bounds() -> None:
    factors = (0.25, 0.5, 1, 2, 4)
    assert scale(12, factors) == {3, 6, 12, 24, 48}
    assert scale(1, factors) == {1, 2, 4}
    assert scale(12, factors, 5, 20) == {6, 12}
    assert scale(1.5, (0.5, 1, 2)) == {0.75, 1.5, 3.0}
    assert scale((3, 1), (0.5, 1)) == {(2, 1), (3, 1)}


def test_values_stand_around_those_of_the_configuration(split: Split) -> None:
    config = small_config()
    choices = by_name(config, split)
    assert choices["embedding.dimensions"] == Choice("embedding.dimensions", (3, 6, 12, 24), 2)
    assert choices["segments.n_segments"].values == (4, 8, 16)
    assert choices["ranker.hidden"] == Choice("ranker.hidden", ((16,), (32,), (64,)), 1)
    assert choices["ranker.dropout"].values == (0.25, 0.5, 0.75)
    assert choices["ranker.input_dropout"].values[choices["ranker.input_dropout"].start] == 0.2
    for choice in choices.values():
        assert list(choice.values) == sorted(set(choice.values))
        section, name = choice.name.split(".")
        assert choice.values[choice.start] == getattr(getattr(config, section), name)
        for value in choice.values:
            config.override(choice.name, value)  # every value is one that the setting may have


def test_an_empty_setting_starts_from_what_follows_from_the_data(split: Split) -> None:
    n_warm = len(split.warm)
    config = small_config(embedding={"dimensions": None}, segments={"n_segments": None})
    choices = by_name(config, split)
    starts = {name: choice.values[choice.start] for name, choice in choices.items()}
    assert starts["embedding.dimensions"] == config.embedding.resolve_dimensions(n_warm, 121)
    assert starts["segments.n_segments"] == config.segments.resolve(n_warm)


def test_what_has_no_effect_is_not_tried(split: Split) -> None:
    every = set(by_name(small_config(), split))
    without_ranker = set(by_name(small_config(ranker={"enabled": False}), split))
    assert without_ranker == {name for name in every if not name.startswith("ranker.")}
    precomputed = set(by_name(small_config(), split, is_precomputed=True))
    assert precomputed == {name for name in every if not name.startswith("embedding.")}
    svd = set(by_name(small_config(embedding={"method": "svd"}), split))
    assert every - svd == {"embedding.als_confidence", "embedding.als_regularization"}
    unpenalised = set(by_name(small_config(embedding={"als_regularization": 0.0}), split))
    assert every - unpenalised == {"embedding.als_regularization"}
    one_day_each = set(by_name(small_config(), replace(split, warm_day_one=split.warm_day_one[:1])))
    assert every - one_day_each == {"cold_model.day_ones_per_pass", "ranker.day_ones_per_pass"}


def test_bounds_follow_the_users_that_are_learned_from(split: Split) -> None:
    config = small_config(training={"most_users": 10}, segments={"n_segments": 8})
    assert max(by_name(config, split)["segments.n_segments"].values) <= 10
