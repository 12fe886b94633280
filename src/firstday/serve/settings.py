"""Settings of the service, read from environment variables; each starts with ``FIRSTDAY_SERVE_``.

The text of each field is also the text of the table in `docs/operations.md`.
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
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from firstday.errors import ConfigError
from firstday.serve.store.base import RETENTION_DAYS

PREFIX = "FIRSTDAY_SERVE_"
KEY_LENGTH = 16
"""Characters that a key has at least."""

Keys = Annotated[tuple[SecretStr, ...], NoDecode]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1024)]


class ServeSettings(BaseSettings):
    """How the service runs; the environment gives what the caller leaves out."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. Any other than a loopback address needs a key; 0.0.0.0 is all of them."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    read_keys: Keys = Field(
        default=(),
        description="Keys, separated by commas, that open what reads. As soon as there is any key, what has none is "
        f"closed. A key has {KEY_LENGTH} characters or more.",
    )
    write_keys: Keys = ()
    """Keys that open what writes: users, events, deletion."""
    admin_keys: Keys = ()
    """Keys that open the reload of the model and copies of the store."""
    store: SecretStr = SecretStr("")
    """Where users' signals are kept: sqlite:///relative.sqlite, sqlite:////absolute/path.sqlite, redis://host:6379/0 or
    rediss://... Empty: users.sqlite in the system's folder for firstday's data."""
    sqlite_synchronous: Literal["full", "normal"] = "full"
    """full: an acknowledged event survives a power cut; normal: it survives a killed process only, and writes wait for
    no disk."""
    redis_prefix: str = Field(default="firstday", max_length=64)
    """What every key in Redis begins with."""
    store_timeout_s: float = Field(default=1.0, gt=0, le=60, allow_inf_nan=False)
    """Seconds that one call to Redis may take."""
    store_retry_s: float = Field(default=1.0, ge=0, le=60)
    """Seconds without a call to Redis after one failed; meanwhile answers come without it at once."""
    retention_days: float = Field(default=RETENTION_DAYS, ge=0, le=36500)
    """Days after which an event or a recorded list is forgotten, counted from its receipt; profile, picks and friends
    are forgotten so many days after they were last put. 0 keeps all."""
    max_events_per_user: int = Field(default=1000, ge=1, le=100_000)
    """Events kept of one user: the newest by receipt, of whatever signal but shown; older ones are forgotten."""
    max_lists_per_user: int = Field(default=20, ge=1, le=10_000)
    """Lists recorded by record=true that are kept of one user: the newest."""
    max_shown_per_user: int = Field(default=500, ge=1, le=100_000)
    """Events of the signal shown that are kept of one user: the newest by receipt."""
    backup_file: str = ""
    """File to which a SQLite store is copied from time to time, in one step. Empty: no copies."""
    backup_every_s: PositiveFloat = 86_400.0
    """Seconds between copies."""
    purge_every_s: PositiveFloat = 600.0
    """Seconds between removals of what has expired."""
    max_body_bytes: Bytes = 2**20
    """Largest body of a request, in bytes."""
    max_stream_bytes: Bytes = 2**28
    """Largest stream of events (application/x-ndjson), in bytes."""
    body_timeout_s: PositiveFloat = 10.0
    """Seconds in which a body must have arrived, or, of a stream, some more of it."""
    max_concurrent: Count = 512
    """Requests in work at once; more are refused with 503 rather than kept waiting."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses, separated by commas, of proxies whose X-Forwarded-For names the client."""
    model_poll_s: NonNegativeFloat = 0.0
    """Seconds between looks for a new model in the folder, which is then loaded. 0: only when asked."""
    keep_alive_s: Count = 75
    """Seconds that an idle connection stays open."""
    drain_delay_s: NonNegativeFloat = 0.0
    """Seconds after SIGTERM in which requests are still taken while /readyz says no, so that a proxy can turn away
    first."""
    drain_timeout_s: Count = 30
    """Seconds that requests in work have to finish after SIGTERM."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """A JSON object or a plain text on each line; auto: text on a terminal, else JSON."""
    log_requests: bool = True
    """Log a line for each request (level info)."""

    strategy: str = ""
    """The strategy of lists for which none is asked for. Empty: that of the model, which is `auto` unless it was
    trained with another one."""
    experiment: str = ""
    """An experiment: `onboarding-2026: control=segment*50, treatment=auto*50` answers half of the new users by each
    strategy. Who came before the store first saw its name takes no part. Empty: none."""
    page: bool = True
    """Serve at / the page on which people try the model. It has no data in it and needs no key; what it asks the
    service for does."""

    @field_validator("read_keys", "write_keys", "admin_keys", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("read_keys", "write_keys", "admin_keys")
    @classmethod
    def _need_long_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key) < KEY_LENGTH for key in keys):
            raise ValueError(f"a key is shorter than {KEY_LENGTH} characters; make a longer one")
        return keys

    @model_validator(mode="after")
    def _open_only_with_keys(self) -> ServeSettings:
        if not is_loopback(self.host) and not self.has_keys:
            raise ValueError(
                f"host {self.host} can be reached from other machines and no key is set; set {PREFIX}READ_KEYS, "
                f"{PREFIX}WRITE_KEYS and {PREFIX}ADMIN_KEYS, or listen on 127.0.0.1"
            )
        return self

    @property
    def has_keys(self) -> bool:
        """Whether any key is set."""
        return bool(self.read_keys or self.write_keys or self.admin_keys)

    @property
    def store_url(self) -> str:
        """The store's URL, the default filled in."""
        return (
            self.store.get_secret_value()
            or f"sqlite:///{Path(platformdirs.user_data_dir('firstday')) / 'users.sqlite'}"
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(overrides: Mapping[str, Any] | None = None) -> ServeSettings:
    """Read the settings from the environment, with `overrides` on top.

    Parameters
    ----------
    overrides
        Settings by name; None leaves the environment's value.

    Raises
    ------
    ConfigError
        A variable that is no setting, or a setting that cannot have its value; values are never shown.
    """
    names = {PREFIX + name.upper() for name in ServeSettings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in names)
    faults = [f"{name}: is not a setting; see docs/operations.md for those that are." for name in unknown]
    try:
        settings = ServeSettings(**{name: value for name, value in (overrides or {}).items() if value is not None})
    except ValidationError as error:
        for fault in error.errors():
            name = PREFIX + str(fault["loc"][0]).upper() if fault["loc"] else "serve"
            text = fault["msg"].removeprefix("Value error, ")
            faults.append(f"{name}: {text[:1].lower()}{text[1:]}.")
    if faults:
        raise ConfigError("\n".join(faults))
    return settings
