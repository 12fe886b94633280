"""Time the rules on tables, written once as expressions and once as code over parts, and say where results differ.

python benchmarks/table_engines.py                           20,000 and 80,000 simulated users, 5,000 items

The same questions about the same Parquet files: which rows name unknown users or items, how many rows repeat another or
lie in the future, what each user did to each item within 24 hours of registering (weights added up), and how many users
each item has. Five candidates answer them, each in a process of its own:

narwhals-polars, narwhals-duckdb, narwhals-spark   the same Narwhals expressions on three engines
parts                                              Polars code over batches and parts of users, as `firstday.data` does
parts-spark                                        the same function, run by Spark on parts of users (applyInArrow)

On the first size each runs twice, on a machine in UTC and on one in New York. Times are those of the UTC run, after
libraries are loaded and Spark has started: by the clock, and of all cores. Peak memory is what the operating system
says (VmHWM in /proc); for Spark that of the driver, the JVM and the Python workers together. Narwhals answers one
question after the other, since its lazy frames share no work. Writes docs/results/table-engines.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from firstday.config import SignalConfig
from firstday.data.events import ITEM, Window
from firstday.data.ids import Ids
from firstday.data.interactions import Known, read_interactions
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.sparse import union_rows
from firstday.tables.faults import Findings
from firstday.tables.raw_table import RawTable
from firstday.tables.read import read_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

OUT = Path(__file__).parents[1] / "docs" / "results" / "table-engines.json"
CANDIDATES = ("narwhals-polars", "narwhals-duckdb", "narwhals-spark", "parts", "parts-spark")
REFERENCE = "parts"
ZONES = ("UTC", "America/New_York")
NOW = datetime(2024, 6, 1, tzinfo=UTC)
"""The time of reading: the simulated log ends before, planted rows of the future lie after."""
DAY_US = 86_400_000_000
COLUMNS = ["user_id", "item_id", "signal", "timestamp", "weight"]
PART_ROWS = 250_000
ANSWER_COLUMNS = {
    "what": "string",
    "n": "long",
    "user_id": "int",
    "item_id": "int",
    "signal": "string",
    "weight": "float",
}
"""What one part answers, as Spark names types."""


def write_tables(folder: Path, n_users: int, n_items: int) -> int:
    """Simulate a log, plant repeats, rows of the future and unknown names; return the number of rows.

    `clean` has repeats and rows of the future, `dirty` also unknown users and items.
    """
    simulate(SimulationSettings(n_users, n_items), folder / "simulated")
    rng = np.random.default_rng(0)
    log = pl.read_parquet(folder / "simulated" / "interactions" / "*.parquet")
    rows = log.filter(pl.col("item_id").is_not_null()).drop("entity", "entity_id")
    weights = pl.Series("weight", rng.integers(1, 31, size=rows.height) * 0.1)  # 0.1 has no exact binary form
    rows = rows.with_columns(weights)
    drawn = [pl.Series(rng.integers(rows.height, size=max(1, rows.height // share))) for share in (100, 1_000, 10_000)]
    repeats, future, unknown = (rows[places] for places in drawn)
    future = future.with_columns(pl.col("timestamp").dt.offset_by("1y"))
    clean = pl.concat([rows, repeats, future]).sort("timestamp", maintain_order=True)
    lost = [unknown.with_columns(pl.col(name) + 10_000_000) for name in ("user_id", "item_id")]
    for name, table in (
        ("clean", clean),
        ("dirty", pl.concat([clean, *lost]).sort("timestamp", maintain_order=True)),
    ):
        place = folder / name / "interactions"
        place.mkdir(parents=True)
        for number, part in enumerate(table.iter_slices(1_000_000)):
            part.select(COLUMNS).write_parquet(place / f"part-{number:05}.parquet")
    return clean.height


# The rules as expressions, for every library that Narwhals knows


def ask_by_expressions(
    clean: nw.LazyFrame[Any], dirty: nw.LazyFrame[Any], users: nw.LazyFrame[Any], items: nw.LazyFrame[Any]
) -> dict[str, nw.LazyFrame[Any]]:
    """Return each question as a lazy frame."""
    time = nw.col("timestamp")
    past = clean.filter(time <= NOW)
    is_midnight = time.dt.truncate("1d") == time
    kept = nw.concat([past.filter(is_midnight), past.filter(~is_midnight).unique(COLUMNS, keep="any")])
    day_one = kept.join(users, on="user_id", how="inner").filter(
        time >= nw.col("registered_at"), time < nw.col("registered_at") + timedelta(hours=24)
    )
    weight = nw.col("weight").cast(nw.Float32).cast(nw.Float64)
    return {
        "unknown_users": count_unknown(dirty, users, "user_id"),
        "unknown_items": count_unknown(dirty, items, "item_id"),
        "n_rows": clean.select(n=nw.len()),
        "n_past": past.select(n=nw.len()),
        "n_kept": kept.select(n=nw.len(), last=time.max()),
        "day_one": day_one.group_by("user_id", "signal", "item_id").agg(
            weight=weight.sum(), weight_as_written=nw.col("weight").sum()
        ),
        "item_users": kept.group_by("item_id").agg(n=nw.col("user_id").n_unique()),
    }


def count_unknown(rows: nw.LazyFrame[Any], home: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
    """Count rows that name nobody of the home table; lazy frames have no order, so the first is the smallest."""
    return rows.join(home.select(column), on=column, how="anti").select(n=nw.len(), first=nw.col(column).min())


def answer_by_expressions(frames: dict[str, Any], collect: dict[str, Any]) -> dict[str, Any]:
    """Collect every question as an Arrow table, and bring the answers to one form."""
    lazy = {name: nw.from_native(frame).lazy() for name, frame in frames.items()}
    questions = ask_by_expressions(**lazy)
    tables: dict[str, pa.Table] = {name: question.collect(**collect).to_arrow() for name, question in questions.items()}
    n_rows, n_past, n_kept = (tables[name]["n"][0].as_py() for name in ("n_rows", "n_past", "n_kept"))
    answers: dict[str, Any] = {
        name: [tables[name]["n"][0].as_py(), tables[name]["first"][0].as_py()]
        for name in ("unknown_users", "unknown_items")
    }
    sums, item_users = (pl.DataFrame(pl.from_arrow(tables[name])) for name in ("day_one", "item_users"))
    return {
        **answers,
        "n_future": n_rows - n_past,
        "n_repeats": n_past - n_kept,
        "day_one": sums.with_columns(pl.col("weight").cast(pl.Float32)),
        "item_users": item_users,
        "types": {
            "time": str(tables["n_kept"].schema.field("last").type),
            "count": str(tables["item_users"].schema.field("n").type),
            "sum": str(tables["day_one"].schema.field("weight").type),
        },
    }


def open_polars(folder: Path) -> dict[str, Any]:
    """Answer by Narwhals on Polars, lazily, with the engine that works through batches."""
    frames = {name: pl.scan_parquet(folder / name / "interactions" / "*.parquet") for name in ("clean", "dirty")}
    homes = {home: pl.scan_parquet(folder / "simulated" / f"{home}.parquet") for home in ("users", "items")}
    return answer_by_expressions({**frames, **homes}, {"backend": "polars", "engine": "streaming"})


def open_duckdb(folder: Path) -> dict[str, Any]:
    """Answer by Narwhals on DuckDB."""
    import duckdb

    frames = {name: duckdb.read_parquet(f"{folder}/{name}/interactions/*.parquet") for name in ("clean", "dirty")}
    homes = {home: duckdb.read_parquet(f"{folder}/simulated/{home}.parquet") for home in ("users", "items")}
    return answer_by_expressions({**frames, **homes}, {"backend": "pyarrow"})


# The rules as code over parts of users, in one process or in many


@dataclass(frozen=True, eq=False)
class Home:
    """What every part needs to know.

    Parameters
    ----------
    users, items
        The ids.
    registered_at
        int64, shape (n_users,), microseconds since 1970 UTC, -1 where missing.
    """

    users: Ids
    items: Ids
    registered_at: np.ndarray


def read_home(folder: Path) -> Home:
    """Read the tables of users and of items."""
    users = pl.read_parquet(folder / "simulated" / "users.parquet").sort("user_id")
    items = pl.read_parquet(folder / "simulated" / "items.parquet").sort("item_id")
    moments = users["registered_at"].to_physical().fill_null(-1).to_numpy()
    return Home(Ids.of(users["user_id"]), Ids.of(items["item_id"]), moments)


def answer_part(rows: RawTable, home: Home) -> pl.DataFrame:
    """Answer every question about the rows of some users, or of all: the one definition; columns `ANSWER_COLUMNS`."""
    findings = Findings()
    interactions = read_interactions(rows, Known(home.users, home.items, {}, SignalConfig()), findings, NOW)
    parts = [read_counts((*findings.faults, *findings.notes))]
    if interactions is not None:
        events = interactions.events
        n_users, n_items = len(home.users), len(home.items)
        window = Window(home.registered_at, home.registered_at + DAY_US)
        day_one, everything = events.collect(n_users, {ITEM: n_items}, [window, None])
        for (signal, _), sums in day_one.items():
            users, items = home.users.take(sums.row_of_entry()), home.items.take(sums.columns)
            cells = {"user_id": users, "item_id": items, "weight": sums.weights}
            parts.append(pl.DataFrame(cells).with_columns(signal=pl.lit(signal), what=pl.lit("day_one")))
        if everything:
            n_users_of = np.bincount(union_rows(list(everything.values())).columns, minlength=n_items)
            counts = pl.DataFrame({"item_id": home.items.values, "n": n_users_of})
            parts.append(counts.filter(pl.col("n") > 0).with_columns(what=pl.lit("item_users")))
    types = {"string": pl.String, "long": pl.Int64, "int": pl.Int32, "float": pl.Float32}
    answers = pl.concat(parts, how="diagonal_relaxed")
    missing = [pl.lit(None).alias(name) for name in ANSWER_COLUMNS if name not in answers.columns]
    return answers.with_columns(*missing).select(
        pl.col(name).cast(types[kind]) for name, kind in ANSWER_COLUMNS.items()
    )


def read_counts(sentences: tuple[str, ...]) -> pl.DataFrame:
    """Read the counts in the sentences of faults and notes."""
    patterns = {
        "unknown_users": r"user_id: ([\d,]+) of .*\(first: (\d+)\)",
        "unknown_items": r"item_id: ([\d,]+) of .*\(first: (\d+)\)",
        "n_repeats": r"([\d,]+) of .* repeat another",
        "n_future": r"([\d,]+) of .* lie in the future",
    }
    rows = []
    for what, pattern in patterns.items():
        match = next(filter(None, (re.search(pattern, sentence) for sentence in sentences)), None)
        if match:
            numbers = [int(group.replace(",", "")) for group in match.groups()]
            first = numbers[1] if len(numbers) > 1 else None
            rows.append((what, numbers[0], *((first, None) if "users" in what else (None, first))))
    schema = {"what": pl.String, "n": pl.Int64, "user_id": pl.Int32, "item_id": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def join_parts(answers: pl.DataFrame) -> dict[str, Any]:
    """Add up the answers of parts; the first unknown name is the smallest of the parts' first."""
    counts = dict(answers.group_by("what").agg(pl.col("n").sum()).rows())
    firsts = {
        name: answers.filter(pl.col("what") == name)[column].min()
        for name, column in (("unknown_users", "user_id"), ("unknown_items", "item_id"))
    }
    item_users = answers.filter(pl.col("what") == "item_users").group_by("item_id").agg(pl.col("n").sum())
    return {
        **{name: [counts.get(name, 0), first] for name, first in firsts.items()},
        "n_future": counts.get("n_future", 0),
        "n_repeats": counts.get("n_repeats", 0),
        "day_one": answers.filter(pl.col("what") == "day_one").select("user_id", "signal", "item_id", "weight"),
        "item_users": item_users,
    }


def open_parts(folder: Path) -> dict[str, Any]:
    """Answer part after part in this process, as loading does."""
    home = read_home(folder)
    tables = [read_folder(folder / name, Findings())["interactions"] for name in ("dirty", "clean")]
    return join_parts(pl.concat([answer_part(table, home) for table in tables if table is not None]))


# Spark


def start_spark(folder: Path) -> SparkSession:
    """Start Spark in this process, with two cores."""
    from pyspark.sql import SparkSession

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.local.dir": str(folder / "spark"),
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000000",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def open_narwhals_spark(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Answer by Narwhals on Spark."""
    frames = {name: spark.read.parquet(f"{folder}/{name}/interactions") for name in ("clean", "dirty")}
    homes = {home: spark.read.parquet(f"{folder}/simulated/{home}.parquet") for home in ("users", "items")}
    return answer_by_expressions({**frames, **homes}, {"backend": "pyarrow"})


def open_parts_spark(folder: Path, spark: SparkSession) -> dict[str, Any]:
    """Answer parts of users on Spark's workers, by the same function as in one process."""
    import pyarrow as pa
    from pyspark.sql import functions

    home = read_home(folder)

    def answer_rows(rows: pa.Table) -> pa.Table:
        frame = pl.DataFrame(pl.from_arrow(rows)).select(COLUMNS)
        return (
            answer_part(RawTable.of(frame, "interactions"), home).to_arrow().cast(arrow_schema)
        )  # Polars' text is large_string

    arrow_types = {"string": pa.string(), "long": pa.int64(), "int": pa.int32(), "float": pa.float32()}
    arrow_schema = pa.schema([(name, arrow_types[kind]) for name, kind in ANSWER_COLUMNS.items()])
    schema = ", ".join(f"{name} {kind}" for name, kind in ANSWER_COLUMNS.items())
    answers = []
    for name in ("dirty", "clean"):
        rows: DataFrame = spark.read.parquet(f"{folder}/{name}/interactions")
        n_parts = max(2, -(-rows.count() // PART_ROWS))
        part = functions.pmod(functions.xxhash64("user_id"), functions.lit(n_parts))
        parts = rows.groupBy(part.alias("part")).applyInArrow(answer_rows, schema)
        answers.append(pl.DataFrame(pl.from_arrow(parts.toArrow())))
    return join_parts(pl.concat(answers))


# One candidate in its process, and the comparison


def run_candidate(name: str, folder: Path, out: Path) -> None:
    """Answer all questions by one candidate; write the answers, the times and the memory."""
    figures: dict[str, float] = {}
    if name.endswith("spark"):
        began = perf_counter()
        spark = start_spark(folder)
        figures["start_seconds"] = perf_counter() - began
        open_on_spark = {"narwhals-spark": open_narwhals_spark, "parts-spark": open_parts_spark}[name]
        began, used = perf_counter(), sum(process.cpu_seconds for process in list_family())
        answers = open_on_spark(folder, spark)
    else:
        if name == "narwhals-duckdb":
            import duckdb  # noqa: F401  (loading it is not timed)
        open_here = {"narwhals-polars": open_polars, "narwhals-duckdb": open_duckdb, "parts": open_parts}[name]
        began, used = perf_counter(), sum(process.cpu_seconds for process in list_family())
        answers = open_here(folder)
    figures["seconds"] = perf_counter() - began
    family = list_family()
    figures["cpu_seconds"] = sum(process.cpu_seconds for process in family) - used
    figures["peak_gib"] = sum(process.peak_gib for process in family)
    if len(family) > 1:
        figures |= {f"peak_{kind}_gib": 0.0 for kind in ("jvm", "python")}
        for process in family:
            figures["peak_jvm_gib" if process.name == "java" else "peak_python_gib"] += process.peak_gib
        spark.stop()
    out.mkdir()
    for table in ("day_one", "item_users"):
        answers.pop(table).write_parquet(out / f"{table}.parquet")
    (out / "answers.json").write_text(json.dumps({**answers, **figures}), encoding="utf-8")


@dataclass(frozen=True)
class Process:
    """What the operating system says of a process."""

    name: str
    cpu_seconds: float
    peak_gib: float


def list_family() -> list[Process]:
    """Return this process and all that it has started and that still run (Linux)."""
    parents: dict[int, int] = {}
    processes: dict[int, Process] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            lines = (place / "status").read_text().splitlines()
            ticks = (place / "stat").read_text().rpartition(")")[2].split()[11:15]  # of itself, of ended children
        except OSError:  # it has ended meanwhile
            continue
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        pid, peak_kib = int(place.name), int(fields.get("VmHWM", "0 kB").split()[0])
        parents[pid] = int(fields["PPid"])
        seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        processes[pid] = Process(fields["Name"].strip(), seconds, peak_kib / 2**20)
    family = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= new
    return [processes[pid] for pid in sorted(family)]


def compare(folder: Path, reference: Path) -> dict[str, str]:
    """Tell what differs from the reference's answers, but for the example of an unknown name."""
    answers, right = (json.loads((place / "answers.json").read_text()) for place in (folder, reference))
    for unknown in ("unknown_users", "unknown_items"):
        answers[unknown], right[unknown] = answers[unknown][0], right[unknown][0]
    differences = {
        name: f"{answers[name]:,} for {right[name]:,}"
        for name in ("unknown_users", "unknown_items", "n_repeats", "n_future")
        if answers[name] != right[name]
    }
    tables: tuple[tuple[str, list[str], str, type[pl.DataType]], ...] = (
        ("day_one", ["user_id", "signal", "item_id"], "weight", pl.Float32),
        ("item_users", ["item_id"], "n", pl.Int64),
    )
    for table, key, value, kind in tables:
        both = [
            pl.read_parquet(place / f"{table}.parquet").select(*key, pl.col(value).cast(kind))
            for place in (folder, reference)
        ]
        joined = both[0].join(both[1], on=key, how="full", coalesce=True)
        n_different = joined.filter(~pl.col(value).eq_missing(pl.col(f"{value}_right"))).height
        if n_different:
            differences[table] = f"{n_different:,} of {both[1].height:,} rows"
    return differences


def count_unlike_sums(folder: Path, reference: Path) -> int | None:
    """Count sums of the weights as they were written (Float64) that differ in a bit from the reference's."""
    key = ["user_id", "signal", "item_id"]
    both = [pl.read_parquet(place / "day_one.parquet") for place in (folder, reference)]
    if any("weight_as_written" not in frame.columns for frame in both):
        return None
    joined = both[0].join(both[1], on=key)
    return joined.filter(pl.col("weight_as_written") != pl.col("weight_as_written_right")).height


def measure(folder: Path, n_users: int, n_items: int, zones: Sequence[str]) -> dict[str, Any]:
    """Run every candidate on a service of a size, on a machine in each zone."""
    n_rows = write_tables(folder, n_users, n_items)
    by_candidate: dict[str, Any] = {name: {} for name in CANDIDATES}
    for zone in zones:
        for name in CANDIDATES:
            out = place_of(folder, name, zone)
            command = [sys.executable, __file__, "--candidate", name, "--folder", str(folder), "--out", str(out)]
            done = subprocess.run(command, env={**os.environ, "TZ": zone}, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"error: {name} failed.\n{done.stderr}")
            measured = json.loads((out / "answers.json").read_text())
            row = by_candidate[name]
            if zone == "UTC":
                row |= {figure: round(number, 2) for figure, number in measured.items() if isinstance(number, float)}
                row |= {"first_unknown_user": measured["unknown_users"][1], "types": measured.get("types")}
            print(f"{n_users:,} users, {zone}, {name}: {measured['seconds']:.1f} s", flush=True)
    reference = by_candidate[REFERENCE]
    for name, row in by_candidate.items():
        row["differs"] = {
            zone: compare(place_of(folder, name, zone), place_of(folder, REFERENCE, "UTC")) for zone in zones
        }
        places = [place_of(folder, each, "UTC") for each in (name, "narwhals-polars")]
        row["unlike_float64_sums"] = count_unlike_sums(*places)
        for figure in ("seconds", "cpu_seconds", "peak_gib"):
            row[f"{figure}_by_parts"] = round(row[figure] / reference[figure], 2)
    return {"users": n_users, "items": n_items, "interactions": n_rows, "candidates": by_candidate}


def place_of(folder: Path, name: str, zone: str) -> Path:
    """Return where a candidate's answers lie."""
    return folder / f"{name}-{zone.replace('/', '-')}"


def main() -> None:
    """Measure all, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, nargs="+", default=[20_000, 80_000])
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where to put tables meanwhile (default: the system's)")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    if arguments.candidate:
        run_candidate(arguments.candidate, arguments.folder, arguments.out)
        return
    sizes: list[dict[str, Any]] = []
    for n_users in arguments.users:
        zones = ZONES[: 1 if sizes else 2]
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            sizes.append(measure(Path(folder), n_users, arguments.items, zones))
    arguments.out.write_text(json.dumps({"now": f"{NOW:%Y-%m-%d}", "sizes": sizes}, indent=1) + "\n", encoding="utf-8")
    for size in sizes:
        table = Table(
            "candidate", "s", "CPU, s", "start, s", "peak, GiB", "differs in UTC", "differs in New York", "Float64 sums"
        )
        for name, row in size["candidates"].items():
            by_zone = (row["differs"].get(zone) for zone in ZONES)
            differs = [
                "" if faults is None else "; ".join(f"{k}: {v}" for k, v in faults.items()) or "-" for faults in by_zone
            ]
            figures = [str(row.get(figure, "")) for figure in ("seconds", "cpu_seconds", "start_seconds", "peak_gib")]
            table.add_row(name, *figures, *differs, str(row["unlike_float64_sums"]))
        Console(width=150).print(f"{size['interactions']:,} interactions", table)


if __name__ == "__main__":
    main()
