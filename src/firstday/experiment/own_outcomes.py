"""Outcomes of one's own: numeric columns of interactions, such as revenue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from firstday.config import SHOWN, Config
from firstday.data.dataset import Dataset
from firstday.data.events import HAS_TIME_OF_DAY
from firstday.data.impressions import TARGET_INDEX
from firstday.data.interactions import Vocabulary, check_interactions
from firstday.data.load import open_tables
from firstday.errors import ConfigError, hint_at
from firstday.experiment.experiment_tables import VALUE_TYPES, ExperimentTables, place_uses, take_timed
from firstday.experiment.outcomes import MEANS, SHARES_OF_SHOWN
from firstday.tables.faults import FILE, ROW, Findings
from firstday.tables.schema import TABLES

KNOWN = TABLES["interactions"].kinds.keys() - {"weight"}
TAKEN = {*KNOWN, *VALUE_TYPES, *MEANS, *SHARES_OF_SHOWN, "shown", "variant", "assigned_at", "cohort", FILE, ROW}
"""Names that an outcome of one's own cannot have."""


def add_outcomes(
    taken: ExperimentTables, tables: str | Path | Mapping[str, Any], dataset: Dataset, config: Config
) -> ExperimentTables:
    """Add the outcomes in `config.experiment.outcomes`, read from the tables of the dataset.

    Missing values add nothing to the sum, with a note. Repeated rows count once, as in a dataset.

    Raises
    ------
    ConfigError
        An outcome is not a column of interactions, or has a name that firstday uses.
    """
    findings = Findings(drop=True, config=config)
    raw = open_tables(tables, findings, "a folder of tables")[1]["interactions"]
    assert raw is not None  # the dataset has its rows
    names = list(config.experiment.outcomes)
    choices = tuple(column for column in raw.columns if column not in TAKEN)
    for name in names:
        if name not in choices:
            raise ConfigError(
                f"experiment.outcomes: {name!r} is not a column of interactions to sum{hint_at(name, choices)}; choose "
                f"one of {', '.join(choices) or 'those that you add'}, or rename a column (--column OLD=NEW)."
            )
    vocabulary = Vocabulary(items=dataset.items, entities=dataset.entities, signals=config.signals)
    item_ix = pl.when(pl.col("entity").is_null()).then(TARGET_INDEX).otherwise(-1)
    key = dict.fromkeys(["timestamp", "signal", "entity", "entity_id", "weight", *names])

    def read() -> Iterator[pl.DataFrame]:
        for batch in raw.batches():
            rows = check_interactions(batch, vocabulary, findings, is_text=raw.is_text)
            user_ix = pl.Series("user_ix", dataset.find_users(rows["user_id"]))
            rows = rows.select(user_ix, *key, item_ix=item_ix).cast({"entity_id": pl.String})
            yield rows.filter(pl.col("signal") != SHOWN)

    notes = [*taken.notes]
    rows = take_timed(read(), taken.assigned["user_ix"], "interactions", notes).sort(pl.all())
    distinct = rows.filter(pl.struct(pl.all()).is_first_distinct() | ~HAS_TIME_OF_DAY)
    values, _ = place_uses(distinct.select(*VALUE_TYPES, *names), taken.shown)
    for name in names:
        if n_missing := values[name].null_count():
            notes.append(
                f"interactions.{name}: missing in {n_missing:,} of {values.height:,} interactions of these users; they "
                "add nothing to the sum."
            )
    return replace(taken, values=values, notes=notes)
