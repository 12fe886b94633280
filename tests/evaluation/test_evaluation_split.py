"""A split can be held, saved and scored elsewhere, with the same figures to the last digit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import firstday as fd
from firstday.data.dataset import Dataset, Entity, Group
from firstday.data.events import Events
from firstday.data.ids import Ids
from firstday.data.splits.holdout import find_cut_offs
from firstday.errors import ArgumentError
from firstday.evaluation.evaluation_split import name_cut_off
from firstday.model.folder import MANIFEST, _sealed, _sha256
from firstday.sparse import SparseRows
from tests.data.same import assert_equal
from tests.synthetic import brief_config, make_world
from tests.timed import BEGIN, LOG, N_ITEMS, make_log

N_ARTISTS = 6


def make_motion() -> Dataset:
    """Make the log in which a third of the items come after the first cut-off, by artists known before."""
    log = make_log()
    artists = [list(range(number, N_ITEMS, N_ARTISTS)) for number in range(N_ARTISTS)]
    ids = Ids.of([f"a{number}" for number in range(N_ARTISTS)])
    came = pl.lit(BEGIN) + pl.duration(days=pl.when(pl.col("target_ix") % 3 == 0).then(21).otherwise(0))
    return replace(
        log,
        events=Events.of(log.events.whole().filter(pl.col("timestamp") >= came)),
        entities={"artist": Entity(ids, SparseRows.from_lists(artists, N_ITEMS))},
        columns={"artist_id": pl.Series([[ids[item % N_ARTISTS]] for item in range(N_ITEMS)])},
    )


PROTOCOLS: Mapping[str, tuple[Callable[[], Dataset], dict[str, Any], int]] = {
    "sampled": (lambda: make_world(200), {}, 2),
    "registration": (
        make_motion,
        {"registration": {"cut_offs": 2, "target_days": 5}, "cold_model": {"hidden": [32, 16], "epochs": 8}},
        1,
    ),
}


@pytest.fixture(scope="module", params=PROTOCOLS)
def split(request: pytest.FixtureRequest) -> fd.EvaluationSplit:
    make, settings, n_seeds = PROTOCOLS[request.param]
    return fd.split(make(), brief_config(**settings), n_seeds=n_seeds)


@pytest.fixture(scope="module")
def folder(split: fd.EvaluationSplit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split.save(tmp_path_factory.mktemp("splits") / "split")


def first_hits(lists: np.ndarray, truth: SparseRows, _items: pl.Series) -> np.ndarray:
    return truth.has(lists[:, :3]).sum(axis=1)


@pytest.fixture(scope="module")
def results(split: fd.EvaluationSplit) -> fd.Results:
    return fd.evaluate(
        split.dataset,
        split.config,
        n_seeds=split.n_seeds,
        strategies=["personal"],
        k=10,
        metrics=[first_hits],
        progress=None,
    )


def figures_of(results: fd.Results, *others: str) -> pl.DataFrame:
    """Return the figures without times, and without metrics with one of the words in their names."""
    return results.to_frame().filter(~pl.col("metric").str.contains_any(["ms_per_user", *others]))


def test_frames_say_who_is_warm_what_was_done_and_what_counts(split: fd.EvaluationSplit) -> None:
    frames = split.to_frames()
    part = ["seed", "cut_off"]
    user = [*part, "user_id"]
    parts = [(seed, name_cut_off(holdout)) for seed, holdout in split.holdouts()]
    assert frames["users"].select(part).unique(maintain_order=True).rows() == parts
    assert len(parts) == 2
    assert frames["users"].join(frames["warm"], on=user, how="semi").is_empty()
    assert frames["truth"].join(frames["users"], on=user, how="anti").is_empty()
    uses = frames["day_one"].filter(pl.col("signal").is_in(split.config.signals.use), entity="item")
    uses = uses.select(*user, item_id="entity_id").unique()
    assert frames["truth"].join(uses, on=[*user, "item_id"], how="semi").is_empty()
    sizes = uses.group_by(user).len("n")
    counted = frames["users"].join(sizes, on=user, how="left").with_columns(pl.col("n").fill_null(0))
    assert counted["day_one_size"].to_list() == counted["n"].to_list()
    is_new = ~frames["truth"]["existed"]
    assert is_new.any() == (split.cut_offs is not None)
    learned = frames["warm"].filter(entity="item").select(*part, item_id="entity_id").unique()
    assert frames["truth"].filter(is_new).join(learned, on=[*part, "item_id"], how="semi").is_empty()
    for library in ("pandas", "pyarrow"):
        assert [*split.to_frames(library)["truth"].columns] != []


def test_a_saved_split_is_the_same_and_gives_the_same_figures(
    split: fd.EvaluationSplit, folder: Path, results: fd.Results
) -> None:
    opened = fd.open_split(folder)
    assert (opened.config, opened.seeds, opened.cut_offs) == (split.config, split.seeds, split.cut_offs)
    assert_equal(opened.dataset, split.dataset)
    again = fd.evaluate(opened, strategies=["personal"], k=10, metrics=[first_hits], progress=None)
    assert figures_of(again).equals(figures_of(results))
    with pytest.raises(fd.ConfigError, match="a split has its own"):
        fd.evaluate(opened, split.config)
    with pytest.raises(fd.ArtifactError, match="is not empty"):
        split.save(folder)


def test_own_lists_scored_elsewhere_have_the_same_figures(folder: Path, results: fd.Results) -> None:
    lists = results.lists()
    opened = fd.open_split(folder)
    scored = fd.score(opened, lists, k=10, metrics=[first_hits])
    assert figures_of(scored).equals(figures_of(results, "older", "diversity"))
    assert scored.best_single == results.best_single
    assert not [note for note in scored.notes if note.startswith("lists")]
    columns = [name for name in scored.users().columns if name != "knowledge"]
    assert scored.users().select(columns).equals(results.users().select(columns))
    kinds = lists.partition_by("catalogue", as_dict=True)
    assert len(kinds) == 1 + (opened.cut_offs is not None)
    from_csv = lists.filter(strategy="personal").to_pandas().replace("", None)  # as pandas reads no cut-off
    others = {"auto": lists.filter(strategy="auto"), "personal": from_csv}
    assert fd.score(opened, others, k=10).compare("auto", "personal") == results.compare("auto", "personal")


def test_lists_of_others_are_scored_as_they_are(split: fd.EvaluationSplit) -> None:
    """Three users of the first part: one has a hit first, one only what he knows, and one an item of another world."""
    frames = split.to_frames()
    seed, cut_off = frames["users"].row(0)[:2]
    truth = frames["truth"].filter(pl.col("existed"), seed=seed, cut_off=cut_off)
    busy = frames["users"].filter(pl.col("day_one_size") > 0, seed=seed, cut_off=cut_off)
    users = busy.join(truth, on="user_id", how="semi")["user_id"].to_list()
    signals = split.config.signals.use
    known = frames["day_one"].filter(pl.col("signal").is_in(signals), entity="item", seed=seed, cut_off=cut_off)
    rows = [
        (users[0], truth.filter(user_id=users[0])["item_id"][0], 1),
        (users[1], known.filter(user_id=users[1])["entity_id"][0], 1),
        (users[2], "nothing", 1),
        ("nobody", "nothing", 1),
    ]
    mine = pl.DataFrame(rows, ["user_id", "item_id", "rank"], orient="row")
    mine = mine.with_columns(seed=pl.lit(seed), cut_off=pl.lit(cut_off))
    results = fd.score(split, {"mine": mine}, k=1)
    rows_of = {row["user_id"]: row for row in results.users().filter(seed=seed, cut_off=cut_off).to_dicts()}
    assert [rows_of[user]["precision"] for user in users[:4]] == [100, 0, 0, 0]
    assert [rows_of[user]["route"] for user in users[:4]] == ["mine"] * 3 + ["none"]
    assert [rows_of[user]["is_own"] for user in users[:4]] == [True] * 3 + [False]
    n_evaluated = results.get("mine", "precision").n
    assert results.get("mine", "user_coverage").mean == pytest.approx(100 * 3 / n_evaluated)
    *notes, absent = [note for note in results.notes if note.startswith("lists")]
    assert [note.split()[2:6] for note in notes] == [["mine:", str(n), "of", "4"] for n in (1, 2, 1)]
    for column in ("user_id", "item_id"):
        with pytest.raises(fd.DataError, match=r"^lists of mine: 4 of 4 rows "):
            fd.score(split, {"mine": mine.with_columns(pl.col(column) + "?")}, k=1)
    _, other = frames["users"].select("seed", "cut_off").unique(maintain_order=True).to_dicts()
    assert str({**other, "strategy": "mine"}) in absent


def test_items_that_came_after_day_one_are_no_hits(split: fd.EvaluationSplit) -> None:
    """Lists have one item that the user went on to use; it can only be known if it came by the end of day one."""
    frames = split.to_frames()
    events = split.dataset.events.whole().group_by("target_ix").agg(pl.col("timestamp").min().alias("came"))
    came = events.select("came", item_id=split.dataset.items.take(events["target_ix"].to_numpy()))
    user = ["seed", "cut_off", "user_id"]
    new = frames["truth"].filter(~pl.col("existed")).join(came, on="item_id").sort("came", descending=True)
    listed = new.unique(user, keep="first", maintain_order=True).with_columns(rank=1)
    if split.cut_offs is None:
        assert listed.is_empty()
        return
    results = fd.score(split, {"mine": listed}, k=1)
    known = results.users().join(listed, on=user).join(frames["users"], on=user)
    assert known["precision_all"].to_list() == [100 * (row["came"] < row["day_end"]) for row in known.to_dicts()]
    assert set(known["precision_all"]) == {0, 100}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"rank": None}, "lists: 4 of 4 rows lack one of strategy, user_id, item_id, rank (first: "),
        ({"item_id": ["i001", None, "i003", "i004"]}, "lists: 1 of 4 rows lack one of"),
        ({"rank": [1.0, 2.0, float("nan"), 4.0]}, "lists: 1 of 4 rows lack one of"),
        ({"item_id": "i001"}, "lists: 4 of 4 rows repeat an item or a rank of their user (first: "),
        ({"rank": [1, 2, 2, 3]}, "lists: 2 of 4 rows repeat an item or a rank"),
        ({"seed": 99}, "lists: 4 of 4 rows have no seed and cut_off of the split (first: "),
        ({"cut_off": 3}, "lists: 4 of 4 rows have no seed and cut_off of the split (first: "),
        ({"catalogue": "new"}, "lists: 4 of 4 rows have another catalogue than at_training or by_day_one (first: "),
        ({"rank": ["1", "2", "3", "last"]}, "lists: cannot be read ("),
        ({"item_id": [["i001", "i002"]] * 4}, "lists: cannot be read ("),
    ],
)
def test_a_fault_of_lists_is_one_sentence(split: fd.EvaluationSplit, changes: dict[str, Any], fault: str) -> None:
    seed, holdout = next(split.holdouts())
    rows = {"item_id": ["i001", "i002", "i003", "i004"], "rank": [1, 2, 3, 4]}
    mine = pl.DataFrame(rows).with_columns(
        user_id=pl.lit("u1"), seed=pl.lit(seed), cut_off=pl.lit(name_cut_off(holdout))
    )
    changed = mine.with_columns(
        **{name: pl.Series(value) if isinstance(value, list) else pl.lit(value) for name, value in changes.items()}
    )
    with pytest.raises(fd.DataError) as caught:
        fd.score(split, {"mine": changed})
    assert str(caught.value).startswith(fault)
    assert "\n" not in str(caught.value)


def test_other_mistakes_with_lists(split: fd.EvaluationSplit) -> None:
    with pytest.raises(fd.DataError, match=r"^lists: cannot be read \("):
        fd.score(split, {"mine": [("u1", "i001", 1)]})
    with pytest.raises(fd.DataError, match=r"^lists: is empty"):
        fd.score(split, {})
    with pytest.raises(fd.DataError, match=r"^lists: mine has no rows"):
        fd.score(split, {"mine": pl.DataFrame({"user_id": []})})
    with pytest.raises(ArgumentError, match=r"^split: is "):
        fd.score("split", {})  # type: ignore[arg-type]


def test_a_profile_column_may_have_the_name_of_another(split: fd.EvaluationSplit) -> None:
    dataset = replace(split.dataset, groups={"seed": Group(("a",), np.zeros(len(split.dataset.users), np.int32))})
    users = replace(split, dataset=dataset).to_frames()["users"]
    assert {*users["seed"]} == {*split.seeds}
    assert {*users["profile:seed"]} == {"a"}


def test_there_must_be_somebody_to_evaluate() -> None:
    """All that anybody uses after the cut-off is new then."""
    log = make_log()
    config = brief_config(registration={"cut_offs": 1, "target_days": 5})
    cut_offs = find_cut_offs(log, config)
    assert cut_offs is not None
    is_late = LOG.at() >= cut_offs.moments[0]
    item = pl.col("target_ix") + N_ITEMS * is_late.cast(pl.Int32)
    events = Events.of(log.events.whole().with_columns(item.cast(pl.Int32)))
    changed = replace(log, items=Ids.of([f"i{number}" for number in range(2 * N_ITEMS)]), events=events)
    with pytest.raises(fd.DataError, match="no newcomer used an item that existed before the cut-off"):
        fd.split(changed, config).to_frames()
    with pytest.raises(fd.ConfigError, match=r"^n_seeds: is 0"):
        fd.split(log, config, n_seeds=0)


def test_a_changed_byte_is_refused_with_the_name_of_the_file(folder: Path) -> None:
    names = [path.name for path in folder.iterdir()]
    assert {"warm.parquet", "day_one.parquet", "truth.parquet", "users.parquet", MANIFEST} < {*names}
    for name in names:
        path = folder / name
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(fd.ArtifactError) as caught:
            fd.open_split(folder)
        assert str(caught.value).startswith(f"{path}: ")
        path.write_bytes(content)
    fd.open_split(folder)


def test_another_format_and_another_split_are_refused(folder: Path, tmp_path: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    assert {"protocol", "seeds", "cut_offs", "firstday", "sha256"} <= manifest.keys()
    original = {name: (folder / name).read_bytes() for name in (MANIFEST, "truth.parquet")}
    (folder / MANIFEST).write_bytes(_sealed({**manifest, "format": "split 99"}))
    with pytest.raises(fd.ArtifactError, match="has format split 99, but this firstday reads format split 1"):
        fd.open_split(folder)
    pl.read_parquet(folder / "truth.parquet").head(5).write_parquet(folder / "truth.parquet")
    files = {**manifest["files"], "truth.parquet": _sha256(folder / "truth.parquet")}
    (folder / MANIFEST).write_bytes(_sealed({**manifest, "files": files}))
    with pytest.raises(fd.ArtifactError, match="derives another table truth"):
        fd.open_split(folder)
    for name, content in original.items():
        (folder / name).write_bytes(content)
    with pytest.raises(fd.ArtifactError, match=r"contains no split \(manifest\.json is missing\)"):
        fd.open_split(tmp_path)
