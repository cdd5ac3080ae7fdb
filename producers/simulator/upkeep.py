"""What is done to a clinic's devices, and what they complain of: service, firmware, faults.

Each device's day has randomness of its own.
"""

import datetime as dt
from collections.abc import Iterator

from producers.contracts.events import TELEMETRY, Data, DeviceFaulted, DeviceFirmwareUpdated, DeviceServiced
from producers.simulator.items import Item, item
from producers.simulator.world import Clinic, Device, World, rng_for

_FAULTS = (
    ("battery-low", "cartridge-not-seated", "motor-overcurrent", "overheating", "motor-stall"),
    (0.4, 0.3, 0.15, 0.1, 0.05),  # [A]
)


class Upkeep:
    """One clinic's upkeep, day after day; remembers which firmware a device has, and when it was serviced."""

    def __init__(self, world: World, clinic: Clinic) -> None:
        self._world = world
        self._parameters = world.parameters
        self._clinic = clinic
        self._firmware = {d.device_id: d.registered.firmware for d in clinic.devices}
        self._served_on: dict[str, dt.date] = {}

    def items(self, day: dt.date, hours: tuple[int, int]) -> Iterator[Item]:
        """What happens to the devices on a working day between those seconds, in no order."""
        for index, device in enumerate(self._clinic.devices):
            rng = rng_for(self._world.seed, "upkeep", self._clinic.number, day.toordinal(), index)
            before = hours[0] - 3600 + 300 * index  # before the first patient
            if self._service_is_due(device, day):
                self._served_on[device.device_id] = day
                parts = ["battery"] if rng.random() < self._parameters.battery_replaced else []
                service = DeviceServiced(device_id=device.device_id, kind="routine", parts_replaced=parts)  # type: ignore[arg-type]
                yield self._item(before, f"serviced-{day}", device, "device.serviced.v1", service)
            if (newest := self._world.firmware_on(self._clinic, day)) > self._firmware[device.device_id]:
                update = DeviceFirmwareUpdated(
                    device_id=device.device_id,
                    firmware=newest,
                    previous_firmware=self._firmware[device.device_id],
                )
                self._firmware[device.device_id] = newest
                yield self._item(
                    before + 60, f"firmware-{newest}", device, "device.firmware-updated.v1", update
                )
            if rng.random() < self._parameters.faults_per_device_day:
                fault = rng.choices(*_FAULTS)[0]
                halted = fault in ("motor-stall", "overheating")
                second = rng.randrange(*hours)
                fault_data = DeviceFaulted(device_id=device.device_id, fault=fault, halted=halted)  # type: ignore[arg-type]
                yield self._item(second, f"fault-{day}", device, "device.faulted.v1", fault_data)

    def firmware(self, device: Device) -> str:
        """What a device runs now."""
        return self._firmware[device.device_id]

    def _item(self, second: int, what: str, device: Device, type_: str, data: Data) -> Item:
        event_id = f"u-{device.device_id}-{what}"
        return item(self._clinic.source, self._clinic.number, second, event_id, TELEMETRY.name, type_, data)

    def _service_is_due(self, device: Device, day: dt.date) -> bool:
        last = self._served_on.get(device.device_id, device.registered.in_service_on)
        return (day - last).days >= self._parameters.service_days
