"""EvaluationSplit: who is warm and who is cold in each part of an evaluation, as a value and as a folder.

::

    SPLIT/manifest.json                           settings, seeds, cut-offs; sha256 of all files and of itself
    SPLIT/warm.parquet, day_one.parquet, ...      the frames of `EvaluationSplit.to_frames`, for any library
    SPLIT/dataset/*                               the dataset, from which firstday derives the same frames

The dataset is stored as loaded, since loading tables again depends on settings and on the rules of a version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import firstday
from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS
from firstday.data.frame_libraries import Library, to_library
from firstday.data.splits.cut_offs import CutOffs
from firstday.data.splits.histories import write_moment
from firstday.data.splits.holdout import Holdout, find_cut_offs, hold_out
from firstday.display import readable
from firstday.errors import LOADED, ArtifactError, ConfigError, expect
from firstday.model.codec import decode, encode
from firstday.model.folder import MANIFEST, check_files, read_content, seal, sha256_of, write_content

FORMAT = "firstday split 1"
FRAMES = ("warm", "day_one", "truth", "users")
REMEDY = "copy the folder again, or save a new split"


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
    cut_offs: CutOffs | None = field(default=None, repr=False)

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
            ``warm``     interactions that training may use: `user_id`, `signal`, `item_id`, or else `entity`
                         and `entity_id`, `timestamp`, `weight`
            ``day_one``  what cold users did on day one, weights summed: the same columns without `timestamp`
            ``truth``    items that cold users used afterwards: `user_id`, `item_id`, and `existed`, whether
                         the item existed at training; `precision` is about these items alone
            ``users``    all cold users, also those without a day one, or without an item that existed:
                         `user_id`, `day_one_size`, profile; with cut-offs `registered_at` and `day_end`
            ===========  ====================================================================================
        """
        parts = []
        for seed, holdout in self.holdouts():
            keys = [pl.lit(seed, pl.Int64).alias("seed"), pl.lit(name_cut_off(holdout)).alias("cut_off")]
            parts.append({name: frame.select(*keys, pl.all()) for name, frame in _tabulate(holdout).items()})
        joined = {name: pl.concat([part[name] for part in parts], how="vertical_relaxed") for name in FRAMES}
        return {name: to_library(frame, library) for name, frame in joined.items()}

    def with_settings(self, settings: Mapping[str, Any]) -> EvaluationSplit:
        """Return the same split for training with other settings; for `settings` see `Config.override`.

        Raises
        ------
        ConfigError
            A setting would change the split, or does not exist.
        """
        other = split(self.dataset, self.config.override(settings), n_seeds=self.n_seeds)
        if changed := _find_difference(self.to_frames(), other.to_frames()):
            raise ConfigError(
                f"settings: {', '.join(settings)} would change the split ({changed}); omit what concerns the protocol, "
                "seed and signals, or make a new split."
            )
        return other

    def save(self, folder: str | Path) -> Path:
        """Write the split to a new or empty folder; `open_split` reads it."""
        path = require_empty(folder)
        value, contents = encode(self.dataset)
        files = {f"{name}.parquet": frame for name, frame in self.to_frames().items()}
        files |= {f"dataset/{name}": content for name, content in contents.items()}
        (path / "dataset").mkdir()
        for name, content in files.items():
            write_content(path / name, content)
        manifest = {
            "format": FORMAT,
            "firstday": firstday.__version__,
            "protocol": "sampled" if self.cut_offs is None else "registration",
            "seeds": list(self.seeds),
            "cut_offs": [] if self.cut_offs is None else self.cut_offs.to_json(),
            "config": self.config.model_dump(mode="json"),
            "dataset": value,
            "files": {name: sha256_of(path / name) for name in files},
        }
        write_content(path / MANIFEST, seal(manifest))
        return path


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
    DataError
        There are no users to evaluate.
    """
    expect("dataset", dataset, Dataset, LOADED)
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
    manifest = _read_manifest(path)
    check_files(path, manifest["files"], REMEDY)
    of_dataset = [name for name in manifest["files"] if name.startswith("dataset/")]
    contents = {name.removeprefix("dataset/"): read_content(path / name) for name in of_dataset}
    dataset = decode(Dataset, manifest["dataset"], contents)
    opened = split(dataset, parse_config(manifest["config"]), n_seeds=len(manifest["seeds"]))
    stored = {name: pl.read_parquet(path / f"{name}.parquet", glob=False) for name in FRAMES}
    if changed := _find_difference(stored, opened.to_frames()):
        raise ArtifactError(
            f"{path}: firstday {firstday.__version__} derives other users or interactions ({changed}) than firstday "
            f"{manifest['firstday']} stored; install that version, or save a new split."
        )
    return opened


def is_split(folder: str | Path) -> bool:
    """Return whether a path is a folder with a manifest, which tables do not have."""
    return (Path(folder) / MANIFEST).is_file()


def name_cut_off(holdout: Holdout) -> str:
    """Return the cut-off of a holdout as text, "" under `sampled`."""
    return "" if holdout.cut_off is None else write_moment(holdout.cut_off)


def require_empty(folder: str | Path) -> Path:
    """Create a folder unless it exists; raise ArtifactError if it cannot be written or is not empty."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_empty = not any(path.iterdir())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); give a new folder.") from None
    if not is_empty:
        raise ArtifactError(f"{path}: is not empty; give a new folder.")
    return path


def _read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a split; raise ArtifactError if there is none, or it was modified or has another format."""
    if not is_split(path):
        raise ArtifactError(f"{path}: contains no split ({MANIFEST} is missing); save one with EvaluationSplit.save.")
    content = (path / MANIFEST).read_bytes()
    try:
        manifest: dict[str, Any] = json.loads(content)
        is_intact = seal(manifest) == content
    except (ValueError, AttributeError):
        is_intact = False
    if not is_intact:
        raise ArtifactError(f"{path / MANIFEST}: was changed after it was written; {REMEDY}.")
    if manifest["format"] != FORMAT:
        raise ArtifactError(
            f"{path / MANIFEST}: has the format {manifest['format']!r}, but this firstday reads {FORMAT!r}; {REMEDY}."
        )
    return manifest


def _find_difference(frames: Mapping[str, pl.DataFrame], others: Mapping[str, pl.DataFrame]) -> str:
    """Return the names of the frames that differ, as text."""
    return ", ".join(name for name in FRAMES if not frames[name].equals(others[name]))


def _tabulate(holdout: Holdout) -> dict[str, pl.DataFrame]:
    """Return the frames of one part; see `EvaluationSplit.to_frames`."""
    trained = holdout.dataset
    newcomers = holdout.newcomers
    cold = holdout.cold
    window = holdout.split.warm_window
    events = trained.events.whole()
    events = events if window is None else window.select(events)
    warm = events.filter(pl.col("user_ix").is_in(holdout.split.warm))
    day_one = []
    for (signal, entity), rows in cold.day_one.items():
        actions = {"user_ix": cold.users[rows.row_of_entry()], "target_ix": rows.columns, "weight": rows.weights}
        day_one.append(pl.DataFrame(actions).with_columns(signal=pl.lit(signal), entity=pl.lit(entity)))
    truth = cold.truth if holdout.all_uses is None else holdout.all_uses.truth
    user_ids = newcomers.users.take(cold.users)
    used = newcomers.items.take(truth.columns)
    users = {"user_id": user_ids, "day_one_size": cold.day_one_size, **_read_profiles(newcomers, cold.users)}
    if holdout.all_uses is not None:
        times = {"registered_at": holdout.all_uses.registered_us, "day_end": cold.day_end_us}
        users |= {name: pl.Series(values).cast(UTC_MICROSECONDS) for name, values in times.items()}
    existed = trained.items.lookup(used) >= 0
    return {
        "warm": _write_ids(warm, trained),
        "day_one": _write_ids(pl.concat(day_one), newcomers),
        "truth": pl.DataFrame({"user_id": user_ids.gather(truth.row_of_entry()), "item_id": used, "existed": existed}),
        "users": pl.DataFrame(users),
    }


def _write_ids(rows: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return interactions in the columns of the table, given their indexes."""
    parts = []
    for name in (ITEM, *dataset.entities):
        of_entity = rows.filter(pl.col("entity") == name)
        ids = dataset.items if name == ITEM else dataset.entities[name].ids
        targets = ids.take(of_entity["target_ix"].to_numpy())
        columns = {"item_id": targets} if name == ITEM else {"entity": pl.lit(name), "entity_id": targets}
        nothing = {column: pl.lit(None) for column in ("item_id", "entity", "entity_id")}
        user_ids = dataset.users.take(of_entity["user_ix"].to_numpy()).alias("user_id")
        timed = pl.col("^timestamp$")
        parts.append(
            of_entity.select(user_ids, "signal", **{**nothing, **columns}).hstack(of_entity.select(timed, "weight"))
        )
    return pl.concat(parts, how="vertical_relaxed").cast({pl.Null: pl.String})


def _read_profiles(dataset: Dataset, users: np.ndarray) -> dict[str, pl.Series]:
    """Return age and profile columns of some users, null if missing."""
    codes = {name: group.codes for name, group in dataset.groups.items()}
    codes |= {} if dataset.ages is None else {"age": dataset.ages}
    profiles = {}
    for name, of_users in codes.items():
        values = pl.Series(of_users[users])
        known = values.set(values < 0, None)
        labels = dataset.groups[name].values if name in dataset.groups else None
        profiles[name] = known if labels is None else pl.Series(labels, dtype=pl.String).gather(known)
    return profiles
