"""Reading the files of a public dataset from the user's zip or folder."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from firstday.errors import DataError


def read_local_copy(path: str | Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read the named files from a local copy.

    Parameters
    ----------
    path
        The published zip, a folder with the files, or a folder that contains either.
    folder
        The name of the published zip (without ``.zip``) and of the folder in it.
    names
        The files' names.

    Raises
    ------
    DataError
        There is nothing at `path`, a file is missing, or the zip is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: does not exist; give the path of {folder}.zip or of the folder with its files.")
    for place in (path, path / folder):
        if all((place / name).is_file() for name in names):
            return {name: (place / name).read_bytes() for name in names}
    archive = path / f"{folder}.zip" if path.is_dir() else path
    if not archive.is_file():
        wanted = f"{', '.join(names)} nor {folder}.zip"
        raise DataError(f"{path}: holds neither {wanted}; give the path of the zip or of its folder.")
    return _from_zip(archive, names)


def _from_zip(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read the named files from any folder of a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(member).name: member for member in archive.namelist()}
            missing_names = [name for name in names if name not in members]
            if missing_names:
                raise DataError(f"{path}: {missing_names[0]} is missing in the zip; download it again.")
            return {name: archive.read(members[name]) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a zip ({error}); download it again.") from None
