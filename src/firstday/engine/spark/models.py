"""Models in a file system of the cluster: published atomically, copied to this machine to be opened."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

from firstday.artifact.folder import MANIFEST, STAGING, VERSION, read_manifest
from firstday.engine.spark.session import open_session
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.recommend.recommender import Recommender, open_model


def find_local(uri: str) -> Path | None:
    """Return the path of a local folder; None if it is in another file system."""
    return Storage(open_session(), uri).local


def check_place(uri: str) -> None:
    """Reject a folder that is not writable or holds something other than a model.

    Raises
    ------
    ArtifactError
        The folder holds something else.
    FirstdayError
        The folder cannot be created.
    """
    storage = Storage(open_session(), uri)
    storage.make()
    if storage.list_files() and not storage.exists(MANIFEST):
        raise ArtifactError(f"{uri}: is not empty and holds no model; give a new folder.")


def save_on_cluster(recommender: Recommender, uri: str, left_out: tuple[str, ...]) -> None:
    """Write a model to a folder of the cluster; readers of its manifest see all of the old or of the new model.

    Parameters
    ----------
    recommender
        The model.
    uri
        The folder; previous versions are removed.
    left_out
        Bad rows that were left out of its tables, as lines of a file next to the folder.
    """
    storage, staged = Storage(open_session(), uri), f"{STAGING}{secrets.token_hex(4)}"
    with TemporaryDirectory(prefix="firstday-") as scratch:
        model = recommender.save(Path(scratch) / "model")
        version = read_manifest(model)["version"]
        storage.make()
        storage.put(model, staged)
    if not storage.exists(version):
        storage.rename(f"{staged}/{version}", version)
    storage.rename(f"{staged}/{MANIFEST}", MANIFEST)
    storage.remove(staged)
    ours = re.compile(f"{VERSION}|{re.escape(STAGING)}.*")  # also leftovers of killed runs
    for name in {path.partition("/")[0] for path in storage.list_files()} - {version}:
        if ours.fullmatch(name):
            storage.remove(name)
    storage.write_left_out(left_out)


def open_on_cluster(uri: str) -> Recommender:
    """Open a model in a folder of the cluster.

    Raises
    ------
    ArtifactError
        There is no model, or it is damaged.
    """
    storage = Storage(open_session(), uri)
    if not storage.exists(MANIFEST):
        raise ArtifactError(f"{uri}: holds no model ({MANIFEST} is missing); train one with: firstday train.")
    with TemporaryDirectory(prefix="firstday-") as scratch:
        return open_model(storage.fetch("", Path(scratch) / "model"))  # mapped files stay readable after deletion
