"""The golden reports: one network's and one clinic's edition as files, so that a review sees what changes.

    uv run python -m tests.report.golden

writes them anew; look at `git diff tests/report/golden` and commit what is meant. The world is fixed: weeks,
clinics and results of tests/report/world.py, no clock, no chance.
"""

import dataclasses
import email
import email.policy
import io
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pypdf

from dashboards.report import ReportData, freeze, issue
from dashboards.report.render_pdf import render_pdf
from flows.delivery.mail import compose
from tests.report import world
from warehouse.deliveries import Delivery, Key

FOLDER = Path(__file__).parent / "golden"
EDITIONS = {"network": None, "clinic-north": "north"}


def main() -> None:
    """Write every golden file anew."""
    with tempfile.TemporaryDirectory() as home:
        for edition, data in frozen(Path(home)).items():
            for name, content in documents(data, Path(home)).items():
                file = FOLDER / edition / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                print(file)


def frozen(home: Path) -> dict[str, ReportData]:
    """The editions, frozen from a new warehouse under `home`. Its snapshots count migrations too, which are
    no part of a report: they are all called 1."""
    connection, location = world.fill(home)
    world.write(connection, location, world.usual() + world.eleven_weeks_before())
    found = {
        edition: freeze(
            connection,
            week=world.WEEK,
            clinic=clinic,
            computed_at=world.NOW,
            dashboard_url="https://dash.example",
        )
        for edition, clinic in EDITIONS.items()
    }
    connection.close()
    return {edition: dataclasses.replace(data, snapshot_id=1) for edition, data in found.items()}


def documents(data: ReportData, archive: Path) -> dict[str, bytes]:
    """Each golden file of one edition: its name and what is in it."""
    paths = {path.suffix: path for path in issue(archive, data)}
    return {
        "frozen.json": _rounded(paths[".json"].read_bytes()),
        "appendix.csv": _rounded(paths[".csv"].read_bytes().replace(b"\r\n", b"\n")),
        "mail.txt": _mail(data, paths[".json"], archive).encode(),
        "pdf.txt": ("\n".join(_pdf(data)) + "\n").encode(),
    }


def _rounded(content: bytes) -> bytes:
    """Numbers to twelve digits: the world's intervals are the processor's beyond that."""
    return re.sub(rb"\d+\.\d{11,}", lambda found: f"{float(found[0]):.12g}".encode(), content)


def _mail(data: ReportData, issued: Path, archive: Path) -> str:
    """The headers of the mail, its parts and its plain text."""
    stem = issued.relative_to(archive).with_suffix("").as_posix()
    key = Key("mail", "weekly", data.week, data.edition, "reader", 1)
    delivery = Delivery(key.id, key, json.dumps({"report": stem}), "planned", None, 0, world.NOW, None)
    made = compose(delivery, "reader@d.example", "R <r@net.example>", archive, attach_pdf=True)
    mail = email.message_from_bytes(made, policy=email.policy.default)
    assert isinstance(mail, email.message.EmailMessage)
    text = mail.get_body(("plain",))
    assert text is not None
    headers = [f"{name}: {mail[name]}" for name in ("Subject", "From", "To", "Date", "Message-ID")]
    parts = [f"part: {part.get_content_type()} {part.get_filename() or ''}".rstrip() for part in mail.walk()]
    return "\n".join([*headers, *parts, "", text.get_content()])


def _pdf(data: ReportData) -> Iterator[str]:
    """Title, language, each page's size and text, then the tree of tags with alternative texts."""
    document = pypdf.PdfReader(io.BytesIO(render_pdf(data)))
    root = document.trailer["/Root"]
    assert document.metadata is not None
    yield f"title: {document.metadata.title}"
    yield f"language: {root['/Lang']}"
    for number, page in enumerate(document.pages, 1):
        yield f"== page {number}: {page.mediabox.width:.0f} x {page.mediabox.height:.0f} pt =="
        yield from (line.rstrip() for line in page.extract_text().splitlines() if line.strip())
    yield "== tags =="
    yield from _tags(root["/StructTreeRoot"], "")


def _tags(node: pypdf.generic.DictionaryObject, indent: str) -> Iterator[str]:
    """One line a tag; what repeats is counted."""
    children = node.get("/K", [])
    found = [child.get_object() for child in (children if isinstance(children, list) else [children])]
    lines = [[*_tag(child, indent)] for child in found if isinstance(child, dict) and "/S" in child]
    times = 0
    for i, block in enumerate(lines):
        times += 1
        if i + 1 == len(lines) or lines[i + 1] != block:
            yield block[0] + (f" x {times}" if times > 1 else "")
            yield from block[1:]
            times = 0


def _tag(element: pypdf.generic.DictionaryObject, indent: str) -> Iterator[str]:
    alt = re.sub(r"\s+", " ", str(element.get("/Alt", "")))
    yield f"{indent}{element['/S']}" + (f" alt: {alt}" if alt else "")
    yield from _tags(element, indent + "  ")


if __name__ == "__main__":
    main()
