"""Refresh: retrain or recount, compare on users new to both models, and publish the new model or keep the old.

Held-out users are chosen by a hash of the caller's user id, of a person with guests the first one, so they are the same
in every run. They are used neither for training nor for choosing settings. Models are compared on those held out under
each of their ids. The published model is exactly the one that was compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of, split_for_training
from firstday.data.splits.registration import collect_newcomers, find_newest
from firstday.data.splits.snapshot import take_snapshot
from firstday.data.splits.split import Cohort
from firstday.display import readable
from firstday.engine.engines import load
from firstday.engine.local import save_model
from firstday.errors import ArtifactError, BusyError, ConfigError, needs_extra
from firstday.metrics import Interval, bootstrap_ratios, measure
from firstday.model.folder import KEEP, check_target, version_in
from firstday.progress import Progress, open_progress
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender, answer_query, open_model
from firstday.recommend.registry import with_methods_of
from firstday.tables.schema import DAY_US
from firstday.training.fit import fit
from firstday.training.renew import renew_counts
from firstday.training.table_signs import (
    KEPT_SIGNS,
    MIN_USERS,
    NEW,
    compare_signs,
    count_times,
    describe_unusual,
    find_unusual,
    measure_signs,
    record_night,
)

GATE = 0.98
"""Default minimum ratio of new to current precision, to publish a model."""
MIN_SIZE = 0.5
"""Default minimum share of the previous model's counts that the tables must have."""
MIN_SHARE, MAX_SHARE = 0.02, 0.1
"""Bounds of the share of users held out; `MAX_HELD_OUT` takes precedence over the lower one."""
TARGET_USERS, MAX_HELD_OUT = 200, 10_000
"""Target (within the bounds of the share) and maximum number of held-out users who can be evaluated."""
MIN_COMPARED, MAX_COMPARED = 20, 2_000
"""Minimum and maximum number of users to compare models on; the newest are taken."""
MIN_COUNT = 100
"""Previous counts below this are not checked for a drop."""
ADVICE = "check what writes the tables, or publish with force (--force)"
_HASH_SEED = 2**31
"""Seed of the holdout hash, distinct from every training seed."""

Outcome = Literal["first", "no_worse", "not_compared", "smaller", "damaged", "worse", "replaced"]


@dataclass(frozen=True)
class ModelComparison:
    """Comparison of the new model with the current one on users who are new to both and used items after day one.

    Parameters
    ----------
    users
        Number of these users.
    k
        Length of the lists.
    precision_before, precision
        Mean precision of the current and the new model, each with its own default strategy, in %.
    ratio
        New divided by current precision, with its 95 % interval over users; None if the current model has no hits, in
        which case the new model passes every gate.
    """

    users: int
    k: int
    precision_before: float
    precision: float
    ratio: Interval | None

    def passes(self, gate: float) -> bool:
        """Whether the ratio reaches the gate, or is undefined."""
        return self.ratio is None or self.ratio.mean >= gate

    def describe(self, gate: float) -> str:
        """Describe the comparison in words."""
        ratio = self.ratio
        by = "" if ratio is None else f", ratio {ratio.mean:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"
        return (
            f"P@{self.k} on {self.users:,} users new to both models: new model {self.precision:.1f} %, current model "
            f"{self.precision_before:.1f} %{by}, {'at or above' if self.passes(gate) else 'below'} the gate of {gate:g}"
        )


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
        ``not_compared``: too few users are new to both models, or the current one cannot be opened; published only if
        the gate is 0 or counts were renewed. ``smaller``: the tables have shrunk. ``damaged``: they lack what the
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
    counts: bool = False,
    wait_s: float = 0.0,
    progress: Progress | bool | None = True,
) -> RefreshResult:
    """Train on tables and replace the current model, unless the new one is worse or the tables are damaged.

    Tables are damaged if they have shrunk, or if less of what the current model knows is found in them than is usual
    between nights: its users' uses, its items, their shares, which items are used together, and its precision.

    Between 2 % and 10 % of the users (fewer if more than 10,000 held-out users could be evaluated) are held out of
    training and of all choices. A hash of their ids selects the same users in every run, so neither model has seen
    them. `train` holds out no users: after it, there are no users to compare on, and the result is ``not_compared``
    until a run with `gate` 0 publishes a model. Both models recommend to the held-out users from their day ones in the
    new tables. The new model is published if its mean precision is at least `gate` times that of the current one.

    Parameters
    ----------
    tables
        A dataset returned by `load`, or anything that `load` accepts, on this machine.
    out
        The model folder.
    config
        Settings; the defaults if omitted.
    gate
        Minimum ratio of new to current precision; 0 publishes regardless of the comparison, and also without one.
    keep
        Number of versions to keep in the folder for `rollback`.
    min_size
        Minimum share of the previous model's counts of users, items, friends and interactions of each kind that the
        tables must have. 0 disables the check.
    force
        Whether to publish regardless of all checks.
    counts
        Whether to renew the current model's counts and clock without training, which takes seconds. Its own training
        settings are kept. It is compared on users whose first day ended after the data of both models; with too few of
        these, it is published after the checks of the tables.
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
    for name, value in (("gate", gate), ("min_size", min_size)):
        if not 0 <= value < np.inf:
            raise ConfigError(f"{name}: is {value}; give 0 or a positive number.")
    check_target(path)
    config = Config.of(config)
    config = with_methods_of(config, [config.recommend.strategy])
    if counts and version_in(path) is None:
        raise ArtifactError(f"{path}: contains no model whose counts could be renewed; train one first.")
    with needs_extra("refreshing a model", "train"):
        from filelock import FileLock, Timeout
    lock = path.parent / f".{path.name}.refresh"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=wait_s):
            dataset = tables if isinstance(tables, Dataset) else load(tables, config=config)
            if not isinstance(dataset, Dataset):
                raise ConfigError("refresh: requires tables on this machine; on a cluster, use train and evaluate.")
            with open_progress(progress) as report:
                return _replace_model(dataset, path, config, gate, keep, min_size, force, counts, report)
    except Timeout:
        raise BusyError(
            f"{path}: another refresh of this model is running and holds {lock}; wait for it with wait_s "
            "(--wait SECONDS)."
        ) from None


def _replace_model(
    dataset: Dataset,
    path: Path,
    config: Config,
    gate: float,
    keep: int,
    min_size: float,
    force: bool,
    counts: bool,
    progress: Progress,
) -> RefreshResult:
    """Check, train or recount, compare, and publish or refuse; see `refresh`."""
    before = version_in(path)
    if force:
        gate = min_size = 0.0

    def result(
        outcome: Outcome, explanation: str, comparison: ModelComparison | None = None, *, published: bool = False
    ) -> RefreshResult:
        version = version_in(path)
        sentence = f"{path}: {'published' if published else 'kept'} version {version}: {explanation}."
        return RefreshResult(published, outcome, sentence, str(path), version, before, gate, comparison)

    current = None
    fault = ""
    try:
        current = None if before is None else open_model(path)
    except (ArtifactError, ConfigError) as error:
        fault = f"the current model cannot be opened ({error})"
    facts = {} if current is None else current.model.facts["data"]
    if shrunk := find_shrunk(dataset, facts, min_size):
        return result("smaller", f"{'; '.join(shrunk)}; {ADVICE}")
    share = choose_share(dataset, config)
    numbers, highest = hash_users(dataset)
    split = split_for_training(dataset, config, config.seed, held_out=numbers < share)
    current_share = facts.get("held_out_share", 0.0)  # train holds no users out
    cohort = _newest(split.cold.take(np.flatnonzero(highest[split.cold.users] < current_share)))
    unrecorded = {"values": dict.fromkeys(KEPT_SIGNS, 1.0), "nights": {}, "times": {}, "end_us": None}
    recorded = facts.get("signs", unrecorded)  # train records none
    nights = recorded["nights"]
    times = count_times(dataset)
    signs: dict[str, float] = {}
    if current is not None:
        signs = measure_signs(current.model, dataset, times, recorded["times"], recorded["end_us"])
        if len(cohort) >= MIN_USERS:
            signs["precision"] = float(measure_precision(current, dataset, cohort).mean())
        falls = compare_signs(signs, recorded["values"])
        n_nights = max(1.0, ((dataset.events.last or 0) - (recorded["end_us"] or 0)) / DAY_US)
        unusual = find_unusual(falls, nights, n_nights)
        if unusual and not force:
            return result("damaged", f"{describe_unusual(unusual, signs, recorded['values'])}; {ADVICE}")
        nights = nights if force else record_night(falls, nights, n_nights)
    if counts:
        if current is None:
            return result("not_compared", f"{fault}, so its counts cannot be renewed; refresh without counts")
        share = current_share
        model = renew_counts(current.model, dataset, numbers < share)
    elif before is not None and gate != 0 and len(cohort) < MIN_COMPARED:
        too_few = (
            f"{len(cohort):,} held-out users are new to the current model (none if train made it), and a comparison "
            f"needs {MIN_COMPARED}"
        )
        return result("not_compared", f"{fault or too_few}; publish without a comparison with gate 0 (--gate 0)")
    else:
        model = fit(dataset, split, config, progress=progress).model
    held_out = cohort if counts else _newest(split.cold)
    values = measure_signs(model, dataset, times, times)
    values |= {sign: value for sign, value in signs.items() if sign.startswith(NEW)}
    if len(held_out) >= MIN_USERS:
        values["precision"] = float(measure_precision(Recommender(model), dataset, held_out).mean())
    kept = {"values": values, "nights": nights, "times": times, "end_us": dataset.events.last}
    facts = {**model.facts, "data": {**model.facts["data"], "held_out_share": share, "signs": kept}}
    new = Recommender(replace(model, facts=facts))
    comparison = None
    if current is not None and counts:
        comparison = compare_counts(current, dataset)
    elif current is not None and len(cohort) >= MIN_COMPARED:
        comparison = compare_models(current, new, dataset, cohort)
    if comparison is not None and not comparison.passes(gate):
        return result("worse", comparison.describe(gate), comparison)
    if version_in(path) != before:
        return result("replaced", "another version was published meanwhile; run refresh again")
    save_model(new, str(path), dataset.left_out, keep=keep)
    if comparison is not None:
        return result("no_worse", comparison.describe(gate), comparison, published=True)
    if counts:
        explanation = f"counts renewed; fewer than {2 * MIN_COMPARED} newcomers since the last count can be compared on"
        return result("not_compared", explanation, published=True)
    if before is not None:
        return result("not_compared", f"version {before} could not be compared, and the gate is 0", published=True)
    explanation = f"the first version; {len(split.cold):,} users are held out to compare later versions"
    return result("first", explanation, published=True)


def hash_users(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return a number from 0 to 1 per user; those below a share are held out. Shape (n_users,).

    The first number is that of the user's first id. The second one is the highest of all ids: while the user and a
    guest were apart, either may have been trained on.
    """
    numbers = np.asarray(stable_numbers(dataset.users, _HASH_SEED) / 2.0**64)
    highest = numbers.copy()
    if dataset.guests is not None:
        of_ids = stable_numbers(Ids(dataset.guests["own_id"]), _HASH_SEED) / 2.0**64
        users = dataset.guests["user_ix"].to_numpy()
        np.maximum.at(highest, users, of_ids)
        numbers[users[::-1]] = of_ids[::-1]  # the first id is written last
    return numbers, highest


def _newest(cohort: Cohort) -> Cohort:
    """Return the `MAX_COMPARED` users whose day one ended last."""
    rows = np.arange(len(cohort))
    if cohort.day_end_us is not None:
        rows = np.argsort(-cohort.day_end_us, kind="stable")
    return cohort.take(np.sort(rows[:MAX_COMPARED]))


def choose_share(dataset: Dataset, config: Config) -> float:
    """Return the share of users to hold out, given the number of users who can be evaluated."""
    histories = choose_target_days(read_histories(dataset, config, log_of(dataset, config)), config)
    is_eligible = histories.n_used >= config.sampled.min_items if histories.log is None else histories.can_be_evaluated
    n = max(1, int(is_eligible.sum()))
    return min(MAX_SHARE, max(MIN_SHARE, TARGET_USERS / n), MAX_HELD_OUT / n)


def compare_counts(current: Recommender, dataset: Dataset) -> ModelComparison | None:
    """Compare the current counts with newer ones, on users who registered after both; None if there are too few.

    The newer ones are as of the median registration of the newcomers since the current counts.
    """
    model = current.model
    log = log_of(dataset, model.config)
    if log is None:
        return None
    histories = choose_target_days(read_histories(dataset, model.config, log), model.config)
    data = model.facts["data"]
    counted_until = np.datetime64(data.get("counted_until", data["last_interaction"])) + np.timedelta64(1, "D")
    registered_us = histories.registered_us
    is_counted = registered_us < counted_until.astype("datetime64[us]").astype(np.int64)
    users = find_newest(histories, np.flatnonzero(is_counted))
    if len(users) < 2 * MIN_COMPARED:
        return None
    moment = int(np.median(registered_us[users]))
    snapshot = take_snapshot(dataset, registered_us, moment)
    is_held_out = hash_users(snapshot)[0] < data.get("held_out_share", 0.0)
    newer = Recommender(renew_counts(model, snapshot, is_held_out))
    cohort = collect_newcomers(dataset, model.config, histories, users[registered_us[users] >= moment])
    return compare_models(current, newer, dataset, cohort)


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


def measure_precision(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int | None = None) -> np.ndarray:
    """Return the precision of each user's list of length `k` by the default strategy, from 0 to 1, shape (n_users,)."""
    model = recommender.model
    query = cohort_query(recommender, dataset, cohort, k or model.config.recommend.k)
    answer = answer_query(query, model.config.recommend.strategy)
    in_tables = np.append(dataset.items.lookup(model.catalogue.items.values), -1)  # last entry: empty positions
    return measure(in_tables[answer.items], cohort.truth).precision


def compare_models(current: Recommender, new: Recommender, dataset: Dataset, cohort: Cohort) -> ModelComparison:
    """Compare two models, each with its default strategy and the signals it supports, on a cohort new to both.

    Listed items that are missing from `dataset` are misses.
    """
    k = new.model.config.recommend.k
    precision = [measure_precision(recommender, dataset, cohort, k) for recommender in (current, new)]
    old_mean, new_mean = (float(values.mean()) for values in precision)
    ratio = bootstrap_ratios(precision[1][:, None], precision[0], np.arange(len(cohort)))[0] if old_mean else None
    return ModelComparison(len(cohort), k, round(100 * old_mean, 4), round(100 * new_mean, 4), ratio)
