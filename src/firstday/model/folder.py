"""A trained model as a folder: no pickle, checksums for every file, atomic publication.

::

    MODEL/manifest.json              format, config, data, metrics, features, model; sha256 of all files and of itself
    MODEL/<version>/*.npy            arrays, including the networks' weights; memory-mapped when opened
    MODEL/<version>/*.parquet        ids and titles
    MODEL/<version>/manifest.json    the same manifest, which `rollback` restores

`firstday.model.codec` defines the format of `model` and of the files. Only the top-level manifest determines the
current version; it is replaced atomically once all files of the version are written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

import firstday
from firstday.errors import ArtifactError
from firstday.model.codec import File, decode, encode
from firstday.model.trained_model import TrainedModel

Types = Callable[[str], type | None]

FORMAT = 20
KEEP = 3
"""Default number of versions kept in a model folder, including the current one."""
MANIFEST = "manifest.json"
VERSION_PATTERN = "[0-9a-f]{16}"
SERIES = "value"
"""Only column of the file of a Series."""
STAGING_PREFIX = ".staging-"
"""Prefix of the names of folders with unpublished files."""


@dataclass(frozen=True)
class FolderKind:
    """What a folder with a manifest contains, its format, and what to do if it is missing, changed or older."""

    name: str
    format: int | str
    missing: str
    changed: str
    older: str


MODEL = FolderKind(
    "model",
    FORMAT,
    "train one with: firstday train",
    "train or copy the model again",
    "train the model again with: firstday train TABLES --out {path}",
)


@dataclass(frozen=True)
class KeptVersion:
    """A version in a model folder; `in_place` marks the current one, which is read and served."""

    version: str
    created_at: str
    in_place: bool
    left_at: int = 0  # when another version replaced this one, in nanoseconds since 1970


def save_model(model: TrainedModel, path: str | Path, *, keep: int = KEEP) -> Path:
    """Write a model to a folder atomically: concurrent readers see the old or the new model, never a mixture.

    The folder is new, empty, or has a model, which is replaced. Only the `keep` newest versions stay, and at least this
    one.
    """
    path = Path(path)
    check_target(path)
    with _staging_in(path) as staging:
        _publish(model, staging, path, keep)
    return path


def list_versions(path: str | Path) -> list[KeptVersion]:
    """Return the versions in a model folder: the current one, then the others, most recently replaced first.

    Versions whose manifests this firstday cannot read are omitted.
    """
    path = Path(path)
    current = version_in(path)
    versions = []
    for folder in path.glob("*"):
        with suppress(ArtifactError, OSError):
            manifest = read_manifest(folder)
            if manifest["version"] == folder.name:
                is_current = folder.name == current
                left_at = 0 if is_current else (folder / MANIFEST).stat().st_mtime_ns
                versions.append(KeptVersion(folder.name, manifest["created_at"], is_current, left_at))
    return sorted(versions, key=lambda entry: (entry.in_place, entry.left_at, entry.created_at), reverse=True)


def rollback(path: str | Path, to: str | None = None) -> str:
    """Restore an older version of a model atomically; concurrent readers see one version or the other.

    Parameters
    ----------
    path
        Model folder.
    to
        Version to restore; None: the most recently replaced of those created before the current one.

    Returns
    -------
    str
        The version that is now current.

    Raises
    ------
    ArtifactError
        There is no such version, or it is damaged or already current; nothing has changed.
    """
    path = Path(path)
    if not path.is_dir() or not list_versions(path):
        raise ArtifactError(f"{path}: contains no model to restore; give the folder that train --out wrote.")
    with _staging_in(path) as staging:
        version = _choose_version(path, to)
        folder = path / version
        check_files(folder, read_manifest(folder)["files"])
        _make_current(version, staging, path)
    return version


def _choose_version(path: Path, to: str | None) -> str:
    """Return the version to restore."""
    versions = list_versions(path)
    current_at = next((entry.created_at for entry in versions if entry.in_place), "any")  # letters sort after times
    others = [entry for entry in versions if not entry.in_place]
    for other in others:
        if other.created_at < current_at if to is None else other.version == to:
            return other.version
    missing = f"version {to}" if to else "older version"
    names = ", ".join(other.version for other in others)
    advice = f"choose one with --to VERSION: {names}" if names else "there is no version but the current one"
    raise ArtifactError(f"{path}: has no {missing} to restore; {advice}.")


def check_target(path: Path) -> None:
    """Raise ArtifactError if a path contains something other than a model, before hours of training."""
    if path.is_file():
        raise ArtifactError(f"{path}: is a file; give a folder for the model.")
    if path.is_dir() and version_in(path) is None:
        # Such names may be left by a process that was killed before it wrote the first manifest.
        own_names = re.compile(f"{VERSION_PATTERN}|{re.escape(STAGING_PREFIX)}.*")
        if not all(own_names.fullmatch(entry.name) for entry in path.iterdir()):
            raise ArtifactError(f"{path}: is not empty and contains no model; give a new folder.")


def version_in(path: Path) -> str | None:
    """Return the current version of a folder, even if it is damaged; None if the manifest does not name one."""
    try:
        version = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["version"]
        return version if re.fullmatch(VERSION_PATTERN, version) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _staging_in(path: Path) -> Iterator[Path]:
    """Lock a model folder against other writers, and yield a hidden staging folder in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems do not support locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                for leftover in path.glob(f"{STAGING_PREFIX}*"):  # of killed processes
                    shutil.rmtree(leftover, ignore_errors=True)
            with TemporaryDirectory(prefix=STAGING_PREFIX, dir=path, ignore_cleanup_errors=True) as staging:
                yield Path(staging)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); choose another folder.") from error


def _publish(model: TrainedModel, staging: Path, path: Path, keep: int) -> None:
    """Write a version, make it current, and remove the oldest versions beyond `keep`."""
    new = staging / "new"
    new.mkdir()
    model_values, contents = encode(model)
    # Small arrays that follow from all item vectors, so that opening a model need not read these.
    contents |= {"derived.gram.npy": model.fold_in.gram, "derived.vector_covariance.npy": model.vector_covariance}
    for name, content in contents.items():
        write_content(new / name, content)
    files = {file.name: _sha256(file) for file in sorted(new.iterdir())}
    values = {
        "config": model_values.pop("config"),
        **model_values.pop("facts"),
        "features": {"n_inputs": model.encoder.n_inputs, "blocks": list(model.encoder.blocks())},
        "model": model_values,
    }
    version = hashlib.sha256(json.dumps([files, values], sort_keys=True).encode()).hexdigest()[:16]
    manifest = {
        "format": FORMAT,
        "firstday": firstday.__version__,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "version": version,
        **values,
        "files": files,
    }
    write_content(new / MANIFEST, _sealed(manifest))
    target = path / version
    try:
        check_files(target, files)
    except ArtifactError:
        if target.exists():
            target.rename(staging / "damaged")
        new.rename(target)
    else:
        (new / MANIFEST).replace(target / MANIFEST)
    _make_current(version, staging, path)
    remaining = {version, *(older.version for older in list_versions(path)[:keep])}
    for folder in list(path.iterdir()):
        if re.fullmatch(VERSION_PATTERN, folder.name) and folder.name not in remaining:
            folder.rename(staging / folder.name)


def _make_current(version: str, staging: Path, path: Path) -> None:
    """Make a version current by replacing the top-level manifest atomically.

    The modification time of the previous version's manifest records when it was replaced.
    """
    with suppress(OSError):
        os.utime(path / str(version_in(path)) / MANIFEST)
    write_content(staging / MANIFEST, (path / version / MANIFEST).read_bytes())
    (staging / MANIFEST).replace(path / MANIFEST)


def write_content(path: Path, content: File | bytes) -> None:
    """Write a file and fsync it."""
    if isinstance(content, pl.Series):
        content = content.to_frame(SERIES)
    with path.open("wb") as file:
        if isinstance(content, np.ndarray):
            np.save(file, np.asarray(content, order="C"), allow_pickle=False)
        elif isinstance(content, pl.DataFrame):
            content.write_parquet(file)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_content(path: Path) -> File:
    """Read a file written by `write_content`; arrays are memory-mapped."""
    if path.suffix == ".npy":
        # A plain array over the mapping, since slicing an np.memmap costs microseconds.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    frame = pl.read_parquet(path, glob=False)
    return frame.to_series() if frame.columns == [SERIES] else frame


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sealed(manifest: Mapping[str, Any]) -> bytes:
    """Serialise a manifest and the checksum of its content."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    sha256 = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return (json.dumps({**content, "sha256": sha256}, indent=1, ensure_ascii=False) + "\n").encode()


def write_folder(path: Path, files: Mapping[str, File], kind: FolderKind, facts: Mapping[str, Any]) -> Path:
    """Write files, and a manifest with facts, to a new or empty folder."""
    require_empty(path)
    for name, content in files.items():
        write_content(path / name, content)
    sums = {name: _sha256(path / name) for name in files}
    manifest = {"format": kind.format, "firstday": firstday.__version__, **facts, "files": sums}
    write_content(path / MANIFEST, _sealed(manifest))
    return path


def require_empty(path: Path) -> None:
    """Create a folder unless it exists; raise ArtifactError if it is not empty, or cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); give a new folder.") from None
    if names:
        raise ArtifactError(f"{path}: is not empty (it contains {names[0]}); give a new folder.")


def read_manifest(path: str | Path, kind: FolderKind = MODEL) -> dict[str, Any]:
    """Read a manifest; raise `ArtifactError` if there is none, or it was modified or has another format."""
    file = Path(path) / MANIFEST
    if not file.is_file():
        raise ArtifactError(f"{path}: contains no {kind.name} ({MANIFEST} is missing); {kind.missing}.")
    try:
        content = file.read_bytes()
        manifest: dict[str, Any] = json.loads(content)
        is_intact = _sealed(manifest) == content
    except (ValueError, AttributeError, RecursionError):
        is_intact = False
    if not is_intact:
        raise ArtifactError(f"{file}: was changed after it was written; {kind.changed}.")
    if manifest.get("format") != kind.format:
        raise ArtifactError(
            f"{file}: has format {manifest.get('format')}, but this firstday reads format {kind.format}; "
            f"{kind.older.format(path=path)}."
        )
    return manifest


def load_model(path: str | Path, *, types: Types, verify: bool = True) -> TrainedModel:
    """Open a model folder with memory-mapped arrays; raise `ArtifactError` if a file is missing or was modified.

    `types` maps the name of a method to the class of its learned value; values of class None are left out. Without
    `verify`, checksums are not computed, which takes as long as reading all files.
    """
    path = Path(path)
    while True:
        manifest = read_manifest(path)
        try:
            return _load_version(path, manifest, types, verify=verify)
        except (ArtifactError, OSError):
            if read_manifest(path) == manifest:  # otherwise another version was published meanwhile
                raise


def _load_version(path: Path, manifest: Mapping[str, Any], types: Types, *, verify: bool) -> TrainedModel:
    """Read the files of a manifest."""
    folder = path / manifest["version"]
    if verify:
        check_files(folder, manifest["files"])
    files: dict[str, Any] = {name: read_content(folder / name) for name in manifest["files"]}
    facts = {name: manifest[name] for name in ("data", "metrics") if name in manifest}
    values = {**manifest["model"], "config": manifest["config"], "facts": facts, "learned": {}}
    try:
        learned: dict[str, Any] = {}
        for name, value in manifest["model"]["learned"].items():
            value_type = types(name)
            if value_type is not None:
                learned[name] = decode(value_type, value, files)
        model = replace(decode(TrainedModel, values, files), learned=learned)
    except ArtifactError as error:
        raise ArtifactError(f"{path / MANIFEST}: {error}; train the model again.") from None
    fold_in = replace(model.fold_in, stored_gram=files["derived.gram.npy"])
    encoder = model.signal_encoder and replace(model.signal_encoder, fold_in=fold_in)  # one object, as in training
    covariance = files["derived.vector_covariance.npy"]
    return replace(model, fold_in=fold_in, signal_encoder=encoder, stored_covariance=covariance)


def check_files(folder: Path, files: Mapping[str, str], kind: FolderKind = MODEL) -> None:
    """Raise ArtifactError for the first file that is missing or has another checksum."""
    for name, sha256 in files.items():
        file = folder / name
        if not file.is_file() or _sha256(file) != sha256:
            raise ArtifactError(f"{file}: is missing or was changed after it was written; {kind.changed}.")
