"""Groups of subcommands, one module each, loaded only when asked for; here is what all of them share."""

import logging
import re
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

Home = Annotated[Path | None, Parameter(help="Folder of all local state [default: .dermastream]")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="For machines: one JSON document")]


def settings_of(home: Path | None, *, discover: bool = True) -> Any:
    """The settings in force; with `discover`, a running stack in the same home supplies its addresses."""
    from flows.settings import Settings
    from flows.stack import state

    settings = Settings.load(**({"home": home} if home else {}))
    return state.discover(settings) if discover else settings


def log_json() -> None:
    """One JSON object a line on standard error."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(levelname)s %(message)s")


def _seconds(type_: Any, tokens: Any) -> float:
    """`90`, `90s`, `15m`, `2h` as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", tokens[0].value)
    if not match:
        raise ValueError("a duration like 90s, 15m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


Duration = Annotated[float | None, Parameter(converter=_seconds)]
