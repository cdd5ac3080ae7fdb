"""A window of the stream sent whole: frames written by a compiled loop, records packed into blocks.

Order holds within each key, as Kafka promises it and no more; across keys it is that of the windows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from producers.contracts import encode, partition_key
from producers.contracts.events import TELEMETRY
from producers.record_blocks import Blocks, Bytes, joined, partitions
from producers.simulator.clinic_days import Slice
from producers.simulator.frames import frames
from producers.simulator.items import Item, Malformed, event_of
from producers.simulator.stream import Window
from producers.simulator.telemetry import Stretch

Place = tuple[str, int]
"""Topic and partition."""


class Bulk:
    """Packs windows for topics of known numbers of partitions, and hands full blocks to `send`.

    `send_raw` takes what is not packed, and may overtake what is: malformed events, which may lack a value.
    """

    def __init__(
        self,
        partitions_of: Callable[[str], int],
        send: Callable[[str, int, Bytes, int], None],
        send_raw: Callable[[str, bytes, bytes | None], None],
    ) -> None:
        self._partitions_of = partitions_of
        self._send = send
        self._send_raw = send_raw
        self._blocks: defaultdict[Place, Blocks] = defaultdict(Blocks)
        self._devices: dict[str, tuple[Bytes, int]] = {}

    def add(self, window: Window) -> None:
        """Pack everything of a window; what is full is sent."""
        plain: defaultdict[str, list[Item]] = defaultdict(list)
        of_device: defaultdict[str, list[Item]] = defaultdict(list)
        for made in window.items:
            content = made[4]
            if isinstance(content, Malformed):
                self._send_raw(made[3], content.key, content.value)
            elif made[3] == TELEMETRY.name and window.frames:
                of_device[partition_key(event_of(made)).partition("/")[2]].append(made)
            else:
                plain[made[3]].append(made)
        for topic, items in plain.items():
            self._add_items(topic, items)
        for part in _by_device(window.frames, of_device):
            if isinstance(part, list):
                self._add_items(TELEMETRY.name, part)
            else:
                self._add_frames(part)

    def rest(self) -> None:
        """Send the blocks begun."""
        for (topic, partition), blocks in self._blocks.items():
            for block, count in blocks.rest():
                self._send(topic, partition, block, count)

    def _add_items(self, topic: str, items: list[Item]) -> None:
        keys = [partition_key(event_of(made)).encode() for made in items]
        places = partitions(*joined(keys), self._partitions_of(topic)).tolist()
        groups: defaultdict[int, tuple[list[bytes], list[bytes]]] = defaultdict(lambda: ([], []))
        for made, key, place in zip(items, keys, places, strict=True):
            group = groups[place]
            group[0].append(key)
            group[1].append(encode(event_of(made)))
        for place, (its_keys, values) in groups.items():
            for block, count in self._blocks[topic, place].add(*joined(its_keys), *joined(values)):
                self._send(topic, place, block, count)

    def _add_frames(self, part: Slice) -> None:
        stretch, first, end = part
        key, partition = self._device(f"{stretch.clinic.clinic_id}/{stretch.device_id}")
        values, ends = frames(stretch, first, end)
        blocks = self._blocks[TELEMETRY.name, partition]
        for block, count in blocks.add(key, np.array([len(key)]), values, ends):
            self._send(TELEMETRY.name, partition, block, count)

    def _device(self, key: str) -> tuple[Bytes, int]:
        """A device's key as bytes, and its partition."""
        if key not in self._devices:
            text, ends = joined([key.encode()])
            place = int(partitions(text, ends, self._partitions_of(TELEMETRY.name))[0])
            self._devices[key] = text, place
        return self._devices[key]


def _by_device(slices: list[Slice], items: dict[str, list[Item]]) -> Iterator[Slice | list[Item]]:
    """Each device's frames and other events in order: an event cuts the frames around it."""
    waiting = dict(items)
    for stretch, begin, end in sorted(slices, key=lambda cut: (cut[0].device_id, cut[0].first_sequence)):
        first = begin
        own = waiting.pop(stretch.device_id, [])
        while own and _comes_before(own[0], stretch, end):
            cut = min(end, max(first, stretch.before(own[0][0] + (own[0][2] > f"t-{stretch.device_id}"))))
            if first < cut:
                yield stretch, first, cut
            first = cut
            yield [own.pop(0)]
        if own:
            waiting[stretch.device_id] = own
        if first < end:
            yield stretch, first, end
    yield from waiting.values()


def _comes_before(made: Item, stretch: Stretch, end: int) -> bool:
    """Whether an event comes before the last of the frames up to `end`."""
    last = stretch.starts + (end - 1) * stretch.step
    return made[0] < last or (made[0] == last and made[2] < f"t-{stretch.device_id}")
