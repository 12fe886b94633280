"""A trained model as a folder: no pickle, every byte under a checksum, published in one step.

::

    MODEL/manifest.json      format version, configuration, data counts, metrics, sha256 of each file, and its own
    MODEL/<version>/*.npy    arrays, memory-mapped when opened
    MODEL/<version>/*.parquet    ids and titles
    MODEL/<version>/*.onnx       the cold model, and its peers if it has any

A new version is written beside the old one; then the manifest is replaced in one step, and the old version removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import firstday
from firstday.artifact.codec import from_parts, to_arrays, to_networks, to_values
from firstday.artifact.trained_model import TrainedModel
from firstday.data.ids import Ids
from firstday.errors import ArtifactError

FORMAT = 4
MANIFEST = "manifest.json"
PEOPLE = "warm_users.parquet"
_BLANK = "0" * 64


def save_model(model: TrainedModel, path: str | Path) -> Path:
    """Write a model to a folder; who reads it meanwhile sees the old model or the new one, never half.

    Parameters
    ----------
    model
        What to write.
    path
        The folder: new, empty, or holding an older model, which is replaced.

    Raises
    ------
    ArtifactError
        The folder holds something else, or cannot be written.
    """
    path = Path(path)
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A hidden sibling: the same file system, so that renaming is one step.
        staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            _publish(model, staging, path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); choose another folder.") from error
    return path


def check_target(path: Path) -> None:
    """Refuse a path that holds something other than a model, before hours are spent on training."""
    if path.exists() and not path.is_dir():
        raise ArtifactError(f"{path}: is a file; give a folder for the model.")
    if path.is_dir() and any(path.iterdir()) and _version_in(path) is None:
        raise ArtifactError(f"{path}: is not empty and holds no model; give a new folder.")


def _version_in(path: Path) -> str | None:
    """Return the version of the model in a folder, damaged or not; None where the manifest is not one of ours."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["version"]
        ours = {"format", "firstday", "files", "sha256"} <= manifest.keys() and re.fullmatch("[0-9a-f]{16}", version)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return version if ours else None


def _publish(model: TrainedModel, staging: Path, path: Path) -> None:
    """Write all files into the staging folder, then put them into place."""
    files = staging / "files"
    files.mkdir()
    _write_files(model, files)
    hashes = {file.name: {"sha256": _sha256(file), "bytes": file.stat().st_size} for file in sorted(files.iterdir())}
    values = to_values(model)
    version = hashlib.sha256(json.dumps([hashes, values], sort_keys=True).encode()).hexdigest()[:16]
    manifest = {
        "format": FORMAT,
        "firstday": firstday.__version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version,
        **values,
        "files": hashes,
    }
    files.rename(staging / version)
    _write(staging / MANIFEST, _sealed(manifest))
    with _alone_in(path.parent):
        _put_into_place(staging, path, version, hashes)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let others who publish into a folder wait, so that none removes the version that another one has just named."""
    with ExitStack() as at_the_end:
        with suppress(OSError):  # a folder that may not be read, or a network file system that locks none
            descriptor = os.open(folder, os.O_RDONLY)
            at_the_end.callback(os.close, descriptor)  # which ends the lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _put_into_place(staging: Path, path: Path, version: str, hashes: Mapping[str, Mapping[str, Any]]) -> None:
    """Rename what is staged into the model's folder, the manifest last, and remove the version before."""
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    if not path.exists():
        (staging / MANIFEST).rename(staging / ".manifest")
        model_folder = staging / "model"
        model_folder.mkdir()
        (staging / version).rename(model_folder / version)
        (staging / ".manifest").rename(model_folder / MANIFEST)
        model_folder.rename(path)
        return
    old = _version_in(path)
    there = path / version
    if there.exists() and any(_differs(there / name, expected) for name, expected in hashes.items()):
        there.rename(staging / "damaged")
    if not there.exists():
        (staging / version).rename(there)
    (staging / MANIFEST).replace(path / MANIFEST)
    if old is not None and old != version:
        shutil.rmtree(path / old, ignore_errors=True)


def _write_files(model: TrainedModel, folder: Path) -> None:
    """Write everything but the manifest."""
    for name, array in to_arrays(model).items():
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)
            _to_disk(file)
    catalogue = model.catalogue
    items = pl.DataFrame({"item_id": catalogue.items.values})
    if catalogue.titles is not None:
        items = items.with_columns(title=pl.Series(catalogue.titles, dtype=pl.String))
    items.write_parquet(folder / "items.parquet")
    if catalogue.people is not None:
        pl.DataFrame({"user_id": catalogue.people.values}).write_parquet(folder / PEOPLE)
    for number, ids in enumerate(catalogue.entities.values()):
        pl.DataFrame({"entity_id": ids.values}).write_parquet(folder / f"entity_{number}.parquet")
    for name, onnx in to_networks(model).items():
        _write(folder / f"{name}.onnx", onnx)


def _write(path: Path, content: bytes) -> None:
    """Write bytes through to the disk."""
    with path.open("wb") as file:
        file.write(content)
        _to_disk(file)


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _differs(path: Path, expected: Mapping[str, Any]) -> bool:
    """Tell whether a file is missing or has another content than the manifest says."""
    return not path.is_file() or path.stat().st_size != expected["bytes"] or _sha256(path) != expected["sha256"]


def _sealed(manifest: dict[str, Any]) -> bytes:
    """Serialise with a checksum of the text itself, taken with zeros in the checksum's place."""
    text = json.dumps({**manifest, "sha256": _BLANK}, indent=1, ensure_ascii=False) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    head, tail = text.rsplit(_BLANK, 1)
    return (head + digest + tail).encode()


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read and verify a model's manifest.

    Raises
    ------
    ArtifactError
        The folder holds no model, its manifest was changed, or it is of another format version.
    """
    file = Path(path) / MANIFEST
    if not file.is_file():
        raise ArtifactError(f"{path}: holds no model ({MANIFEST} is missing); train one with: firstday train.")
    try:
        content = file.read_bytes()
        text = content.decode()
        manifest = json.loads(text)
        digest = manifest["sha256"]
        head, tail = text.rsplit(digest, 1)
        intact = hashlib.sha256((head + _BLANK + tail).encode()).hexdigest() == digest
    except (ValueError, KeyError, TypeError):
        intact = False
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read ({error.strerror}); check its permissions.") from None
    if not intact:
        raise ArtifactError(f"{file}: was changed after it was written; train or copy the model again.")
    if manifest["format"] != FORMAT:
        raise ArtifactError(
            f"{file}: is of format {manifest['format']}, this firstday reads {FORMAT}; train the model again."
        )
    return dict(manifest)


def load_model(path: str | Path, *, verify: bool = True) -> TrainedModel:
    """Open a model's folder, arrays memory-mapped.

    Parameters
    ----------
    path
        The folder.
    verify
        Compare every file with its checksum first.

    Raises
    ------
    ArtifactError
        The folder holds no model, or a file is missing or was changed; its name is in the message.
    """
    path = Path(path)
    manifest = read_manifest(path)
    while True:
        try:
            return _load_version(path, manifest, verify)
        except (ArtifactError, OSError) as error:
            newer = read_manifest(path)
            if newer["version"] == manifest["version"]:
                if isinstance(error, ArtifactError):
                    raise
                raise ArtifactError(f"{path}: cannot be read ({error}); train or copy the model again.") from error
            manifest = newer  # it was replaced between the two reads


def _load_version(path: Path, manifest: dict[str, Any], verify: bool) -> TrainedModel:
    """Open the files that a manifest names."""
    folder = path / manifest["version"]
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{file}: is missing; train or copy the model again.")
        if file.stat().st_size != expected["bytes"] or (verify and _differs(file, expected)):
            raise ArtifactError(f"{file}: was changed after it was written; train or copy the model again.")
    # Plain arrays over the mapped files: NumPy spends microseconds on every slice of its own kind of mapped array.
    files = [folder / name for name in manifest["files"]]
    arrays = {
        file.stem: np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
        for file in files
        if file.suffix == ".npy"
    }
    items = pl.read_parquet(folder / "items.parquet")
    titles = tuple(items["title"].fill_null("").to_list()) if "title" in items.columns else None
    entities = {
        name: Ids(pl.read_parquet(folder / f"entity_{number}.parquet")["entity_id"])
        for number, name in enumerate(manifest["catalogue"]["entities"])
    }
    networks = {file.stem: file.read_bytes() for file in files if file.suffix == ".onnx"}
    people = Ids(pl.read_parquet(folder / PEOPLE)["user_id"]) if PEOPLE in manifest["files"] else None
    return from_parts(arrays, manifest, networks, Ids(items["item_id"]), titles, entities, people)
