"""A broker that is reached over TLS, with a name and a password."""

import datetime as dt
import ipaddress
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from flows import event_source
from flows.stack import broker as embedded
from flows.stack import ports
from tests.conftest import Broker

USER, PASSWORD = "clinic-north", "correct horse battery"

_PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
"""


@dataclass
class SecureBroker(Broker):
    """A broker with a second listener: TLS under an authority of its own, and SCRAM-SHA-512."""

    secure_port: int = field(default_factory=ports.any_free)

    @property
    def authority(self) -> Path:
        return self.home / "authority.pem"

    @property
    def password_file(self) -> Path:
        return self.home / "password"

    @property
    def settings(self) -> dict[str, Any]:
        """What a gateway's settings say to reach it."""
        return {
            "kafka_bootstrap_servers": f"127.0.0.1:{self.secure_port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_sasl_username": USER,
            "kafka_sasl_password_file": str(self.password_file),
            "kafka_ssl_cafile": str(self.authority),
        }

    def start(self) -> None:
        command = embedded.prepare(self.home, port=self.port, controller_port=self.controller_port)
        keystore = self.home / "broker.pem"
        first = not keystore.exists()
        if first:
            certify(keystore, self.authority)
            self.password_file.write_text(PASSWORD + "\n")
            self.password_file.chmod(0o600)
        with (self.home / "kafka" / "server.properties").open("a") as properties:
            properties.write(
                _PROPERTIES.format(
                    port=self.port,
                    secure=self.secure_port,
                    controller=self.controller_port,
                    keystore=keystore,
                )
            )
        with open(self.home / "broker.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not event_source.answers(self.bootstrap):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "broker.log").read_text()[-2000:])
        if first:
            self._add_user()

    def _add_user(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            user = UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)
            assert admin.alter_user_scram_credentials([user]) == {USER: None}
        finally:
            admin.close()


def certify(keystore: Path, authority: Path) -> None:
    """Make an authority, and a key with a certificate for 127.0.0.1 under it, as PEM files."""
    root_key, key = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test broker")])
    root = (
        _certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = (
        _certificate(name, root_name, key.public_key())
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    keystore.write_bytes(private + leaf.public_bytes(pem) + root.public_bytes(pem))
    authority.write_bytes(root.public_bytes(pem))


def _certificate(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
    )
