"""Functions that run on executors: read the tables of each part of the users, and compute statistics of it.

Nothing here imports PySpark: functions map Arrow tables to Arrow tables, and use the code of the local engine
(`firstday.data.parts`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.interactions import find_ids
from firstday.data.newcomers import read_newcomers
from firstday.data.parts import Whole, load_part, pack, unpack
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, LogSpan
from firstday.data.splits.roles import find_warm
from firstday.data.splits.split import take_actions
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.engine.everyone import Everyone, StatisticsTask, summarise_part
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.impressions.counts import ShownCounts
from firstday.model.trained_model import TrainedModel
from firstday.recommend.batch import BatchSummary
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import load_plugin
from firstday.sparse import SparseRows
from firstday.tables import zstd
from firstday.tables.faults import FILE, ROW, Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.schema import TABLES
from firstday.tables.table_checks import check_table

PART_ROWS = 500_000
"""Approximate number of rows per part; bounds the memory of an executor's Python process."""
MIN_PARTS = 8
MERGED_PARTS = 4
"""Number of answers that an executor adds up at a time."""
PARTS_DDL = "part long, content binary, answer binary"
"""A part of the users: content that stays on the executors, and a pickled answer for the driver."""
RATINGS_DDL = "user int, item int, rating float"
HASH = "firstday: hash"
Batches = Iterator[pa.RecordBatch]
Question = Callable[..., Any]
"""A function of a Dataset and further arguments, defined at module level, so that executors can import it."""


def count_parts(n_rows: int) -> int:
    """Return the number of parts, which depends only on the number of rows, not on the cluster."""
    return max(MIN_PARTS, -(-n_rows // PART_ROWS))


def make_raw(frame: pl.DataFrame, *, is_text: bool) -> RawTable:
    """Make a table from rows with the columns `FILE` and `ROW`, without the files, which only the driver knows."""
    return RawTable({"part": frame.lazy()}, "CSV" if is_text else "a frame")


def find_items(options: Findings, raw: RawTable) -> pl.DataFrame:
    """Return the distinct items of interactions; see `find_ids`."""
    ids = find_ids(raw, options)["items"]
    return ids.cast(pl.String).to_frame("id").with_columns(is_text=pl.lit(ids.dtype == pl.String))


def count_values(options: Findings, raw: RawTable) -> pl.DataFrame:
    """Return the number of users with each value of each column of `users` that may be a group."""
    users = check_table("users", raw, {}, options.fresh(), are_all=False)
    values = users.drop(TABLES["users"].kinds, strict=False).unpivot(variable_name="column")
    groups = values.group_by("column", pl.col("value").cast(pl.String))
    return groups.agg(n=pl.len().cast(pl.Int64))


def make_part(part: int, content: bytes, answer: Any) -> pa.Table:
    """Return a row of `PARTS_DDL`; the answer is compressed because it passes through the driver's Java heap."""
    packed = zstd.compress(pickle.dumps(answer, protocol=5), level=1)
    return pa.table({"part": [part], "content": [content], "answer": [packed]})


def unpack_answer(packed: bytes) -> Any:
    """Restore an answer packed by `make_part` in this run."""
    return pickle.loads(zstd.decompress(packed))  # noqa: S301


def answer_tables(
    function: Callable[..., tuple[bytes, Any]], text: Collection[str], arguments: Iterable[Any], group: pa.Table
) -> pa.Table:
    """Call a function on the tables of one part; return its content and answer as a row of `PARTS_DDL`.

    Each row of `group` belongs to the table whose column is not null; `text` names the tables of separated text. Rows
    are sorted by file and row, and rows without a file by a hash of their content.
    """
    raw = {}
    for name in group.column_names[1:]:
        rows = pl.DataFrame(group.select([name])).drop_nulls().unnest(name)
        if rows.height:
            hashes = rows.hash_rows(seed=1).alias(HASH)
            rows = rows.with_columns(hashes).sort(FILE, ROW, HASH).drop(HASH)
            raw[name] = make_raw(rows, is_text=name in text)
    return make_part(group["part"][0].as_py(), *function(raw, *arguments))


def read_part(raw: dict[str, RawTable], whole: Whole) -> tuple[bytes, Findings]:
    """Return the packed dataset of a part, and its findings."""
    dataset, findings = load_part(raw, whole)
    return b"" if dataset is None else pack(dataset), findings


def recommend_part(
    raw: dict[str, RawTable],
    recommender: Recommender,
    *,
    list_newcomers: Callable[[Recommender, Dataset], tuple[pl.DataFrame, BatchSummary]],
    plugins: Iterable[str],
    options: Findings,
) -> tuple[bytes, tuple[Findings, BatchSummary, bool]]:
    """Return the lists of a part's cold users; and the findings, the counts, and whether user ids are integers."""
    for module in plugins:
        load_plugin(module)
    findings = options.fresh()
    dataset = read_newcomers("part", raw, findings)
    if dataset is None:
        return b"", (findings, BatchSummary(), True)
    lists, counts = list_newcomers(recommender, dataset)
    lists = lists.with_columns(pl.col("user_id", "item_id").cast(pl.String))
    return lists.write_ipc(None, compression="lz4").getvalue(), (findings, counts, dataset.users.are_integers)


def spread_lists(batches: Batches) -> Batches:
    """Convert the packed lists of parts to rows."""
    for batch in batches:
        for content in filter(None, batch["content"].to_pylist()):
            yield from pl.read_ipc(content).to_arrow().to_batches()


def map_parts(
    function: Callable[..., pa.Table], catalogue: Dataset, arguments: Iterable[Any], batches: Batches
) -> Batches:
    """Call a function on the number and the Dataset of each part; all parts share the catalogue."""
    for batch in batches:
        for number, packed in zip(batch["part"].to_pylist(), batch["content"], strict=True):
            if content := packed.as_py():
                yield from function(number, unpack(content, catalogue), *arguments).to_batches()


def answer_question(number: int, part: Dataset, function: Question, *arguments: Any) -> pa.Table:
    """Return the result of a function for a part as a row of `PARTS_DDL`."""
    return make_part(number, b"", function(part, *arguments))


def add_answers(merge: Callable[[Iterable[Any]], Any], table: pa.Table) -> pa.Table:
    """Add up the answers of `MERGED_PARTS` parts, in the order of the part numbers."""
    rows = sorted(table.to_pylist(), key=lambda row: row["part"])
    total = merge(unpack_answer(row["answer"]) for row in rows)
    return make_part(rows[0]["part"] // MERGED_PARTS, b"", total)


def list_ratings(number: int, part: Dataset, n_parts: int, *arguments: Any) -> pa.Table:
    """Return the affinities of a part's warm users as rows of `RATINGS_DDL`; see `warm_affinity`."""
    matrix = warm_affinity(part, *arguments)
    users = (matrix.row_of_entry() * n_parts + number).astype(np.int32)
    return pa.table({"user": users, "item": matrix.columns, "rating": matrix.weights})


def take_learners(part: Dataset, seed: int, up_to: int) -> bytes:
    """Return the users of a part whose stable numbers are at most `up_to`, packed."""
    numbers = stable_numbers(part.users, seed)
    return pack(part.keep_users(np.flatnonzero(numbers <= up_to)))


def describe_warm(part: Dataset, config: Config, log: LogSpan | None, task: StatisticsTask) -> Everyone:
    """Compute the statistics of a part's warm users."""
    warm, actions, window = find_warm(part, config, log)
    return summarise_part(part, warm, take_actions(actions, warm), task, window)


def warm_affinity(part: Dataset, config: Config, log: LogSpan | None, held_out: Ids) -> SparseRows:
    """Return the item affinities of a part's users to train on, without held-out ones, shape (n, n_items)."""
    warm, actions, _ = find_warm(part, config, log)
    warm = warm[held_out.lookup(part.users.take(warm)) < 0]
    actions = take_actions(actions, warm)
    shape = (len(warm), len(part.items))
    n_used = select_uses(actions, config.signals, *shape).lengths()
    affinity = compute_affinity(actions, config.signals, *shape)
    return affinity.take(np.flatnonzero(n_used >= MIN_LEARNED_ITEMS))


def count_others(
    part: Dataset, config: Config, log: LogSpan | None, model: TrainedModel, held_out: Ids
) -> ShownCounts | None:
    """Count the impressions of a part's users who are not warm."""
    warm, actions, window = find_warm(part, config, log)
    return count_shown_to_others(part, model, warm, actions, held_out, window)
