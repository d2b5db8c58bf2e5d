"""The report as email, as page and as text: one story in three forms."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from report.facts import Facts
from report.sections import Code, Image, Items, Paragraph, Section, Table, sections
from report.verdict import comparison, subject, what_happened, what_to_do
from report.words import isolated, shown, table_text

if TYPE_CHECKING:
    from report.pictures import Picture

COMMAND = "    "
"""What lines of a remedy begin with that are to be pasted."""

WIDTH = 600
"""Pixels of a picture, and of an email."""

LONGEST_WORD = 24
"""Characters of a word that a phone shows on one line beside other columns."""

_ADDRESS = re.compile(r"https?://[^\s<>&\"'()]+(?:&amp;[^\s<>&\"'()]+)*(?<![.,;:])")

MAX_MAIL = 90_000
"""Bytes of an email's HTML: Gmail cuts off what is beyond about 102,000."""


def page(facts: Facts, pictures: Sequence[Picture] = ()) -> str:
    """Return the report as a page, with its pictures in it."""
    sources = {p.name: f"data:image/png;base64,{b64encode(p.png).decode()}" for p in pictures}
    return _html("page.html", facts, pictures, sources, _sections(facts, pictures))


def mail(facts: Facts, pictures: Sequence[Picture] = ()) -> str:
    """Return the HTML part of the email; its pictures are attached by their names.

    Sections that would make it longer than `MAX_MAIL` are left to the page, the last first.
    """
    sources = {picture.name: f"cid:{picture.name}" for picture in pictures}
    parts = [section for section in _sections(facts, pictures) if section.in_mail]
    while True:
        html = _html("mail.html", facts, pictures, sources, parts)
        if len(html.encode()) <= MAX_MAIL or not parts:
            return html
        parts = parts[:-1]


def text(facts: Facts, *, headings_only: bool = False) -> str:
    """Return the report as plain text: what the email says, or the verdict alone."""
    parts = [shown(subject(facts)), "\n".join(map(shown, what_happened(facts)))]
    if facts.problem:
        parts.append(f"Why: {_lines(facts.problem['message'])}")
        parts.append(f"What to do: {_lines(facts.problem['remedy'])}")
    elif next_step := what_to_do(facts):
        parts.append(shown(next_step))
    if facts.metrics:
        parts.append("\n".join(table_text(comparison(facts.metrics))))
    if not headings_only:
        parts += ["\n".join(_section_text(part)) for part in sections(facts) if part.in_mail]
    return "\n\n".join(filter(None, parts)) + "\n"


def _sections(facts: Facts, pictures: Sequence[Picture]) -> list[Section]:
    return sections(facts, [picture.name for picture in pictures])


def _section_text(section: Section) -> Iterator[str]:
    yield section.title
    for block in section.blocks:
        match block:
            case Paragraph(told):
                yield shown(told)
            case Items(items):
                yield from (f"- {shown(item)}" for item in items)
            case Table(rows):
                yield from table_text([[shown(cell) for cell in row] for row in rows])
            case Code(told):
                yield from (f"{COMMAND}{line}" for line in told.splitlines())
            case Image():
                pass


def _lines(told: str) -> str:
    return "\n".join(map(shown, told.splitlines()))


def _html(
    template: str,
    facts: Facts,
    pictures: Sequence[Picture],
    sources: Mapping[str, str],
    parts: Sequence[Section],
) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            facts=facts,
            subject=subject(facts),
            happened=what_happened(facts),
            next_step=what_to_do(facts),
            comparison=comparison(facts.metrics) if facts.metrics else None,
            parts=parts,
            pictures={picture.name: picture for picture in pictures},
            sources=sources,
            width=WIDTH,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        finalize=lambda value: isolated(shown(value)) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pieces"] = _pieces
    environment.filters["figure"] = _figure
    environment.filters["code"] = _code
    environment.filters["wrap"] = _wrap
    environment.filters["linked"] = _linked
    return environment


def _pieces(told: str) -> list[tuple[bool, str]]:
    """Return the lines of a message or remedy, and of each whether it is to be pasted."""
    return [(line.startswith(COMMAND), line.removeprefix(COMMAND)) for line in told.splitlines()]


def _figure(told: str) -> Markup:
    """Return a number with its unit, which never breaks."""
    return escape(isolated(shown(told)).replace(" %", "\N{NO-BREAK SPACE}%"))


def _code(told: str) -> Markup:
    """Return lines to be pasted, each as it is but for control characters."""
    return Markup("\n").join(shown(line) for line in told.splitlines())


def _linked(told: str) -> Markup:
    """Return a text in which addresses can be followed."""
    link = '<a href="\\g<0>" style="color:inherit">\\g<0></a>'
    return Markup(_ADDRESS.sub(link, str(escape(isolated(shown(told))))))  # noqa: S704 - is escaped


def _wrap(told: str) -> str:
    """Return how a cell wraps: words break only where they are too long for a phone."""
    return "anywhere" if max(map(len, told.split()), default=0) > LONGEST_WORD else "normal"
