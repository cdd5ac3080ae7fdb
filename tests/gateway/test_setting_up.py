"""Settings, keys, pseudonyms and tokens: what the clinic's IT person meets first."""

import datetime as dt
import hashlib
import hmac
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.commands.gateway import app
from flows.settings import Settings
from producers.contracts import SettingsError
from producers.gateway.outbox import Entry, Outbox
from producers.gateway.pseudonyms import PatientPseudonyms, create_key, read_key
from producers.gateway.setting_up import set_up
from producers.gateway.settings import GatewaySettings
from producers.gateway.tokens import Tokens

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
KEY = PatientPseudonyms(b"k" * 32)


# ── pseudonyms ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=50).filter(lambda text: text.strip()), st.binary(min_size=32, max_size=64))
def test_a_pseudonym_is_hmac_sha_256_cut_to_128_bits(reference: str, key: bytes):
    """As anyone would compute it by hand, for references in Unicode's composed form."""
    import unicodedata

    plain = unicodedata.normalize("NFC", reference.strip())
    by_hand = hmac.digest(key, b"dermastream/patient/v1\0" + plain.encode(), hashlib.sha256).hex()[:32]
    assert PatientPseudonyms(key).of(reference) == by_hand


def test_one_patient_has_one_pseudonym_per_clinic():
    """Space and Unicode form make no difference; case, leading zeros and the key do."""
    assert KEY.of(" M\u00fcller-7 ") == KEY.of("Mu\u0308ller-7")
    assert len({KEY.of("17"), KEY.of("0017"), KEY.of("a17"), KEY.of("A17")}) == 4
    assert PatientPseudonyms(b"j" * 32).of("17") != KEY.of("17")
    assert KEY.fingerprint != PatientPseudonyms(b"j" * 32).fingerprint


def test_a_key_is_made_once_and_for_its_owner(tmp_path: Path):
    """Mode 0600, 256 random bits, never overwritten."""
    file = tmp_path / "keys" / "north.key"
    create_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(file.read_text())) == 32
    with pytest.raises(SettingsError, match="new pseudonym"):
        create_key(file)


@pytest.mark.parametrize("content", ["", "ab" * 31, "no hexadecimal digits", "\xe4"])
def test_a_bad_key_is_refused_without_showing_it(tmp_path: Path, content: str):
    """Too short or no key at all: named by its file."""
    file = tmp_path / "north.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        read_key(file)
    assert not content or content not in str(refused.value)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path):
    """It says what to do about it."""
    create_key(tmp_path / "north.key")
    (tmp_path / "north.key").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_key(tmp_path / "north.key")


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_example_holds_every_setting_and_is_valid(tmp_path: Path):
    """The written file loads as it is; with every line in force it gives the defaults."""
    text = GatewaySettings.example("north")
    (tmp_path / "gateway.toml").write_text(text)
    assert GatewaySettings.load(tmp_path).clinics == ("north",)
    lines = [line.lstrip("#") for line in text.splitlines() if "=" in line]
    everything = tomllib.loads("\n".join(lines))
    assert set(everything) == set(GatewaySettings.model_fields) - {"home"}
    (tmp_path / "gateway.toml").write_text("\n".join(line for line in lines if not line.endswith('""')))
    assert GatewaySettings.load(tmp_path) == GatewaySettings(home=tmp_path, clinics=("north",))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("speed = 1", "`speed`"),
        ('home = "x"', "`home`"),
        ('host = "0.0.0.0"', "loopback"),
        ("port = 70000", "`port`"),
        ('clinics = ["North Clinic"]', "North Clinic"),
        ('kafka_security_protocol = "TLS"', "kafka_security_protocol"),
        ("port = ", "gateway.toml"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, line: str, named: str):
    """In the file, by name and rule."""
    (tmp_path / "gateway.toml").write_text(line)
    with pytest.raises(SettingsError, match=named):
        GatewaySettings.load(tmp_path)


def test_the_environment_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Over the file; an unknown variable is refused, and the network's own settings do not mind ours."""
    (tmp_path / "gateway.toml").write_text("port = 1")
    monkeypatch.setenv("DERMASTREAM_GATEWAY_PORT", "2")
    monkeypatch.setenv("DERMASTREAM_GATEWAY_CLINICS", '["north"]')
    loaded = GatewaySettings.load(tmp_path)
    assert (loaded.port, loaded.clinics) == (2, ("north",))
    Settings.load()
    monkeypatch.setenv("DERMASTREAM_GATEWAY_PROT", "2")
    with pytest.raises(SettingsError, match="DERMASTREAM_GATEWAY_PROT"):
        GatewaySettings.load(tmp_path)


def test_secrets_for_the_broker_come_from_files_of_their_owner(tmp_path: Path):
    """A password that others may read, or none, is refused; paths are relative to the folder."""
    (tmp_path / "gateway.toml").write_text(
        'kafka_sasl_username = "n"\nkafka_sasl_password_file = "password"\n'
    )
    settings = GatewaySettings.load(tmp_path)
    with pytest.raises(SettingsError, match="cannot read"):
        _ = settings.kafka_security
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        _ = settings.kafka_security
    (tmp_path / "password").chmod(0o600)
    assert settings.kafka_security == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "n",
        "sasl_plain_password": "secret",
    }


# ── the first five minutes ──────────────────────────────────────────────────────────────────────────────


def test_setting_up_twice_changes_nothing(tmp_path: Path):
    """Every file is made once; the second time only the inbox is named."""
    first = list(set_up(GatewaySettings.load(tmp_path / "g"), "north"))
    before = {file: file.read_bytes() for file in (tmp_path / "g").rglob("*") if file.is_file()}
    again = list(set_up(GatewaySettings.load(tmp_path / "g"), "north"))
    assert (len(first), len(again)) == (5, 1)
    assert {file: file.read_bytes() for file in (tmp_path / "g").rglob("*") if file.is_file()} == before


def test_tokens_are_shown_once_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """On the command line: made, listed without their secret, revoked; a foreign clinic has none."""

    def gateway(*arguments: str) -> str:
        app([*arguments, "--home", str(tmp_path)])
        return capsys.readouterr().out

    gateway("init", "north")
    secret = gateway("token", "add", "--label", "booking").strip()
    assert Tokens(tmp_path / "tokens.json").clinic_of(secret) == "north"
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    listed = gateway("token", "list")
    assert "booking" in listed
    assert secret not in listed
    assert "revoked" in gateway("token", "revoke", listed.split()[0])
    assert Tokens(tmp_path / "tokens.json").clinic_of(secret) is None
    with pytest.raises(SettingsError, match="there is no token"):
        gateway("token", "revoke", "nosuch")
    with pytest.raises(SettingsError, match="does not serve south"):
        gateway("token", "add", "--label", "x", "--clinic", "south")


def test_what_waits_is_told_and_can_be_sent_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`status` and `resend` on a gateway that is not running; a folder without one is named."""
    with pytest.raises(SettingsError, match="there is no outbox"):
        app(["status", "--home", str(tmp_path)])
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        outbox.put([Entry("/clinics/north", "1", "clinic.sessions", b"k", b"v")], NOW)
        outbox.mark_sent(outbox.unsent(1), NOW)
    app(["resend", "--since", "2026-11-01T12:00", "--home", str(tmp_path)])
    app(["status", "--json", "--home", str(tmp_path)])
    told, status = capsys.readouterr().out.splitlines()
    assert told == "1 events will be sent again"
    assert json.loads(status)["waiting_events"] == 1
