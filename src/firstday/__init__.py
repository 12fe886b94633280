"""firstday: recommendations for a user's first day (user -> segment -> items).

The public names are loaded when they are first used, so that ``import firstday`` is quick and recommending never
loads what only training needs.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstday.artifact.folder import rollback as rollback
    from firstday.config import ColdModelConfig as ColdModelConfig
    from firstday.config import Config as Config
    from firstday.config import DropoutNetConfig as DropoutNetConfig
    from firstday.config import EmbeddingConfig as EmbeddingConfig
    from firstday.config import ExperimentConfig as ExperimentConfig
    from firstday.config import FeatureConfig as FeatureConfig
    from firstday.config import LearningConfig as LearningConfig
    from firstday.config import MeluConfig as MeluConfig
    from firstday.config import RankerConfig as RankerConfig
    from firstday.config import RecommendConfig as RecommendConfig
    from firstday.config import RegistrationProtocolConfig as RegistrationProtocolConfig
    from firstday.config import SampledProtocolConfig as SampledProtocolConfig
    from firstday.config import SegmentConfig as SegmentConfig
    from firstday.config import SignalConfig as SignalConfig
    from firstday.config import load_config as load_config
    from firstday.config import load_preset as load_preset
    from firstday.data.dataset import Dataset as Dataset
    from firstday.engine.engines import Check as Check
    from firstday.engine.engines import ModelPlace as ModelPlace
    from firstday.engine.engines import check as check
    from firstday.engine.engines import load as load
    from firstday.engine.engines import recommend_batch as recommend_batch
    from firstday.errors import ArgumentError as ArgumentError
    from firstday.errors import ArtifactError as ArtifactError
    from firstday.errors import BusyError as BusyError
    from firstday.errors import ConfigError as ConfigError
    from firstday.errors import DataError as DataError
    from firstday.errors import FirstdayError as FirstdayError
    from firstday.errors import MissingExtraError as MissingExtraError
    from firstday.evaluation.results import Results as Results
    from firstday.evaluation.run import evaluate as evaluate
    from firstday.features.signals import Signals as Signals
    from firstday.ranking import rank_scores as rank_scores
    from firstday.ranking import unit_rows as unit_rows
    from firstday.recommend.query import Answer as Answer
    from firstday.recommend.query import Query as Query
    from firstday.recommend.recommendation import Recommendation as Recommendation
    from firstday.recommend.recommendation import Recommendations as Recommendations
    from firstday.recommend.recommender import Recommender as Recommender
    from firstday.recommend.recommender import open_model as open_model
    from firstday.recommend.registry import register as register
    from firstday.recommend.spec import ColdModelSpec as ColdModelSpec
    from firstday.recommend.spec import LearningData as LearningData
    from firstday.recommend.spec import OptionSearch as OptionSearch
    from firstday.recommend.spec import StrategySpec as StrategySpec
    from firstday.recommend.spec import UseData as UseData
    from firstday.recommend.variants import Experiment as Experiment
    from firstday.recommend.variants import Variant as Variant
    from firstday.training.fit import train as train
    from firstday.training.refresh_model import RefreshResult as RefreshResult
    from firstday.training.refresh_model import refresh as refresh

__version__ = "0.1.0"

# Libraries that train read this when they are loaded: threads sleep while they wait, instead of spinning. It costs
# almost nothing on an idle machine, and is several times faster beside another busy program.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "firstday.artifact.folder": ("rollback",),
    "firstday.config": (
        "ColdModelConfig",
        "Config",
        "DropoutNetConfig",
        "EmbeddingConfig",
        "ExperimentConfig",
        "FeatureConfig",
        "LearningConfig",
        "MeluConfig",
        "RankerConfig",
        "RecommendConfig",
        "RegistrationProtocolConfig",
        "SampledProtocolConfig",
        "SegmentConfig",
        "SignalConfig",
        "load_config",
        "load_preset",
    ),
    "firstday.data.dataset": ("Dataset",),
    "firstday.engine.engines": ("Check", "ModelPlace", "check", "load", "recommend_batch"),
    "firstday.errors": (
        "ArgumentError",
        "ArtifactError",
        "BusyError",
        "ConfigError",
        "DataError",
        "FirstdayError",
        "MissingExtraError",
    ),
    "firstday.features.signals": ("Signals",),
    "firstday.evaluation.results": ("Results",),
    "firstday.evaluation.run": ("evaluate",),
    "firstday.training.fit": ("train",),
    "firstday.training.refresh_model": ("RefreshResult", "refresh"),
    "firstday.recommend.query": ("Answer", "Query"),
    "firstday.ranking": ("rank_scores", "unit_rows"),
    "firstday.recommend.recommendation": ("Recommendation", "Recommendations"),
    "firstday.recommend.recommender": ("Recommender", "open_model"),
    "firstday.recommend.variants": ("Experiment", "Variant"),
    "firstday.recommend.registry": ("register",),
    "firstday.recommend.spec": ("ColdModelSpec", "LearningData", "OptionSearch", "StrategySpec", "UseData"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

_CHECKED_ELSEWHERE = ("firstday.errors", "firstday.features.signals")
"""Homes of names that tell wrong arguments by themselves, or take any."""

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'firstday' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    if _HOME_OF[name] not in _CHECKED_ELSEWHERE:
        from firstday.arguments import checked

        value = checked(value)
        if not isinstance(value, type):
            value.__module__ = __name__  # where pickle finds it
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
