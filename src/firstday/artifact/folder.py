"""A trained model as a folder: no pickle, every byte under a checksum, published in one step.

::

    MODEL/manifest.json      format version, config, data, metrics, features, model; sha256 of each file, and its own
    MODEL/<version>/*.npy        arrays, memory-mapped when opened, the networks' among them
    MODEL/<version>/*.parquet    ids and titles
    MODEL/<older version>/       likewise, with the manifest that it had: what `rollback` puts into place again

The form of `model` and of the files is told in `firstday.artifact.codec`; a file is named after its place in it.

A new version is written beside the old one; then the manifest is replaced in one step. The last versions are kept. Only
the manifest at the top says which version is in place, so that who is killed at any moment leaves one that is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import firstday
from firstday.artifact.codec import Encoded, File, Types, decode, encode
from firstday.artifact.trained_model import TrainedModel
from firstday.errors import ArtifactError, ConfigError

FORMAT = 8
KEEP = 3
"""How many versions stay in a model's folder, the one in place among them."""
MANIFEST = "manifest.json"
VERSION, FILE_NAME = "[0-9a-f]{16}", r"[a-z0-9_-][a-z0-9_.-]*"
FOR_PEOPLE = ("data", "metrics")
"""Facts of a model that stand at the top of the manifest, beside the configuration."""
_BLANK = "0" * 64


@dataclass(frozen=True)
class KeptVersion:
    """A version in a model's folder.

    Parameters
    ----------
    version
        Its name: a hash of its content.
    created_at
        When it was made, as text.
    in_place
        Whether it is the one that is read and served.
    left_at
        When another one took its place, nanoseconds since 1970; 0 where it is in place.
    """

    version: str
    created_at: str
    in_place: bool
    left_at: int = 0


def save_model(model: TrainedModel, path: str | Path, *, keep: int = KEEP) -> Path:
    """Write a model to a folder; who reads it meanwhile sees the old model or the new one, never half.

    Parameters
    ----------
    model
        What to write.
    path
        The folder: new, empty, or holding an older model, which is replaced.
    keep
        How many versions the folder has afterwards, this one among them; older ones are removed.

    Raises
    ------
    ArtifactError
        The folder holds something else, or cannot be written.
    """
    path = Path(path)
    check_keep(keep)
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_beside(path) as staging:
            _publish(model, staging, path, keep)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); choose another folder.") from error
    return path


def check_keep(keep: int) -> None:
    """Refuse a number of versions that makes no sense."""
    if keep < 1:
        raise ConfigError(f"keep: is {keep}; keep at least 1 version, the one in place.")


def list_versions(path: str | Path) -> list[KeptVersion]:
    """Return the versions in a model's folder: the one in place, then the others, who left their place last first.

    Only those are listed that this firstday can open, as far as their manifests tell.
    """
    path = Path(path)
    in_place: list[KeptVersion] = []
    others: list[KeptVersion] = []
    current = version_in(path)
    for folder in path.iterdir() if path.is_dir() else ():
        if re.fullmatch(VERSION, folder.name):
            is_current = folder.name == current
            with suppress(ArtifactError, OSError):
                manifest = read_manifest(path if is_current else folder)
                left_at = 0 if is_current else (folder / MANIFEST).stat().st_mtime_ns
                if manifest["version"] == folder.name:
                    kept = KeptVersion(folder.name, manifest["created_at"], is_current, left_at)
                    (in_place if is_current else others).append(kept)
    return in_place + sorted(others, key=lambda kept: (kept.left_at, kept.created_at), reverse=True)


def rollback(path: str | Path, to: str | None = None) -> str:
    """Put an older version of a model into place again, in one step; whoever reads it sees the one or the other.

    Parameters
    ----------
    path
        The model's folder.
    to
        The version; None: of those made before the one in place, the one that was in place last.

    Returns
    -------
    str
        The version that is in place now.

    Raises
    ------
    ArtifactError
        There is no such version, it is in place already, or it is damaged; nothing is changed then.
    """
    path = Path(path)
    if not path.is_dir():
        raise ArtifactError(f"{path}: holds no model; give the folder of one.")
    try:
        with _alone_beside(path) as staging:
            version = _choose_version(path, to)
            folder = path / version
            _check_files(folder, read_manifest(folder)["files"], verify=True)
            _switch(folder / MANIFEST, version, staging, path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); allow it.") from error
    return version


def _choose_version(path: Path, to: str | None) -> str:
    """Return the version to go back to."""
    versions = list_versions(path)
    made_at = next((kept.created_at for kept in versions if kept.in_place), None)
    others = [kept for kept in versions if not kept.in_place]
    if to is not None and to == version_in(path):
        raise ArtifactError(f"{path}: version {to} is in place already.")
    if to is None:
        fitting = [kept for kept in others if made_at is None or kept.created_at < made_at]
        sought = "older version"
    else:
        fitting, sought = [kept for kept in others if kept.version == to], f"version {to}"
    if not fitting:
        if not others:
            raise ArtifactError(f"{path}: keeps no {sought}; the one in place is all that it keeps.")
        names = ", ".join(kept.version for kept in others)
        forward = f"to go forward: firstday rollback {path} --to {others[0].version}"
        way = forward if to is None else "see: firstday inspect"
        raise ArtifactError(f"{path}: keeps no {sought}, but {names}; {way}.")
    return fitting[0].version


def check_target(path: Path) -> None:
    """Refuse a path that holds something other than a model, before hours are spent on training."""
    if path.exists() and not path.is_dir():
        raise ArtifactError(f"{path}: is a file; give a folder for the model.")
    if path.is_dir() and any(path.iterdir()) and version_in(path) is None:
        raise ArtifactError(f"{path}: is not empty and holds no model; give a new folder.")


def version_in(path: Path) -> str | None:
    """Return the version in place in a folder, damaged or not; None where the manifest is not one of ours."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["version"]
        ours = {"format", "firstday", "files", "sha256"} <= manifest.keys() and re.fullmatch(VERSION, version)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return version if ours else None


def _publish(model: TrainedModel, staging: Path, path: Path, keep: int) -> None:
    """Write all files into the staging folder, then put them into place."""
    files = staging / "files"
    files.mkdir()
    encoded = encode(model)
    for name, content in encoded.files.items():
        _write_file(files / name, content)
    hashes = {file.name: {"sha256": _sha256(file), "bytes": file.stat().st_size} for file in sorted(files.iterdir())}
    values = _to_values(model, encoded)
    version = hashlib.sha256(json.dumps([hashes, values], sort_keys=True).encode()).hexdigest()[:16]
    manifest = {
        "format": FORMAT,
        "firstday": firstday.__version__,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "version": version,
        **values,
        "files": hashes,
    }
    files.rename(staging / version)
    _write(staging / MANIFEST, _sealed(manifest))
    _put_into_place(staging, path, version, hashes)
    _remove_versions(path, [kept.version for kept in list_versions(path)[:keep]])


@contextmanager
def _alone_beside(path: Path) -> Iterator[Path]:
    """Let others who publish wait, and give a hidden folder beside the model's: renaming from there is one step."""
    prefix = f".{path.name}.staging-"
    with _alone_in(path.parent) as is_alone:
        if is_alone:  # so nobody works in what is there: who did was killed
            for left in [folder for folder in path.parent.iterdir() if folder.name.startswith(prefix)]:
                shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Let others who publish into a folder wait, so that none removes the version that another one has just named.

    Where it cannot be locked, False is given.
    """
    is_alone = False
    with ExitStack() as at_the_end:
        with suppress(OSError):  # a folder that may not be read, or a network file system that locks none
            descriptor = os.open(folder, os.O_RDONLY)
            at_the_end.callback(os.close, descriptor)  # which ends the lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            is_alone = True
        yield is_alone


def _put_into_place(staging: Path, path: Path, version: str, hashes: Mapping[str, Mapping[str, Any]]) -> None:
    """Rename what is staged into the model's folder, the manifest last."""
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
    there = path / version
    if there.exists() and any(_differs(there / name, expected) for name, expected in hashes.items()):
        there.rename(staging / "damaged")
    if not there.exists():
        (staging / version).rename(there)
    _switch(staging / MANIFEST, version, staging, path)


def _switch(manifest: Path, version: str, staging: Path, path: Path) -> None:
    """Make a manifest the folder's in one step; the one before goes to its version's files, which are kept."""
    before = version_in(path)
    if before not in (None, version) and (path / before).is_dir():
        _write(staging / "before", (path / MANIFEST).read_bytes())
        (staging / "before").replace(path / before / MANIFEST)
    manifest.replace(path / MANIFEST)
    (path / version / MANIFEST).unlink(missing_ok=True)


def _remove_versions(path: Path, kept: Collection[str]) -> None:
    """Remove all versions but some; each is no longer listed before the first of its files goes."""
    for folder in list(path.iterdir()):
        if re.fullmatch(VERSION, folder.name) and folder.name not in {*kept, version_in(path)}:
            with suppress(OSError):
                (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _to_values(model: TrainedModel, encoded: Encoded) -> dict[str, Any]:
    """Return what the manifest says of a model, what people look for first."""
    rest = dict(encoded.json)
    config, facts = rest.pop("config"), dict(rest.pop("facts"))
    for_people = {name: facts.pop(name) for name in FOR_PEOPLE if name in facts}
    features = {"n_inputs": model.encoder.n_inputs, "blocks": list(model.encoder.blocks())}
    return {"config": config, **for_people, "features": features, "model": {"facts": facts, **rest}}


def _from_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model's JSON as the codec wrote it."""
    rest = values["model"]
    facts = {**rest["facts"], **_facts_in(values)}
    return {**rest, "config": values["config"], "facts": facts}


def _facts_in(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in FOR_PEOPLE if name in values}


def _write_file(path: Path, content: File) -> None:
    """Write an array, a column or bytes."""
    if isinstance(content, bytes):
        _write(path, content)
        return
    with path.open("wb") as file:
        if isinstance(content, np.ndarray):
            np.save(file, np.asarray(content, order="C"), allow_pickle=False)
        else:
            content.to_frame("value").write_parquet(file)
        _to_disk(file)


def _read_file(path: Path) -> File:
    """Open what `_write_file` wrote, arrays memory-mapped."""
    try:
        if path.suffix == ".npy":
            # A plain array over the mapped file: NumPy spends microseconds on every slice of its own mapped arrays.
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if path.suffix == ".parquet":
            return pl.read_parquet(path, glob=False).to_series()
        return path.read_bytes()
    except OSError:
        raise
    except Exception as error:  # whatever NumPy and Polars say of a file that is none of theirs
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: cannot be read ({reason}); train or copy the model again.") from None


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
    except (ValueError, KeyError, TypeError, RecursionError):
        intact = False
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read ({error.strerror}); check its permissions.") from None
    if not intact:
        raise ArtifactError(f"{file}: was changed after it was written; train or copy the model again.")
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"{file}: is of format {manifest.get('format')}, this firstday reads {FORMAT}; train the model again with: "
            f"firstday train TABLES --out {path}."
        )
    fault = _find_fault(manifest)
    if fault:
        raise ArtifactError(f"{file}: {fault}; train or copy the model again.")
    return dict(manifest)


def _find_fault(manifest: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the outline of a manifest, whose text is intact."""
    for name in ("firstday", "created_at", "version"):
        if not isinstance(manifest.get(name), str):
            return f"{name} is no text"
    for name in ("config", "features", "model", "files"):
        if not isinstance(manifest.get(name), dict):
            return f"{name} is no JSON object"
    if not all(isinstance(facts, dict) for facts in (manifest["model"].get("facts"), *_facts_in(manifest).values())):
        return "facts are no JSON object"
    if not re.fullmatch(VERSION, manifest["version"]):
        return "version is no version"
    for name, expected in manifest["files"].items():
        if not re.fullmatch(FILE_NAME, name):  # such as a path to somewhere else
            return f"{name!r} is no name of a file"
        if not isinstance(expected, dict) or not {"sha256", "bytes"} <= expected.keys():
            return f"files.{name} has no checksum"
    return None


def load_model(path: str | Path, *, verify: bool = True, types: Types | None = None) -> TrainedModel:
    """Open a model's folder, arrays memory-mapped.

    Parameters
    ----------
    path
        The folder.
    verify
        Compare every file with its checksum first.
    types
        Gives the class of what a registered method learned, by the method's name; see `firstday.artifact.codec.decode`.

    Raises
    ------
    ArtifactError
        The folder holds no model, or a file is missing or was changed; its name is in the message.
    """
    path = Path(path)
    while True:
        published = _publication(path)
        manifest = read_manifest(path)
        try:
            return _load_version(path, manifest, verify, types)
        except (ArtifactError, OSError) as error:
            if _publication(path) != published:
                continue  # another model, or the same one again, was put here meanwhile
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(f"{path}: cannot be read ({error}); train or copy the model again.") from error


def _publication(path: Path) -> tuple[int, int] | None:
    """Return what tells one publication of a model from another, of the same version, too: each writes a new file."""
    try:
        status = (path / MANIFEST).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _load_version(path: Path, manifest: dict[str, Any], verify: bool, types: Types | None) -> TrainedModel:
    """Open the files that a manifest names."""
    folder = path / manifest["version"]
    _check_files(folder, manifest["files"], verify=verify)
    files = {name: _read_file(folder / name) for name in manifest["files"]}
    try:
        return decode(TrainedModel, _from_values(manifest), files, types)
    except ArtifactError as error:
        raise ArtifactError(f"{path / MANIFEST}: {error}; train the model again.") from None


def _check_files(folder: Path, files: Mapping[str, Mapping[str, Any]], *, verify: bool) -> None:
    """Raise for the first file that is missing, has another size or, where that is to be verified, another content."""
    for name, expected in files.items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{file}: is missing; train or copy the model again.")
        if file.stat().st_size != expected["bytes"] or (verify and _differs(file, expected)):
            raise ArtifactError(f"{file}: was changed after it was written; train or copy the model again.")
