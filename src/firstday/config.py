"""Every setting of firstday in one place, read from TOML: its unit, its default and where it comes from.

The text of each field is also the text of `docs/configuration.md`. PAPER is L. Briand et al., KDD 2021.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from firstday.display import shorten, write_table
from firstday.errors import ConfigError, expect, hint_at

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

LARGEST_SEED = 2**31 - 1
"""Seeds are 32 bits in the libraries."""
MAX_SEED = LARGEST_SEED - 1000
"""Largest first seed: `evaluate` counts up from it."""

SHOWN = "shown"
"""The signal of impressions: every configuration knows it, and it never counts as use."""
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """A section: frozen, without settings that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def __repr__(self) -> str:
        return shorten(self)

    __str__ = __repr__

    def _list_settings(self, section: str = "") -> Iterator[tuple[str, str, Any, Any]]:
        """Yield the section, the name, the value and the default of every setting."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                yield from value._list_settings(f"{section}{name}.")
            else:
                yield section, name, value, field.get_default(call_default_factory=True)

    def _repr_facts_(self) -> Mapping[str, Any]:
        return {f"{of}{name}": value for of, name, value, default in self._list_settings() if value != default}

    def _repr_html_(self) -> str:
        """Write all settings, a table for each section; what is not the default has the default beside it."""
        html = ""
        for section, settings in groupby(self._list_settings(), key=itemgetter(0)):
            rows = [(name, value, "" if value == default else default) for _, name, value, default in settings]
            html += write_table(section.rstrip(".") or type(self).__name__, ("setting", "value", "default"), rows)
        return html

    def override(self, settings: str | Mapping[str, Any], value: Any = None) -> Self:
        """Return a copy with other values, checked as those of a file are.

        Parameters
        ----------
        settings
            The dotted name of one setting or section, or values by such names.
        value
            The value, where one name is given.

        Raises
        ------
        ConfigError
            One sentence for each setting that does not exist or cannot have its value.

        Examples
        --------
        >>> Config().override("recommend.k", 5).recommend.k
        5
        >>> Config().override({"recommend.k": 5, "seed": 3}).seed
        3
        """
        values = self.model_dump()
        for name, given in ({settings: value} if isinstance(settings, str) else settings).items():
            *sections, last = name.split(".")
            part: Any = values
            for section in sections:
                part = part.get(section) if isinstance(part, dict) else None
            if not isinstance(part, dict):
                raise ConfigError(_tell_unknown(type(self), name, "configuration"))
            part[last] = given.model_dump() if isinstance(given, Section) else given
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
    """Which signals exist and what they mean."""

    affinity: dict[str, float] = DEFAULT_AFFINITY
    """Weight of each signal in a user's affinity for an item; naming a signal here makes it known. What is given is
    laid over the defaults. Source: PAPER (its first step, affinity from several signals)."""
    damping: Literal["log", "none"] = "log"
    """How n interactions count: log2(1 + n), so that one counts 1, or n. The sum is never below 0."""
    use: tuple[str, ...] = ("stream", "favorite")
    """Signals that mean that the user uses the item: they make popularity, segments' lists and the truth that lists are
    judged by."""
    never_recommend: tuple[str, ...] = ("ban",)
    """Signals after which an item is left out of the user's lists, as used items are."""
    persistence: Fraction = 0.8
    """How likely somebody who looked at one place of a list looks at the next: what stands far down may not have been
    seen, and passing it over tells less. 1: all that was shown was seen."""
    response_days: float = Field(default=7, gt=0, le=36_500)
    """Days after an item was shown within which a use of it counts as an answer to that, where the use does not carry
    the list's id: rates of new items are counted so. Not in the paper."""
    at_registration: tuple[str, ...] = ("onboarding",)
    """Signals given while registering: always part of day one under the `sampled` protocol."""

    @field_validator("affinity", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        return {**DEFAULT_AFFINITY, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _shown_is_no_signal_of_taste(self) -> SignalConfig:
        places = ("affinity", "use", "never_recommend", "at_registration")
        named = [name for name in places if SHOWN in getattr(self, name)]
        if named:
            raise ValueError(
                f"{named[0]} names {SHOWN!r}, which is kept for what was shown to users and never counts as use; give "
                "the signal another name"
            )
        return self

    @model_validator(mode="after")
    def _use_is_liked(self) -> SignalConfig:
        if not set(self.use) & set(self.liked):
            raise ValueError(
                f"no signal of use ({', '.join(self.use)}) has a positive affinity; give one a weight above 0"
            )
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """Every signal of what users do. Interactions may carry `SHOWN`, too: what was shown to them."""
        return tuple(self.affinity)

    @property
    def liked(self) -> tuple[str, ...]:
        """Signals of positive weight: what a list may be built from."""
        return tuple(signal for signal, weight in self.affinity.items() if weight > 0)


DAY_ONES_IN_ALL, FEWEST_DAY_ONES, MOST_DAY_ONES = 100_000, 4, 50
"""Day ones that are drawn to train on where nothing is set: in all, and of each warm user."""


class SampledProtocolConfig(Section):
    """The `sampled` protocol: day one is drawn at random, where the data has no clock. Not in the paper."""

    min_items: Count = 20
    """Users with at least this many used items may be drawn as cold or for validation; others are warm."""
    warm: Share = 0.7
    """Share of these users that are warm."""
    validation: Share = 0.1
    """Share of them to stop training and to choose settings by."""
    sizes: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2, 3, 5, 8, 10)
    """Day-one sizes, in items."""
    probabilities: tuple[Fraction, ...] = (0.10, 0.15, 0.15, 0.20, 0.20, 0.10, 0.10)
    """Probability of each day-one size."""
    day_ones: Count | None = None
    """Day ones drawn of each warm user, to train on; empty: so many that there are about 100,000 in all, from 4 to 50
    of each."""

    def resolve_day_ones(self, n_warm: int) -> int:
        """Return the number of day ones of each of that many warm users."""
        return self.day_ones or min(max(DAY_ONES_IN_ALL // max(1, n_warm), FEWEST_DAY_ONES), MOST_DAY_ONES)

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
    """The `registration` protocol: who registered after a cut-off is cold, and day one is their first day."""

    cut_offs: Count = 6
    """Times at which `evaluate` trains on what came before; those who register from each one to the next are judged.
    Fewer where there are not 30 newcomers for each."""
    cut_off: AwareDatetime | None = None
    """Moment of the first cut-off, with its zone (2024-05-01T00:00:00Z); empty: the first midnight in UTC before which
    a third of the users registered, and 500 newcomers (or half of all) can be validated on."""
    target_days: Annotated[float, Field(gt=1)] | None = None
    """Days from registration to the end of the target window, which begins where day one ends; empty: the shortest of
    30 (PAPER), 60, 90, 180 and 365 by which most newcomers can be judged; 14 or 7 in a log that is too short for
    these."""
    day_one: Literal["24-hours", "calendar-day"] = "24-hours"
    """What day one is: 24 hours from registration on, or the hours to midnight in the user's time zone."""
    time_zone: str = "UTC"
    """Time zone (IANA name) of calendar days, unless a column tells."""
    time_zone_column: str = ""
    """Column of `users` with IANA names of time zones; empty: none."""
    early_hours: float = Field(default=1.0, ge=0)
    """Hours before registration that still count as day one (clocks of two systems differ); what was done earlier is
    left out."""


class LearningConfig(Section):
    """Whom vectors, segments and networks are learned from, where there are very many users."""

    most_users: Count = 1_000_000
    """Warm users whom vectors, segments and networks are learned from, at most: where there are more, a part of them
    that is the same on every machine, drawn by a hash of their ids. Everyone is counted all the same: sizes and items
    of segments, means of profile groups, popularity."""
    factors: Literal["sample", "mllib"] = "sample"
    """Where the vectors of items come from: the method of `[embedding]` on these users (sample), or Spark's own ALS on
    everyone (mllib), which only the Spark engine can do."""


DIMENSIONS = ((20_000, 128), (5_000, 64), (1_000, 32), (0, 16))
"""Warm users from whom on, and the length of vectors where none is set: fewer people tell less."""


class EmbeddingConfig(Section):
    """The first step of the paper: warm users' and items' vectors, from ids alone."""

    method: Literal["als", "svd", "word2vec", "precomputed"] = "als"
    """UT-ALS or TT-SVD (the first step of PAPER), word2vec over users' items in time order (needs the extra
    `word2vec`), or precomputed: the caller's own vectors in the table `embeddings`, which are taken wherever that table
    is there."""
    dimensions: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Numbers in a vector; empty: 16, 32 from 1,000 warm users on, 64 from 5,000, 128 from 20,000. Source: PAPER (128
    TT-SVD, 256 UT-ALS, of 70,000 users)."""
    similarity: Literal["auto", "dot", "cosine"] = "auto"
    """How a vector scores items; auto: dot product for ALS and precomputed vectors, else cosine."""
    als_iterations: Count = 15
    """Sweeps of alternating least squares (Hu et al. 2008)."""
    als_confidence: float = Field(default=15.0, gt=0)
    """Confidence of an affinity of 1 over an unknown item (alpha of Hu et al. 2008)."""
    als_regularization: float = Field(default=1.0, ge=0)
    """Weight of the L2 penalty on vectors (lambda of Hu et al. 2008)."""
    svd_smoothing: float = Field(default=0.75, ge=0, le=1)
    """Power on item counts in PMI, which tames rare items (Levy et al. 2015)."""
    svd_collections: tuple[str, ...] = ()
    """Entities (such as playlist) whose items co-occur, beside those of each user."""
    svd_items_per_user: Count = 500
    """Items of one user that may co-occur, at most; more are sampled. Bounds memory."""
    word2vec_window: Count = 20
    """Items before and after an item that count as its context."""
    word2vec_epochs: Count = 20
    """Passes over the users."""

    def resolve_dimensions(self, n_users: int, n_items: int) -> int:
        """Return how many numbers a vector has for that many warm users and items."""
        if self.dimensions:
            return self.dimensions
        by_users = next(dimensions for least, dimensions in DIMENSIONS if n_users >= least)
        return max(1, min(by_users, n_items - 1))


class SegmentConfig(Section):
    """Segments of warm users, the first step of the paper."""

    n_segments: Count | None = None
    """Number of segments; empty: warm users / 80, at most 1,000 (PAPER: 1,000), or warm users / 20, at most 30, where
    that is more."""
    iterations: Count = 20
    """Steps of k-means in each restart."""
    restarts: Count = 3
    """Runs of k-means from other starts; the tightest is kept."""
    top_items: Count = 300
    """Most used items that are kept of each segment."""
    smoothing: float | None = Field(default=None, ge=0)
    """Average users added to each segment for the lists of `segment`, so that few users decide little; empty: chosen on
    validation users, 0: the paper's plain counts."""

    def resolve(self, n_users: int) -> int:
        """Return the number of segments for that many warm users."""
        return self.n_segments or max(1, min(1000, n_users // 80), min(30, n_users // 20))


class FeatureConfig(Section):
    """Day-one features, from which the second step of the paper predicts a cold user's vector."""

    friends: bool = True
    """Add a block with the mean vector of the user's friends among established users, where friends are known. Not in
    the paper."""
    group_shrinkage: float = Field(default=10.0, ge=0)
    """Users at the overall mean who are added to each group before its mean vector is taken; 0 is the paper's plain
    mean."""
    age_users: float = Field(default=100.0, ge=0)
    """Warm users that each year of age gathers: a year with fewer takes in those of near years, the nearer the more,
    for its mean vector and in `group`; 0 is the paper's mean of each year alone."""
    counts: Literal["log", "plain"] = "log"
    """Counts enter as log(1 + n), or plain as in the paper."""
    through_items: tuple[str, ...] = ("stream x artist", "stream x album", "skip x artist", "skip x album")
    """Blocks on entities that follow from what was done to items: who streams an item streams its artist. Those whose
    signal or entity the data has not are left out. Source: PAPER (18 blocks)."""
    unit_vectors: bool = True
    """Scale items' vectors to length 1 before averaging; false is the paper's plain mean."""
    fold_in: bool = True
    """Add a block with the user's fold-in vector. Not in the paper; some gain on small data, and lists stay right for
    mixes of signals that training hardly saw."""

    @field_validator("through_items")
    @classmethod
    def _are_pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if len([part for part in name.split(" x ") if part]) != 2:
                raise ValueError(f"{name!r} names no block; write SIGNAL x ENTITY, such as stream x artist")
        return value

    @property
    def derived_pairs(self) -> tuple[tuple[str, str], ...]:
        """`through_items` as (signal, entity) pairs."""
        return tuple((signal, entity) for signal, _, entity in (name.partition(" x ") for name in self.through_items))


class TrainingConfig(Section):
    """How a network is trained."""

    hidden: tuple[Count, ...] = (400, 300, 200)
    """Widths of the hidden layers. Source: PAPER."""
    schedule: Literal["one-cycle", "flat"] = "one-cycle"
    """Learning rate: it rises and falls (one-cycle), or is flat as in the paper."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Learning rate: the peak (one-cycle) or at all times (flat). Paper: 1e-4."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decoupled weight decay of AdamW; 0 is the paper's Adam."""
    epochs: Count = 20
    """Passes over the warm users' day ones, at most. Paper: 130."""
    batch_size: Annotated[int, Field(ge=2)] | None = None
    """Day ones in a step; empty: a 64th of those in a pass, from 32 to 512, so that few users make no fewer steps.
    Paper: 512."""
    patience: Count = 6
    """Checks of validation precision without a gain before training stops; the best is kept."""
    day_ones_per_pass: Count = 4
    """Day ones of each warm user in a pass, on average; where there are more (`sampled.day_ones`), each pass draws its
    own."""
    most_rows: int = Field(default=262_144, ge=512)
    """Day ones of all warm users in a pass, at most."""

    def resolve_batch(self, n_rows: int) -> int:
        """Return how many of that many day ones in a pass make a step."""
        return min(self.batch_size or min(max(n_rows // 64, 32), 512), n_rows)


class ColdModelConfig(TrainingConfig):
    """The network that predicts a cold user's vector, the second step of the paper."""

    stop_by: Literal["both", "segment"] = "both"
    """The lists by whose precision on validation users training stops: those of the nearest segment and of the nearest
    items alike, or those of the nearest `segment` alone. Baselines stop by both."""

    @property
    def stopped_by(self) -> tuple[str, ...]:
        """Strategies whose precision, or mean precision, on validation users decides when training stops."""
        return ("segment", "personal") if self.stop_by == "both" else ("segment",)


class RankerConfig(TrainingConfig):
    """The network that ranks items from day-one features, for `direct` and `blend`; not in the paper."""

    enabled: bool = True
    """Whether to train it; without it, `direct` cannot answer."""
    hidden: tuple[Count, ...] = (300,)
    """Widths of the hidden layers."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """As in `cold_model`."""
    epochs: Count = 8
    """As in `cold_model`."""
    patience: Count = 4
    """As in `cold_model`."""
    input_dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of features hidden at every step."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of hidden numbers left out at every step."""
    most_items: Count = 8192
    """Items that it ranks, at most: the most used ones. Time and memory grow with them."""
    most_rows: int = Field(default=65_536, ge=512)
    """As in `cold_model`."""


class DropoutNetConfig(Section):
    """DropoutNet (Volkovs et al., NeurIPS 2017), a baseline for the cold model."""

    preference_dropout: Fraction = 0.5
    """Share of users whose warm vector is hidden from the input, drawn anew at every step."""
    transform: Literal["zeros", "mean"] = "zeros"
    """What stands in the input for a hidden or unknown vector: zeros, or the mean vector of day-one items (the
    article's transform)."""
    items_per_step: Count = 1000
    """Items whose scores are to be reproduced, drawn anew at every step."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """As in `cold_model`."""


class MeluConfig(Section):
    """MeLU (Lee et al., KDD 2019), a baseline for the cold model."""

    inner_steps: Annotated[int, Field(ge=0)] = 1
    """Gradient steps that the last layer takes for each user on the items of day one."""
    inner_rate: float = Field(default=0.1, gt=0)
    """Size of these steps; for the layer's weights it is divided by the layer's width."""
    negative_weight: float = Field(default=20.0, ge=0)
    """Weight of the mean over all items against the mean over used items in the loss."""
    query_items: Count = 32
    """Later items that an adapted user is judged on in training, drawn anew at every step."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """As in `cold_model`."""


class RecommendConfig(Section):
    """How lists are made."""

    k: Count = 50
    """Length of a list. Source: PAPER."""
    group_smoothing: float = Field(default=100.0, gt=0)
    """Users at overall popularity who are added to each profile group (`group`)."""
    input_clusters: Count = 100
    """Clusters of input vectors (`input_clusters`); at most warm users / 10. Source: PAPER."""
    warm_users: int = Field(default=100_000, ge=0)
    """Warm users that a model keeps, with their ids, vectors and items, for `neighbors`, `friends` and, of users who
    passed something over, `blend`; a random part where there are more. 0 keeps none."""
    item_weights: bool = True
    """Whether `blend` may weigh how well items go with the user's items (EASE)."""
    strategy: str = "auto"
    """Strategy where none is named: `auto`, which is the best one for users of whom as much is known, or any other;
    `segment` is the paper's."""


class ExperimentConfig(Section):
    """How `firstday experiment` compares the variants of an experiment."""

    days: tuple[Annotated[float, Field(gt=0, le=3650)], ...] = Field(default=(1.0, 7.0, 30.0), min_length=1)
    """Days after the assignment within which outcomes are counted. Source: PAPER, 30 days; a day and a week tell
    sooner."""
    outcome: Literal["auto", "used_of_shown", "liked_of_shown", "items_used", "days_active", "came_back"] = "auto"
    """The outcome that decides, chosen before the start; auto: `used_of_shown` (the paper's display-to-stream) where
    impressions are known, else `items_used`."""
    outcome_days: float = Field(default=7.0, gt=0)
    """The window of the outcome that decides; the nearest of `days` that has ended."""
    like: tuple[str, ...] = ("favorite",)
    """Signals that mean that the user likes the item, for `liked_of_shown` (the paper's display-to-favourite)."""
    covariate_margin_days: float = Field(default=1.0, ge=0, le=3650)
    """What a user did in so many days before the assignment is in no covariate. The assignment has the server's clock
    and a use the client's, so that a slow clock, or one of another time zone, would put outcomes into the covariate."""
    level: float = Field(default=0.95, ge=0.5, le=0.9999)
    """Of confidence of every interval."""
    effect: float = Field(default=0.03, gt=0, le=1)
    """The relative change of an outcome for which the power is told."""
    planned_users: int = Field(default=10_000, ge=10)
    """Users of both variants at whom always-valid intervals are narrowest, chosen before the start. They hold at any
    number."""
    least_users: int = Field(default=100, ge=2)
    """Users of a cohort or group in each variant, below whom it is not compared."""
    least_p: Share = 0.001
    """The report stops where a working assignment would divide users so unequally with a smaller probability than
    this."""
    effective_users: float = Field(default=100.0, gt=0)
    """Effective users below whom no estimate is given of lists that were not shown."""


class Config(Section):
    """The whole configuration: a few settings of its own, and the sections in the order of the stages."""

    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """Seed of everything random."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads of training; 0: all cores."""
    device: DeviceName = "auto"
    """Where networks are trained: cpu, cuda, mps (Apple), or auto, the first of cuda, mps and cpu that the machine has.
    On one device the same seed gives the same model; on another it is as good, not equal. Embeddings and segments are
    always computed on the CPU, and a model opens on any machine."""
    protocol: Literal["auto", "sampled", "registration"] = "auto"
    """How users are told apart and day ones come about; auto: `registration` where the tables have
    `users.registered_at` and times of interactions, else `sampled`."""
    methods: tuple[str, ...] = ()
    """Further methods to train beside ours: `item_item`, `user_user`, `ease`, `als_fold_in` and `mult_dae`, the cold
    models of the literature `dropoutnet` and `melu`, and those of plugins; `evaluate` adds what its strategies need.
    Layers, schedule, epochs, batch size, patience and what makes a pass of cold models are those of `cold_model`."""
    plugins: dict[str, dict[str, Any]] = {}
    """Settings of methods that plugins bring, and options that are not to be searched: a section `[plugins.NAME]` for
    each."""
    signals: SignalConfig = SignalConfig()
    sampled: SampledProtocolConfig = SampledProtocolConfig()
    registration: RegistrationProtocolConfig = RegistrationProtocolConfig()
    training: LearningConfig = LearningConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    segments: SegmentConfig = SegmentConfig()
    features: FeatureConfig = FeatureConfig()
    cold_model: ColdModelConfig = ColdModelConfig()
    ranker: RankerConfig = RankerConfig()
    dropoutnet: DropoutNetConfig = DropoutNetConfig()
    melu: MeluConfig = MeluConfig()
    recommend: RecommendConfig = RecommendConfig()
    experiment: ExperimentConfig = ExperimentConfig()

    @classmethod
    def of(cls, config: Config | None) -> Config:
        """Return a configuration, the defaults for None."""
        expect("config", config, (Config, NoneType), "a fd.Config, such as fd.load_config('settings.toml')")
        return config or cls()


def as_published(config: Config) -> Config:
    """Return a configuration with the features and the training that the paper states, and no part that it has not.

    What the paper leaves open stays: dimensions and method of the embeddings, the number of segments. Learning rate and
    epochs are those of PAPER, step 2: Adam at a flat 1e-4, 130 epochs of batches of 512 (smaller ones where set so).
    """
    return config.override(
        {
            "segments.smoothing": 0.0,
            "features.friends": False,
            "features.group_shrinkage": 0.0,
            "features.age_users": 0.0,
            "features.counts": "plain",
            "features.unit_vectors": False,
            "features.fold_in": False,
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
    """Make a Config of nested values; see `parse_settings`."""
    return parse_settings(Config, values, where)


def parse_settings(section: type[M], values: Mapping[str, Any], where: str = "configuration") -> M:
    """Make a section of nested values, naming every wrong setting at once.

    Raises
    ------
    ConfigError
        One sentence for each setting that does not exist or cannot have its value.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name, message = ".".join(map(str, fault["loc"])), fault["msg"]
            if fault["type"] == "extra_forbidden":
                faults.append(_tell_unknown(section, name, where))
            elif fault["type"] == "value_error":  # of several settings together
                faults.append(f"{where}: {name}: {fault['ctx']['error']}.")
            else:
                faults.append(f"{where}: {name} is {shorten(fault['input'])}: {message[:1].lower()}{message[1:]}.")
        raise ConfigError("\n".join(faults)) from None


def _tell_unknown(section: type[BaseModel], name: str, where: str) -> str:
    names = list(_setting_names(section))
    near = [known for known in names if known.endswith(f".{name}")] or get_close_matches(name, names, 1)
    hint = f"; did you mean {' or '.join(near)}? See" if near and name else "; see"
    return f"{where}: {name} is not a setting{hint} docs/configuration.md for those that are."


def _setting_names(section: type[BaseModel]) -> Iterator[str]:
    """Return the dotted names of sections and settings."""
    for name, field in section.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from (f"{name}.{part}" for part in _setting_names(field.annotation))


def load_config(path: str | Path) -> Config:
    """Read a TOML file; what it leaves out keeps its default.

    Raises
    ------
    ConfigError
        The file is missing, is not TOML, or a setting is wrong.
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
    """Return the configuration that suits a built-in dataset.

    The files stand in `firstday/presets`; how their values were found is in `docs/quality.md`.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    presets = _presets()
    if name not in presets:
        hint = hint_at(name, tuple(presets))
        raise ConfigError(f"load_preset: there is no {name!r}{hint}; give one of {', '.join(sorted(presets))}.")
    return parse_config(tomllib.loads(presets[name].read_text(encoding="utf-8")))


def suit_config(tables: str) -> Config:
    """Return the configuration that suits some tables: the preset of a built-in name, else the defaults."""
    return load_preset(tables) if tables in _presets() else Config()


def _presets() -> dict[str, Traversable]:
    files = (resources.files("firstday") / "presets").iterdir()
    return {file.name.removesuffix(".toml"): file for file in files if file.name.endswith(".toml")}
