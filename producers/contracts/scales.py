"""The named scales of an assessment: range, direction, and where both come from."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower-is-better", "higher-is-better"]


@dataclass(frozen=True)
class Scale:
    """A scale from `low` to `high`, both included, in its own unit."""

    low: float
    high: float
    direction: Direction
    source: str


SCALES: dict[str, Scale] = {
    "gais": Scale(
        1, 5, "lower-is-better",
        "Global Aesthetic Improvement Scale: 1 very much improved, 4 no change, 5 worse [L]; "
        "some papers number it the other way round, so state the direction",
    ),
    "goodman-baron": Scale(
        1, 4, "lower-is-better", "Goodman and Baron's qualitative acne scar grading: 1 macular, 4 severe [L]"
    ),
    "satisfaction": Scale(0, 100, "higher-is-better", "patient satisfaction, percent [A]"),
    "vas": Scale(0, 10, "lower-is-better", "visual analogue scale of pain: 0 none, 10 worst [L]"),
}  # fmt: skip
"""ECCA, MASI, POSAS, SCAR-Q and FACE-Q are not here: their ranges have not been confirmed yet."""
