"""One contract for both engines: what tables say, what training makes of them, and lists are the same on Spark."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.first_uses import count_warm_first_uses
from firstday.data.ids import Ids
from firstday.data.parts import join_users, unpack
from firstday.data.splits.holdout import log_of, protocol_of
from firstday.engine import engines
from firstday.engine.spark.cluster_dataset import ClusterDataset
from firstday.engine.spark.recommend_on_spark import recommend_batch, write_lists
from firstday.engine.spark.storage import Storage
from firstday.engine.spark.work import count_others, warm_affinity
from firstday.errors import ConfigError, DataError
from firstday.recommend.recommender import Recommender
from firstday.training.fit import train
from tests.batches import read_lists
from tests.data.dirty_files import CASES as FILES
from tests.data.dirty_tables import CASES as VALUES
from tests.data.dirty_tables import some, to_text, write_tables
from tests.data.same import assert_equal
from tests.data.test_guests import make_tables, rows_of
from tests.spark.conftest import checksums, executors_of
from tests.tiny import make_content, make_model

pytestmark = [pytest.mark.usefixtures("spark"), pytest.mark.slow]


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


def test_the_users_to_learn_from_are_the_same_dataset(
    local: engines.Check, tables: ClusterDataset, config: Config
) -> None:
    """Learners are all users here: splits, day ones, counts and features are then made of equal data by one code."""
    assert isinstance(local.dataset, Dataset)
    learners = tables.find_learners(config)
    assert not learners.is_sample
    assert learners.split(config).protocol == protocol_of(local.dataset, config)
    assert_equal(learners.dataset, local.dataset)


def test_a_model_is_the_same_byte_for_byte_where_all_are_learned_from(
    tables: ClusterDataset, trained: Recommender, config: Config, tmp_path: Path
) -> None:
    train(tables, config).save(tmp_path / "spark")
    trained.save(tmp_path / "local")
    assert checksums(tmp_path / "spark") == checksums(tmp_path / "local")


def test_mllib_factorises_the_items_of_all_warm_users_but_those_held_out(
    local: engines.Check, tables: ClusterDataset, config: Config
) -> None:
    assert isinstance(local.dataset, Dataset)
    held_out = Ids(local.dataset.users.values[100:])
    log = log_of(local.dataset, config)
    affinity = warm_affinity(local.dataset, config, log, held_out)
    vectors = tables.factorise(config.override("embedding.als_iterations", 1), log, held_out, 4)
    assert vectors.shape == (len(local.dataset.items), 4)
    assert np.flatnonzero(vectors.any(axis=1)).tolist() == np.unique(affinity.columns).tolist()


def test_everyone_is_counted_the_same_on_both_if_some_are_learned_from(
    local: engines.Check, trained: Recommender, config: Config, tables: ClusterDataset
) -> None:
    """The clock of a model follows from first uses. What was shown to those who are not warm is counted once."""
    assert isinstance(local.dataset, Dataset)
    assert "clock" in trained.model.learned
    settings = config.override("training.most_users", 100)
    log = log_of(local.dataset, settings)
    assert log is not None
    learners = tables.find_learners(settings)
    split = learners.split(settings)
    held_out = split.held_out_ids(learners.dataset.users)
    one = learners.count_first_uses(split, settings)
    other = count_warm_first_uses(local.dataset, settings, log, held_out)
    assert learners.is_sample
    assert one is not None
    assert one.end_us == other.end_us == log.end
    assert one.counts.n_entries > 1_000
    assert one.counts.dense().tobytes() == other.counts.dense().tobytes()
    shown = learners.count_shown_to_others(split, trained.model, split.warm)
    expected = count_others(local.dataset, settings, log, trained.model, held_out)
    assert shown is not None
    assert expected is not None
    assert expected.shown.weights.sum() > 0
    assert shown.shown.column_sums().tolist() == expected.shown.column_sums().tolist()
    assert shown.used.column_sums().tolist() == expected.used.column_sums().tolist()


def test_a_model_of_a_sample_counts_everyone(tables: ClusterDataset, config: Config, spark: SparkSession) -> None:
    """Even if an executor is killed, with its parts, before everyone is asked."""
    (executor,) = executors_of(spark)

    def kill(stage: str, done: int, _total: int) -> None:
        if stage == "segments" and not done:
            os.kill(executor, signal.SIGKILL)

    model = train(tables, config.override("training.most_users", 150), progress=kill).model
    assert executors_of(spark) != {executor}
    data = model.facts["data"]
    assert data["learned_from"] < 160 < data["warm_users"]
    assert int(model.everyone.sizes[0]) == data["warm_users"]
    n_once = data["warm_users"] - int(model.segments.items.sizes.sum())
    assert 0 < n_once < 25  # who used one item
    assert data["impressions"] > data["impressions_used"] > 100


def alike(fault: str) -> str:
    """A sentence without what a library says of a damaged file, examples of known ids, and quotes around whole numbers.

    In text, whole numbers are ids of numbers or of text by what a part holds: 7 and '7' are the same id.
    """
    fault = re.sub(r" \(ids there: .*?\)", "", fault)
    fault = re.sub(r"'(\d+)'", r"\1", fault)
    return re.sub(r"\(.*?\)", "()", fault) if "cannot be read as" in fault else fault


CASES = {case.name: case for case in (*FILES, *VALUES)}
FOR_PARTS = ("Parquet that is cut off", "a fault in the second file", "faults in several tables, csv")
"""Kinds of faults that depend on which part or file has them; the others are found by the same function of rows."""


@pytest.mark.parametrize("name", FOR_PARTS)
def test_the_same_faults_on_both(name: str, spark: SparkSession, tmp_path: Path) -> None:
    """Counts, first offenders, files and lines; only what a library says of a damaged file may differ."""
    case = CASES[name]
    folder = tmp_path / "tables"
    folder.mkdir()
    case.write(folder)
    checked = engines.check(f"file://{folder}", engine="spark")
    assert {alike(str(fault)) for fault in checked.faults} == {alike(fault) for fault in case.sentences}
    assert checked.dataset is None


def rename_and_rate(rows: pl.DataFrame) -> pl.DataFrame:
    """Interactions as another program writes them: other names, Unix times, stars."""
    rated = rows.with_columns(pl.col("timestamp").dt.epoch("ms"), stars=pl.int_range(pl.len()) % 5 + 1)
    return rated.rename({"user_id": "CustomerID", "item_id": "SKU", "timestamp": "posted"})


def add_flag(items: pl.DataFrame) -> pl.DataFrame:
    """Items with booleans as PostgreSQL writes them."""
    return items.with_columns(sold=(pl.int_range(pl.len()) % 2 == 1).cast(pl.String).str.head(1))


def test_tables_with_other_names_and_bad_rows_are_the_same_dataset_on_both(spark: SparkSession, tmp_path: Path) -> None:
    """A user all of whose rows are bad is none where there is no table of users; nor is whoever names them a friend."""
    all_of_one = some("weight", dict.fromkeys(range(1, 11), -1.0))
    changes = {
        "friends": some("friend_id", {3: 77}),
        "interactions": lambda rows: rename_and_rate(all_of_one(rows)),
        "items": add_flag,
    }
    write_tables(tmp_path, "parquet", changes)
    (tmp_path / "users.parquet").unlink()
    for path in tmp_path.iterdir():
        to_text(pl.read_parquet(path)).write_csv(path.with_suffix(".csv"))
        path.unlink()
    columns = {"CustomerID": "user_id", "interactions.SKU": "item_id", "posted": "timestamp", "stars": "rating"}
    config = Config(columns=columns).override("signals.rating", 4)
    one = engines.check(f"file://{tmp_path}", config=config, engine="spark", drop_bad_rows=0.2)
    other = engines.check(tmp_path, config=config, drop_bad_rows=0.2)
    assert one.faults == other.faults == ()
    assert set(one.notes) == set(other.notes)
    assert one.left_out == other.left_out
    assert len(one.left_out) == 10
    assert one.summary is not None
    assert other.summary is not None
    assert one.summary.users == other.summary.users == 29
    assert one.summary.interactions == other.summary.interactions == 116
    assert one.summary.moments == other.summary.moments != ()
    assert one.dataset is not None
    assert other.dataset is not None
    assert one.dataset.columns["sold"].equals(other.dataset.columns["sold"])
    assert other.dataset.columns["sold"].dtype == pl.Boolean


def newcomers_of(service: Path, folder: Path) -> Path:
    """Tables of cold users: some users of the service under other ids, with a few rows each."""
    folder.mkdir()
    users = pl.read_parquet(service / "users.parquet").head(100)
    rows = (
        pl.scan_parquet(service / "interactions").filter(pl.col("user_id").is_in(users["user_id"].implode())).collect()
    )
    rows.group_by("user_id", maintain_order=True).head(4).write_parquet(folder / "interactions.parquet")
    users.write_parquet(folder / "users.parquet")
    return folder


def test_guests_are_in_the_parts_of_their_persons(spark: SparkSession, tmp_path: Path) -> None:
    for name, frame in make_tables().items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    local = engines.check(tmp_path)
    cluster = engines.check(f"file://{tmp_path}", engine="spark")
    assert cluster.faults == local.faults == ()
    assert isinstance(local.dataset, Dataset)
    assert isinstance(cluster.dataset, ClusterDataset)
    catalogue = cluster.dataset.catalogue
    packed = [content for content in pl.DataFrame(cluster.dataset.parts.toArrow())["content"] if content]
    joined = join_users(local.dataset.name, (unpack(content, catalogue) for content in packed), catalogue, are_all=True)
    assert rows_of(joined) == rows_of(local.dataset)
    for one, other in (
        (joined.guests, local.dataset.guests),
        (joined.assignments, local.dataset.assignments),
    ):
        assert one is not None
        assert other is not None
        assert one.equals(other)
    assert joined.friends is not None
    assert local.dataset.friends is not None
    assert joined.friends.columns.tolist() == local.dataset.friends.columns.tolist()


def test_a_given_model_gives_the_same_lists(
    service: Path, trained: Recommender, spark: SparkSession, tmp_path: Path
) -> None:
    folder = newcomers_of(service, tmp_path / "newcomers")
    order = ["user_id", "rank"]
    lists = engines.recommend_batch(trained, f"file://{folder}", engine="spark")
    one = pl.DataFrame(lists.toArrow()).sort(order)
    other = engines.recommend_batch(trained, folder).sort(order)
    assert one.drop("score").equals(other.drop("score"))
    np.testing.assert_allclose(one["score"], other["score"], rtol=1e-5)


def test_a_batch_with_new_items_gives_the_same_lists(spark: SparkSession, tmp_path: Path) -> None:
    """The model of five users lists an item of the artist a1 for users of the east, whichever engine asks."""
    model = Recommender(make_model().with_learned(content=make_content()))
    folder = tmp_path / "newcomers"
    folder.mkdir()
    pl.DataFrame({"user_id": ["u", "v"], "country": ["FR", "DE"]}).write_parquet(folder / "users.parquet")
    rows = pl.DataFrame({"user_id": ["v"], "item_id": ["n2"]})
    rows.write_parquet(folder / "interactions.parquet")
    items = pl.DataFrame({"item_id": ["n1", "n2", "i1"], "title": ["Dawn", "Dusk", "I"], "artist_id": [["a1"]] * 3})
    items.write_parquet(folder / "items.parquet")
    order = ["user_id", "rank"]
    local = engines.recommend_batch(model, folder, 6).sort(order)
    frames = {path.stem: spark.read.parquet(f"file://{path}") for path in folder.glob("*.parquet")}
    lists = engines.recommend_batch(model, frames, 6, engine="spark")
    assert pl.DataFrame(lists.toArrow()).sort(order).drop("score").equals(local.drop("score"))
    listed = {user: rows["item_id"].to_list() for (user,), rows in local.group_by("user_id")}
    assert {"n1", "n2"} <= set(listed["u"])
    assert listed["u"].count("i1") == 1
    assert "n1" in listed["v"]
    assert "n2" not in listed["v"]
    without = replace(model, model=model.model.with_learned(content=None))
    _, summary, _ = recommend_batch(without, frames, 3)
    assert [note.partition(":")[0] for note in summary.notes] == ["items", "Unknown to the model and ignored"][::-1]
    bad = frames | {"items": spark.createDataFrame([("Dawn",)], "title string")}
    with pytest.raises(DataError) as caught:
        engines.recommend_batch(model, bad, 3)
    assert [(fault.code, fault.table) for fault in caught.value.faults] == [("missing_column", "items")]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv.gz", ".ndjson.gz"])
def test_lists_of_a_cluster_have_the_form_of_their_ending(spark: SparkSession, tmp_path: Path, ending: str) -> None:
    users = ["a,b", 'say "hi"', "tab\there", "two\nlines", " blanks ", "007", "Zoë"]
    lists = pl.DataFrame({"user_id": users, "rank": range(1, 8), "item_id": [f"i{user}" for user in users]})
    out = f"file://{tmp_path / f'lists{ending}'}"
    for _ in range(2):  # older lists are replaced
        write_lists(spark.createDataFrame(lists.to_arrow()).coalesce(1), out)
    (part,) = (tmp_path / f"lists{ending}").glob("part-*")
    whole = part.rename(tmp_path / f"one{ending}")
    written = read_lists(whole)
    assert written.select(pl.col("user_id"), pl.col("rank").cast(pl.Int64), pl.col("item_id")).equals(lists)


def odd_service(folder: Path) -> Path:
    """A folder with what Spark likes least: odd names of columns, whole numbers of two widths, partitions, vectors."""
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
    narrow = folder / "interactions" / "signal=stream"
    wide = folder / "interactions" / "signal=favorite"
    rows[:300].with_columns(pl.col("item_id").cast(pl.Int32)).write_parquet(narrow / "part 1.parquet")
    rows[300:].with_columns(pl.col("item_id").cast(pl.Int64)).write_parquet(wide / "b.parquet")
    (folder / "embeddings").mkdir()
    for name, ids in (("users", users["user_id"]), ("items", pl.Series("item_id", range(5, 23)))):
        vectors = np.random.default_rng(len(ids)).normal(size=(len(ids), 8)).astype(np.float32)
        ids.to_frame().with_columns(vector=vectors).write_parquet(folder / "embeddings" / f"{name}.parquet")
    return folder


def test_odd_names_types_and_partitions_are_the_same_on_both(spark: SparkSession, tmp_path: Path) -> None:
    folder = odd_service(tmp_path / "tables")
    local = engines.check(folder)
    on_spark = engines.check(f"file://{folder}", engine="spark")
    assert on_spark.faults == local.faults == ()
    assert on_spark.summary == local.summary
    assert set(on_spark.notes) == set(local.notes)
    assert any("have no vector" in note for note in local.notes)
    frames = {"users": spark.read.parquet(f"file://{folder}/users.parquet")}
    rows = spark.read.parquet(f"file://{folder}/interactions")
    frames["interactions"] = rows.withColumn("user_id", rows["user_id"].cast("double"))
    of_frames = engines.check(frames)
    assert of_frames.faults == ()
    assert of_frames.summary == local.summary
    faults = engines.check({"user": frames["users"]}).faults
    assert (faults[0].code, faults[0].table) == ("unknown_table", "user")


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


def test_a_batch_of_nobody_replaces_no_lists(trained: Recommender, spark: SparkSession, tmp_path: Path) -> None:
    nobody = spark.createDataFrame([], "user_id long, country string")
    with pytest.raises(DataError, match="users: has no rows"):
        engines.recommend_batch(trained, {"users": nobody})
    nameless = spark.createDataFrame([(1,)], "User_ID long")
    with pytest.raises(DataError, match="rename 'User_ID' to user_id"):
        engines.recommend_batch(trained, {"users": nameless})
    target = tmp_path / "lists.csv"
    target.mkdir()
    (target / "log.csv").write_text("x")
    with pytest.raises(ConfigError, match="files other than lists"):
        write_lists(nobody, f"file://{target}")
