"""Refresh: retrain, compare on users new to both models, and publish the new model or keep the old.

Held-out users are chosen by a hash of the caller's user id, of a person with guests the first one, so they are the same
in every run. They are used neither for training nor for choosing settings. Models are compared on those held out under
each of their ids. The published model is exactly the one that was compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Cohort, Split
from firstday.display import readable
from firstday.engine.engines import load
from firstday.engine.local import save_model
from firstday.errors import ArtifactError, BusyError, ConfigError, needs_extra
from firstday.model.folder import KEEP, check_target, version_in
from firstday.progress import Progress, open_progress
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.support import with_methods_of
from firstday.tables.schema import DAY_US
from firstday.training.column_signs import COLUMN
from firstday.training.fit import fit
from firstday.training.held_out_users import MIN_COMPARED, choose_share, hash_users, take_newest
from firstday.training.model_comparison import ModelComparison, compare_models, measure_precision
from firstday.training.table_signs import (
    MIN_USERS,
    NEW,
    SignRecord,
    compare_signs,
    count_times,
    describe_unusual,
    find_unusual,
    measure_signs,
    record_night,
)

GATE = 0.89
"""Default minimum ratio of new to current precision, to publish a model; benchmarks/refresh_gate.py measures it."""
MIN_SIZE = 0.5
"""Default minimum share of the previous model's counts that the tables must have."""
MIN_COUNT = 100
"""Previous counts below this are not checked for a drop."""
ADVICE = "check what writes the tables, or publish with force (--force)"

Outcome = Literal["first", "no_worse", "not_compared", "smaller", "damaged", "worse", "replaced"]


@readable
@dataclass(frozen=True)
class RefreshResult:
    """Outcome of a refresh.

    Parameters
    ----------
    published
        Whether the new model was published; otherwise the current one was kept.
    reason
        ``first``: there was no model to compare with. ``no_worse``: the new model passed the gate.
        ``not_compared``: too few users are new to both models; refused if the current one cannot be opened, or most
        users registered at one time. ``smaller``: the tables have shrunk. ``damaged``: they lack what the
        current model knows. ``worse``: the new model did not pass the gate. ``replaced``: another version was published
        during the refresh.
    sentence
        The reason in one sentence, with advice.
    model
        The model folder.
    version
        The current version.
    before
        The version at the start of the refresh; None if there was none.
    gate
        Minimum ratio of precision.
    comparison
        The comparison of the two models; None if they were not compared.
    """

    published: bool
    reason: Outcome
    sentence: str
    model: str
    version: str | None
    before: str | None
    gate: float
    comparison: ModelComparison | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


def refresh(
    tables: Dataset | str | Path | Mapping[str, Any],
    out: str | Path,
    config: Config | None = None,
    *,
    gate: float = GATE,
    keep: int = KEEP,
    min_size: float = MIN_SIZE,
    force: bool = False,
    wait_s: float = 0.0,
    progress: Progress | bool | None = True,
) -> RefreshResult:
    """Train on tables and replace the current model, unless the new one is worse or the tables are damaged.

    Tables are damaged if they have shrunk, or if less of what the current model knows is found in them than is usual
    between nights: its users' uses, its items, their shares and columns, which items are used together, and its
    precision.

    Between 2 % and 10 % of the users (fewer if more than 10,000 held-out users could be evaluated) are held out of
    training and of all choices. A hash of their ids selects the same users in every run, so neither model has seen
    them. `train` holds out no users: the first model after it is published without a comparison. Both models recommend
    to the held-out users from their day ones in the new tables. The new model is refused if the interval of the ratio
    of its precision to the current one's lies below 1, or if the ratio is below `gate`, also multiplied by those since
    the last publication shown to be no worse.

    Parameters
    ----------
    tables
        A dataset returned by `load`, or anything that `load` accepts, on this machine.
    out
        The model folder.
    config
        Settings; the defaults if omitted.
    gate
        Minimum ratio of new to current precision, above 0 and up to 1.
    keep
        Number of versions to keep in the folder for `rollback`.
    min_size
        Minimum share of the previous model's counts of users, items, friends and interactions of each kind that the
        tables must have. 0 disables the check.
    force
        Whether to publish regardless of all checks.
    wait_s
        Seconds to wait for another refresh of the same model.
    progress
        See `train`.

    Returns
    -------
    RefreshResult
        The outcome; a refusal is not an error.

    Raises
    ------
    BusyError
        Another refresh of this model is still running after the wait.
    DataError
        The tables have faults, or too few users to train.
    ArtifactError
        The folder holds something other than a model, or cannot be written.
    ConfigError
        A setting is invalid or does not fit the data.
    """
    path = Path(out)
    if not 0 < gate <= 1:
        raise ConfigError(f"gate: is {gate}; give a ratio above 0, up to 1. To publish whatever it is, use force.")
    if not 0 <= min_size < np.inf:
        raise ConfigError(f"min_size: is {min_size}; give 0 or a positive number.")
    check_target(path)
    config = Config.of(config)
    config = with_methods_of(config, [config.recommend.strategy])
    with needs_extra("refreshing a model", "train"):
        from filelock import FileLock, Timeout
    if force:
        min_size = 0.0
    lock = path.parent / f".{path.name}.refresh"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=wait_s):
            dataset = tables if isinstance(tables, Dataset) else load(tables, config=config)
            if not isinstance(dataset, Dataset):
                raise ConfigError("refresh: requires tables on this machine; on a cluster, use train and evaluate.")
            before = version_in(path)
            current, fault = _open_current(path)
            with open_progress(progress) as report:
                night = Night(
                    dataset=dataset,
                    path=path,
                    config=config,
                    gate=gate,
                    min_size=min_size,
                    force=force,
                    progress=report,
                    before=before,
                    current=current,
                    fault=fault,
                )
                return _replace_model(night, keep)
    except Timeout:
        raise BusyError(
            f"{path}: another refresh of this model is running and holds {lock}; wait for it with wait_s "
            "(--wait SECONDS)."
        ) from None


def _open_current(path: Path) -> tuple[Recommender | None, str]:
    """Return the current model, or None and why it cannot be opened; "" if there is none."""
    try:
        return (None if version_in(path) is None else open_model(path)), ""
    except (ArtifactError, ConfigError) as error:
        return None, f"the current model cannot be opened ({error})"


@dataclass(frozen=True, eq=False)
class Night:
    """What the gates of a refresh read: tables and options, the current model and the new one.

    `fault` says why the current model cannot be opened. The new model is made when the first gate reads it.
    """

    dataset: Dataset
    path: Path
    config: Config
    gate: float
    min_size: float
    force: bool
    progress: Progress
    before: str | None
    current: Recommender | None
    fault: str

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Facts about the data of the current model."""
        return {} if self.current is None else self.current.model.facts["data"]

    @cached_property
    def hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers that decide who is held out, see `hash_users`."""
        return hash_users(self.dataset)

    @cached_property
    def share(self) -> float:
        """Share of users to hold out of a training."""
        return choose_share(self.dataset, self.config)

    @cached_property
    def split(self) -> Split:
        """Split whose cold users are held out."""
        is_held_out = self.hashes[0] < self.share
        return split_for_training(self.dataset, self.config, self.config.seed, held_out=is_held_out)

    @property
    def current_share(self) -> float:
        """Share of users held out of the current model; `train` holds none out."""
        return self.facts.get("held_out_share", 0.0)

    @cached_property
    def cohort(self) -> Cohort:
        """Held-out users who are also new to the current model."""
        cold = self.split.cold
        is_new = self.hashes[1][cold.users] < self.current_share
        return take_newest(cold.take(np.flatnonzero(is_new)))

    @cached_property
    def recorded(self) -> SignRecord:
        """Signs recorded with the current model; `train` records none."""
        return SignRecord(**self.facts.get("signs", {}))

    @cached_property
    def times(self) -> dict[str, int]:
        """Numbers of interactions, see `count_times`."""
        return count_times(self.dataset)

    @cached_property
    def signs(self) -> dict[str, float]:
        """Signs of the tables, measured with the current model; empty without one."""
        if self.current is None:
            return {}
        signs = measure_signs(self.current.model, self.dataset, self.times, self.recorded.times, self.recorded.end_us)
        return signs | _measure_precision_sign(self.current, self.dataset, self.cohort)

    @cached_property
    def falls(self) -> dict[str, float]:
        """Relative falls of the signs since the current model was published."""
        return compare_signs(self.signs, self.recorded.values)

    @property
    def n_nights(self) -> float:
        """Number of nights since the log of the current model ended."""
        return max(1.0, ((self.dataset.events.last or 0) - (self.recorded.end_us or 0)) / DAY_US)

    @cached_property
    def new(self) -> Recommender:
        """The new model."""
        model = fit(self.dataset, self.split, self.config, progress=self.progress).model
        return _record_signs(self, Recommender(model), take_newest(self.split.cold), self.share)

    @cached_property
    def comparison(self) -> ModelComparison | None:
        """Comparison of the new model with the current one; None if they cannot be compared."""
        if self.current is None or not self.is_comparable:
            return None
        return compare_models(self.current, self.new, self.dataset, self.cohort, self.facts.get("compared", 1.0))

    @property
    def is_comparable(self) -> bool:
        """Whether there are enough users to compare a trained model on."""
        return len(self.cohort) >= MIN_COMPARED


def _measure_precision_sign(recommender: Recommender, dataset: Dataset, cohort: Cohort) -> dict[str, float]:
    """Return the sign of precision, unless there are too few users."""
    if len(cohort) < MIN_USERS:
        return {}
    return {"precision": float(measure_precision(recommender, dataset, cohort).mean())}


def _record_signs(night: Night, new: Recommender, held_out: Cohort, share: float) -> Recommender:
    """Store with a model what the next refresh reads: the share of users held out, and the signs of the tables."""
    values = measure_signs(new.model, night.dataset, night.times, night.times)
    values |= {sign: value for sign, value in night.signs.items() if sign.startswith(NEW)}
    values |= _measure_precision_sign(new, night.dataset, held_out)
    # What was forced is not usual, but for columns, of which some change every night.
    falls = {sign: fall for sign, fall in night.falls.items() if not night.force or sign.startswith(COLUMN)}
    nights = record_night(falls, night.recorded.nights, night.n_nights)
    signs = vars(SignRecord(values, nights, night.times, night.dataset.events.last))
    data = {**new.model.facts["data"], "held_out_share": share, "signs": signs}
    return Recommender(replace(new.model, facts={**new.model.facts, "data": data}))


def describe_shrunk(night: Night) -> str:
    """Describe what the tables have much less of than those of the current model."""
    shrunk = find_shrunk(night.dataset, night.facts, night.min_size)
    return f"{'; '.join(shrunk)}; {ADVICE}" if shrunk else ""


def describe_damage(night: Night) -> str:
    """Describe what the tables lack of what the current model knows."""
    unusual = find_unusual(night.falls, night.recorded.nights, night.n_nights)
    if not unusual or night.force:
        return ""
    return f"{describe_unusual(unusual, night.signs, night.recorded.values)}; {ADVICE}"


def describe_lack(night: Night) -> str:
    """Describe why the models can never be compared, as long as the tables or the current model are like this."""
    if night.force or night.before is None:
        return ""
    if night.fault:
        return f"{night.fault}; publish without a comparison with force (--force)"
    if not night.is_comparable and night.signs.get("registrations", 1.0) < 0.5:
        advice = "most users registered at one time: correct users.registered_at, or leave unknown times empty"
        return f"{count_compared(night)}; {advice}"
    return ""


def count_compared(night: Night) -> str:
    """Say how many users there are to compare on, if these are too few."""
    found = f"{len(night.cohort):,} held-out users are new to the current model (none if train made it)"
    return f"{found}, and a comparison needs {MIN_COMPARED}"


def describe_loss(night: Night) -> str:
    """Describe by how much the new model is worse."""
    comparison = night.comparison
    return "" if comparison is None or night.force else comparison.describe_loss(night.gate)


def describe_race(night: Night) -> str:
    """Say that another version was published during the refresh."""
    is_current = version_in(night.path) == night.before
    return "" if is_current else "another version was published meanwhile; run refresh again"


GATES: tuple[tuple[Outcome, Callable[[Night], str]], ...] = (
    ("smaller", describe_shrunk),
    ("damaged", describe_damage),
    ("not_compared", describe_lack),
    ("worse", describe_loss),
    ("replaced", describe_race),
)
"""Gates in order: the outcome of a refusal, and a function that returns its reason, or "" to pass.

Those up to ``not_compared`` read only the tables and the current model, so they refuse before the training.
"""


def _replace_model(night: Night, keep: int) -> RefreshResult:
    """Publish the new model, unless a gate refuses it."""
    for outcome, describe in GATES:
        if reason := describe(night):
            return _conclude(night, outcome, reason, night.comparison if outcome == "worse" else None)
    new = night.new
    product = night.facts.get("compared", 1.0)
    if night.comparison is not None:
        product = night.comparison.since_no_worse(night.gate)
    product = 1.0 if night.force else product
    if product != 1:
        data = {**new.model.facts["data"], "compared": product}
        new = Recommender(replace(new.model, facts={**new.model.facts, "data": data}))
    save_model(new, str(night.path), night.dataset.left_out, keep=keep)
    outcome, reason = _explain_publication(night)
    return _conclude(night, outcome, reason, night.comparison, published=True)


def _explain_publication(night: Night) -> tuple[Outcome, str]:
    """Return why a model is published."""
    if night.comparison is not None:
        return "no_worse", night.comparison.describe()
    if night.before is not None:
        return "not_compared", night.fault or f"not compared: {count_compared(night)}"
    n_held_out = len(night.split.cold)
    return "first", f"the first version; {n_held_out:,} users are held out to compare later versions"


def _conclude(
    night: Night, outcome: Outcome, reason: str, comparison: ModelComparison | None, *, published: bool = False
) -> RefreshResult:
    """Return the result with the version that is current now."""
    version = version_in(night.path)
    sentence = f"{night.path}: {'published' if published else 'kept'} version {version}: {reason}."
    return RefreshResult(published, outcome, sentence, str(night.path), version, night.before, night.gate, comparison)


def find_shrunk(dataset: Dataset, before: Mapping[str, Any], min_size: float) -> list[str]:
    """Describe each count that is much smaller than in the facts of the previous model."""
    summaries: tuple[Mapping[str, Any], ...] = dataset.summary(), before
    counts_now, counts_before = (
        {name: summary.get(name, 0) for name in ("users", "items", "interactions", "friends")}
        | summary.get("pairs", {})
        | summary.get("entities", {})
        for summary in summaries
    )
    return [
        f"{name}: {counts_now.get(name, 0):,}, previously {n_before:,}"
        for name, n_before in counts_before.items()
        if n_before >= MIN_COUNT and counts_now.get(name, 0) < min_size * n_before
    ]
