"""The report as Markdown, and foreign text in it: shown as it is, never read as markup or link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from reports.content import make_content
from reports.document import (
    Block,
    Bullets,
    Entry,
    Heading,
    Paragraph,
    Picture,
    Section,
    Table,
    Terms,
    board_sections,
    evidence_sections,
)
from reports.export.files import publish
from reports.load import RunView, load_run
from reports.text import Language, Text, load_text

FILE_NAME: Final = "report.md"

_SIGNS: Final = re.compile(
    r"[\\`*_{}\[\]<>#|~$&!@]"  # what marks up, anywhere in a line
    r"|:(?=//)"  # what starts a bare address
    r"|(?<=www)\."
    r"|^[-+=](?![\d.])|(?<=^\d)[.)](?=\s)|(?<=^\d\d)[.)](?=\s)"  # a list, a line, a heading
    r"|[\r\n]",
    re.IGNORECASE,
)


def literal(value: object) -> str:
    r"""Return text with every sign that Markdown or HTML could read as its own as an entity.

    >>> literal("*a* <b> | http://x")
    '&#42;a&#42; &#60;b&#62; &#124; http&#58;//x'
    """
    return _SIGNS.sub(lambda found: f"&#{ord(found[0])};", str(value))


def template(name: str) -> Template:
    """Return a Markdown template whose every value is shown as it is."""
    environment = Environment(  # noqa: S701  # `literal` escapes for Markdown, and HTML in it
        loader=PackageLoader("reports", "templates"), finalize=literal, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(name)


def write_markdown(run: Path, out: Path | None, *, language: Language = "ja") -> Path:
    """Write the report of a run folder as Markdown and return its path.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
    """
    text = load_text(language)
    return publish(out or run / FILE_NAME, render(load_run(run), text).encode())


def render(view: RunView, text: Text) -> str:
    """Return the report as Markdown: every word of the HTML report, without its pictures."""
    content = make_content(view, text)
    head = [f"# {literal(content.title)}", literal(content.question)]
    head += [f"**{literal(one)}**" for one in (content.banner, *content.warnings) if one]
    sections = (*board_sections(content, text), *evidence_sections(content, text))
    mark = f" ({literal(content.watermark)})" if content.watermark else ""
    return "\n\n".join([*head, *(section_text(one, mark) for one in sections)]) + "\n"


def section_text(section: Section, mark: str = "") -> str:
    """Return a section; `mark` stands behind its title, as Markdown."""
    parts = [f"## {literal(section.title)}{mark}", *map(_block, section.blocks)]
    return "\n\n".join(part for part in parts if part)


def _block(block: Block) -> str:
    match block:
        case Paragraph(said, tone):
            return f"**{literal(said)}**" if tone == "strong" else literal(said)
        case Heading(said):
            return f"### {literal(said)}"
        case Bullets(items):
            return "\n".join(f"- {literal(one)}" for one in items)
        case Terms(lines):
            return "\n".join(f"- {literal(one.term)}: {literal(one.said)}" for one in lines)
        case Picture(_, about):
            return literal(about)
        case Table():
            return "\n".join(_table(block))


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(literal, table.head))} |"
    yield f"|{'---|' * len(table.head)}"
    for row in table.rows:
        yield f"| {' | '.join(map(_entry, row.entries))} |"


def _entry(entry: Entry) -> str:
    lines = [*entry.said.split("\n"), *entry.small]
    return "<br>".join(literal(line) for line in lines if line)
