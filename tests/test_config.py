from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from firstday.config import (
    DEFAULT_AFFINITY,
    Config,
    RecommendConfig,
    SegmentConfig,
    as_in_paper,
    load_config,
    parse_config,
)
from firstday.errors import ConfigError

TOML = """
seed = 7

[signals]
affinity = { stream = 2.0, download = 1.5 }
damping = "none"

[embedding]
method = "svd"
svd_collections = ["playlist"]

[cold_model]
hidden = [64, 32]
"""


def test_a_file_is_laid_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "firstday.toml"
    path.write_text(TOML, encoding="utf-8")
    config = load_config(path)
    assert config == load_config(str(path))
    assert (config.seed, config.signals.damping, config.embedding.method) == (7, "none", "svd")
    assert config.embedding.svd_collections == ("playlist",)
    assert config.cold_model.hidden == (64, 32)
    assert config.embedding.dimensions == Config().embedding.dimensions
    assert config.segments == SegmentConfig()
    assert config.signals.affinity == {**DEFAULT_AFFINITY, "stream": 2.0, "download": 1.5}


def test_a_configuration_survives_being_written_and_read() -> None:
    config = parse_config({"seed": 3, "signals": {"affinity": {"hum": 0.1, "ban": 0}}, "segments": {"n_segments": 5}})
    assert parse_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "rejections"),
    [
        ({}, ("ban",)),
        ({"affinity": {"hide": -1.0, "love": 2.0, "skip": -3.0, "ban": 0.0}}, ("ban", "hide")),
        ({"affinity": {"hide": -1.0}, "never_recommend": ["skip", "ban x genre"]}, ("skip", "ban x genre")),
        ({"never_recommend": []}, ()),
    ],
)
def test_signals_of_ones_own_reject_if_they_are_negative(settings: Any, rejections: tuple[str, ...]) -> None:
    assert parse_config({"signals": settings}).signals.rejections == rejections


SEE = "See docs/configuration.md for the settings."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"segments": {"n_segment": 4}},
            f"segments.n_segment is not a setting; did you mean segments.n_segments? {SEE}",
        ),
        ({"epochs": 4}, f"epochs is not a setting; did you mean cold_model.epochs or ranker.epochs? {SEE}"),
        ({"melu": {"inner_steps": 2}}, f"melu is not a setting; did you mean [plugins.melu]? {SEE}"),
        ({"embedding": {"dimensions": 0}}, "embedding.dimensions is 0: input should be greater than or equal to 1."),
        (
            {"sampled": {"sizes": [0, 1], "probabilities": [0.5, 0.3, 0.2]}},
            "sampled: 2 sizes have 3 probabilities; give one for each size.",
        ),
        (
            {"sampled": {"warm": 0.9, "validation": 0.2}},
            "sampled: warm and validation add up to 1 or more; leave a share for cold users.",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert str(caught.value) == f"configuration: {sentence}"


def test_all_wrong_settings_are_told_at_once_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("seed = -1\ntypo = 2\n[segments]\niterations = 0\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_value_is_overridden_by_its_dotted_name() -> None:
    config = Config()
    assert config.override("recommend.k", 5) == parse_config({"recommend": {"k": 5}})
    assert config.override({"recommend.k": 5, "seed": 3}) == parse_config({"seed": 3, "recommend": {"k": 5}})
    assert config.override({}) == config == Config()
    assert config.override("segments.n_segments", 4).override("segments.n_segments", None) == config
    assert config.override("recommend", config.recommend.override("k", 7)) == config.override("recommend.k", 7)
    assert config.override("signals.affinity.hum", 0.5).signals.affinity == {**DEFAULT_AFFINITY, "hum": 0.5}
    settings = {"plugins.melu.inner_steps": 2, "plugins.melu.query_items": 9}
    assert config.override(settings).plugins == {"melu": {"inner_steps": 2, "query_items": 9}}
    both = config.override({"sampled.sizes": (4,), "sampled.probabilities": (1.0,)})
    assert (both.sampled.sizes, both.sampled.probabilities) == ((4,), (1.0,))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("recommend.k", -5, "recommend.k is -5: input should be greater than 0."),
        ("melu.learning_rate", 1, "melu.learning_rate is not a setting; did you mean plugins.melu.learning_rate? See "),
        ("seed.x", 5, "seed.x is not a setting; did you mean seed? See docs/"),
        ("recommend", RecommendConfig().model_copy(update={"k": 0}), "recommend.k is 0: input should be greater "),
    ],
)
def test_an_override_is_checked(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().override(name, value)
    assert str(caught.value).startswith(f"configuration: {sentence}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    with pytest.raises(ConfigError) as caught:
        load_config(broken)
    assert str(caught.value) == f"{broken}: cannot be read (No such file or directory); give the path of a TOML file."
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    for content in (b"seed = = 1", b"\xff\xfe\x00s"):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match=r"broken\.toml: is not TOML \(.*\); correct the file\.$"):
            load_config(broken)


@pytest.mark.parametrize("section", [type(part) for part in vars(Config()).values() if isinstance(part, BaseModel)])
def test_every_setting_is_described_in_a_sentence(section: type[BaseModel]) -> None:
    for name, field in section.model_fields.items():
        assert (field.description or "").rstrip().endswith("."), name


@pytest.mark.parametrize(
    ("n_warm", "dimensions", "n_segments", "batch"),
    [(10, 16, 1, 32), (304, 16, 15, 32), (660, 16, 30, 41), (5_000, 64, 62, 312), (70_000, 128, 875, 512)],
)
def test_what_is_left_empty_follows_the_number_of_warm_users(
    n_warm: int, dimensions: int, n_segments: int, batch: int
) -> None:
    config = Config()
    assert config.embedding.resolve_dimensions(n_warm, 10_000) == dimensions
    assert config.segments.resolve(n_warm) == n_segments
    assert config.cold_model.resolve_batch(n_warm * 4) == config.ranker.resolve_batch(n_warm * 4) == batch
    assert config.embedding.resolve_dimensions(n_warm, 9) == 8  # below the number of items
    given = parse_config(
        {"embedding": {"dimensions": 7}, "segments": {"n_segments": 5}, "cold_model": {"batch_size": 9}}
    )
    assert given.embedding.resolve_dimensions(n_warm, 3) == 7
    assert given.segments.resolve(n_warm) == 5
    assert given.cold_model.resolve_batch(n_warm * 4) == 9
    assert as_in_paper(config).cold_model.batch_size == 512
