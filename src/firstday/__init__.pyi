from firstday import config as config
from firstday.config import Config as Config
from firstday.data.dataset import Dataset as Dataset
from firstday.engine.engines import check as check
from firstday.engine.engines import load as load
from firstday.engine.engines import recommend_batch as recommend_batch
from firstday.errors import ArtifactError as ArtifactError
from firstday.errors import ConfigError as ConfigError
from firstday.errors import DataError as DataError
from firstday.errors import FirstdayError as FirstdayError
from firstday.evaluation.results import Results as Results
from firstday.evaluation.run import evaluate as evaluate
from firstday.features.signals import Signals as Signals
from firstday.model.folder import rollback as rollback
from firstday.recommend.explain import Explanation as Explanation
from firstday.recommend.query import Answer as Answer
from firstday.recommend.query import Query as Query
from firstday.recommend.recommendation import Recommendation as Recommendation
from firstday.recommend.recommendation import Recommendations as Recommendations
from firstday.recommend.recommender import Recommender as Recommender
from firstday.recommend.recommender import open_model as open_model
from firstday.recommend.registry import register as register
from firstday.recommend.rules.list_rules import Rules as Rules
from firstday.recommend.spec import ColdModelSpec as ColdModelSpec
from firstday.recommend.spec import LearningData as LearningData
from firstday.recommend.spec import OptionSearch as OptionSearch
from firstday.recommend.spec import StrategySpec as StrategySpec
from firstday.recommend.spec import UseData as UseData
from firstday.recommend.variants import Experiment as Experiment
from firstday.recommend.variants import Variant as Variant
from firstday.serve.tokens import sign_token as sign_token
from firstday.training.fit import train as train
from firstday.training.refresh_model import refresh as refresh

__version__: str
__all__: list[str]
