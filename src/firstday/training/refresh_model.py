"""Refresh: train anew, compare with the model in place on users new to both, and publish, or let the old one go on.

Who is held out follows from a hash of the caller's user id, so it is the same users every night, and they take part in
nothing: neither in what is learned nor in what is chosen on validation users. What is published is the very model that
was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from firstday.artifact.folder import KEEP, check_keep, check_target, read_manifest, version_in
from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import stable_numbers
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of, split_for_training
from firstday.data.splits.split import Cohort
from firstday.display import readable
from firstday.engine.engines import ModelPlace, load
from firstday.errors import ArtifactError, BusyError, ConfigError, needs_extra
from firstday.metrics import Interval, bootstrap_ratios, measure
from firstday.progress import Progress, open_progress
from firstday.recommend.recommender import Recommender, answer_all, open_model
from firstday.recommend.registry import with_methods_of
from firstday.training.fit import cohort_query, fit

GATE = 0.98
MIN_SIZE = 0.5
LEAST_SHARE, MOST_SHARE = 0.02, 0.1
"""Bounds of the share of users that is held out."""
WANTED_USERS, MOST_USERS = 200, 10_000
"""Between these bounds, so many users to judge by; and the most that are held out of those who could be."""
MOST_JUDGED = 2_000
"""Users to compare models by, at most: the newest."""
MIN_JUDGED = 20
"""With fewer users than this, models are not compared."""
MIN_COUNT = 100
"""Counts that were smaller than this in the tables before may fall as they like."""
_HASH_SEED = 2**31
"""Of the hash that says who is held out: another one than any seed of a training."""

Reason = Literal["first", "no_worse", "not_compared", "smaller", "worse", "replaced"]


@dataclass(frozen=True)
class ModelComparison:
    """The new model and the one in place, judged by the same users' lists.

    Parameters
    ----------
    users
        How many users: new to both models, with items that they used after day one.
    k
        Length of the lists.
    precision_before, precision
        Mean precision of the model in place and of the new one, each by its own default strategy, in %.
    ratio
        The new one's divided by the old one's, with its 95 % interval over users; None where the old one has no hit.
    """

    users: int
    k: int
    precision_before: float
    precision: float
    ratio: Interval | None

    def passes(self, gate: float) -> bool:
        """Tell whether the new model is good enough."""
        return self.ratio is None or self.ratio.mean >= gate


@readable
@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did.

    Parameters
    ----------
    published
        Whether the new model is in place; if not, the one before goes on.
    reason
        ``first``: there was no model to compare with. ``no_worse``: it passed the gate. ``not_compared``: too few users
        are new to both models, or the one in place cannot be opened; published only where the gate is 0. ``smaller``:
        the tables have shrunk. ``worse``: it did not pass the gate. ``replaced``: while it was made, another version
        was put into place.
    sentence
        The same for people, with what to do.
    model
        The model's folder.
    version
        The version in place now.
    before
        The version that was in place; None where there was none.
    gate
        The least ratio of precision.
    comparison
        How the two models did; None where they were not compared.
    """

    published: bool
    reason: Reason
    sentence: str
    model: str
    version: str | None
    before: str | None
    gate: float
    comparison: ModelComparison | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)


def refresh(
    tables: Dataset | str | Path | Mapping[str, Any],
    out: str | Path,
    config: Config | None = None,
    *,
    gate: float = GATE,
    keep: int = KEEP,
    min_size: float = MIN_SIZE,
    wait_s: float = 0.0,
    progress: Progress | bool | None = True,
) -> RefreshResult:
    """Train on tables and put the model in the place of an older one, if it is no worse and the tables have not shrunk.

    From 2 to 10 % of the users, drawn by a hash of their ids, take part in nothing that is learned or chosen. Each
    night they are the same, so both models know nothing of them, and both make lists for them from what these tables
    say of their day one. The new model is published if the mean precision of its lists is at least `gate` times that of
    the other's.

    Parameters
    ----------
    tables
        From `load`, or what `load` takes, on this machine.
    out
        The model's folder.
    config
        Settings; the defaults if left out.
    gate
        The least ratio of precision to publish at; with 0, the new model is published whatever the comparison says, and
        also where there can be none.
    keep
        How many versions the folder keeps, for `rollback`.
    min_size
        Tables are refused that have less than this share of the users, items, friends or interactions of a kind of
        those that the model in place was made of. 0: never.
    wait_s
        Seconds to wait for another refresh of the same model.
    progress
        See `train`.

    Returns
    -------
    RefreshResult
        What was done; a refusal is no error.

    Raises
    ------
    BusyError
        Another refresh of this model is at work, and was after the wait.
    DataError
        The tables have faults, or too few users to train.
    ArtifactError
        The folder holds something else, or cannot be written.
    ConfigError
        A setting that does not fit.
    """
    path = Path(out)
    check_keep(keep)
    for name, value in (("gate", gate), ("min_size", min_size)):
        if not 0 <= value < np.inf:
            raise ConfigError(f"{name}: is {value}; give 0 or a positive number.")
    check_target(path)
    config = Config.of(config)
    config = with_methods_of(config, [config.recommend.strategy])
    with _alone(path, wait_s):
        dataset = tables if isinstance(tables, Dataset) else load(tables, config=config)
        if not isinstance(dataset, Dataset):
            raise ConfigError("refresh: works on tables of this machine; on a cluster, use train and evaluate.")
        with open_progress(progress) as report:
            return _replace_model(dataset, path, config, gate, keep, min_size, report)


@contextmanager
def _alone(path: Path, wait_s: float) -> Iterator[None]:
    """Let no other refresh of this model work meanwhile; the lock goes with the process that has it."""
    with needs_extra("refreshing a model", "train"):
        from filelock import FileLock, Timeout
    file = path.parent / f".{path.name}.refresh"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file, timeout=wait_s):
            yield
    except Timeout:
        raise BusyError(
            f"{path}: another refresh of it is at work (it holds {file}); wait for it with --wait SECONDS, or later."
        ) from None


def _replace_model(
    dataset: Dataset, path: Path, config: Config, gate: float, keep: int, min_size: float, progress: Progress
) -> RefreshResult:
    """Check, train, compare, and publish or refuse; see `refresh`."""
    before = version_in(path)

    def refuse(reason: Reason, why: str, comparison: ModelComparison | None = None) -> RefreshResult:
        version = version_in(path)
        sentence = f"{path}: nothing is published, version {version} goes on: {why}."
        return RefreshResult(False, reason, sentence, str(path), version, version, gate, comparison)

    old, fault = None, ""
    try:
        old = open_model(path) if before is not None else None
    except (ArtifactError, ConfigError) as error:
        fault = f"it cannot be opened to compare with ({error}) Publish one without comparison with --gate 0"
    shrunk = [] if old is None else find_shrunk(dataset, old.model.facts.get("data", {}), min_size)
    if shrunk:
        advice = "look at what writes the tables, or, if it is meant, run it once with --min-size 0"
        return refuse("smaller", f"{'; '.join(shrunk)}: {advice}")
    share = choose_held_out(dataset, config)
    numbers = stable_numbers(dataset.users, _HASH_SEED) / 2.0**64
    split = split_for_training(dataset, config, config.seed, held_out=numbers < share)
    is_new = np.zeros(len(split.cold), dtype=bool)
    if old is not None:
        is_new = are_new_to(old.model, dataset, split.cold.users, numbers)
    judged = take_newest(split.cold.take(np.flatnonzero(is_new)))
    if before is not None and gate != 0 and len(judged) < MIN_JUDGED:
        return refuse("not_compared", fault or _tell_too_few(len(judged), old))
    new = fit(dataset, split, config, progress=progress)
    held_out = {"share": share, "users": int((numbers < share).sum())}
    facts = {**new.model.facts, "data": {**new.model.facts["data"], "held_out": held_out}}
    new = Recommender(replace(new.model, facts=facts))
    comparison = None
    if old is not None and len(judged) >= MIN_JUDGED:
        comparison = compare_models(old, new, dataset, judged)
        if not comparison.passes(gate):
            return refuse("worse", _tell(comparison, gate), comparison)
    if version_in(path) != before:
        return refuse("replaced", "it was put into place meanwhile; run refresh again")
    ModelPlace(str(path)).save(new, dataset.left_out, keep=keep)
    reason: Reason = "no_worse"
    if comparison is not None:
        why = _tell(comparison, gate)
    elif before is None:
        reason, why = (
            "first",
            f"there was no model before; {len(split.cold):,} users are held out to compare later ones by",
        )
    else:
        reason, why = "not_compared", f"not compared with version {before}, since the gate is 0"
    version = read_manifest(path)["version"]
    sentence = f"{path}: version {version} is published: {why}."
    return RefreshResult(True, reason, sentence, str(path), version, before, gate, comparison)


def choose_held_out(dataset: Dataset, config: Config) -> float:
    """Return the share of users to hold out, by how many could be judged."""
    histories = choose_target_days(read_histories(dataset, config, log_of(dataset, config)), config)
    is_eligible = histories.n_used >= config.sampled.min_items
    is_judged = is_eligible if histories.log is None else histories.are_judged
    n = max(1, int(is_judged.sum()))
    return min(MOST_SHARE, max(LEAST_SHARE, WANTED_USERS / n), MOST_USERS / n)


def take_newest(cohort: Cohort) -> Cohort:
    """Return the users whose day one ended last, `MOST_JUDGED` at most; any, where day ones are drawn."""
    moments = np.zeros(len(cohort)) if cohort.day_end_us is None else cohort.day_end_us
    return cohort.take(np.sort(np.argsort(-moments, kind="stable")[:MOST_JUDGED]))


def are_new_to(model: TrainedModel, dataset: Dataset, users: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Tell which users a model has learned nothing of.

    Parameters
    ----------
    model
        Made by `refresh`, which notes the share of users that it held out; or by `train`, where it keeps the ids of all
        users that it learned from: who is none of them is new, even if training was stopped by their lists, or if they
        used one item then and count for what is popular. Of any other model, nobody is known to be new to it.
    dataset
        Tables of today.
    users
        `user_ix`, shape (n,).
    numbers
        For each user of the tables, the number from 0 to 1 by which they are held out.

    Returns
    -------
    numpy.ndarray
        bool, shape (n,).
    """
    held_out = model.facts.get("data", {}).get("held_out")
    if held_out is not None:
        new: np.ndarray = numbers[users] < held_out["share"]
        return new
    n_learned = model.facts.get("data", {}).get("learned_from", int(model.everyone.sizes[0]))
    if model.warm is None or len(model.warm) < n_learned or n_learned >= model.config.training.most_users:
        return np.zeros(len(users), dtype=bool)
    return np.asarray(model.warm.ids.lookup(dataset.users.take(users)) < 0)


def find_shrunk(dataset: Dataset, before: Mapping[str, Any], min_size: float) -> list[str]:
    """Say of which things tables hold much fewer than those that a model was made of, by its facts."""
    now = _flatten(dataset.summary())
    lost = []
    for name, n_before in _flatten(before).items():
        n = now.get(name, 0)
        if n_before >= MIN_COUNT and n < min_size * n_before:
            lost.append(f"the tables hold {n:,} {name} where there were {n_before:,}")
    return lost


def _flatten(summary: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of a dataset's summary by name."""
    counts = {name: summary.get(name, 0) for name in ("users", "items", "interactions", "friends")}
    named = {f"interactions of {pair}": n for pair, n in summary.get("pairs", {}).items()}
    return {**counts, **named, **{f"members of {name}": n for name, n in summary.get("entities", {}).items()}}


def compare_models(before: Recommender, new: Recommender, dataset: Dataset, cohort: Cohort) -> ModelComparison:
    """Compare two models by their lists for the users of a cohort, whom both know nothing of.

    Parameters
    ----------
    before, new
        The models; each answers by its own default strategy, and by what it knows of the signals in the tables.
    dataset
        The tables; an item that is in them no more is a wasted place in a list.
    cohort
        The users.
    """
    k = new.model.config.recommend.k
    precision = []
    for model in (before.model, new.model):
        answer = answer_all(cohort_query(Recommender(model), dataset, cohort, k), model.config.recommend.strategy)
        in_tables = np.append(dataset.items.lookup(model.catalogue.items.values), -1)  # the last: an empty place
        precision.append(measure(in_tables[answer.items], cohort.truth).precision)
    old_mean, new_mean = (float(values.mean()) for values in precision)
    ratio = bootstrap_ratios(precision[1][:, None], precision[0], np.arange(len(cohort)))[0] if old_mean else None
    return ModelComparison(len(cohort), k, round(100 * old_mean, 4), round(100 * new_mean, 4), ratio)


def _tell(comparison: ModelComparison, gate: float) -> str:
    """Say how two models compare."""
    by = "" if comparison.ratio is None else (
        f", {comparison.ratio.mean:.3f} of it (95 % interval {comparison.ratio.low:.3f} to {comparison.ratio.high:.3f})"
    )  # fmt: skip
    passed = "at or above" if comparison.passes(gate) else "below"
    return (
        f"P@{comparison.k} for {comparison.users:,} users new to both is {comparison.precision:.1f} %, where it was "
        f"{comparison.precision_before:.1f} %{by}, {passed} the gate of {gate:g}"
    )


def _tell_too_few(n_users: int, old: Recommender | None) -> str:
    """Say that models cannot be compared."""
    by_refresh = old is not None and "held_out" in old.model.facts.get("data", {})
    why = "" if by_refresh else ", since train made it, which holds out nobody for this"
    return (
        f"{n_users:,} held-out users are new to it{why}, and to compare takes {MIN_JUDGED}; publish one without "
        "comparison with --gate 0"
    )
