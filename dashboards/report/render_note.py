"""A short mail: a few paragraphs, facts and links, perhaps a chart. For signals and delays."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dashboards.report.chart import png
from dashboards.report.render_html import TEMPLATES
from dashboards.report.render_mail import MailPage


@dataclass(frozen=True)
class Note:
    """What the mail says. `links` are pairs of text and address; `chart` is an SVG, empty for none."""

    subject: str
    paragraphs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    chart: str = ""
    chart_alt: str = ""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Note":
        """From what `content` gave."""
        return msgspec.convert(content, cls)

    def content(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return dataclasses.asdict(self)


def render_note(note: Note) -> tuple[MailPage, str]:
    """HTML and plain text; the same note gives the same."""
    html = TEMPLATES.get_template("note.html.j2").render(note=note)
    lines = [note.subject, "-" * len(note.subject), "", *_spaced(note.paragraphs)]
    lines += [f"{name}: {text}" for name, text in note.facts]
    lines += ["", *(f"{text}: {href}" for text, href in note.links if href)]
    return MailPage(html, {"chart": png(note.chart)} if note.chart else {}), "\n".join(lines) + "\n"


def _spaced(paragraphs: tuple[str, ...]) -> list[str]:
    return [line for paragraph in paragraphs for line in (paragraph, "")]
