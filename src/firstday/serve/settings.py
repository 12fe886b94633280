"""Settings of the service, read from environment variables with the prefix ``FIRSTDAY_SERVE_``.

The docstrings of the fields also make up the table in `docs/operations.md`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Secret,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from firstday.errors import ConfigError, describe_fault

PREFIX = "FIRSTDAY_SERVE_"
KEY_LENGTH = 16
"""Minimum length of a key in characters."""
TOKEN_KEY_LENGTH = 32
"""Minimum length of a key that signs tokens, which RFC 7518 requires: who has a token can guess offline."""

Keys = Annotated[tuple[Secret[Annotated[str, Field(min_length=KEY_LENGTH)]], ...], NoDecode]
TokenKeys = Annotated[tuple[Secret[Annotated[str, Field(min_length=TOKEN_KEY_LENGTH)]], ...], NoDecode]
Origins = Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[^/*\sA-Z]+$")], ...], NoDecode]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1024)]


class ServeSettings(BaseSettings):
    """Settings of the service; values that are not passed come from the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 means all interfaces."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on. 0: any free port."""
    read_keys: Keys = Field(
        default=(),
        description="Comma-separated keys for read access. Once any key is set, access for which no key is set is "
        f"denied. Minimum length: {KEY_LENGTH} characters.",
    )
    write_keys: Keys = ()
    """Keys for write access: users, events, deletion."""
    items_keys: Keys = ()
    """Keys to add, update and withdraw items, which is in everybody's lists."""
    admin_keys: Keys = ()
    """Keys for model reloads."""
    token_keys: TokenKeys = Field(
        default=(),
        description="Keys that sign the tokens of pages. Several keys allow rotation. Minimum length: "
        f"{TOKEN_KEY_LENGTH} characters.",
    )
    origins: Origins = ()
    """Comma-separated origins of pages that may use tokens, such as https://shop.example."""
    token_requests: Count = 50
    """Maximum requests with tokens of one user in ten seconds, per process. Further ones get 429."""
    store: SecretStr = SecretStr("")
    """Store of user signals: sqlite:///relative.sqlite, sqlite:////absolute/path.sqlite,
    postgresql://user:password@host/database, redis://host:6379/0 or rediss://... Empty: users.sqlite in firstday's user
    data directory."""
    sqlite_synchronous: Literal["full", "normal"] = "full"
    """full: acknowledged events survive a power cut. normal: they survive only a killed process, but writes do not wait
    for the disk."""
    redis_prefix: str = Field(default="firstday", max_length=64)
    """Prefix of all Redis keys."""
    store_timeout_s: float = Field(default=1.0, gt=0, le=60, allow_inf_nan=False)
    """Seconds until a call to Redis or Postgres times out."""
    store_retry_s: float = Field(default=1.0, ge=0, le=60)
    """Cool-down after a failed connection to Redis or Postgres, in seconds; until then lists are served without stored
    signals."""
    retention_days: float = Field(default=90.0, ge=0, le=36500)
    """Days to keep an event or a recorded list after receipt, and profile, picks and friends after their last update.
    0: no expiry."""
    max_events_per_user: int = Field(default=1000, ge=1, le=100_000)
    """Newest events to keep per user, for all signals except shown."""
    max_lists_per_user: int = Field(default=20, ge=1, le=10_000)
    """Newest recorded lists to keep per user."""
    max_shown_per_user: int = Field(default=500, ge=1, le=100_000)
    """Newest events of the signal shown to keep per user."""
    purge_every_s: PositiveFloat = 600.0
    """Seconds between purges of expired data."""
    max_body_bytes: Bytes = 2**20
    """Maximum size of a request body."""
    max_rules_bytes: Bytes = 8_388_608
    """Maximum size of a body with rules or a list of items. 100,000 ids need about 2 MB."""
    max_items_bytes: Bytes = 2**26
    """Maximum size of all stored items. Further ones get 409."""
    max_stream_bytes: Bytes = 2**28
    """Maximum size of an event stream."""
    client_timeout_s: PositiveFloat = 10.0
    """Seconds that a client has to send the headers, the body or the next part of a stream, and to read a response."""
    max_concurrent: Count = 512
    """Maximum concurrent requests. Further ones get 503 at once."""
    max_wait_s: PositiveFloat = 1.0
    """Maximum time that a request for a list waits for earlier ones, in seconds. Then it gets 503 instead of a late
    list."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated addresses of proxies whose X-Forwarded-For header is trusted."""
    model_poll_s: NonNegativeFloat = 0.0
    """Seconds between checks of the model folder for a new version to load. 0: reload only on request."""
    keep_alive_s: Count = 75
    """Seconds before an idle connection is closed."""
    drain_delay_s: NonNegativeFloat = 0.0
    """Seconds after SIGTERM during which requests are still accepted while /readyz returns 503."""
    drain_timeout_s: Count = 30
    """Seconds for requests in progress to finish after SIGTERM."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level of log messages."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """Log lines as JSON objects or plain text. auto: text on a terminal, otherwise JSON."""
    log_requests: bool = True
    """Log every request (level info)."""

    strategy: str = ""
    """Strategy for requests that name none. Empty: the model's default."""
    experiment: str = ""
    """Experiment to run: `onboarding-2026: control=segment*50, treatment=auto*50` serves half of the new users with
    each strategy. Empty: none."""
    page: bool = True
    """Serve the demo page at /."""

    @field_validator(
        "read_keys", "write_keys", "items_keys", "admin_keys", "token_keys", "origins", "trusted_proxies", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _open_only_with_keys(self) -> ServeSettings:
        if not is_loopback(self.host) and not self.has_keys:
            raise ValueError(
                f"host {self.host} can be reached from other machines and no key is set; set {PREFIX}READ_KEYS, "
                f"{PREFIX}WRITE_KEYS and {PREFIX}ADMIN_KEYS, or listen on 127.0.0.1"
            )
        if self.origins and not self.token_keys:
            raise ValueError(f"{PREFIX}ORIGINS is for tokens, and no key signs any; set {PREFIX}TOKEN_KEYS")
        return self

    @property
    def has_keys(self) -> bool:
        """Whether any key is set."""
        return any((self.read_keys, self.write_keys, self.items_keys, self.admin_keys, self.token_keys))

    @property
    def store_url(self) -> str:
        """URL of the store: as set, or the default file."""
        return (
            self.store.get_secret_value()
            or f"sqlite:///{Path(platformdirs.user_data_dir('firstday')) / 'users.sqlite'}"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(overrides: Mapping[str, Any] | None = None) -> ServeSettings:
    """Read the settings from the environment; `overrides` take precedence unless they are None.

    Raises `ConfigError`, which never contains values, for unknown variables and invalid settings.
    """
    names = {PREFIX + name.upper() for name in ServeSettings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in names)
    faults = [f"{name}: is not a setting; see docs/operations.md for the settings." for name in unknown]
    try:
        settings = ServeSettings(**{name: value for name, value in (overrides or {}).items() if value is not None})
    except ValidationError as error:
        for field, message in map(describe_fault, error.errors()):
            faults.append(f"{PREFIX}{field.upper()}: {message}." if field else f"serve: {message}.")
    if faults:
        raise ConfigError("\n".join(faults))
    return settings
