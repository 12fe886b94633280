"""Work of the executors: group rows of tables by part of users, and read and query each part.

Nothing here imports PySpark. Functions map Arrow batches to Arrow batches; the processing in between is the code of the
local engine (`firstday.data.parts`).
"""

from __future__ import annotations

import copy
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.newcomers import read_newcomers
from firstday.data.parts import Whole, load_part, pack, unpack
from firstday.data.splits.histories import Log
from firstday.data.splits.roles import find_warm
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.recommend.batch import BatchCounts, list_users
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import load_plugin
from firstday.recommend.rules import Rules
from firstday.segment.shown_counts import ShownCounts
from firstday.sparse import SparseRows
from firstday.tables import zstd
from firstday.tables.faults import FILE, ROW, Findings
from firstday.tables.raw_table import RawTable

PART = "firstday: part"
"""Column with the part number of each row."""
ROWS_AT_ONCE = 500_000
"""Rows of a table that an executor divides among parts at once."""
PART_ROWS = 500_000
"""Approximate number of rows per part; bounds the memory of an executor's Python process."""
FEWEST_PARTS = 8

SHARES = pa.schema([("part", pa.int32()), ("table", pa.string()), ("rows", pa.binary())])
"""Rows of a table that belong to a part, in Arrow IPC file format."""
PARTS = pa.schema([("part", pa.int32()), ("content", pa.binary()), ("report", pa.binary())])
"""A part after reading: its packed Dataset, and a `Part` without it."""
ANSWERS = pa.schema([("part", pa.int32()), ("answer", pa.binary())])
"""Answers of a function, one per part; see `pack_answer`."""

LISTS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float32()),
        ("route", pa.string()),
        ("scale", pa.string()),
    ]
)
"""Lists, one row per rank."""
SHARES_DDL = "part int, table string, rows binary"
PARTS_DDL = "part int, content binary, report binary"
ANSWERS_DDL = "part int, answer binary"
RATINGS_DDL = "part int, row int, item int, rating float"
"""The same schemas and that of matrix entries, as Spark DDL."""


@dataclass(frozen=True)
class TableNames:
    """How a table's rows are written.

    Parameters
    ----------
    are_files
        Whether its rows come from files.
    is_text
        Whether all values are text.
    dotted
        Columns with a dot in their names, as (name in Spark, original name).
    """

    are_files: bool = False
    is_text: bool = False
    dotted: tuple[tuple[str, str], ...] = ()


def count_parts(n_rows: int) -> int:
    """Return the number of parts, which depends only on the number of rows, not on the machines."""
    return max(FEWEST_PARTS, -(-n_rows // PART_ROWS))


def divide(name: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Group rows of a table by part, `ROWS_AT_ONCE` at a time."""
    waiting: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        waiting.append(batch)
        n_rows += batch.num_rows
        if n_rows >= ROWS_AT_ONCE:
            yield _shares(name, waiting)
            waiting, n_rows = [], 0
    if n_rows:
        yield _shares(name, waiting)


def _shares(name: str, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Divide some rows among parts."""
    frame = to_polars(pa.Table.from_batches(batches))
    parts, shares = [], []
    for (part,), rows in frame.group_by(PART, maintain_order=True):
        parts.append(int(part))
        shares.append(_write_rows(rows.drop(PART)))
    return pa.RecordBatch.from_arrays(
        [pa.array(parts, pa.int32()), pa.array([name] * len(parts)), pa.array(shares, pa.binary())], schema=SHARES
    )


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Convert an Arrow table to Polars."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write_rows(rows: pl.DataFrame) -> bytes:
    """Write rows in Arrow IPC file format, compressed."""
    return rows.write_ipc(None, compression="lz4").getvalue()


def gather(names: Mapping[str, TableNames], table: pa.Table) -> dict[str, RawTable]:
    """Reassemble the rows of one part by table, in file order."""
    shares: dict[str, list[pl.DataFrame]] = {}
    for name, rows in zip(table["table"].to_pylist(), table["rows"], strict=True):
        shares.setdefault(name, []).append(pl.read_ipc(io.BytesIO(rows.as_py())))
    return {name: make_raw(_in_order(pl.concat(frames), names[name]), names[name]) for name, frames in shares.items()}


def _in_order(rows: pl.DataFrame, names: TableNames) -> pl.DataFrame:
    """Sort rows in file order or, without files, by their content."""
    if names.are_files:
        return rows.sort(FILE, ROW)
    return rows[rows.hash_rows(seed=1).arg_sort()]


def make_raw(frame: pl.DataFrame, names: TableNames) -> RawTable:
    """Make a table from rows with the columns `FILE` and `ROW`; only the driver knows the files."""
    return RawTable((frame.rename(dict(names.dotted)).lazy(),), format="CSV" if names.is_text else "a frame")


def read_part(whole: Whole, names: Mapping[str, TableNames], table: pa.Table) -> pa.Table:
    """Read the rows of one part; see `PARTS`."""
    part = load_part(gather(names, table), whole)
    content = b"" if part.dataset is None else pack(part.dataset)
    report = pickle.dumps(replace(part, dataset=None), protocol=5)
    return pa.Table.from_pydict(
        {"part": [table["part"][0].as_py()], "content": [content], "report": [report]}, schema=PARTS
    )


def ask_parts(
    catalogue: Dataset, function: Callable[..., Any], arguments: tuple[Any, ...], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Call a function on each part; see `ANSWERS`."""
    for number, part in _open_parts(catalogue, batches):
        answer = pack_answer(function(part, *arguments))
        yield pa.RecordBatch.from_pydict({"part": [number], "answer": [answer]}, schema=ANSWERS)


def pack_answer(answer: Any) -> bytes:
    """Serialise an answer, compressed because statistics of all users pass through the driver's Java heap."""
    return zstd.compress(pickle.dumps(answer, protocol=5), level=1)


def unpack_answer(content: bytes) -> Any:
    """Deserialise an answer of `pack_answer` from this run."""
    return pickle.loads(zstd.decompress(content))  # noqa: S301


def _open_parts(catalogue: Dataset, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Dataset]]:
    """Yield the number and the Dataset of each part."""
    for batch in batches:
        for number, content in zip(batch["part"].to_pylist(), batch["content"], strict=True):
            if packed := content.as_py():
                yield number, unpack(packed, catalogue)


def add_answers(merge: Callable[[Iterable[Any]], Any], n_together: int, table: pa.Table) -> pa.Table:
    """Add up the answers of some parts, in the order of their numbers; see `ANSWERS`."""
    rows = sorted(table.select(["part", "answer"]).to_pylist(), key=lambda row: row["part"])
    total = merge(unpack_answer(row["answer"]) for row in rows)
    values = {"part": [rows[0]["part"] // n_together], "answer": [pack_answer(total)]}
    return pa.Table.from_pydict(values, schema=ANSWERS)


def list_ratings(
    catalogue: Dataset,
    function: Callable[..., SparseRows],
    arguments: tuple[Any, ...],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Convert the matrix that a function returns for each part to rows: part, row, item, rating."""
    for number, part in _open_parts(catalogue, batches):
        matrix = function(part, *arguments)
        yield pa.RecordBatch.from_pydict(
            {
                "part": pa.array(np.full(matrix.n_entries, number, dtype=np.int32)),
                "row": pa.array(matrix.row_of_entry().astype(np.int32)),
                "item": pa.array(matrix.columns),
                "rating": pa.array(matrix.weights),
            }
        )


@dataclass(frozen=True, eq=False)
class Request:
    """What executors need to recommend to cold users.

    Parameters
    ----------
    model
        Unique name of the model of this request.
    archive
        The model folder as a zip.
    plugins
        Modules with third-party methods.
    k, strategy, keep_used, rules
        See `firstday.recommend.recommender.Recommender.recommend`.
    blank
        Empty findings with the rules of these tables.
    names
        How each table is written.
    """

    model: str
    archive: bytes
    plugins: tuple[str, ...]
    k: int | None
    strategy: str
    keep_used: bool
    rules: Rules
    blank: Findings
    names: Mapping[str, TableNames]


def answer_part(request: Request, table: pa.Table) -> pa.Table:
    """Recommend to the cold users of one part; see `PARTS`: lists in Arrow format, findings and counts."""
    findings = copy.deepcopy(request.blank)
    dataset = read_newcomers("part", gather(request.names, table), findings)
    counts, content = BatchCounts(), b""
    if dataset is not None:
        recommender = open_shared(request.model, request.archive, request.plugins)
        asked = request.k, request.strategy
        lists, counts = list_users(recommender, dataset, *asked, keep_used=request.keep_used, rules=request.rules)
        content = _write_rows(lists.with_columns(pl.col("user_id", "item_id").cast(pl.String)))
    report = pickle.dumps((findings, counts), protocol=5)
    values = {"part": [table["part"][0].as_py()], "content": [content], "report": [report]}
    return pa.Table.from_pydict(values, schema=PARTS)


_OPENED: dict[str, Recommender] = {}
"""The model opened by this process, by its unique name."""


def open_shared(name: str, archive: bytes, plugins: tuple[str, ...]) -> Recommender:
    """Open a broadcast model, once per process."""
    if name not in _OPENED:
        for module in plugins:
            load_plugin(module)
        with TemporaryDirectory(prefix="firstday-") as folder:  # mapped files stay readable after deletion
            zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
            _OPENED.clear()
            _OPENED[name] = open_model(folder)
    return _OPENED[name]


def pack_model(recommender: Recommender) -> bytes:
    """Return a model folder as a zip."""
    with TemporaryDirectory(prefix="firstday-") as folder:
        model = recommender.save(Path(folder) / "model")
        return Path(shutil.make_archive(str(Path(folder) / "packed"), "zip", model)).read_bytes()


def count_others(
    part: Dataset,
    config: Config,
    log: Log | None,
    held_out: Ids,
    model: str,
    archive: bytes,
) -> ShownCounts | None:
    """Count impressions of a part's users who are not warm; see `Request` for `model` and `archive`."""
    if part.impressions is None:
        return None
    warm, actions, window = find_warm(part, config, log)
    trained = open_shared(model, archive, ()).model
    return count_shown_to_others(part, trained, warm, actions, held_out, window)


def spread_lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Convert the lists of parts to rows."""
    for batch in batches:
        for content in batch["content"]:
            if content.as_py():
                rows = pl.read_ipc(io.BytesIO(content.as_py())).to_arrow()
                yield from rows.cast(LISTS).to_batches()
