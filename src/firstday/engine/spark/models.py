"""Models in a file system of the cluster: published atomically, and copied to this machine to open them."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

from firstday.engine import local
from firstday.engine.spark.session import open_session
from firstday.engine.spark.storage import Storage
from firstday.errors import ArtifactError
from firstday.model.folder import KEEP, MANIFEST, STAGING_PREFIX, VERSION_PATTERN, read_manifest
from firstday.recommend.recommender import Recommender


def check_place(place: str) -> None:
    """Raise an error if a model cannot be saved in a folder; create the folder if it is missing."""
    storage = Storage(open_session(), place)
    if storage.local is not None:
        local.check_place(str(storage.local))
        return
    storage.make()
    if storage.names() and not storage.exists(MANIFEST):
        raise ArtifactError(f"{place}: is not empty and contains no model; give a new folder.")


def save_model(recommender: Recommender, place: str, left_out: tuple[str, ...] = (), *, keep: int = KEEP) -> None:
    """Write a model to a folder of the cluster, and the rows dropped from its tables to a file next to it.

    Readers see either the old or the new model; previous versions are removed.
    """
    storage = Storage(open_session(), place)
    if storage.local is not None:
        local.save_model(recommender, str(storage.local), left_out, keep=keep)
        return
    staged = f"{STAGING_PREFIX}{secrets.token_hex(4)}"
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
    for name in storage.names() - {version}:
        if own_names.fullmatch(name):
            storage.remove(name)
    storage.write_left_out(left_out)


def open_model(place: str) -> Recommender:
    """Open a model in a folder of the cluster."""
    storage = Storage(open_session(), place)
    if storage.local is not None:
        return local.open_model(str(storage.local))
    if not storage.exists(MANIFEST):
        raise ArtifactError(f"{place}: contains no model ({MANIFEST} is missing); train one with: firstday train.")
    with TemporaryDirectory(prefix="firstday-") as scratch:  # memory-mapped files stay readable after deletion
        return local.open_model(str(storage.fetch("", Path(scratch) / "model")))
