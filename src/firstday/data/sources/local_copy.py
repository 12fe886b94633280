"""Files of a public dataset from a local zip or folder."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from firstday.errors import DataError


def read_local_copy(path: str | Path, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read the named files from a published zip, a folder with the files, or a folder that contains either.

    `folder` is the name of the zip (without ``.zip``) and of the folder in it. Raises DataError if the path does not
    exist, a file is missing, or the zip is damaged.
    """
    path = Path(path)
    for place in (path, path / folder):
        if all((place / name).is_file() for name in names):
            return {name: (place / name).read_bytes() for name in names}
    archive = path / f"{folder}.zip" if path.is_dir() else path
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {PurePosixPath(member).name: member for member in opened.namelist()}
            return {name: opened.read(members[name]) for name in names}
    except FileNotFoundError:
        wanted = f"neither {', '.join(names)} nor {folder}.zip"
        raise DataError(f"{path}: holds {wanted}; give the path of the zip or of its folder.") from None
    except KeyError as error:
        raise DataError(f"{archive}: {error.args[0]} is missing in the zip; download it again.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive}: cannot be read as a zip ({error}); download it again.") from None
