"""Vega work in a short-lived process: the JavaScript engine inside vl-convert keeps what it takes.

Run as a file it is that process: `rendering.py bundle` writes the browser's bundle, `rendering.py svg` turns
the Vega-Lite specification and the locale on its input into SVG, `png` into PNG. As a module it starts
that process.
"""

import functools
import importlib.metadata
import json
import subprocess
import sys
import threading
from typing import Any

VEGA_LITE = "6.4"
_SECONDS = 60
_one_at_a_time = threading.Lock()


def bundle() -> bytes:
    """Vega, Vega-Lite and Vega-Embed as one script that sets `vegaEmbed`."""
    return _run("bundle")


def bundle_version() -> str:
    """Changes whenever the bundle may."""
    return f"{importlib.metadata.version('vl-convert-python')}-{VEGA_LITE}"


def svg(spec: dict[str, Any], locale: dict[str, Any]) -> bytes:
    """The chart as a picture, for readers without scripts; `locale` as `language.chart_locale` gives it."""
    return _svg(json.dumps([spec, locale]))


def png(spec: dict[str, Any], locale: dict[str, Any]) -> bytes:
    """The chart as a picture in points, at twice its size for sharp print."""
    return _run("png", json.dumps([spec, locale]).encode())


@functools.lru_cache(64)
def _svg(given: str) -> bytes:
    return _run("svg", given.encode())


def _run(what: str, given: bytes = b"") -> bytes:
    # -P: our folder must not come before the libraries on the path.
    command = [sys.executable, "-P", __file__, what]
    with _one_at_a_time:
        return subprocess.run(command, input=given, capture_output=True, check=True, timeout=_SECONDS).stdout


def _main(what: str) -> None:
    import vl_convert

    if what == "bundle":
        made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE).encode()
    else:
        spec, locale = json.load(sys.stdin)
        given = {
            "vl_version": VEGA_LITE,
            "format_locale": locale["formatLocale"],
            "time_format_locale": locale["timeFormatLocale"],
        }
        if what == "svg":
            made = vl_convert.vegalite_to_svg(spec, **given).encode()
        else:
            made = vl_convert.vegalite_to_png(spec, scale=2, **given)
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    _main(sys.argv[1])
