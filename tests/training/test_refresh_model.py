"""A refresh publishes a model that is no worse for users whom neither knows, and lets the old one go on otherwise."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.split import Cohort
from firstday.errors import ArtifactError, BusyError, ConfigError, DataError
from firstday.metrics import Interval
from firstday.model.folder import MANIFEST, list_versions, read_manifest, save_model
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows
from firstday.training.held_out_users import _HASH_SEED, MAX_SHARE, hash_users
from firstday.training.model_comparison import ModelComparison, compare_models
from firstday.training.refresh_model import RefreshResult, find_shrunk, refresh
from tests.synthetic import brief_config, make_world
from tests.timed import make_log

Again = Callable[..., RefreshResult]
N_USERS = 600
WORSE = brief_config(recommend={"strategy": "popular"})
"""With four tastes of 30 items each, and lists of 20, nothing that learns can fail to be much better than this."""


@pytest.fixture(scope="module")
def service() -> Dataset:
    return make_world(N_USERS)


@pytest.fixture(scope="module")
def first(service: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RefreshResult]:
    path = tmp_path_factory.mktemp("first") / "model"
    return path, refresh(service, path, brief_config())


@pytest.fixture
def model(first: tuple[Path, RefreshResult], tmp_path: Path) -> Path:
    return Path(shutil.copytree(first[0], tmp_path / "model"))


@pytest.fixture
def again(model: Path, service: Dataset) -> Again:
    """Refresh the model, with the same arguments unless others are given."""
    return partial(refresh, tables=service, out=model, config=brief_config())


def numbers_of(dataset: Dataset) -> np.ndarray:
    numbers: np.ndarray = stable_numbers(dataset.users, _HASH_SEED) / 2.0**64
    return numbers


def with_events(dataset: Dataset, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Dataset:
    return replace(dataset, events=Events.of(change(dataset.events.whole())))


def test_the_first_one_is_published(first: tuple[Path, RefreshResult], service: Dataset) -> None:
    path, result = first
    version = read_manifest(path)["version"]
    assert (result.published, result.reason, result.version, result.before) == (True, "first", version, None)
    n_held_out = int((numbers_of(service) < MAX_SHARE).sum())
    assert result.sentence == (
        f"{path}: published version {version}: the first version; {n_held_out} users are held out to compare later "
        "versions."
    )
    assert read_manifest(path)["data"]["held_out_share"] == MAX_SHARE
    json.dumps(result.to_json())


@pytest.mark.parametrize("protocol", ["sampled", "registration"])
def test_what_held_out_users_did_changes_nothing_in_the_model(protocol: str, tmp_path: Path) -> None:
    """Not one byte of it: neither what is learned, nor what is chosen, nor what is counted."""
    dataset = make_world(300) if protocol == "sampled" else make_log()
    config = brief_config(protocol=protocol, registration={"target_days": 5.0})
    held_out = np.flatnonzero(numbers_of(dataset) < MAX_SHARE)
    assert len(held_out) > 5
    is_theirs = pl.col("user_ix").is_in(held_out.tolist())
    others = pl.when(is_theirs).then(pl.col("target_ix").reverse().over("entity", is_theirs)).otherwise("target_ix")
    changed = with_events(dataset, lambda rows: rows.with_columns(target_ix=others))  # the same rows, other items
    assert not changed.events.whole().equals(dataset.events.whole())
    versions = []
    for name, tables in (("one", dataset), ("other", changed)):
        refresh(tables, tmp_path / name, config)
        model = open_model(tmp_path / name).model
        data = {key: fact for key, fact in model.facts["data"].items() if key != "signs"}  # for the next refresh alone
        save_model(replace(model, facts={**model.facts, "data": data}), tmp_path / name)
        versions.append(read_manifest(tmp_path / name)["version"])
    assert versions[0] == versions[1]


def test_equal_tables_give_an_equal_model_judged_by_users_whom_both_held_out(
    model: Path, service: Dataset, again: Again
) -> None:
    before = read_manifest(model)["version"]
    hold_out_of(model, 0.05)
    result = again()
    assert (result.published, result.reason, result.version) == (True, "no_worse", before)
    compared = result.comparison
    assert compared is not None
    assert compared.ratio is not None
    assert (compared.ratio.mean, compared.ratio.p, compared.precision) == (1, 1, compared.precision_before)
    assert compared.ratio.low == pytest.approx(0.95, abs=0.01)  # another seed might have been worse
    assert 0 < compared.users == int((numbers_of(service) < 0.05).sum()) < int((numbers_of(service) < MAX_SHARE).sum())


@pytest.mark.parametrize("damage", [False, True])
def test_a_model_that_held_nobody_out_is_replaced_and_a_damaged_one_only_on_demand(
    model: Path, again: Again, *, damage: bool
) -> None:
    if damage:
        file = model / read_manifest(model)["version"] / "cold.layers.0.weights.npy"
        file.write_bytes(file.read_bytes()[:-1])
    else:
        hold_out_of(model, None)  # as train leaves it
    result = again()
    assert (result.published, result.reason, result.comparison) == (not damage, "not_compared", None)
    reason = "cold.layers.0.weights.npy: is missing" if damage else "0 held-out users are new to the current model"
    assert reason in result.sentence
    if damage:  # which is mended
        result = again(force=True)
        assert (result.published, result.reason, result.comparison) == (True, "not_compared", None)
        open_model(model)


def test_a_model_that_is_much_worse_is_refused(model: Path, again: Again) -> None:
    before = (model / MANIFEST).read_bytes()
    result = again(config=WORSE)
    assert (result.published, result.reason) == (False, "worse")
    assert result.comparison is not None and result.comparison.ratio is not None  # noqa: PT018
    assert result.comparison.ratio.high < 0.95
    assert f"kept version {result.version}: P@20 on" in result.sentence
    assert (model / MANIFEST).read_bytes() == before
    assert again(config=WORSE, force=True).published
    assert [kept.in_place for kept in list_versions(model)] == [True, False]
    # And back: the good one passes by far.
    assert again(keep=1).reason == "no_worse"
    assert len(list_versions(model)) == 1


def test_the_gate_is_at_the_ratio_of_the_means() -> None:
    def passes(ratio: float, half: float = 0.1, earlier: float = 1.0) -> bool:
        interval = Interval(ratio, ratio - half, ratio + half, 0.5)
        return not ModelComparison(100, 50, 40, 40 * ratio, interval, earlier * ratio).describe_loss(0.95)

    assert [passes(ratio) for ratio in (0.94, 0.949, 0.95, 1.0, 1.2)] == [False, False, True, True, True]
    assert [passes(0.98, half) for half in (0.03, 0.01)] == [True, False]  # the second is clearly worse
    assert [passes(0.98, earlier=earlier) for earlier in (0.98, 0.96)] == [True, False]  # over several nights
    assert not ModelComparison(100, 50, 0, 0, None).describe_loss(0.95)  # where the old one has no hit, none is worse


def test_losses_add_up_until_a_model_is_no_worse(model: Path, again: Again) -> None:
    def remember(product: float) -> None:
        current = open_model(model).model
        data = {**current.facts["data"], "compared": product}
        save_model(replace(current, facts={**current.facts, "data": data}), model)

    remember(0.96)
    assert again().published  # equal, so shown to be no worse
    assert "compared" not in open_model(model).model.facts["data"]
    comparison = ModelComparison(100, 50, 40, 39.2, Interval(0.98, 0.93, 1.03, 0.4), 0.97 * 0.98)
    assert comparison.since_no_worse(0.95) == 0.97 * 0.98
    remember(0.91)
    assert again(gate=0.95).reason == "worse"
    assert again(gate=0.95, force=True).published
    assert "compared" not in open_model(model).model.facts["data"]


def test_models_are_compared_by_the_items_of_the_tables(tiny: Recommender) -> None:
    """The items that `popular` lists are i1, i3, i2, i4; the tables number them otherwise, and have no i3 any more."""
    popular = Recommender(replace(tiny.model, config=tiny.model.config.override("recommend.strategy", "popular")))
    dataset = Dataset(
        "today", Ids.of(["n1", "n2"]), Ids.of(["i4", "i9", "i1", "i2"]), Events.of(make_log().events.whole()[:0])
    )
    nothing = SparseRows.from_lists([[], []], 4)
    cohort = Cohort(np.arange(2), {}, SparseRows.from_lists([[0, 2], [1, 3]], 4), nothing.lengths())
    comparison = compare_models(popular, popular, dataset, cohort)
    # n1 used i4 and i1, both listed; n2 used i9, which the model does not know, and i2.
    assert (comparison.precision_before, comparison.precision) == (75.0, 75.0)
    assert comparison.ratio is not None
    assert comparison.ratio.mean == 1


def test_tables_that_shrank_are_refused_before_the_training(service: Dataset, again: Again) -> None:
    stages: list[str] = []
    n = len(service.events)
    less = with_events(service, lambda rows: rows[: int(0.4 * n)])
    result = again(tables=less, progress=lambda stage, *_: stages.append(stage))
    assert (result.published, result.reason, stages) == (False, "smaller", [])
    assert f"interactions: {int(0.4 * n):,}, previously {n:,}" in result.sentence
    assert "--force" in result.sentence
    assert again(tables=less, force=True).published


def test_one_kind_of_interaction_that_went_missing_is_seen(service: Dataset) -> None:
    facts = service.summary()
    without = with_events(service, lambda rows: rows.filter(pl.col("signal") != "favorite"))
    lost = find_shrunk(without, facts, 0.5)
    assert lost
    assert all(sentence.startswith("favorite x") for sentence in lost)
    assert find_shrunk(service, facts, 1.0) == []
    assert find_shrunk(service, {"users": 99, "pairs": {"stream x shop": 99}}, 1e9) == []  # too few to say


def hold_out_of(path: Path, share: float | None) -> None:
    """Note in a stored model which share of the users it held out."""
    current = open_model(path).model
    data = {name: fact for name, fact in current.facts["data"].items() if name != "held_out_share"}
    data |= {} if share is None else {"held_out_share": share}
    save_model(replace(current, facts={**current.facts, "data": data}), path)


def with_guests(dataset: Dataset, n: int) -> Dataset:
    """Return the dataset of a later night: its first users have become persons with other ids."""
    persons = pl.Series([f"person-{row}" for row in range(n)])
    first_ids = dataset.users.values.head(n).cast(pl.String)
    guests = pl.DataFrame({"user_ix": [*range(n)] * 2, "own_id": pl.concat([first_ids, persons])}).sort(
        "user_ix", maintain_order=True
    )
    users = Ids(pl.concat([persons, dataset.users.values.slice(n).cast(pl.String)]))
    return replace(dataset, users=users, guests=guests)


def test_who_was_a_guest_is_held_out_by_the_first_id_and_judged_if_held_out_under_each(
    model: Path, service: Dataset, again: Again
) -> None:
    later = with_guests(service, 200)
    numbers, highest = hash_users(later)
    assert np.array_equal(numbers, numbers_of(service))
    by_person = numbers_of(later)
    assert np.array_equal(highest, np.maximum(numbers, by_person))
    result = again(tables=later)  # the signs of damage find the guests' uses with the persons
    assert result.reason == "no_worse"
    assert result.comparison is not None
    n_judged = int((highest < MAX_SHARE).sum())
    assert result.comparison.users == n_judged < int((numbers < MAX_SHARE).sum())


def test_a_person_known_before_the_guest_is_held_out_by_the_own_id(service: Dataset) -> None:
    later = with_guests(service, 1)
    assert later.guests is not None
    numbers, highest = hash_users(replace(later, guests=later.guests.reverse()))
    assert numbers[0] == numbers_of(later)[0]
    assert highest[0] == max(numbers[0], numbers_of(service)[0])


def test_what_was_put_into_place_meanwhile_stays(model: Path, again: Again) -> None:
    before = read_manifest(model)["version"]
    other = replace(open_model(model).model, facts={"data": {"dataset": "other"}, "metrics": {}})
    put: list[Path] = []

    def put_once(*_: object) -> None:
        if not put:
            put.append(save_model(other, model))

    result = again(progress=put_once)
    assert (result.published, result.reason, result.before) == (False, "replaced", before)
    assert read_manifest(model)["version"] == result.version != before
    assert open_model(model).model.facts["data"] == {"dataset": "other"}


def test_wrong_calls_are_told(service: Dataset, tmp_path: Path) -> None:
    for gate in (-1, 0, 5):
        with pytest.raises(ConfigError, match=f"gate: is {gate}; give a ratio above 0"):
            refresh(service, tmp_path / "model", gate=gate)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ArtifactError, match="contains no model"):
        refresh(service, tmp_path)
    with pytest.raises(DataError, match="nowhere"):
        refresh(tmp_path / "nowhere", tmp_path / "model")


HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_of_two_one_leaves_or_waits_and_a_killed_one_holds_nothing(model: Path, again: Again) -> None:
    lock = model.parent / ".model.refresh"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="another refresh of this model is running"):
            again()
        waiting: list[RefreshResult] = []
        waiter = threading.Thread(target=lambda: waiting.append(again(wait_s=300)))
        waiter.start()
        waiter.join(0.5)
        assert waiter.is_alive()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    waiter.join(300)
    assert [result.published for result in waiting] == [True]
