"""Models in a file system of the cluster: published atomically, and copied to this machine to open them."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

from firstday.artifact.folder import MANIFEST, STAGING_PREFIX, VERSION_PATTERN, read_manifest
from firstday.engine.spark.session import open_session
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.recommend.recommender import Recommender, open_model


def find_local(uri: str) -> Path | None:
    """Return the local path of a folder; None if the folder is in another file system."""
    return Storage(open_session(), uri).local


def check_place(uri: str) -> None:
    """Raise an error if a model cannot be saved in a folder; create the folder if it is missing.

    Raises
    ------
    ArtifactError
        The folder contains something other than a model.
    FirstdayError
        The folder cannot be created.
    """
    storage = Storage(open_session(), uri)
    storage.make()
    if storage.list_files() and not storage.exists(MANIFEST):
        raise ArtifactError(f"{uri}: is not empty and contains no model; give a new folder.")


def save_on_cluster(recommender: Recommender, uri: str, left_out: tuple[str, ...]) -> None:
    """Write a model to a folder of the cluster; readers see either the old or the new model.

    Parameters
    ----------
    recommender
        The model.
    uri
        The folder; previous versions are removed.
    left_out
        Bad rows dropped from the model's tables, which become lines of a file next to the folder.
    """
    storage, staged = Storage(open_session(), uri), f"{STAGING_PREFIX}{secrets.token_hex(4)}"
    with TemporaryDirectory(prefix="firstday-") as scratch:
        model = recommender.save(Path(scratch) / "model")
        version = read_manifest(model)["version"]
        storage.make()
        storage.put(model, staged)
    if not storage.exists(version):
        storage.rename(f"{staged}/{version}", version)
    storage.rename(f"{staged}/{MANIFEST}", MANIFEST)
    storage.remove(staged)
    own_names = re.compile(f"{VERSION_PATTERN}|{re.escape(STAGING_PREFIX)}.*")  # also leftovers of killed runs
    for name in {path.partition("/")[0] for path in storage.list_files()} - {version}:
        if own_names.fullmatch(name):
            storage.remove(name)
    storage.write_left_out(left_out)


def open_on_cluster(uri: str) -> Recommender:
    """Open a model in a folder of the cluster.

    Raises
    ------
    ArtifactError
        The folder contains no model, or the model is damaged.
    """
    storage = Storage(open_session(), uri)
    if not storage.exists(MANIFEST):
        raise ArtifactError(f"{uri}: contains no model ({MANIFEST} is missing); train one with: firstday train.")
    with TemporaryDirectory(prefix="firstday-") as scratch:
        return open_model(
            storage.fetch("", Path(scratch) / "model")
        )  # memory-mapped files stay readable after deletion
