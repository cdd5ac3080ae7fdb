"""Everything a page loads beside itself, served from this machine under names that carry their content.

htmx comes from the files that django-htmx carries (Django is never imported), Vega from vl-convert.
"""

import functools
import gzip
import hashlib
import importlib.metadata
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dashboards import rendering

_STATIC = Path(__file__).parent / "static"
_HTMX = "django_htmx/static/django_htmx"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file, compressed once."""

    name: str
    compressed: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> "Asset":
        return cls(name, gzip.compress(content, 9, mtime=0))

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.compressed).hexdigest()[:16]

    @property
    def media_type(self) -> str:
        return _TYPES[Path(self.name).suffix]


def _installed(name: str) -> bytes:
    """A file of the installed django-htmx."""
    return Path(
        str(importlib.metadata.distribution("django-htmx").locate_file(f"{_HTMX}/{name}"))
    ).read_bytes()


class Assets:
    """All assets by name. Vega is bundled in a process of its own: here it would cost 120 MB for good."""

    def __init__(self) -> None:
        content = {file.name: file.read_bytes() for file in sorted(_STATIC.iterdir())}
        # One file: as two deferred ones, a slow second would come after htmx has looked for its extensions.
        content["htmx.js"] = _installed("htmx-4.min.js") + b"\n" + _installed("ext/hx-sse-4.min.js")
        self._small = {name: Asset.of(name, text) for name, text in content.items()}

    def get(self, name: str) -> Asset | None:
        """The asset of that name; null where there is none."""
        return _vega() if name == "vega.js" else self._small.get(name)

    def warm(self) -> None:
        """Bundle Vega now, on another thread, so that no page has to wait for it."""
        threading.Thread(target=_vega, name="bundle-vega", daemon=True).start()

    def url(self, name: str) -> str:
        """Where a page finds it; another content has another address."""
        version = rendering.bundle_version() if name == "vega.js" else self._small[name].digest
        return f"/assets/{version}/{name}"


_bundling = threading.Lock()


def _vega() -> Asset:
    """The bundle, made once a process; who comes meanwhile waits for it."""
    with _bundling:
        return _bundled()


@functools.cache
def _bundled() -> Asset:
    return Asset.of("vega.js", rendering.bundle())
