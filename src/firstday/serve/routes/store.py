"""Backup of the store."""

from __future__ import annotations

from fastapi import APIRouter

from firstday.serve.http_errors import ApiError
from firstday.serve.service import ServiceDep

admin = APIRouter(prefix="/v1", tags=["store"])


@admin.post("/store/backup", summary="Back up the store")
async def back_up_store(service: ServiceDep) -> dict[str, int]:
    """Copy a SQLite store atomically to the configured backup file, without blocking reads or writes.

    `firstday export` reads the copy. If no backup file is configured, or the store is Redis, the response is 409.
    """
    if not service.settings.backup_file:
        raise ApiError(
            409, "no_backup_file", "No backup file is configured; set FIRSTDAY_SERVE_BACKUP_FILE and restart."
        )
    return {"bytes": await service.back_up()}
