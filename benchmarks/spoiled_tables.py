"""Which damage to tables a refresh notices, and how often it refuses clean ones: a table of docs/operations.md.

python benchmarks/spoiled_tables.py --data DATA

For each of two logs, a model with small networks is published every night from the tables up to that night, and refused
nights are counted. After the last one, the tables are damaged in each of `DAMAGES` and `COLUMN_DAMAGES`, and the model
is refreshed from them. The columns of items are made up. Results go to docs/results/spoiled-tables.json.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from result_files import RESULTS, write_results

from firstday.config import Config
from firstday.data.load import load
from firstday.errors import FirstdayError
from firstday.training.refresh_model import RefreshResult, refresh

LOGS = {"movietweetings": "movietweetings_100k.zip", "online-retail": "online_retail_2009_2010.parquet"}
QUICK = {"cold_model.hidden": [16], "cold_model.epochs": 1, "ranker.enabled": False, "recommend.k": 20}
"""Settings of the models: what is measured hardly depends on networks."""
N_NIGHTS = 50
HOUR = timedelta(hours=1)
Rows = pl.DataFrame
Damage = Callable[[Rows, np.random.Generator], Rows]


def shuffle(*names: str) -> Damage:
    """Put the values of some columns into a random order."""
    return lambda rows, rng: rows.with_columns(rows.select(names)[rng.permutation(len(rows))])


def shift(name: str) -> Damage:
    """Move a column down by a row."""
    return lambda rows, _: rows.with_columns(pl.col(name).shift(1, fill_value=rows[name][-1]))


def permute(name: str, since: timedelta | None = None) -> Damage:
    """Replace ids consistently by others of the same column, in all rows or the newest."""

    def damage(rows: Rows, rng: np.random.Generator) -> Rows:
        ids = rows[name].unique().sort()
        other = pl.col(name).replace_strict(ids, ids[rng.permutation(len(ids))])
        return rows.with_columns(pl.when(is_newest(rows, since)).then(other).otherwise(name).alias(name))

    return damage


def is_newest(rows: Rows, since: timedelta | None) -> pl.Expr:
    """Select the rows of the last days; all if `since` is None."""
    return pl.lit(value=True) if since is None else pl.col("timestamp") >= last_time(rows) - since


def last_time(rows: Rows) -> datetime:
    """Return the time of the last row."""
    time = rows["timestamp"].max()
    assert isinstance(time, datetime)
    return time


def drop(condition: pl.Expr) -> Damage:
    """Leave out the rows that meet a condition."""
    return lambda rows, _: rows.filter(~condition)


def shuffle_newest(rows: Rows, rng: np.random.Generator) -> Rows:
    """Shuffle the items of the last night."""
    newest = is_newest(rows, NIGHT)
    old, new = rows.filter(~newest), rows.filter(newest)
    return pl.concat([old, new.with_columns(new["item_id"][rng.permutation(len(new))])])


def add_bot(rows: Rows, rng: np.random.Generator) -> Rows:
    """Add a user with a million rows."""
    items = rows["item_id"].unique().sort()[rng.integers(rows["item_id"].n_unique(), size=1_000_000)]
    bot = pl.DataFrame({"user_id": "bot", "item_id": items})
    times = last_time(rows) - pl.duration(milliseconds=pl.int_range(pl.len()) * 500)
    return pl.concat([rows, bot.with_columns(timestamp=times.cast(rows.schema["timestamp"]))], how="diagonal")


def add_pixel(rows: Rows, _: np.random.Generator) -> Rows:
    """Add the use of one item after every tenth row."""
    return pl.concat([rows, rows.gather_every(10).with_columns(item_id=pl.lit("pixel"))])


def swap_day_and_month(rows: Rows, _: np.random.Generator) -> Rows:
    """Read days up to 12 as months."""
    time = pl.col("timestamp")
    swapped = pl.datetime(
        time.dt.year(), time.dt.day(), time.dt.month(), time.dt.hour(), time.dt.minute(), time_zone="UTC"
    )
    return rows.with_columns(pl.when(time.dt.day() <= 12).then(swapped.cast(rows.schema["timestamp"])).otherwise(time))


NIGHT = timedelta(days=1)
HALF_OF_USERS = pl.col("user_id").hash(1) % 2 == 0
DAMAGES: dict[str, Damage] = {
    "none": lambda rows, _: rows,
    "item ids permuted": permute("item_id"),
    "user ids permuted": permute("user_id"),
    "items shuffled": shuffle("item_id"),
    "users shuffled": shuffle("user_id"),
    "items shifted by a row": shift("item_id"),
    "users shifted by a row": shift("user_id"),
    "users and items swapped": lambda rows, _: rows.rename({"user_id": "item_id", "item_id": "user_id"}),
    "items by another key": lambda rows, _: rows.with_columns(
        item_id="k" + pl.col("item_id").rank("dense").cast(pl.String)
    ),
    "users by another key": lambda rows, _: rows.with_columns(
        user_id="k" + pl.col("user_id").rank("dense").cast(pl.String)
    ),
    "a leading zero on item ids": lambda rows, _: rows.with_columns(item_id="0" + pl.col("item_id")),
    "item ids cut to four characters": lambda rows, _: rows.with_columns(item_id=pl.col("item_id").str.head(4)),
    "half of the users missing": drop(HALF_OF_USERS),
    "half of the items missing": drop(pl.col("item_id").hash(1) % 2 == 0),
    "a tenth of the items missing": drop(pl.col("item_id").hash(1) % 10 == 0),
    "40 % of the rows missing": lambda rows, rng: rows.filter(pl.Series(rng.random(len(rows)) > 0.4)),
    "a month missing": lambda rows, _: rows.filter(
        ~pl.col("timestamp").is_between(last_time(rows) - 60 * NIGHT, last_time(rows) - 30 * NIGHT)
    ),
    "one day of a user only": lambda rows, _: rows.filter(
        pl.col("timestamp") < pl.col("timestamp").min().over("user_id") + NIGHT
    ),
    "the last day twice": lambda rows, _: pl.concat([rows, rows.filter(is_newest(rows, NIGHT))]),
    "the last day twice, an hour later": lambda rows, _: pl.concat(
        [rows, rows.filter(is_newest(rows, NIGHT)).with_columns(pl.col("timestamp") + HOUR)]
    ),
    "times of another zone": lambda rows, _: rows.with_columns(pl.col("timestamp") + 9 * HOUR),
    "times shuffled": shuffle("timestamp"),
    "one time for all rows": lambda rows, _: rows.with_columns(timestamp=pl.lit(last_time(rows))),
    "day and month swapped": swap_day_and_month,
    "one user with a million rows": add_bot,
    "an item used by everybody": add_pixel,
    "last night: item ids permuted": permute("item_id", NIGHT),
    "last night: items shuffled": shuffle_newest,
    "tables of a month ago": lambda rows, _: rows.filter(~is_newest(rows, 30 * NIGHT)),
}

COLUMN_DAMAGES = {
    "a boolean column inverted": ~pl.col("in_stock"),
    "a column of words shifted by a row": pl.col("section").shift(1),
    "a column of numbers shifted by a row": pl.col("year").shift(1),
    "prices in another unit": pl.col("price") * 100,
    "a column empty": pl.lit(None, pl.String).alias("section"),
}
"""Columns of items that replace their own."""


def make_items(rows: Rows) -> Rows:
    """Return items with columns; a twentieth of the stock, all prices and all times of updates change every night."""
    items = rows.select(pl.col("item_id").unique(maintain_order=True)).sort("item_id")
    number = pl.col("item_id").hash(1)
    tonight = pl.col("item_id").hash(last_time(rows).toordinal())
    return items.with_columns(
        in_stock=(number % 10 > 0) ^ (tonight % 20 == 0),
        section=("s" + (number % 8).cast(pl.String)),
        year=(2000 + number % 25).cast(pl.Float64),
        price=(number % 997 / 97).exp() * (0.8 + (tonight % 1000) / 2500),
        updated_at=pl.lit(f"{last_time(rows):%Y-%m-%dT%H:%M:%SZ}"),
    )


def main(data: Annotated[Path, typer.Option(help="Folder of the files of both logs.")], nights: int = N_NIGHTS) -> None:
    """Publish nightly, then damage; write what was refused."""
    content = {name: try_log(name, data / file, nights) for name, file in LOGS.items()}
    write_results({"nights": nights, "logs": content}, RESULTS / "spoiled-tables.json")


def try_log(name: str, file: Path, nights: int) -> dict[str, Any]:
    """Return the outcomes of the clean nights, by reason, and of each damage."""
    dataset = load(name, path=file)
    events = dataset.events.whole()
    rows = events.select(
        user_id=dataset.users.take(events["user_ix"].to_numpy()).cast(pl.String),
        item_id=dataset.items.take(events["target_ix"].to_numpy()).cast(pl.String),
        timestamp="timestamp",
    )
    config = Config().override({**QUICK, "protocol": "registration"})
    end = last_time(rows)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        clean = []
        for night in range(nights, 0, -1):
            clean.append(run(rows.filter(pl.col("timestamp") < end - night * NIGHT), model, config))
            print(name, night, clean[-1], flush=True)
        damaged = {}
        for number, (title, damage) in enumerate(DAMAGES.items()):
            copy = shutil.copytree(model, Path(folder) / "copy")
            damaged[title] = run(damage(rows, np.random.default_rng(number)), copy, config)
            print(name, title, damaged[title], flush=True)
            shutil.rmtree(copy)
        for title, column in COLUMN_DAMAGES.items():
            copy = shutil.copytree(model, Path(folder) / "copy")
            damaged[title] = run(rows, copy, config, columns=[column])
            print(name, title, damaged[title], flush=True)
            shutil.rmtree(copy)
    return {"clean": dict(Counter(outcome["by"] for outcome in clean[1:])), "damaged": damaged}


def run(rows: Rows, model: Path, config: Config, columns: Sequence[pl.Expr] = ()) -> dict[str, str]:
    """Refresh a model from tables whose items have other columns; return what refused them, "" if nothing did."""
    tables = {"interactions": rows, "items": make_items(rows).with_columns(columns)}
    try:
        result: RefreshResult = refresh(tables, model, config, progress=None)
    except FirstdayError as error:
        return {"by": "fault", "sentence": str(error)}
    sentence = result.sentence.partition(": ")[2].partition(": ")[2]
    return {"by": "" if result.published else result.reason, "sentence": "" if result.published else sentence}


if __name__ == "__main__":
    typer.run(main)
