"""EvaluationSplit: who is warm and who is cold in each part of an evaluation, as a value and as a folder.

::

    SPLIT/manifest.json                            settings, seeds, cut-offs; sha256 of all files and of itself
    SPLIT/{warm,day_one,truth,users}.parquet       the frames of `EvaluationSplit.to_frames`, for any library
    SPLIT/split.*                                  the dataset, from which firstday derives the same frames

The dataset is stored as loaded, since loading tables again depends on settings and on the rules of a version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

import firstday
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS
from firstday.data.frame_libraries import Library, to_library
from firstday.data.ids import NOT_STORED
from firstday.data.splits.cut_offs import CutOffs
from firstday.data.splits.histories import write_moment
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.data.splits.split import Actions
from firstday.display import readable
from firstday.errors import LOADED, ArtifactError, ConfigError, expect
from firstday.evaluation.slices import name_profile, read_profiles
from firstday.features.catalogue import Catalogue
from firstday.model.codec import decode, encode
from firstday.model.folder import MANIFEST, FolderKind, check_files, read_content, read_manifest, write_folder

SPLIT = FolderKind(
    "split", "split 1", "save one with firstday.split(...).save", "save or copy the split again", "save the split again"
)


@readable
@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """Warm and cold users of an evaluation, by seed and cut-off.

    Parameters
    ----------
    dataset, config
        What `evaluate` trains on.
    n_seeds
        Number of seeds, starting at `config.seed`.
    cut_offs
        Cut-offs and their cohorts; None under `sampled`.
    """

    dataset: Dataset
    config: Config
    n_seeds: int = 1
    cut_offs: CutOffs | None = field(default=None, repr=False, metadata=NOT_STORED)

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.config.seed, self.config.seed + self.n_seeds)

    def holdouts(self) -> Iterator[tuple[int, Holdout]]:
        """Derive the seed and the holdout of each part, one at a time."""
        for seed in self.seeds:
            for holdout in hold_out(self.dataset, self.config, seed, self.cut_offs):
                yield seed, holdout

    def to_frames(self, library: Library = "polars") -> dict[str, Any]:
        """Return the parts as data frames, with the columns `seed` and `cut_off` (text; "" under `sampled`).

        Parameters
        ----------
        library
            Library of the data frames: ``polars``, ``pandas`` or ``pyarrow``.

        Returns
        -------
        dict
            Data frames by name:

            ===========  ====================================================================================
            name         rows
            ===========  ====================================================================================
            ``warm``     what training may use, weights summed: `user_id`, `signal`, `entity`, `entity_id`
                         (text if entities differ in type), `weight`
            ``day_one``  what cold users did on day one, in the same columns
            ``truth``    items that cold users used afterwards: `user_id`, `item_id`, and `existed`, whether
                         the item existed at training; `precision` is about these items alone
            ``users``    all cold users, also those without a day one, or without an item that existed:
                         `user_id`, `day_one_size`, profile; with cut-offs `registered_at` and `day_end`
            ===========  ====================================================================================
        """
        parts = []
        for seed, holdout in self.holdouts():
            keys = (pl.lit(seed, pl.Int64).alias("seed"), pl.lit(name_cut_off(holdout)).alias("cut_off"))
            parts.append({name: frame.select(*keys, pl.all()) for name, frame in _tabulate(holdout).items()})
        frames = {name: pl.concat([part[name] for part in parts], how="vertical_relaxed") for name in parts[0]}
        return {name: to_library(frame, library) for name, frame in frames.items()}

    def save(self, folder: str | Path) -> Path:
        """Write the split to a new or empty folder, which `open_split` and ``firstday evaluate`` read."""
        value, contents = encode(self)
        facts = {
            "protocol": "sampled" if self.cut_offs is None else "registration",
            "seeds": [*self.seeds],
            "cut_offs": [] if self.cut_offs is None else self.cut_offs.to_json(),
            "split": value,
        }
        frames = {f"{name}.parquet": frame for name, frame in self.to_frames().items()}
        return write_folder(Path(folder), {**frames, **contents}, SPLIT, facts)


def split(dataset: Dataset, config: Config | None = None, *, n_seeds: int = 1) -> EvaluationSplit:
    """Split the users of a dataset as `evaluate` does: into those to train on and cold users, by seed or cut-off.

    Parameters
    ----------
    dataset, config
        See `train`.
    n_seeds
        Number of seeds, starting at `config.seed`.

    Raises
    ------
    ConfigError
        `n_seeds` is below 1.
    DataError
        There are no users to evaluate.
    """
    expect("dataset", dataset, Dataset, LOADED)
    if n_seeds < 1:
        raise ConfigError(f"n_seeds: is {n_seeds}; give a whole number, at least 1.")
    config = Config.of(config)
    return EvaluationSplit(dataset, config, n_seeds, find_cut_offs(dataset, config))


def open_split(folder: str | Path) -> EvaluationSplit:
    """Read a split that `EvaluationSplit.save` wrote.

    Raises
    ------
    ArtifactError
        There is no split, it has another format, a file was changed, or this version of firstday derives another one.
    """
    path = Path(folder)
    manifest = read_manifest(path, SPLIT)
    check_files(path, manifest["files"], SPLIT)
    files = {name: read_content(path / name) for name in manifest["files"]}
    stored = decode(EvaluationSplit, manifest["split"], files)
    derived = split(stored.dataset, stored.config, n_seeds=stored.n_seeds)
    for name, frame in derived.to_frames().items():
        if not frame.equals(files[f"{name}.parquet"]):
            raise ArtifactError(
                f"{path}: firstday {firstday.__version__} derives another table {name} than firstday "
                f"{manifest['firstday']} stored; install that version, or {SPLIT.older}."
            )
    return derived


def is_split(folder: str | Path) -> bool:
    """Return whether a path is a folder with a manifest, which tables do not have."""
    return (Path(folder) / MANIFEST).is_file()


def name_cut_off(holdout: Holdout) -> str:
    """Return the cut-off of a holdout as text, "" under `sampled`."""
    return "" if holdout.cut_off is None else write_moment(holdout.cut_off)


def _tabulate(holdout: Holdout) -> dict[str, pl.DataFrame]:
    """Return the frames of one part; see `EvaluationSplit.to_frames`."""
    trained = holdout.dataset
    newcomers = holdout.newcomers
    cold = holdout.cold
    user_ids = newcomers.users.take(cold.users)
    truth = cold.truth if holdout.all_uses is None else holdout.all_uses.truth
    used = newcomers.items.take(truth.columns)
    catalogue = Catalogue.of(newcomers, ())
    signals, _ = catalogue.translate(newcomers, cold.users, {})
    profiles = {name_profile(column): values for column, values in read_profiles(signals, catalogue.groups).items()}
    users = {"user_id": user_ids, "day_one_size": cold.day_one_size, **profiles}
    if holdout.all_uses is not None:
        times = {"registered_at": holdout.all_uses.registered_us, "day_end": cold.day_end_us}
        users |= {name: pl.Series(values).cast(UTC_MICROSECONDS) for name, values in times.items()}
    return {
        "warm": _list_actions(holdout.split.warm_actions, trained.users.take(holdout.split.warm), trained),
        "day_one": _list_actions(cold.day_one, user_ids, newcomers),
        "truth": pl.DataFrame(
            {
                "user_id": user_ids.gather(truth.row_of_entry()),
                "item_id": used,
                "existed": trained.items.lookup(used) >= 0,
            }
        ),
        "users": pl.DataFrame(users).with_columns(pl.col("^age$").replace(-1, None)),
    }


def _list_actions(actions: Actions, user_ids: pl.Series, dataset: Dataset) -> pl.DataFrame:
    """Return one row per user, pair and target; `user_ids` are those of the rows."""
    frames = []
    for (signal, entity), rows in actions.items():
        ids = dataset.items if entity == ITEM else dataset.entities[entity].ids
        columns = {
            "user_id": user_ids.gather(rows.row_of_entry()),
            "signal": pl.repeat(signal, rows.n_entries, eager=True),
            "entity": pl.repeat(entity, rows.n_entries, eager=True),
            "entity_id": ids.take(rows.columns),
            "weight": rows.weights,
        }
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames, how="vertical_relaxed")
