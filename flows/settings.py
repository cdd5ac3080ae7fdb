"""Every setting, read once from the environment at the root; nothing below reads the environment.

An unknown `DERMASTREAM_*` variable or a bad value is refused by name: a typing error must not silently
leave a default in force.
"""

import os
import urllib.parse
import zoneinfo
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from producers.contracts import SettingsError
from warehouse import deliveries
from warehouse.store import Location

PREFIX = "DERMASTREAM_"
GATEWAY_PREFIX = "DERMASTREAM_GATEWAY_"
"""These belong to a clinic's gateway, which reads them itself: producers/gateway/settings.py."""


_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """The service's settings; each is `DERMASTREAM_<NAME>` in the environment, but for Kafka's own."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    home: Path = Field(Path(".dermastream"), description="Folder of all local state")

    kafka_bootstrap_servers: str | None = Field(
        None, alias="KAFKA_BOOTSTRAP_SERVERS", description="External Kafka; empty: the embedded broker"
    )
    kafka_security_protocol: str = Field(
        "PLAINTEXT", alias="KAFKA_SECURITY_PROTOCOL", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: str | None = Field(
        None, alias="KAFKA_SASL_MECHANISM", description="SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"
    )
    kafka_sasl_username: str | None = Field(None, alias="KAFKA_SASL_USERNAME", description="SASL user")
    kafka_sasl_password_file: Path | None = Field(
        None, alias="KAFKA_SASL_PASSWORD_FILE", description="File holding the SASL password"
    )
    kafka_ssl_cafile: Path | None = Field(
        None, alias="KAFKA_SSL_CAFILE", description="Certificate authority of the brokers"
    )

    catalog: str | None = Field(
        None, description="`sqlite:<file>` or `postgres:<dsn>`; empty: SQLite under the home folder"
    )
    data_path: str | None = Field(
        None, description="Folder or `s3://bucket/prefix/` of the data; empty: under the home folder"
    )

    encrypted: bool = Field(
        False, description="Encrypt the data files of a warehouse that is made; its catalog holds their keys"
    )
    batch_max_events: int = Field(100_000, ge=1, le=1_000_000, description="Most events in a landing batch")
    batch_max_bytes: int = Field(48 * 2**20, ge=2**16, description="Most bytes of events in a landing batch")
    batch_max_seconds: float = Field(0.25, gt=0, le=60, description="Longest wait before a batch is landed")
    landing_share: str = Field(
        "1/1",
        pattern=r"^[1-9]\d*/[1-9]\d*$",
        description="Which share of the partitions this worker lands: 2/3 is the second of three workers",
    )
    run_seconds: float = Field(600, gt=0, description="Length of one landing or refresh flow run")
    metric_workers: str | None = Field(
        None, description="Dask scheduler (`tcp://host:8786`) whose workers measure; empty: measured here"
    )
    metric_seconds: float = Field(900, gt=0, description="Longest those workers may take for a part")
    refresh_seconds: float = Field(5, gt=0, description="Pause between looks for changes to recompute")
    maintain_seconds: float = Field(900, gt=0, description="Pause between merging files and cleaning up")
    snapshot_days: float = Field(7, ge=0, description="How far back one can read the warehouse as it was")
    retention_telemetry_days: int | None = Field(
        None, ge=1, description="Days telemetry frames stay before they roll up; empty: for ever"
    )
    retention_quarantine_days: int | None = Field(
        None, ge=1, description="Days refused events stay in quarantine; empty: for ever"
    )
    retention_clinical_days: int | None = Field(
        None, ge=1, description="Days what speaks of patients stays; empty: for ever"
    )
    privacy_key_file: Path | None = Field(
        None, description="Key of the erased persons' tombstones; empty: privacy.key under the home folder"
    )

    metrics_host: str = Field("127.0.0.1", description="Address the landing worker's metrics listen on")
    metrics_port: int = Field(
        0, ge=0, le=65_535, description="Port of /metrics for Prometheus; 0: none, and in a stack a free one"
    )
    dashboard_host: str = Field("127.0.0.1", description="Address the dashboard listens on")
    dashboard_port: int = Field(0, ge=0, le=65_535, description="Its port; 0: a free one, kept")
    dashboard_url: str | None = Field(
        None, description="How readers reach the dashboard, behind a proxy; empty: its host and port"
    )
    oidc_issuer: str | None = Field(
        None, description="OpenID provider that readers may log in through; empty: local accounts only"
    )
    oidc_client_id: str | None = Field(None, description="Our name at the provider")
    oidc_client_secret_file: Path | None = Field(
        None, description="File holding our secret there; empty: a public client, PKCE alone"
    )
    oidc_account_claim: str = Field(
        "sub", min_length=1, description="Claim that names the account: sub, email or another"
    )
    oidc_cafile: Path | None = Field(
        None, description="Certificate authority of the provider; empty: the public ones"
    )
    query_host: str = Field(
        "127.0.0.1", description="Address the analysts' remote door listens on; elsewhere only with TLS"
    )
    query_port: int = Field(0, ge=0, le=65_535, description="Its port; 0: the stack does not open it")
    query_certificate_file: Path | None = Field(
        None, description="Its TLS certificate, with the chain; empty: no TLS"
    )
    query_key_file: Path | None = Field(None, description="The certificate's private key")
    query_seconds: float = Field(60, gt=0, le=3600, description="Longest a statement at the door may take")
    query_rows: int = Field(1_000_000, ge=1, description="Most rows of one answer; more are refused")
    query_workers: int = Field(4, ge=1, le=64, description="Statements that the door runs at once")
    query_memory_mb: int = Field(1024, ge=128, description="Most memory of one such statement")
    prefect_api_url: str | None = Field(
        None, alias="PREFECT_API_URL", description="External Prefect server; empty: the embedded one"
    )
    archive: Path | None = Field(
        None, description="Folder of the weekly reports; empty: under the home folder"
    )
    report_cron: str = Field("0 7 * * 1", description="When the weekly reports are made")
    report_time_zone: str = Field("UTC", description="IANA time zone of that schedule")

    report_grace_hours: float = Field(
        0,
        ge=0,
        le=96,
        description="How far past the week's end a clinic's data must reach first",
    )
    report_patience_hours: float = Field(
        24, ge=0, le=120, description="How long after its week a report may be late before a notice says so"
    )

    mail_host: str | None = Field(None, description="Mail server; empty: nothing is mailed")
    mail_port: int = Field(587, ge=1, le=65_535, description="Its port")
    mail_security: str = Field("starttls", description="starttls, tls, or none (this machine only)")
    mail_user: str | None = Field(None, description="User at the mail server; empty: no login")
    mail_password_file: Path | None = Field(None, description="File holding the mail password")
    mail_cafile: Path | None = Field(
        None, description="Certificate authority of the mail server; empty: the system's"
    )
    mail_from: str = Field("dermastream@localhost", description="Sender; its domain is in every Message-ID")
    mail_domains: str = Field("", description="Domains that mail may go to, with commas; empty: to nobody")
    mail_attach_pdf: bool = Field(True, description="Attach the PDF; else the mail links to it")
    mail_timeout_seconds: float = Field(
        30, gt=0, le=600, description="Longest wait for the mail server, but for its last answer: 600"
    )

    delivery_seconds: float = Field(30, gt=0, le=3600, description="Pause between looks for mail to send")
    signal_escalate_days: float = Field(
        3, gt=0, le=90, description="Days a signal may be open before a mail says that nobody looked"
    )
    signal_clock_days: int = Field(
        2, ge=0, le=30, description="Days before a regulator's last day on which a mail says so"
    )
    signal_quiet_hours: str = Field(
        "",
        pattern=r"^$|^([01]?\d|2[0-3])-([01]?\d|2[0-3])$",
        description="Hours without mail about signals, like 22-7; empty: none",
    )
    signal_digest_hour: int | None = Field(
        None, ge=0, le=23, description="Hour of one mail a day about all signals; empty: one mail for each"
    )
    webhook_url: str | None = Field(None, description="Address told of signals; empty: none")
    webhook_secret_file: Path | None = Field(None, description="File holding its secret, whsec_ and base64")

    @field_validator("webhook_url", "oidc_issuer")
    @classmethod
    def _encrypted(cls, value: str | None) -> str | None:
        host = urllib.parse.urlsplit(value or "").hostname
        if value and not value.startswith("https://") and host not in _THIS_MACHINE:
            raise ValueError("must be https, but on this machine")
        return value

    @field_validator("mail_security")
    @classmethod
    def _known_security(cls, value: str) -> str:
        if value not in {"starttls", "tls", "none"}:
            raise ValueError("must be starttls, tls or none")
        return value

    @model_validator(mode="after")
    def _mail_is_encrypted(self) -> "Settings":
        if self.mail_host and self.mail_security == "none" and self.mail_host not in _THIS_MACHINE:
            raise ValueError("DERMASTREAM_MAIL_SECURITY: without encryption only to a server on this machine")
        if self.mail_user and self.mail_security == "none":
            raise ValueError("DERMASTREAM_MAIL_USER: no password goes over an open line")
        return self

    @model_validator(mode="after")
    def _provider_knows_us(self) -> "Settings":
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("DERMASTREAM_OIDC_CLIENT_ID: a provider needs it")
        return self

    @model_validator(mode="after")
    def _tokens_are_encrypted(self) -> "Settings":
        if (self.query_certificate_file is None) != (self.query_key_file is None):
            raise ValueError("DERMASTREAM_QUERY_CERTIFICATE_FILE and _KEY_FILE go together")
        if self.query_host not in _THIS_MACHINE and self.query_certificate_file is None:
            raise ValueError("DERMASTREAM_QUERY_HOST: beyond this machine only with a certificate")
        return self

    @field_validator("landing_share")
    @classmethod
    def _possible_share(cls, value: str) -> str:
        number, workers = map(int, value.split("/"))
        if number > workers:
            raise ValueError("there are fewer workers than that, as in 2/3")
        return value

    @field_validator("report_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError("not an IANA time zone")
        return value

    @field_validator("kafka_security_protocol")
    @classmethod
    def _known_protocol(cls, value: str) -> str:
        if value not in {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
            raise ValueError("must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
        return value

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Read the environment. Raises SettingsError naming the setting."""
        known = {cls.variable(name) for name in cls.model_fields}
        ours = (v for v in os.environ if v.startswith(PREFIX) and not v.startswith(GATEWAY_PREFIX))
        unknown = sorted(v for v in ours if v not in known)
        if unknown:
            raise SettingsError(f"{unknown[0]} is not a setting; see .env.example")
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:  # a rule over several settings names them itself
                raise SettingsError(first["msg"].removeprefix("Value error, ")) from None
            name = str(first["loc"][0])
            variable = cls.variable(name) if name in cls.model_fields else name
            raise SettingsError(f"{variable}: {first['msg'].removeprefix('Value error, ')}") from None

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return cls.model_fields[field].alias or PREFIX + field.upper()

    @property
    def location(self) -> Location:
        embedded = Location.under(self.home)
        return Location(
            self.catalog or embedded.catalog, self.data_path or embedded.data_path, self.encrypted
        )

    @property
    def reader_url(self) -> str:
        """Where readers find the dashboard; empty where that is not known."""
        local = f"http://{self.dashboard_host}:{self.dashboard_port}" if self.dashboard_port else ""
        return self.dashboard_url or local

    @property
    def archive_dir(self) -> Path:
        return self.archive or self.home / "reports"

    @property
    def delivery_ledger(self) -> Path:
        return self.home / deliveries.FILE

    @property
    def accounts_file(self) -> Path:
        return self.home / "dashboard" / "accounts.sqlite"

    @property
    def mail_password(self) -> str | None:
        """Null without a user. SettingsError on an unreadable file."""
        return _secret(self.mail_password_file, "DERMASTREAM_MAIL_PASSWORD_FILE") if self.mail_user else None

    @property
    def oidc_client_secret(self) -> str | None:
        """Null for a public client. SettingsError on an unreadable file."""
        file = self.oidc_client_secret_file
        return _secret(file, "DERMASTREAM_OIDC_CLIENT_SECRET_FILE") if file else None

    @property
    def webhook_secret(self) -> str:
        """SettingsError on an unreadable file."""
        return _secret(self.webhook_secret_file, "DERMASTREAM_WEBHOOK_SECRET_FILE")

    @property
    def delivers(self) -> bool:
        """Whether there is any way out."""
        return bool(self.mail_host or self.webhook_url)

    @property
    def privacy_key(self) -> Path:
        return self.privacy_key_file or self.home / "privacy.key"

    @property
    def tombstone_list(self) -> Path:
        return self.home / "tombstones.jsonl"

    @property
    def kafka_security(self) -> dict[str, Any]:
        """kafka-python's security options; empty for PLAINTEXT. SettingsError on an unreadable file."""
        if self.kafka_security_protocol == "PLAINTEXT":
            return {}
        options: dict[str, Any] = {"security_protocol": self.kafka_security_protocol}
        if self.kafka_ssl_cafile:
            options["ssl_cafile"] = str(self.kafka_ssl_cafile)
        if self.kafka_security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": _secret(self.kafka_sasl_password_file, "KAFKA_SASL_PASSWORD_FILE"),
            }
        return options


def _secret(file: Path | None, variable: str) -> str:
    if file is None:
        raise SettingsError(f"{variable} is not set, and it is needed")
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{variable}: cannot read {file}: {error.strerror}") from None
