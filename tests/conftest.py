"""One small service, split and trained once for all tests that only look at the result.

`FIRSTDAY_TEST_SEED` and `FIRSTDAY_TEST_THREADS` give the seed and the threads of what is trained (`tests.synthetic`).
No test may rest on what such a model happens to predict: lists are checked on the hand-made model of `tests.tiny`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits import roles
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Split
from firstday.features.signal_batch import SignalBatch
from firstday.recommend import registry
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import find_method
from firstday.recommend.spec import UseData
from firstday.training.fit import fit
from tests.matrices import draw_asked, draw_training, draw_uses
from tests.synthetic import COLD_MODELS, SEED, make_world, small_config
from tests.tiny import make_recommender
from tests.training_once import train_once

settings.register_profile("steady", deadline=None, derandomize=True)  # the same cases however busy the machine is
settings.load_profile("steady")


@pytest.fixture(scope="module", autouse=True)
def few_folds() -> Iterator[None]:
    """Cross-fit in two folds instead of five, which trains three models instead of six."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roles, "MAX_FOLDS", 2)
        yield


@pytest.fixture(scope="session")
def tiny() -> Recommender:
    """Return a recommender of five users and six items, made by hand; see `tests.tiny`."""
    return make_recommender()


@pytest.fixture(scope="session")
def world() -> Dataset:
    return make_world()


@pytest.fixture(scope="session")
def config() -> Config:
    return small_config()


@pytest.fixture(scope="session")
def split(world: Dataset, config: Config) -> Split:
    return split_for_training(world, config, SEED, with_cold=True)


@pytest.fixture(scope="session")
def methods_config() -> Config:
    """The same configuration, with all further methods, whose options are given."""
    options = {
        "item_item": {"shrinkage": 10.0, "asymmetry": 0.5, "neighbors": 100},
        "user_user": {"rarity": 0.0, "neighbors": 50, "shrinkage": 10.0, "power": 1.0},
        "ease": {"regularization": 100.0, "dropout": 0.5},
        "als_fold_in": {"dimensions": 4, "confidence": 5.0, "regularization": 1.0, "frequency": 0.5},
        "mult_dae": {"steps": 100, "width": 16, "dropout": 0.5, "weight_decay": 0.01},
    }
    methods = [*COLD_MODELS, *filter(find_method, options)]
    return small_config(methods=methods, plugins={**options, "dropoutnet": {"items_per_step": 100}})


@pytest.fixture(scope="session")
def recommender(
    world: Dataset, methods_config: Config, split: Split, tmp_path_factory: pytest.TempPathFactory
) -> Recommender:
    """Trained on the warm users of `split`, other cold models too."""
    return open_model(
        train_once("recommender", tmp_path_factory, lambda: fit(world, split, methods_config).recommender)
    )


@pytest.fixture(scope="session")
def world_days(world: Dataset, split: Split, recommender: Recommender) -> SignalBatch:
    """What is known of the cold users of `split` at the end of day one."""
    batch, _ = recommender.model.catalogue.translate(world, split.cold.users, split.cold.day_one)
    return batch


@pytest.fixture(scope="session")
def warm() -> np.ndarray:
    """What a few warm users use; see `tests.matrices`."""
    return draw_uses()


@pytest.fixture(scope="session")
def asked() -> np.ndarray:
    """What those who ask like."""
    return draw_asked()


@pytest.fixture(scope="session")
def training(warm: np.ndarray) -> UseData:
    """The affinities of what the warm users use."""
    return draw_training(warm)


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """Forget the methods that a test registered."""
    yield
    registry._registry.cache_clear()


LONG = (
    *("spark", "test_examples.py", "test_notebooks.py", "test_bare_environment.py", "test_plugin.py", "test_demo.py"),
    *("test_faults.py", "test_site.py", "test_versions.py", "test_distribution.py"),
)
"""Files and folders of tests that take long. What comes first is run by one process: only that one starts Spark."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long, so that none of them is left for the end."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: min(ranks.get(name, len(LONG)) for name in item.path.parts[-2:]))
