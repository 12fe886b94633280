"""Models in any file system of a cluster: written in one step, and brought here to be opened."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from firstday.artifact.folder import KEEP, MANIFEST, check_target
from firstday.engine.spark.session import open_session
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError, DataError
from firstday.recommend.recommender import Recommender, open_model


def check_place(uri: str) -> None:
    """Refuse a place that holds something other than a model, before hours are spent on training.

    Raises
    ------
    ArtifactError
        The folder holds something else.
    """
    storage = Storage(open_session(), uri)
    if storage.local is not None:
        check_target(storage.local)
    elif storage.exists() and storage.list_files() and not storage.exists(MANIFEST):
        raise ArtifactError(f"{uri}: is not empty and holds no model; give a new folder.")
    storage.check_writable()


def save_on_cluster(recommender: Recommender, uri: str, left_out: tuple[str, ...], *, keep: int = KEEP) -> None:
    """Write a model to a folder of the cluster; who reads it meanwhile sees the old model or the new one.

    Parameters
    ----------
    recommender
        The model.
    uri
        The folder.
    left_out
        Lines about the rows that were left out of its tables, for a file beside it.
    keep
        How many versions stay, where the folder is of this machine; in another file system the version before goes.
    """
    storage = Storage(open_session(), uri)
    if storage.local is not None:
        recommender.save(storage.local, keep=keep)
        storage.write_beside("left-out.jsonl", left_out)
        return
    with TemporaryDirectory(prefix="firstday-") as scratch:
        before = _version_of(storage, Path(scratch))
        model = recommender.save(Path(scratch) / "model")
        after = json.loads((model / MANIFEST).read_text(encoding="utf-8"))["version"]
        storage.publish(model, MANIFEST)
        if before not in (None, after):
            storage.remove(f"{before}")
        storage.write_beside("left-out.jsonl", left_out)


def open_on_cluster(uri: str) -> Recommender:
    """Open a model in a folder of the cluster.

    Raises
    ------
    ArtifactError
        There is no model, or it is damaged.
    """
    storage = Storage(open_session(), uri)
    if storage.local is not None:
        return open_model(storage.local)
    with TemporaryDirectory(prefix="firstday-") as scratch:
        try:
            storage.list_files()
        except DataError as error:
            raise ArtifactError(str(error)) from None
        return open_model(storage.fetch("", Path(scratch) / "model"))  # mapped files stay readable when removed


def _version_of(storage: Storage, scratch: Path) -> str | None:
    """Return the version of the model that is there; None where there is none."""
    if not storage.exists(MANIFEST):
        return None
    manifest = storage.fetch(MANIFEST, scratch / "before.json")
    version = json.loads(manifest.read_text(encoding="utf-8")).get("version")
    return version if isinstance(version, str) else None
