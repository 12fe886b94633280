"""All settings of firstday, read from TOML, with units, defaults and origins.

The docstrings of the fields also make up `docs/configuration.md`. The paper is L. Briand et al., KDD 2021.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from firstday.datasets import dataset_names, load_source
from firstday.display import readable, shorten
from firstday.errors import ConfigError, expect, hint_at

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]

MAX_SEED = 2**31 - 1
"""Maximum seed that all libraries accept."""

SHOWN = "shown"
"""Signal of impressions, which is part of every configuration and never counts as use."""
PAPER_THROUGH_ITEMS = ("stream x artist", "stream x album", "skip x artist", "skip x album")
"""The paper's setting of `features.through_items`."""
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
M = TypeVar("M", bound=BaseModel)


@readable
class Section(BaseModel):
    """A section of settings, which is frozen and rejects unknown settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        revalidate_instances="always",
        use_attribute_docstrings=True,
    )

    def __str__(self) -> str:
        return repr(self)

    def _repr_facts_(self) -> Mapping[str, Any]:
        """Return the settings that differ from their defaults, by dotted name."""
        facts: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                facts |= {f"{name}.{part}": setting for part, setting in value._repr_facts_().items()}
            elif value != field.get_default(call_default_factory=True):
                facts[name] = value
        return facts

    def override(self, settings: str | Mapping[str, Any], value: Any = None) -> Self:
        """Return a copy with other values, validated like those of a file.

        Parameters
        ----------
        settings
            Dotted name of a setting or section, or a mapping of dotted names to values.
        value
            Value of the setting if `settings` is a name.

        Raises
        ------
        ConfigError
            One sentence for each setting that does not exist or has an invalid value.

        Examples
        --------
        >>> Config().override("recommend.k", 5).recommend.k
        5
        >>> Config().override({"recommend.k": 5, "seed": 3}).seed
        3
        """
        values = self.model_dump()
        for name, setting_value in ({settings: value} if isinstance(settings, str) else settings).items():
            names = name.split(".")
            part: Any = values
            if names[0] == "plugins" and len(names) > 2:
                values.get("plugins", {}).setdefault(names[1], {})
            while len(names) > 1 and isinstance(part.get(names[0]), dict):
                part = part[names.pop(0)]
            part[".".join(names)] = setting_value
        return parse_settings(type(self), values)


DEFAULT_AFFINITY = {
    "stream": 1.0,
    "favorite": 1.0,
    "onboarding": 0.5,
    "search": 0.25,
    "skip": -0.5,
    "ban": -1.0,
}


class SignalConfig(Section):
    """Signals, their weights and their roles."""

    affinity: dict[str, float] = DEFAULT_AFFINITY
    """Weight of each signal in a user's affinity for an item. Merged with the defaults; naming a new signal here
    declares it."""
    damping: Literal["log", "none"] = "log"
    """How n repeated interactions count: log2(1 + n) for `log`, n for `none`. The sum over signals is never below 0."""
    use: tuple[str, ...] = ("stream", "favorite")
    """Signals that count as use of an item."""
    rating: float | None = None
    """Minimum `rating` of an interaction that counts; those with lower ones are left out, with a note. Empty: ratings
    are ignored."""
    never_recommend: tuple[str, ...] | None = None
    """Signals that exclude items from the user's lists, in addition to used items. `ban` excludes a banned item, and
    the items of a banned artist (or other entity member) with at most 1 % of the catalogue; `ban x genre` or `ban x *`
    those of larger ones, too. Unset: `ban` and your own signals with a negative affinity; `[]`: none."""
    persistence: Fraction = 0.8
    """Probability that a user who looked at one position of a list also looks at the next. 1: every item shown was
    seen."""
    visit_minutes: float = Field(default=30, ge=0, le=1e6)
    """Minutes without a request that end a visit. Impressions count once their visit is over, and each item once for
    it, so a reload does not change the list. Not in the paper."""
    response_days: float = Field(default=7, gt=0, le=36_500)
    """Days after an impression within which a use without a list id counts as a response to it. Not in the paper."""
    at_registration: tuple[str, ...] = ("onboarding",)
    """Signals given during registration. Under the `sampled` protocol they are always part of day one."""

    @field_validator("affinity", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        return {**DEFAULT_AFFINITY, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _can_be_learned(self) -> SignalConfig:
        if SHOWN in (*self.affinity, *self.use, *self.rejections, *self.at_registration):
            raise ValueError(f"{SHOWN!r} is reserved for impressions and never counts as use; rename the signal")
        if not set(self.use) & set(self.liked):
            raise ValueError(
                f"no signal of use ({', '.join(self.use)}) has a positive affinity; give one a weight above 0"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals of user actions; interactions may also have `SHOWN`, for impressions."""
        return tuple(self.affinity)

    @property
    def liked(self) -> tuple[str, ...]:
        """Signals with a positive weight, which lists are built from."""
        return tuple(signal for signal, weight in self.affinity.items() if weight > 0)

    @property
    def rejections(self) -> tuple[str, ...]:
        """`never_recommend`, or its default: ``ban`` and further signals with a negative weight."""
        if self.never_recommend is not None:
            return self.never_recommend
        own = (name for name, weight in self.affinity.items() if weight < 0 and name not in DEFAULT_AFFINITY)
        return ("ban", *own)

    def max_rejected(self, pair: tuple[str, str], n_items: int) -> int:
        """Return up to how many of `n_items` items an entity member may have for a pair to exclude them; 0: none."""
        if any(fnmatchcase(" x ".join(pair), pattern) for pattern in self.rejections):
            return n_items
        return max(1, n_items // 100) if pair[0] in self.rejections else 0

    def excludes_item(self, signal: str) -> bool:
        """Return whether an interaction with an item excludes it from the user's lists."""
        return signal in self.use or self.max_rejected((signal, "item"), 1) > 0


class SampledProtocolConfig(Section):
    """The `sampled` protocol, for data without a clock: day one is drawn at random. Not in the paper."""

    min_items: PositiveInt = 20
    """Minimum used items for a user to be eligible as a cold or validation user. All other users are warm."""
    warm: Share = 0.7
    """Share of eligible users that are warm."""
    validation: Share = 0.1
    """Share of eligible users held out for early stopping and for choosing settings."""
    sizes: tuple[NonNegativeInt, ...] = (0, 1, 2, 3, 5, 8, 10)
    """Day-one sizes, in items."""
    probabilities: tuple[Fraction, ...] = (0.10, 0.15, 0.15, 0.20, 0.20, 0.10, 0.10)
    """Probability of each day-one size."""
    day_ones: PositiveInt | None = None
    """Day ones to draw per warm user for training. Empty: about 100,000 in total, between 4 and 50 per user."""

    def resolve_day_ones(self, n_warm: int) -> int:
        """Return the number of day ones per user for a number of warm users."""
        return self.day_ones or min(max(100_000 // max(1, n_warm), 4), 50)

    @model_validator(mode="after")
    def _can_be_drawn(self) -> SampledProtocolConfig:
        if len(self.sizes) != len(self.probabilities):
            raise ValueError(
                f"{len(self.sizes)} sizes have {len(self.probabilities)} probabilities; give one for each size"
            )
        if not sum(self.probabilities):
            raise ValueError("all probabilities are 0; make one positive")
        if self.warm + self.validation > 1 - 1e-9:
            raise ValueError("warm and validation add up to 1 or more; leave a share for cold users")
        return self


class RegistrationProtocolConfig(Section):
    """The `registration` protocol: users who registered after a cut-off are cold, and day one is their first day."""

    cut_offs: PositiveInt = 6
    """Maximum number of cut-offs in `evaluate`."""
    cut_off: AwareDatetime | None = None
    """Time of the first cut-off, with time zone (2024-05-01T00:00:00Z). Empty: [by the
    data](protocols.md#registration-for-logs-with-a-clock)."""
    target_days: Annotated[float, Field(gt=1)] | None = None
    """End of the target window, in days after registration; the window starts when day one ends. Empty: by the data.
    Paper: 30."""
    day_one: Literal["24-hours", "calendar-day"] = "24-hours"
    """Definition of day one: 24 hours from registration, or until midnight in the user's time zone."""
    time_zone: str = "UTC"
    """Time zone (IANA name) of calendar days, for users without one in `time_zone_column`."""
    time_zone_column: str = ""
    """Column of `users` with IANA time zone names. Empty: none."""
    early_hours: NonNegativeFloat = 1.0
    """Hours before registration that still count as day one, to allow for clock skew between systems. Earlier
    interactions are dropped."""


class TrainingConfig(Section):
    """Users and item vectors of training, for very large datasets."""

    most_users: PositiveInt = 1_000_000
    """Maximum number of warm users to train vectors, segments and networks on. If there are more, a hash of user ids
    selects the same subset on every machine. Counts still include everyone."""
    factors: Literal["sample", "mllib"] = "sample"
    """Source of item vectors: the `[embedding]` method on these users (`sample`), or Spark's own ALS on everyone
    (`mllib`, on Spark only)."""


DIMENSIONS = ((20_000, 128), (5_000, 64), (1_000, 32), (0, 16))
"""Minimum number of warm users for a number of dimensions, if none is set; fewer users support fewer dimensions."""


class EmbeddingConfig(Section):
    """Vectors of warm users and items, learned from ids alone (step 1 of the paper)."""

    method: Literal["als", "svd", "precomputed"] = "als"
    """UT-ALS (`als`) or TT-SVD (`svd`) as in the paper, or `precomputed` vectors of your own. The table `embeddings`,
    if present, always takes precedence."""
    dimensions: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Dimensions of a vector. Empty: 16, or 32 from 1,000 warm users, 64 from 5,000, 128 from 20,000. Paper: 128
    (TT-SVD) and 256 (UT-ALS), for 70,000 users."""
    similarity: Literal["auto", "dot", "cosine"] = "auto"
    """How a vector scores items. `auto`: dot product for ALS and precomputed vectors, otherwise cosine."""
    als_iterations: PositiveInt = 15
    """ALS iterations (Hu et al. 2008)."""
    als_confidence: PositiveFloat = 15.0
    """Confidence in an affinity of 1, relative to an unobserved item (alpha in Hu et al. 2008)."""
    als_regularization: NonNegativeFloat = 1.0
    """L2 regularization of vectors (lambda in Hu et al. 2008)."""
    svd_smoothing: Fraction = 0.75
    """Exponent of item counts in PMI, which dampens rare items (Levy et al. 2015)."""
    svd_collections: tuple[str, ...] = ()
    """Entities (such as playlist) whose items co-occur, in addition to the items of each user."""
    svd_items_per_user: PositiveInt = 500
    """Maximum co-occurring items per user; of more, a sample is used. Bounds memory."""

    def resolve_dimensions(self, n_users: int, n_items: int) -> int:
        """Return the number of dimensions for a number of warm users and items."""
        if self.dimensions:
            return self.dimensions
        by_users = next(dimensions for min_users, dimensions in DIMENSIONS if n_users >= min_users)
        return max(1, min(by_users, n_items - 1))


class SegmentConfig(Section):
    """Segments of warm users (step 1 of the paper)."""

    n_segments: PositiveInt | None = None
    """Number of segments. Empty: warm users / 80, at most 1,000 (as in the paper), or warm users / 20, at most
    30, whichever is larger."""
    iterations: PositiveInt = 20
    """k-means iterations per restart."""
    restarts: PositiveInt = 3
    """k-means runs with different initial centroids. The tightest clustering is kept."""
    top_items: PositiveInt = 300
    """Number of most used items stored per segment."""

    def resolve(self, n_users: int) -> int:
        """Return the number of segments for a number of warm users."""
        return self.n_segments or max(1, min(1000, n_users // 80), min(30, n_users // 20))


class FeatureConfig(Section):
    """Day-one features, from which the cold model predicts a user's vector (step 2 of the paper)."""

    friends: bool = True
    """Add a block with the mean vector of the user's warm friends, if friends are known. Not in the paper."""
    group_shrinkage: NonNegativeFloat = 10.0
    """Shrinkage of each group's mean vector towards the overall mean, in pseudo-users. 0: the paper's plain mean."""
    age_users: NonNegativeFloat = 100.0
    """Warm users to pool per year of age. A year with fewer borrows from neighbouring years, weighted by proximity. 0:
    each year alone, as in the paper."""
    counts: Literal["log", "plain"] = "log"
    """Scale of counts: log(1 + n) for `log`; `plain` as in the paper."""
    through_items: tuple[Annotated[str, Field(pattern=".+ x .+")], ...] = ("stream x *", "skip x *")
    """Blocks on entities derived from item interactions: a stream of an item is also a stream of its artist. `*` stands
    for any signal or entity, and those missing from the data are omitted."""
    unit_vectors: bool = True
    """Normalize item vectors to length 1 before averaging. false: the paper's plain mean."""
    fold_in: bool = True
    """Add a block with the user's fold-in vector, which helps on small data and for rare mixes of signals. Not in the
    paper."""

    def derives(self, pair: tuple[str, str]) -> bool:
        """Return whether the block of a (signal, entity) pair is derived from items."""
        return any(fnmatchcase(" x ".join(pair), pattern) for pattern in self.through_items)


class NetworkConfig(Section):
    """Layers and training of a network; `[cold_model]` and `[ranker]` add their own settings."""

    hidden: tuple[PositiveInt, ...] = (400, 300, 200)
    """Hidden layer widths, as in the paper."""
    schedule: Literal["one-cycle", "flat"] = "one-cycle"
    """Learning rate schedule: rises, then falls (`one-cycle`), or constant as in the paper (`flat`)."""
    learning_rate: PositiveFloat = 3e-3
    """Peak learning rate (`one-cycle`) or constant rate (`flat`). Paper: 1e-4."""
    weight_decay: NonNegativeFloat = 1e-2
    """Decoupled weight decay of AdamW. 0: Adam, as in the paper."""
    epochs: PositiveInt = 20
    """Maximum epochs over the warm users' day ones. Paper: 130."""
    batch_size: Annotated[int, Field(ge=2)] | None = None
    """Day ones per batch. Empty: 1/64 of an epoch, between 32 and 512. Paper: 512."""
    patience: PositiveInt = 6
    """Early stopping: checks without a gain in validation precision before training stops. The best model is kept."""
    day_ones_per_pass: PositiveInt = 4
    """Average day ones per warm user and epoch. If more are available (`sampled.day_ones`), each epoch draws its
    own."""
    most_rows: int = Field(default=262_144, ge=512)
    """Maximum day ones per epoch, over all warm users."""

    def resolve_batch(self, n_rows: int) -> int:
        """Return the batch size for a number of day ones per epoch."""
        return min(self.batch_size or min(max(n_rows // 64, 32), 512), n_rows)


class ColdModelConfig(NetworkConfig):
    """The network that predicts a cold user's vector (step 2 of the paper)."""

    stop_by: Literal["both", "segment"] = "both"
    """Lists whose precision on validation users decides early stopping: the mean over nearest segment and nearest items
    (`both`), or nearest segment alone (`segment`). Baselines use `both`."""


class RankerConfig(NetworkConfig):
    """The network that ranks items from day-one features, for `direct` and `blend`. Not in the paper."""

    enabled: bool = True
    """Train the ranker. Without it, `direct` is unavailable."""
    hidden: tuple[PositiveInt, ...] = (300,)
    """Hidden layer widths."""
    epochs: PositiveInt = 8
    """As in `cold_model`."""
    patience: PositiveInt = 4
    """As in `cold_model`."""
    input_dropout: Rate = 0.2
    """Dropout rate of input features."""
    dropout: Rate = 0.5
    """Dropout rate of hidden units."""
    most_items: PositiveInt = 8192
    """Maximum items to rank, most used first. Time and memory grow with this number."""
    most_rows: int = Field(default=65_536, ge=512)
    """As in `cold_model`."""


class RecommendConfig(Section):
    """Recommendation lists."""

    k: PositiveInt = 50
    """List length, as in the paper."""
    group_smoothing: PositiveFloat = 100.0
    """Shrinkage of each profile group (`group`) towards overall popularity, in pseudo-users."""
    input_clusters: PositiveInt = 100
    """Number of clusters of input vectors (`input_clusters`), at most warm users / 10."""
    warm_users: NonNegativeInt = 100_000
    """Maximum warm users stored in a model, with ids, vectors and items, for `neighbors`, `friends` and, if a user
    passed over items, `blend`. If there are more, a random subset is stored. 0: none."""
    item_weights: bool = True
    """Train `edlae`, item-to-item weights that `blend` combines with other methods."""
    components: tuple[str, ...] | None = None
    """Methods whose components `blend` may combine in addition to `direct`, `personal`, `soft_segments`, `popular` and
    `edlae`. Unset: those in `methods`; `[]`: none."""
    strategy: str = "auto"
    """Default strategy. `auto` is `blend`, guarded against falling below `popular`; `segment` is the paper's."""


class ExperimentConfig(Section):
    """How `firstday experiment` compares the variants of an experiment."""

    days: tuple[Annotated[float, Field(gt=0, le=3650)], ...] = Field(default=(1.0, 7.0, 30.0), min_length=1)
    """Outcome windows, in days after assignment. Paper: 30."""
    outcomes: tuple[str, ...] = ()
    """Numeric columns of `interactions`, such as revenue, that are further outcomes, summed per user."""
    like: tuple[str, ...] = ("favorite",)
    """Signals that count as liking an item, for `liked_of_shown` (the paper's display-to-favourite)."""
    level: float = Field(default=0.95, ge=0.5, le=0.9999)
    """Confidence level of every interval."""
    least_p: Share = 0.001
    """Significance level of the sample ratio check: nothing is compared if so uneven a split is less probable."""


class Config(Section):
    """The whole configuration: a few settings of its own, and the sections in the order of the stages."""

    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    """Random seed."""
    threads: int = Field(default=0, ge=0, le=256)
    """Training threads. 0: all cores."""
    device: DeviceName = "auto"
    """Device to train networks on: cpu, cuda, mps (Apple), or auto, the first of cuda, mps and cpu available. The same
    seed gives the same model on the same device with the same number of threads. Models open on any machine."""
    protocol: Literal["auto", "sampled", "registration"] = "auto"
    """How users are split and day ones are formed. `auto`: `registration` if the log has a clock
    ([protocols](protocols.md)), otherwise `sampled`."""
    methods: tuple[str, ...] = ()
    """Additional methods to train: `item_item`, `user_user`, `ease`, `als_fold_in` and `mult_dae`, the cold models from
    the literature `dropoutnet` and `melu`, and those of plugins. The default list combines those with a component that
    earns a weight; to offer it `neighbors`, `friends`, `group`, `fold_in` or `day_one`, name them here. `evaluate` adds
    what its strategies need. Cold models share layers, schedule, batch size, patience and epoch settings with
    `cold_model`."""
    plugins: dict[str, dict[str, Any]] = {}
    """Settings of plugin methods, and options fixed instead of searched, such as `smoothing = 0` for `segment` (the
    paper's raw counts): one section `[plugins.NAME]` each."""
    time_zone: str = ""
    """Time zone (IANA name) of times without one in the tables. Empty: such times are a fault, except dates."""
    columns: dict[str, str] = {}
    """Columns of the tables that have other names, as a section `[columns]`: `WineID = "item_id"`, or, for one table,
    `"users.id" = "user_id"`. The model applies it to the tables of newcomers, too."""
    signals: SignalConfig = SignalConfig()
    sampled: SampledProtocolConfig = SampledProtocolConfig()
    registration: RegistrationProtocolConfig = RegistrationProtocolConfig()
    training: TrainingConfig = TrainingConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    segments: SegmentConfig = SegmentConfig()
    features: FeatureConfig = FeatureConfig()
    cold_model: ColdModelConfig = ColdModelConfig()
    ranker: RankerConfig = RankerConfig()
    recommend: RecommendConfig = RecommendConfig()
    experiment: ExperimentConfig = ExperimentConfig()

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError(f"{value!r} is not a time zone; give an IANA name, such as Europe/Paris")
        return value

    @property
    def components(self) -> tuple[str, ...]:
        """Methods whose components `blend` may combine in addition to the base ones."""
        return self.methods if self.recommend.components is None else self.recommend.components

    @classmethod
    def of(cls, config: Config | None) -> Config:
        """Return a configuration, the defaults for None."""
        expect("config", config, (Config, NoneType), "a fd.Config, such as fd.config.load_config('settings.toml')")
        return config or cls()


def as_in_paper(config: Config) -> Config:
    """Return the configuration with only the features, training and methods of the paper.

    Settings that the paper leaves open are kept: dimensions and method of the embeddings, and the number of segments.
    Training is that of PAPER, step 2: Adam at a constant rate of 1e-4, 130 epochs, batches of 512 unless set.
    """
    return config.override(
        {
            "features.friends": False,
            "features.group_shrinkage": 0.0,
            "features.age_users": 0.0,
            "features.counts": "plain",
            "features.unit_vectors": False,
            "features.fold_in": False,
            "features.through_items": PAPER_THROUGH_ITEMS,
            "cold_model.hidden": (400, 300, 200),
            "cold_model.schedule": "flat",
            "cold_model.learning_rate": 1e-4,
            "cold_model.weight_decay": 0.0,
            "cold_model.epochs": 130,
            "cold_model.patience": 130,
            "cold_model.batch_size": config.cold_model.batch_size or 512,
            "cold_model.day_ones_per_pass": 1,
            "methods": (),
            "cold_model.stop_by": "segment",
            "ranker.enabled": False,
            "recommend.warm_users": 0,
            "recommend.item_weights": False,
        }
    )


def parse_config(values: dict[str, Any], where: str = "configuration") -> Config:
    """Parse a Config from nested values; see `parse_settings`."""
    return parse_settings(Config, values, where)


def parse_settings(section: type[M], values: Mapping[str, Any], where: str = "configuration") -> M:
    """Parse a section from nested values; ConfigError has a sentence for each unknown or invalid setting."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(map(str, fault["loc"]))
            message = fault["msg"]
            if fault["type"] == "extra_forbidden":
                faults.append(_describe_unknown(section, name, fault["input"]))
            elif fault["type"] == "value_error":  # from our validators
                faults.append(f"{name}: {fault['ctx']['error']}.")
            else:
                faults.append(f"{name} is {shorten(fault['input'])}: {message[:1].lower()}{message[1:]}.")
        raise ConfigError(f"\n{where}: ".join(faults), where=where) from None


def _describe_unknown(section: type[BaseModel], name: str, value: Any) -> str:
    names = list(_setting_names(section))
    matches = [setting for setting in names if setting.endswith(f".{name}")] or get_close_matches(name, names, 1)
    is_table = isinstance(value, dict)
    if section is Config and (is_table or "." in name) and not get_close_matches(name.partition(".")[0], names, 1):
        matches = [f"[plugins.{name}]" if is_table else f"plugins.{name}"]  # perhaps the name of a method
    hint = f"; did you mean {' or '.join(matches)}? See" if matches else "; see"
    return f"{name} is not a setting{hint} docs/configuration.md for the settings."


def _setting_names(section: type[BaseModel]) -> Iterator[str]:
    """Return the dotted names of sections and settings."""
    for name, field in section.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from (f"{name}.{part}" for part in _setting_names(field.annotation))


def load_config(path: str | Path) -> Config:
    """Read a TOML file; settings that are not in it keep their defaults.

    Raises
    ------
    ConfigError
        The file is missing or not TOML, or a setting is invalid.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}); correct the file.") from None
    return parse_config(values, where=str(path))


def load_preset(name: str) -> Config:
    """Return the preset of a dataset, or the defaults if it has none; for its origin see `docs/quality.md`.

    Raises
    ------
    ConfigError
        There is no dataset with this name.
    """
    if name not in dataset_names():
        hint = hint_at(name, dataset_names())
        raise ConfigError(f"load_preset: {name!r} is not a dataset{hint}; give a name of docs/tables.md.")
    preset = load_source(name).preset
    return Config() if preset is None else load_config(preset)


def suit_config(tables: str) -> Config:
    """Return the preset of a dataset known by name, or the defaults for any other tables."""
    return load_preset(tables) if tables in dataset_names() else Config()
