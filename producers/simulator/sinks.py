"""Where a run's events go besides Kafka: a file of one event a line, or both."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from producers.contracts import Event, SettingsError, encode


class NdjsonFile:
    """Appends each event's bytes as a line; what was written at a flush is on the disk.

    Topics and keys have no place in it, so what is wrong only there looks right; an event without a value is
    left out. Opened again after a crash, a line that was cut short is removed.
    """

    def __init__(self, path: Path) -> None:
        """Raises SettingsError for a file that cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._file: BinaryIO = path.open("r+b")
            _cut_to_whole_lines(self._file)
        except OSError as error:
            raise SettingsError(f"cannot write {path} ({error.strerror})") from None
        self._written = 0

    @property
    def acknowledged(self) -> int:
        """Events taken so far."""
        return self._written

    @property
    def backlog(self) -> int:
        """None: a line is taken at once."""
        return 0

    def publish(self, event: Event[Any], topic: str | None = None) -> None:
        """Write one event."""
        self.publish_raw("", None, encode(event))

    def publish_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Write bytes as they are, valid or not."""
        if value is not None:
            self._file.write(value + b"\n")
        self._written += 1

    def flush(self, timeout: float = 0.0) -> None:
        """Bring what was written to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> "NdjsonFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _cut_to_whole_lines(file: BinaryIO) -> None:
    """Leave the position at the end of the last whole line, and nothing behind it."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - 65_536)
        file.seek(begin)
        last = file.read(end - begin).rfind(b"\n")
        end = begin + last + 1
        if last >= 0:
            break
    file.truncate(end)
    file.seek(end)


class Both:
    """Sends every event to a publisher and to a file; acknowledged is what both have."""

    def __init__(self, publisher: Any, file: NdjsonFile) -> None:
        self._publisher = publisher
        self._file = file

    @property
    def acknowledged(self) -> int:
        """Events that the broker has acknowledged."""
        return int(self._publisher.acknowledged)

    @property
    def backlog(self) -> int:
        """Events that the broker has not acknowledged yet."""
        return int(self._publisher.backlog)

    def publish(self, event: Event[Any], topic: str | None = None) -> None:
        """Send and write one event."""
        self._publisher.publish(event, topic)
        self._file.publish(event, topic)

    def publish_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Send and write bytes as they are."""
        self._publisher.publish_raw(topic, key, value)
        self._file.publish_raw(topic, key, value)

    def flush(self, timeout: float = 30.0) -> None:
        """Wait for the broker and the disk."""
        self._publisher.flush(timeout)
        self._file.flush()
