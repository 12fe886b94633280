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
    if path.is_file():
        return _from_zip(path, names)
    place = _find_folder(path, folder, names)
    if place is not None:
        return {name: (place / name).read_bytes() for name in names}
    if (path / f"{folder}.zip").is_file():
        return _from_zip(path / f"{folder}.zip", names)
    raise DataError(f"{path}: holds neither {names[0]} nor {folder}.zip; give the path of the zip or of its folder.")


def _find_folder(path: Path, folder: str, names: tuple[str, ...]) -> Path | None:
    """Return the folder with the files; None where there is none."""
    for place in (path, path / folder):
        if (place / names[0]).is_file():
            missing_names = [name for name in names if not (place / name).is_file()]
            if missing_names:
                raise DataError(f"{place}: {missing_names[0]} is missing; unpack {folder}.zip there again.")
            return place
    return None


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
