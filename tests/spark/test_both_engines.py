"""One contract for both engines: what tables say, what training makes of them, and lists are the same on Spark."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession

from firstday.artifact.folder import MANIFEST
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.splits.holdout import log_of
from firstday.data.splits.roles import find_warm
from firstday.data.splits.split import take_actions
from firstday.data.summary import summarise
from firstday.embed.embeddings import FoldIn
from firstday.engine import engines
from firstday.engine.everyone import Question, describe_part, merge
from firstday.engine.large import describe_warm
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.engine.spark.cluster_dataset import ClusterDataset
from firstday.engine.spark.recommend_on_spark import check_lists_target, write_lists
from firstday.engine.spark.storage import Storage
from firstday.errors import ConfigError, DataError
from firstday.ranking import unit_rows
from firstday.recommend.list_files import read_list_file
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.fit import train
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES
from tests.data.dirty_tables import some, write_tables
from tests.engine.test_everyone import assert_equal
from tests.synthetic import brief_config

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]
TABLES = ("users", "interactions", "items", "collections", "names", "friends", "assignments")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated service of 1,200 users, as it is simulated."""
    folder = tmp_path_factory.mktemp("plain") / "tables"
    simulate(SimulationSettings(n_users=1_200, n_items=400, seed=5), folder)
    return folder


@pytest.fixture(scope="module")
def service(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same service with all tables: to half of its users lists were shown, in an experiment."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    shutil.copytree(plain, folder)
    add_lists(folder)
    return folder


def add_lists(folder: Path) -> None:
    """Show users what they and others used, a list for each day on which they used anything."""
    places = sorted((folder / "interactions").rglob("*.parquet"))
    rows = pl.concat([pl.read_parquet(place) for place in places]).filter(pl.col("item_id").is_not_null())
    rows = rows.filter(pl.col("user_id") % 2 == 0).sort("user_id", "timestamp", "item_id")
    shown = rows.with_columns(
        signal=pl.lit("shown"),
        item_id=pl.when(pl.int_range(pl.len()) % 3 == 0).then("item_id").otherwise(pl.col("item_id").shift(40)),
        list_id=pl.col("timestamp").dt.strftime("%j"),
        timestamp=pl.col("timestamp").dt.offset_by("-1h"),
        position=pl.int_range(pl.len()).over("user_id", pl.col("timestamp").dt.truncate("1d")) + 1,
        propensity=pl.lit(0.25),
        policy=pl.lit("some"),
    ).drop_nulls("item_id")
    for at in places:
        part = pl.read_parquet(at)
        absent = [pl.lit(None).cast(shown.schema[name]).alias(name) for name in shown.columns if name not in part]
        part = part.with_columns(absent)
        if at == places[-1]:
            part = pl.concat([part, shown.select(pl.col(name).cast(part.schema[name]) for name in part.columns)])
        part.write_parquet(at)
    users = pl.read_parquet(folder / "users.parquet").select("user_id", experiment=pl.lit("first"))
    variant = pl.when(pl.col("user_id") % 4 == 0).then(pl.lit("lists")).otherwise(pl.lit("none"))
    users.with_columns(variant=variant).write_parquet(folder / "assignments.parquet")


@pytest.fixture(scope="module")
def config() -> Config:
    return brief_config()


@pytest.fixture(scope="module")
def local(service: Path, config: Config) -> engines.Check:
    return engines.check(service, config=config)


@pytest.fixture(scope="module")
def cluster_check(service: Path, config: Config, spark: SparkSession) -> engines.Check:
    return engines.check(f"file://{service}", config=config, engine="spark")


@pytest.fixture(scope="module")
def tables(cluster_check: engines.Check) -> ClusterDataset:
    assert isinstance(cluster_check.dataset, ClusterDataset)
    return cluster_check.dataset


def test_both_say_the_same_of_good_tables(local: engines.Check, cluster_check: engines.Check) -> None:
    assert cluster_check.faults == local.faults == ()
    assert cluster_check.summary == local.summary
    assert cluster_check.outlook == local.outlook
    assert set(cluster_check.notes) == set(local.notes)


def arrays_of(dataset: Dataset) -> dict[str, Any]:
    """Everything of a dataset that can be compared."""
    friends = dataset.friends
    return {
        "users": dataset.users.values,
        "items": dataset.items.values,
        "events": dataset.events.whole(),
        "groups": {name: (group.values, group.codes.tolist()) for name, group in dataset.groups.items()},
        "ages": None if dataset.ages is None else dataset.ages.tolist(),
        "registered_at": None if dataset.registered_at is None else dataset.registered_at.tolist(),
        "friends": None if friends is None else (friends.starts.tolist(), friends.columns.tolist()),
        "titles": dataset.titles,
        "names": {name: entity.names for name, entity in dataset.entities.items()},
        "ends": (dataset.events.first, dataset.events.last),
        "impressions": pl.DataFrame() if dataset.impressions is None else dataset.impressions.whole(),
        "assignments": pl.DataFrame() if dataset.assignments is None else dataset.assignments,
    }


def test_the_users_to_learn_from_are_the_same_dataset(
    local: engines.Check, tables: ClusterDataset, config: Config
) -> None:
    """Learners are all users here: splits, day ones, counts and features are then made of equal data by one code."""
    assert isinstance(local.dataset, Dataset)
    learners = tables.find_learners(config)
    assert learners.describe_everyone is None
    one, other = arrays_of(learners.dataset), arrays_of(local.dataset)
    for name, value in one.items():
        same = value.equals(other[name]) if isinstance(value, pl.Series | pl.DataFrame) else value == other[name]
        assert same, name


def files_of(model: Path) -> dict[str, Any]:
    """The checksums of a model's files."""
    return {name: file["sha256"] for name, file in json.loads((model / MANIFEST).read_text())["files"].items()}


def test_a_model_is_the_same_byte_for_byte_where_all_are_learned_from(
    local: engines.Check, tables: ClusterDataset, config: Config, tmp_path: Path
) -> None:
    assert isinstance(local.dataset, Dataset)
    train(local.dataset, config).save(tmp_path / "local")
    train(tables, config).save(tmp_path / "spark")
    assert files_of(tmp_path / "spark") == files_of(tmp_path / "local")


def test_a_model_is_the_same_byte_for_byte_but_for_what_impressions_teach(
    local: engines.Check, plain: Path, config: Config, tmp_path: Path
) -> None:
    assert isinstance(local.dataset, Dataset)
    assert local.dataset.impressions is not None
    train(local.dataset, config).save(tmp_path / "with")
    without = engines.load(plain, config=config)
    train(without, config).save(tmp_path / "without")
    one, other = files_of(tmp_path / "with"), files_of(tmp_path / "without")
    assert {name: one[name] for name in other} == other
    assert all(name.startswith("shown_counts.") for name in one.keys() - other.keys())


def with_vectors(service: Path, folder: Path) -> Path:
    """The same service with vectors of its own, which follow from the ids; the first five items have none."""
    folder.mkdir()
    for place in service.iterdir():
        (folder / place.name).symlink_to(place)
    (folder / "embeddings").mkdir()
    for kind, column in (("users", "user_id"), ("items", "item_id")):
        ids = pl.read_parquet(service / f"{kind}.parquet")[column]
        rng = np.random.default_rng(len(ids))
        centres = rng.normal(size=(5, 8))
        vectors = centres[np.arange(len(ids)) % 5] + 0.1 * rng.normal(size=(len(ids), 8))
        table = pl.DataFrame({column: ids, "vector": vectors.astype(np.float32).tolist()})
        table = table.sort(column)[0 if kind == "users" else 5 :]
        table.write_parquet(folder / "embeddings" / f"{kind}.parquet")
    return folder


def test_given_vectors_everyone_is_counted_the_same_on_both(
    service: Path, config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    """Segments, popularity, group means: counts are equal, sums of vectors to the last bits."""
    folder = with_vectors(service, tmp_path / "tables")
    local = engines.load(folder, config=config)
    tables = engines.load(f"file://{folder}", config=config, engine="spark")
    assert isinstance(local, Dataset)
    assert isinstance(tables, ClusterDataset)
    assert local.precomputed is not None
    assert set(tables.notes) >= {note for note in local.notes if "have no vector" in note} != set()
    assert tables.summarise() == summarise(local)
    assert summarise(local).without_vector == 5
    items, users = np.nan_to_num(local.precomputed.item_vectors), local.precomputed.user_vectors
    log = log_of(local, config)
    question = Question.of(local, FoldIn(items, "mean"), unit_rows(users[:5]), config.signals, np.arange(0, 90, 3))
    one = merge(tables.ask(describe_warm, config, log, question))
    warm, actions, window = find_warm(local, config, log)
    other = describe_part(local, warm, take_actions(actions, warm), question, window)
    assert one.n_users == other.n_users > 100
    assert other.shown is not None
    assert other.shown.used.weights.sum() > 100
    assert_equal(one, other, rtol=1e-9)


def test_a_model_of_a_sample_counts_everyone_and_is_the_same_whatever_the_partitions(
    service: Path, config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    settings = config.override({"training.most_users": 300})
    before = {
        name: spark.conf.get(name) for name in ("spark.sql.shuffle.partitions", "spark.sql.files.maxPartitionBytes")
    }
    try:
        for name, partitions, size in (("few", "3", "128MB"), ("many", "17", "100KB")):
            spark.conf.set("spark.sql.shuffle.partitions", partitions)
            spark.conf.set("spark.sql.files.maxPartitionBytes", size)
            tables = engines.load(f"file://{service}", config=settings, engine="spark")
            recommender = train(tables, settings)
            recommender.save(tmp_path / name)
            data = recommender.model.facts["data"]
            assert data["learned_from"] < 310 < data["warm_users"]
            assert int(recommender.model.everyone.sizes[0]) == data["warm_users"]
            n_once = data["warm_users"] - int(recommender.model.segments.items.sizes.sum())
            assert 0 < n_once < 50  # who used one item
            assert data["impressions"] > data["impressions_used"] > 100
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))
    assert files_of(tmp_path / "few") == files_of(tmp_path / "many")


def test_what_was_shown_to_those_who_are_not_warm_is_counted_the_same_on_both(
    local: engines.Check, config: Config, tables: ClusterDataset
) -> None:
    """However they are divided, everybody is counted once: nothing here rests on what the model predicts."""
    assert isinstance(local.dataset, Dataset)
    settings = config.override("training.most_users", 100)
    model, held_out = train(local.dataset, config).model, Ids(local.dataset.users.take(np.arange(0, 1200, 7)))
    count = tables.find_learners(settings).count_others
    assert count is not None
    one = count(model, held_out)
    log = log_of(local.dataset, settings)
    warm, actions, window = find_warm(local.dataset, settings, log)
    other = count_shown_to_others(local.dataset, model, warm, actions, held_out, window)
    assert one is not None
    assert other is not None
    assert other.shown.weights.sum() > 0
    assert one.shown.column_sums().tolist() == other.shown.column_sums().tolist()
    assert one.used.column_sums().tolist() == other.used.column_sums().tolist()


def alike(fault: str) -> str:
    """A sentence without what a library says of a damaged file, and without quotes around whole numbers.

    In text, whole numbers are ids of numbers or of text by what a part holds: 7 and '7' are the same id.
    """
    fault = re.sub(r"'(\d+)'", r"\1", fault)
    return re.sub(r"\(.*?\)", "()", fault) if "cannot be read as" in fault else fault


CASES = {case.name: case for case in (*FILES, *VALUES)}
FOR_PARTS = (
    "a table twice",
    "two formats in a folder",
    "no interactions",
    "Windows-1252",
    "an empty file",
    "a header alone",
    "an unknown header",
    "text with commas and no quotes",
    "rows that lack fields",
    "a quote that is not closed",
    "everything at once",
    "gzip that is cut off",
    "Parquet that is cut off",
    "bad lines of JSON",
    "other columns in a file",
    "a fault in the second file",
    "a partition in one file alone",
    "float ids with a missing one, parquet",
    "ids with zeros before them, csv",
    "some ids with a space after them, csv",
    "ids of another system, csv",
    "a few unknown ids, csv",
    "marks for missing weights, csv",
    "infinite and negative weights, csv",
    "some times without a zone, csv",
    "milliseconds since 1970, parquet",
    "genres as lists of JSON, csv",
    "a user twice, csv",
    "an item twice, parquet",
    "columns in camel case, parquet",
    "faults in several tables, csv",
    "places in lists and propensities, parquet",
    "two variants of one experiment",
)
"""Kinds of faults that depend on which part or file has them; the others are found by the same function of rows."""


@pytest.mark.parametrize("name", FOR_PARTS)
def test_the_same_faults_on_both(name: str, spark: SparkSession, tmp_path: Path) -> None:
    """Counts, first offenders, files and lines; only what a library says of a damaged file may differ."""
    case = CASES[name]
    folder = tmp_path / "tables"
    folder.mkdir()
    case.write(folder)
    checked = engines.check(f"file://{folder}", engine="spark")
    assert {alike(fault) for fault in checked.faults} == {alike(fault) for fault in case.sentences}
    assert checked.dataset is None


def test_the_same_bad_rows_are_left_out_on_both(spark: SparkSession, tmp_path: Path) -> None:
    """A user all of whose rows are bad is none where there is no table of users; nor is whoever names them a friend."""
    all_of_one = some("weight", dict.fromkeys(range(1, 11), "-1"))
    write_tables(tmp_path, "csv", {"friends": some("friend_id", {3: "77"}), "interactions": all_of_one})
    (tmp_path / "users.csv").unlink()
    one = engines.check(f"file://{tmp_path}", engine="spark", drop_bad_rows=0.2)
    other = engines.check(tmp_path, drop_bad_rows=0.2)
    assert one.faults == other.faults == ()
    assert set(one.notes) == set(other.notes)
    assert one.left_out == other.left_out
    assert len(one.left_out) == 10 + 3
    assert one.summary is not None
    assert other.summary is not None
    assert one.summary.users == other.summary.users == 29


def test_frames_of_spark_are_read_where_they_are(service: Path, local: engines.Check, spark: SparkSession) -> None:
    frames = {
        name: spark.read.parquet(f"file://{place}")
        for name in TABLES
        for place in (service / name, service / f"{name}.parquet")
        if place.exists()
    }
    checked = engines.check(frames, config=brief_config())
    assert checked.summary == local.summary
    assert checked.outlook == local.outlook
    frames["users"] = frames["users"].limit(10)
    with pytest.raises(DataError, match="name unknown users"):
        engines.load(frames)


def newcomers_of(service: Path, folder: Path) -> Path:
    """Tables of cold users: some users of the service under other ids, with a few rows each."""
    folder.mkdir()
    users = pl.read_parquet(service / "users.parquet").head(300)
    rows = (
        pl.scan_parquet(service / "interactions").filter(pl.col("user_id").is_in(users["user_id"].implode())).collect()
    )
    rows.group_by("user_id", maintain_order=True).head(4).write_parquet(folder / "interactions.parquet")
    users.write_parquet(folder / "users.parquet")
    return folder


def test_a_given_model_gives_the_same_lists(
    service: Path, local: engines.Check, config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    assert isinstance(local.dataset, Dataset)
    recommender = train(local.dataset, config)
    folder = newcomers_of(service, tmp_path / "newcomers")
    one = engines.recommend_batch(recommender, f"file://{folder}", engine="spark")
    other = engines.recommend_batch(recommender, folder)
    order = ["user_id", "rank"]
    lists = pl.from_arrow(one.toArrow())
    assert isinstance(lists, pl.DataFrame)
    assert lists.sort(order).drop("score").equals(other.sort(order).drop("score"))
    np.testing.assert_allclose(lists.sort(order)["score"], other.sort(order)["score"], rtol=1e-5)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv.gz", ".jsonl", ".ndjson.gz"])
def test_lists_of_a_cluster_have_the_form_of_their_ending(spark: SparkSession, tmp_path: Path, ending: str) -> None:
    users = ["a,b", 'say "hi"', "tab\there", "two\nlines", " blanks ", "007", "Zoë"]
    lists = pl.DataFrame({"user_id": users, "rank": range(1, 8), "item_id": [f"i{user}" for user in users]})
    out = f"file://{tmp_path / f'lists{ending}'}"
    for _ in range(2):  # older lists are replaced
        write_lists(spark.createDataFrame(lists.to_arrow()).coalesce(1), out)
    (part,) = (tmp_path / f"lists{ending}").glob("part-*")
    whole = part.rename(tmp_path / f"one{ending}")
    written = read_list_file(whole)
    assert written.select(pl.col("user_id"), pl.col("rank").cast(pl.Int64), pl.col("item_id")).equals(lists)


def test_frames_under_a_name_that_is_no_table_are_named(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("u1", "i1")], "user_id string, item_id string")
    checked = engines.check({"interactions": frame, "user": frame})
    assert checked.faults == ("user: is no table of firstday; did you mean users?",)


def odd_service(folder: Path) -> Path:
    """A folder with what Spark likes least: odd names of columns, whole numbers of two widths, partitions."""
    users = pl.DataFrame({"user_id": range(20_000_000, 20_000_040), "n": ["x", "y"] * 20, "uri": ["a", "b"] * 20})
    rows = pl.DataFrame(
        {
            "user_id": [20_000_000 + row % 40 for row in range(800)],
            "item_id": [row % 23 for row in range(800)],
            "device.os": ["phone"] * 800,
            "uri": ["somewhere"] * 800,
        }
    )
    (folder / "interactions" / "signal=stream").mkdir(parents=True)
    (folder / "interactions" / "signal=favorite").mkdir()
    users.with_columns(pl.col("user_id").cast(pl.Int64)).write_parquet(folder / "users.parquet")
    narrow, wide = folder / "interactions" / "signal=stream", folder / "interactions" / "signal=favorite"
    rows[:300].with_columns(pl.col("item_id").cast(pl.Int32)).write_parquet(narrow / "a.parquet")
    rows[300:].with_columns(pl.col("item_id").cast(pl.Int64)).write_parquet(wide / "b.parquet")
    return folder


def test_odd_names_types_and_partitions_are_the_same_on_both(spark: SparkSession, tmp_path: Path) -> None:
    folder = odd_service(tmp_path / "tables")
    local, on_spark = engines.check(folder), engines.check(f"file://{folder}", engine="spark")
    assert on_spark.faults == local.faults == ()
    assert on_spark.summary == local.summary
    assert set(on_spark.notes) == set(local.notes)
    frames = {"users": spark.read.parquet(f"file://{folder}/users.parquet")}
    rows = spark.read.parquet(f"file://{folder}/interactions")
    frames["interactions"] = rows.withColumn("user_id", rows["user_id"].cast("double"))
    assert engines.check(frames).faults == ()


def test_files_whose_columns_differ_are_a_fault_in_any_file_system(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    (folder / "interactions").mkdir(parents=True)
    rows = pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "weight": [1.0, 2.0]})
    rows.write_parquet(folder / "interactions" / "a.parquet")
    rows.drop("weight").write_parquet(folder / "interactions" / "b.parquet")
    Storage(spark, "viewfs://lake/data/differ").put(folder)
    expected = engines.check(folder).faults
    assert len(expected) == 1
    assert engines.check("viewfs://lake/data/differ", engine="spark").faults == expected
    assert engines.check(f"file://{folder}", engine="spark").faults == expected


def test_a_file_that_is_not_read_hides_no_fault_of_parquet(spark: SparkSession, tmp_path: Path) -> None:
    folder = odd_service(tmp_path / "tables")
    (folder / "friends.xlsx").write_bytes(b"PK")
    users = pl.read_parquet(folder / "users.parquet")
    users.with_columns(age=pl.lit(130)).write_parquet(folder / "users.parquet")
    expected = engines.check(folder).faults
    assert len(expected) == 2
    assert set(engines.check(f"file://{folder}", engine="spark").faults) == set(expected)


def test_a_batch_of_nobody_replaces_no_lists(
    service: Path, local: engines.Check, config: Config, spark: SparkSession, tmp_path: Path
) -> None:
    assert isinstance(local.dataset, Dataset)
    recommender = train(local.dataset, config)
    nobody = spark.createDataFrame([], "user_id long, country string")
    with pytest.raises(DataError, match="users: has no rows"):
        engines.recommend_batch(recommender, {"users": nobody})
    nameless = spark.createDataFrame([(1,)], "User_ID long")
    with pytest.raises(DataError, match="rename User_ID to user_id"):
        engines.recommend_batch(recommender, {"users": nameless})
    target = tmp_path / "service"
    target.mkdir()
    (target / "log.csv").write_text("x")
    with pytest.raises(ConfigError, match="other files than lists"):
        check_lists_target(Storage(spark, f"file://{target}"))
