"""One harness for the fault matrix: what was sent, what was acknowledged, and what must hold afterwards.

The publisher's acknowledgements go to a ledger, synced to disk in the callback, before anybody may rely on
them. Afterwards everything is held against it: oracles O1 (nothing lost, nothing doubled, books balance up
to Kafka's end), O3 (nothing left behind in time), O4 (a full scan finds each event once, with the content
that was sent) and O5 (nothing died that was not killed). Every run prints its seed.
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import UserScramCredentialUpsertion

from flows.event_source import EventSource
from flows.landing import Lander, Totals
from flows.settings import Settings
from flows.stack import ports
from flows.stack.broker import prepare
from producers.contracts import TOPICS, ContractViolation, Event, decode
from producers.contracts.events import DeviceCalibrated, TelemetryFrame
from producers.publisher import Publisher, create_topics
from tests.conftest import Broker
from tests.faults.mutants import MUTANTS
from tests.faults.worker import Plan, run, start, utc_now
from warehouse import store
from warehouse.log import Partition, progress

PATIENCE_SECONDS = 150.0
"""How long anything may take on a busy machine before we say that it will never come."""

CLINICS = ("north", "east", "south")
TELEMETRY = "clinic.device-telemetry"


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────


def event(number: int, *, at: dt.datetime | None = None) -> Event[Any]:
    """The event of this number; every fifth is a calibration, the others are frames."""
    device = f"dev-{number % 7}"
    data: Any = (
        DeviceCalibrated(device_id=device, depth_error_mm=round(number % 200 / 1000, 3))
        if number % 5 == 0
        else TelemetryFrame(
            device_id=device,
            sequence=number,
            sample_interval_ms=100,
            depth_mm=[1.0, round(1 + number % 97 / 100, 2)],
            stroke_rate_per_min=[7000.0, 7000.5],
            motor_current_ma=[300.0, 301.0],
            battery_percent=80.0,
        )
    )
    return Event(
        specversion="1.0",
        id=f"e-{number}",
        source=f"/clinics/{CLINICS[number % 3]}",
        type="device.calibrated.v1" if number % 5 == 0 else "telemetry.frame.v1",
        time=at or dt.datetime.now(dt.UTC),
        data=data,
    )


def bad(number: int) -> bytes:
    """No event, but known by its number."""
    return b'{"bad":%d' % number


_ID = re.compile(rb'"id":"(e-\d+)"')


def _content(number: int) -> str:
    """What a full scan must read back of the event of this number."""
    sent = event(number)
    if number % 5 == 0:
        return f"{sent.source} {sent.data.device_id} {sent.data.depth_error_mm:.3f}"
    return f"{sent.source} {sent.data.device_id} {sent.data.sequence} {sent.data.depth_mm[1]:.2f}"


@dataclass
class Ledger:
    """What was sent, and what of it the broker has acknowledged, where."""

    file: Path
    sent: set[bytes] = field(default_factory=set)
    odd: dict[str, bytes] = field(default_factory=dict)
    """Values that are none of our events, by digest; fuzz may leave a good event of another name."""

    def __post_init__(self) -> None:
        self._out = os.open(self.file, os.O_CREAT | os.O_APPEND | os.O_RDWR)

    def sending(self, value: bytes | None) -> None:
        digest = _digest(value)
        self.sent.add(digest)
        if value is not None and not _ID.search(value):
            self.odd[digest.hex()] = value

    def acknowledged(self, place: Any, value: bytes | None) -> None:
        found = _ID.search(value or b"")
        line = {
            "topic": place.topic,
            "partition": place.partition,
            "offset": place.offset,
            "id": found[1].decode() if found else None,
            "digest": _digest(value).hex(),
        }
        os.write(self._out, json.dumps(line).encode() + b"\n")
        os.fdatasync(self._out)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_bytes().splitlines()]


def _digest(value: bytes | None) -> bytes:
    return b"" if value is None else hashlib.sha256(value).digest()


class _Noting:
    """Stands before a Kafka producer and keeps the ledger."""

    def __init__(self, producer: Any, ledger: Ledger) -> None:
        self._producer = producer
        self._ledger = ledger

    def send(self, topic: str, *, key: bytes | None, value: bytes | None, **more: Any) -> Any:
        self._ledger.sending(value)
        future = self._producer.send(topic, key=key, value=value, **more)
        future.add_callback(lambda place: self._ledger.acknowledged(place, value))
        return future

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)


class LedgeredPublisher(Publisher):
    """Our publisher, with every acknowledgement on disk before it counts."""

    def __init__(self, bootstrap: str, ledger: Ledger) -> None:
        super().__init__(bootstrap)
        self._producer = _Noting(self._producer, ledger)

    def numbers(self, numbers: Iterable[int], **named: Any) -> None:
        """The events of these numbers, and after every 25th something that is no event."""
        for number in numbers:
            self.publish(event(number, **named))
            if number % 25 == 0:
                self.publish_raw(TELEMETRY, b"north/dev-0", bad(number))

    def send(self, topic: str, key: bytes | None, value: bytes | None, **more: Any) -> None:
        """Bytes with headers, or on a partition that is not their key's."""
        future = self._producer.send(topic, key=key, value=value, **more)
        with self._changed:
            self._sent += 1
        future.add_callback(self._on_acknowledged)
        future.add_errback(self._on_failed)


def publish_file(bootstrap: str, ledger: Path, numbers: range, at: dt.datetime) -> None:
    """A publisher's process: the events of these numbers, each of that moment, as from a file."""
    with LedgeredPublisher(bootstrap, Ledger(ledger)) as publisher:
        publisher.numbers(numbers, at=at)


# ── the broker ──────────────────────────────────────────────────────────────────────────────────────────


class FaultBroker(Broker):
    """A broker with more listeners: one behind a proxy, whose port it tells, and one with SASL."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.behind_port = ports.any_free()
        self.proxy_port = ports.any_free()
        self.sasl_port = ports.any_free()

    @property
    def proxied(self) -> str:
        return f"127.0.0.1:{self.proxy_port}"

    def start(self) -> None:
        command = prepare(self.home, port=self.port, controller_port=self.controller_port)
        file = self.home / "kafka" / "server.properties"
        file.write_text(self.properties(file.read_text()))
        with open(self.home / "broker.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait()

    def wait(self) -> None:
        from flows.event_source import answers

        assert self.process is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(self.bootstrap):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "broker.log").read_text()[-2000:])

    def properties(self, text: str) -> str:
        """The broker's configuration with the two listeners more."""
        more = f"PROXIED://127.0.0.1:{self.behind_port},SASL://127.0.0.1:{self.sasl_port}"
        told = f"PROXIED://127.0.0.1:{self.proxy_port},SASL://127.0.0.1:{self.sasl_port}"
        text = re.sub(r"(?m)^(listeners=.*)$", rf"\1,{more}", text)
        text = re.sub(r"(?m)^(advertised.listeners=.*)$", rf"\1,{told}", text)
        protocols = "PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT"
        text = re.sub(r"(?m)^(listener.security.protocol.map=.*)$", rf"\1,{protocols}", text)
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return text + (
            "inter.broker.listener.name=PLAINTEXT\n"
            "sasl.enabled.mechanisms=SCRAM-SHA-512\n"
            f"listener.name.sasl.scram-sha-512.sasl.jaas.config={login}\n"
        )

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)

    def password(self, user: str, password: str) -> None:
        """Give a user, known or new, this password."""
        with self.admin() as client:
            done = client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(user, "SCRAM-SHA-512", password)]
            )
        assert done == {user: None}

    @contextlib.contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=60_000)
        try:
            yield client
        finally:
            client.close()

    def empty(self) -> None:
        """Drop all records: what follows begins with an empty log, at offsets of its own."""
        create_topics(self.bootstrap)
        filled = {p: end for p, (first, end) in bounds(self.bootstrap).items() if end > first}
        compacted = {p.topic for p in filled if TOPICS[p.topic].cleanup_policy == "compact"}
        with self.admin() as client:
            if gone := {TopicPartition(*p): end for p, end in filled.items() if p.topic not in compacted}:
                client.delete_records(gone)
            if compacted:
                self.delete(client, compacted)
        create_topics(self.bootstrap)

    def delete(self, client: KafkaAdminClient, topics: Iterable[str]) -> None:
        """Delete topics, and wait until they are gone."""
        client.delete_topics(list(topics))
        while set(topics) & set(client.list_topics()):
            time.sleep(0.05)


def bounds(bootstrap: str) -> dict[Partition, tuple[int, int]]:
    """First and end offset of every partition."""
    source = EventSource(bootstrap, whole_batches=False)
    try:
        return source.bounds()
    finally:
        source.close()


# ── a world: one warehouse, one ledger, one broker ──────────────────────────────────────────────────────


class World:
    """One fault, tried once: everything that is needed and everything that is checked."""

    def __init__(self, folder: Path, broker: FaultBroker, seed: int, **settings: Any) -> None:
        """An empty log, an empty warehouse, and a ledger in `folder`; `settings` are the landing's own."""
        print(f"seed {seed}")
        self.seed = seed
        self.rng = random.Random(seed)
        self.broker = broker
        broker.empty()
        self.start = {p: first for p, (first, _) in bounds(broker.bootstrap).items()}
        self.ledger = Ledger(folder / "acknowledged.ndjson")
        self.log = folder / "worker.log"
        given: dict[str, Any] = {"home": folder, "kafka_bootstrap_servers": broker.bootstrap}
        given |= {"batch_max_events": 400, "batch_max_seconds": 0.1}
        self.settings = Settings.load(**(given | settings))
        self.connection = store.connect(self.settings.location)
        store.migrate(self.connection, self.settings.location)
        self._workers: list[Any] = []
        self.unexpected: list[str] = []

    def close(self) -> None:
        for process in self._workers:
            if process.is_alive():
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.join()
        self.connection.close()

    # what happens

    def publisher(self, bootstrap: str | None = None) -> LedgeredPublisher:
        return LedgeredPublisher(bootstrap or self.broker.bootstrap, self.ledger)

    def publish(self, numbers: Iterable[int], **named: Any) -> None:
        with self.publisher() as publisher:
            publisher.numbers(numbers, **named)

    @contextlib.contextmanager
    def streaming(
        self, *, first: int = 0, per_turn: int = 25, pause: float = 0.05, bootstrap: str | None = None
    ) -> Iterator[Callable[[], int]]:
        """Events stream while this lasts; gives how many were sent so far."""
        enough, sent = threading.Event(), [first]

        def stream() -> None:
            try:
                publisher = self.publisher(bootstrap)
                while not enough.wait(pause):
                    publisher.numbers(range(sent[0], sent[0] + per_turn))
                    sent[0] += per_turn
                publisher.close(PATIENCE_SECONDS)
            except Exception as error:
                self.unexpected.append(f"the publisher: {type(error).__name__}: {error}")

        thread = threading.Thread(target=stream, name="stream")
        thread.start()
        try:
            yield lambda: sent[0]
        finally:
            enough.set()
            thread.join()

    def worker(self, step: str | None = None, **plan: Any) -> Any:
        """A worker process."""
        settings = plan.pop("settings", self.settings)
        chosen = Plan(settings, self.log, step, seed=self.rng.getrandbits(32), **plan)
        return self._start(run, chosen)

    def publishing_process(self, numbers: range, at: dt.datetime) -> Any:
        """A process that publishes these, and ends."""
        self.ledger.sent |= {_digest(bad(number)) for number in numbers}
        return self._start(publish_file, self.broker.bootstrap, self.ledger.file, numbers, at)

    def _start(self, target: Callable[..., None], *args: Any) -> Any:
        self._workers.append(start(target, *args))
        return self._workers[-1]

    @contextlib.contextmanager
    def landing(self, *, clock: Callable[[], dt.datetime] = utc_now, **settings: Any) -> Iterator["Landing"]:
        """A lander in a thread of this process, as long as this lasts."""
        landing = Landing(self, self.settings.model_copy(update=settings), clock)
        try:
            yield landing
        finally:
            landing.stop()

    def drain(self, **named: Any) -> None:
        """Land in this process until nothing is left: oracle O3."""
        with self.landing(**named) as landing:
            self.until(self.drained, lambda: landing.error)
        if landing.error:
            raise landing.error

    def until(self, holds: Callable[[], bool], failed: Callable[[], Any] = lambda: None) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        while not holds():
            if failed():
                return
            assert time.monotonic() < deadline, f"did not come in time; lag {self.lag()}"
            pause.wait(0.05)

    def lag(self) -> int:
        held = progress(self.connection)
        ends = bounds(self.broker.bootstrap)
        return sum(end - held.get(p, self.start.get(p, 0)) for p, (_, end) in ends.items())

    def drained(self) -> bool:
        return self.lag() == 0

    def landed_batches(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM landing.batch").fetchall()[0][0])

    def account(self) -> dict[str, int]:
        """What the books say in all."""
        found = self.connection.execute(
            "SELECT count(DISTINCT batch_id), coalesce(sum(consumed), 0)::BIGINT,"
            " coalesce(sum(landed), 0)::BIGINT, coalesce(sum(duplicate), 0)::BIGINT,"
            " coalesce(sum(quarantined), 0)::BIGINT FROM landing.batch"
        ).fetchall()[0]
        names = ("batches", "consumed", "landed", "duplicate", "quarantined")
        return dict(zip(names, found, strict=True))

    # what must hold

    def violations(self, *, duplicates: int | None = None) -> list[str]:
        """All that does not hold of O1, O4 and O5; empty when all is well."""
        landed, quarantined = self.landed(), self.quarantined()
        return [
            *nothing_lost(self.ledger, landed, quarantined),
            *_nothing_doubled(landed, quarantined),
            *_nothing_invented(self.ledger, landed, quarantined),
            *self._books(landed, quarantined, duplicates),
            *self._tracebacks(),
            *self.unexpected,
        ]

    def landed(self) -> list[tuple[str, str]]:
        """Id and content of every landed row, by a full scan."""
        found: list[tuple[str, str]] = self.connection.execute(
            """
            SELECT id, format('{} {} {:.3f}', source, device_id, depth_error_mm) FROM raw.device_calibrated
            UNION ALL
            SELECT id, format('{} {} {} {:.2f}', source, device_id, sequence, depth_mm[2]::DOUBLE)
            FROM raw.telemetry_frame
            """
        ).fetchall()
        return found

    def quarantined(self) -> list[tuple[str, int, int, bytes | None]]:
        found: list[tuple[str, int, int, bytes | None]] = self.connection.execute(
            'SELECT topic, "partition", "offset", value FROM landing.quarantine'
        ).fetchall()
        return found

    def _books(self, landed: list[Any], quarantined: list[Any], duplicates: int | None) -> Iterator[str]:
        """Σ ledger = Kafka's end − start, without gap or overlap, and equal to what is there."""
        held = progress(self.connection)
        for partition, (_, end) in bounds(self.broker.bootstrap).items():
            at = self.start[partition]
            for first, next_ in self.connection.execute(
                'SELECT first_offset, next_offset FROM landing.batch WHERE topic = ? AND "partition" = ?'
                " ORDER BY first_offset, next_offset",
                list(partition),
            ).fetchall():
                if first != at:
                    yield f"books: {partition} has a batch from {first} after {at}"
                at = next_
            if not at == held.get(partition, self.start[partition]) == end:
                yield f"books: {partition} ends at {end}, books {at}, progress {held.get(partition)}"
        consumed, booked, repeated, refused = self.connection.execute(
            "SELECT coalesce(sum(consumed), 0)::BIGINT, coalesce(sum(landed), 0)::BIGINT,"
            " coalesce(sum(duplicate), 0)::BIGINT, coalesce(sum(quarantined), 0)::BIGINT FROM landing.batch"
        ).fetchall()[0]
        if consumed != booked + repeated + refused:
            yield f"books: consumed {consumed} is not {booked} + {repeated} + {refused}"
        if (booked, refused) != (len(landed), len(quarantined)):
            yield f"books: {booked} and {refused} booked, {len(landed)} and {len(quarantined)} are there"
        if duplicates is not None and repeated != duplicates:
            yield f"duplicates: {repeated} instead of {duplicates}"

    def _tracebacks(self) -> Iterator[str]:
        log = self.log.read_text() if self.log.exists() else ""
        for found in re.findall(r"(?m)^Traceback[\s\S]*?^\S.*Error.*$", log)[:3]:
            yield f"traceback: {found[-300:]}"


class Landing:
    """A lander running in a thread of the test's own process."""

    def __init__(self, world: World, settings: Settings, clock: Callable[[], dt.datetime]) -> None:
        self.totals = Totals()
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._connection = store.cursor(world.connection)
        self._lander = Lander(settings, self._connection, clock)
        self._thread = threading.Thread(target=self._run, name="lander")
        self._thread.start()

    def _run(self) -> None:
        def keep(totals: Totals) -> None:
            self.totals = totals

        try:
            self._lander.run(self._stop, seconds=3600, after_batch=keep)
        except BaseException as error:
            self.error = error
        finally:
            self._lander.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()


def nothing_lost(ledger: Ledger, landed: list[Any], quarantined: list[Any]) -> Iterator[str]:
    """Every acknowledged message is landed, or in quarantine at its place with the bytes that were sent."""
    ids = {id_ for id_, _ in landed}
    places = {(t, p, o): _digest(value).hex() for t, p, o, value in quarantined}
    lines = ledger.lines()
    lost = [
        line
        for line in lines
        if (line["id"] or _odd_id(ledger, line)) not in ids
        and places.get((line["topic"], line["partition"], line["offset"])) != line["digest"]
    ]
    if lost:
        yield f"lost: {len(lost)} of {len(lines)} acknowledged, as {lost[0]}"


def _odd_id(ledger: Ledger, line: dict[str, Any]) -> str | None:
    """The identifier that a message bears, if it is an event at all."""
    try:
        return decode(ledger.odd.get(line["digest"]), now=utc_now())[0].id
    except ContractViolation:
        return None


def _nothing_doubled(landed: list[Any], quarantined: list[Any]) -> Iterator[str]:
    if twice := len(landed) - len({id_ for id_, _ in landed}):
        yield f"doubled: {twice} landed again"
    if twice := len(quarantined) - len({place[:3] for place in quarantined}):
        yield f"doubled: {twice} quarantined again"


def _nothing_invented(ledger: Ledger, landed: list[Any], quarantined: list[Any]) -> Iterator[str]:
    wrong = [id_ for id_, content in landed if id_.startswith("e-") and content != _content(int(id_[2:]))]
    if wrong:
        yield f"content: {len(wrong)} differ from what was sent, as {wrong[0]}"
    unsent = [place for *place, value in quarantined if _digest(value) not in ledger.sent]
    if unsent:
        yield f"invented: {len(unsent)} in quarantine that nobody sent, as {unsent[0]}"


class Heard:
    """Whether something was said aloud, so many times, since the last who asked pytest for the output."""

    def __init__(self, capfd: Any, words: str, *, times: int = 1) -> None:
        self._capfd = capfd
        self._words = words
        self._times = times
        self.text = ""

    def __call__(self) -> bool:
        self.text += "".join(self._capfd.readouterr())
        return self.text.count(self._words) >= self._times


def kinds(violations: Iterable[str]) -> set[str]:
    """What kind they are: lost, doubled, books, …"""
    return {violation.split(":")[0] for violation in violations}


@contextlib.contextmanager
def mutated(name: str) -> Iterator[None]:
    """This process with a naive mistake in it."""
    with MUTANTS[name]():
        yield
