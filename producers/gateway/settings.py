"""The gateway's settings: `gateway.toml` in its folder, over which the environment has the last word.

Each is `DERMASTREAM_GATEWAY_<NAME>` in the environment and `<name>` in the file. An unknown name or a bad
value is refused by name: a typing error must not silently leave a default in force. Paths in the file are
relative to its folder.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from producers.contracts import SettingsError
from producers.gateway.outbox import Retention

PREFIX = "DERMASTREAM_GATEWAY_"
FILE = "gateway.toml"

Protocol = Literal["SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class GatewaySettings(BaseSettings):
    """Settings of one gateway; it may serve several clinics of one practice."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(Path(".dermastream/gateway"), description="Folder of the outbox, keys and inboxes")
    clinics: tuple[str, ...] = Field((), description="Ids of the clinics served, as in `/clinics/<id>`")

    host: str = Field("127.0.0.1", description="Loopback address it listens on")
    port: int = Field(8765, ge=0, le=65_535, description="Its port; 0: any free one")

    kafka_bootstrap_servers: str = Field("", description="The network's brokers, host:port[,host:port]")
    kafka_security_protocol: Protocol = Field(
        "SASL_SSL", description="SASL_SSL or SSL; the two without TLS are for trials on one machine"
    )
    kafka_sasl_mechanism: Mechanism = Field("SCRAM-SHA-512", description="How the password is shown")
    kafka_sasl_username: str = Field("", description="The clinic's user at the broker")
    kafka_sasl_password_file: Path | None = Field(None, description="File with its password, mode 0600")
    kafka_ssl_cafile: Path | None = Field(
        None, description="Certificate authority of the brokers; empty: the system's"
    )

    max_body_bytes: int = Field(4 * 2**20, ge=1024, le=64 * 2**20, description="Largest HTTP request body")
    max_batch_events: int = Field(1_000, ge=1, le=10_000, description="Most events in one request")
    request_seconds: float = Field(
        10, gt=0, le=600, description="Time in which a request must have come in whole"
    )
    max_connections: int = Field(32, ge=2, le=1_000, description="Most connections at once; more get 503")

    max_outbox_bytes: int = Field(
        8 * 2**30, ge=2**20, description="Most bytes kept in the outbox; then new events get 507"
    )
    min_free_bytes: int = Field(
        64 * 2**20, ge=0, description="Bytes left free on the disk; below, new events get 507"
    )
    keep_content_days: float = Field(7, ge=0, description="How long a sent event can be sent again")
    keep_ids_days: float = Field(90, ge=0, description="How long a repeated event is recognised here")

    inbox_settle_seconds: float = Field(
        2, ge=0, description="A file in the inbox is taken once it has not changed for so long"
    )
    max_file_bytes: int = Field(256 * 2**20, ge=1024, description="Largest file taken from the inbox")
    keep_files_days: float = Field(
        30, ge=0, description="How long files stay in done/ and refused/; they hold patient numbers"
    )

    trust_patient_keys: bool = Field(
        False, description="Accept events that carry a `patient_key` made elsewhere with the same key"
    )

    @field_validator("clinics")
    @classmethod
    def _are_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [clinic for clinic in value if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", clinic)]:
            raise ValueError(f"{wrong[0]!r} is no clinic id: lower-case letters, digits and hyphens")
        return value

    @field_validator("host")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        try:
            loopback = ipaddress.ip_address(value).is_loopback
        except ValueError:
            loopback = value == "localhost"
        if not loopback:
            raise ValueError("must be a loopback address: put a proxy with TLS before it to go further")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @classmethod
    def load(cls, home: Path | None = None, **given: Any) -> "GatewaySettings":
        """Read the file in the home folder, if there is one, and the environment.

        What is `given` is overruled by neither. Raises SettingsError naming the setting.
        """
        known = {cls.variable(name) for name in cls.model_fields}
        if unknown := sorted(v for v in os.environ if v.startswith(PREFIX) and v not in known):
            raise SettingsError(
                f"{unknown[0]} is not a setting of the gateway; see `dermastream gateway init`"
            )
        folder = home or Path(os.environ.get(cls.variable("home")) or cls.model_fields["home"].default)
        written = _read(folder / FILE)
        if wrong := sorted(set(written) - set(cls.model_fields) | ({"home"} & set(written))):
            raise SettingsError(f"{folder / FILE}: `{wrong[0]}` is not a setting that belongs there")
        try:
            return cls(**written).model_copy(update={**given, "home": folder})
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            name = str(first["loc"][0])
            place = cls.variable(name) if cls.variable(name) in os.environ else f"{folder / FILE}: `{name}`"
            raise SettingsError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return PREFIX + field.upper()

    @classmethod
    def example(cls, clinic: str) -> str:
        """A commented `gateway.toml` for one clinic, every setting with its default."""
        lines = ["# Settings of this gateway. A line that stays commented leaves the default in force."]
        for name, field in cls.model_fields.items():
            if name == "home":
                continue
            lines += ["", f"# {field.description}"]
            if name == "clinics":
                lines.append(f'clinics = ["{clinic}"]')
            elif name == "kafka_bootstrap_servers":
                lines.append('kafka_bootstrap_servers = ""')
            else:
                lines.append(f"#{name} = {_toml(field.default)}")
            if choices := get_args(field.annotation) if field.annotation in (Protocol, Mechanism) else ():
                lines.insert(-1, f"# one of {', '.join(choices)}")
        return "\n".join(lines) + "\n"

    # ── where things are ────────────────────────────────────────────────────────────────────────────────

    @property
    def outbox_file(self) -> Path:
        return self.home / "outbox.sqlite"

    @property
    def tokens_file(self) -> Path:
        return self.home / "tokens.json"

    def key_file(self, clinic: str) -> Path:
        return self.home / "keys" / f"{clinic}.key"

    def inbox(self, clinic: str) -> Path:
        return self.home / "inbox" / clinic

    def mappings(self, clinic: str) -> Path:
        return self.home / "mappings" / clinic

    # ── what others need ────────────────────────────────────────────────────────────────────────────────

    @property
    def retention(self) -> Retention:
        return Retention(timedelta(days=self.keep_content_days), timedelta(days=self.keep_ids_days))

    @property
    def kafka_security(self) -> dict[str, Any]:
        """kafka-python's security options. SettingsError for what is missing or cannot be read."""
        options: dict[str, Any] = {"security_protocol": self.kafka_security_protocol}
        if self.kafka_security_protocol.endswith("SSL") and self.kafka_ssl_cafile:
            options["ssl_cafile"] = str(_readable(self.home / self.kafka_ssl_cafile, "kafka_ssl_cafile"))
        if self.kafka_security_protocol.startswith("SASL"):
            if not self.kafka_sasl_username:
                raise SettingsError(f"kafka_sasl_username is needed with {self.kafka_security_protocol}")
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": _password(self.home, self.kafka_sasl_password_file),
            }
        return options


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file} ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from None


def _toml(value: Any) -> str:
    if value is None or value == "":
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _readable(file: Path, name: str) -> Path:
    if not os.access(file, os.R_OK):
        raise SettingsError(f"{name}: cannot read {file}")
    return file


def _password(home: Path, given: Path | None) -> str:
    if given is None:
        raise SettingsError("kafka_sasl_password_file is needed with a SASL protocol")
    file = home / given
    try:
        if file.stat().st_mode & 0o077:
            raise SettingsError(f"{file} may be read by others: chmod 600 {file}")
        return file.read_text().strip()
    except OSError as error:
        raise SettingsError(f"kafka_sasl_password_file: cannot read {file}: {error.strerror}") from None
