"""The store itself: a copy of it, now."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request

from firstday.serve.http_errors import ApiError
from firstday.serve.schemas import BackupAnswer, NoQuery
from firstday.serve.service import service_of
from firstday.serve.store.base import StoreError

admin = APIRouter(prefix="/v1", tags=["store"])


@admin.post("/store/backup", summary="Copy the store now")
async def back_up_store(request: Request, _query: NoQuery) -> BackupAnswer:
    """Copy a SQLite store to the file that the settings name, in one step, while lists and writes go on.

    `firstday export` reads the copy. Where the settings name no file, and with Redis, the answer is 409.
    """
    service = service_of(request)
    target = service.settings.backup_file
    if not target:
        raise ApiError(409, "no_backup_file", "No file is set for copies; set FIRSTDAY_SERVE_BACKUP_FILE, and restart.")
    try:
        await service.store.back_up(Path(target))
    except StoreError:
        service.metrics.backups.labels("failed").inc()
        raise
    service.metrics.backups.labels("done").inc()
    return BackupAnswer(bytes=Path(target).stat().st_size)
