"""Backup of the store."""

from __future__ import annotations

from fastapi import APIRouter

from firstday.serve.http_errors import ApiError
from firstday.serve.schemas import BackupAnswer, NoQuery
from firstday.serve.service import ServiceDep

admin = APIRouter(prefix="/v1", tags=["store"])


@admin.post("/store/backup", summary="Copy the store now")
async def back_up_store(service: ServiceDep, _query: NoQuery) -> BackupAnswer:
    """Copy a SQLite store to the file that the settings name, in one step, while lists and writes go on.

    `firstday export` reads the copy. Where the settings name no file, and with Redis, the answer is 409.
    """
    if not service.settings.backup_file:
        raise ApiError(409, "no_backup_file", "No file is set for copies; set FIRSTDAY_SERVE_BACKUP_FILE, and restart.")
    return BackupAnswer(bytes=await service.back_up())
