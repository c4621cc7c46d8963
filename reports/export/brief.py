"""The plan of a proof of concept as Markdown or PDF."""

from __future__ import annotations

from pathlib import Path

from poc.brief import Brief
from reports import text as words
from reports.brief import brief_sections
from reports.export.files import publish
from reports.export.letters import Letters
from reports.export.markdown import literal, section_text
from reports.export.pdf import glyphs_note, typeset
from reports.text import Language, Text, load_text


def write_brief(brief: Brief, spec: Path, out: Path | None, *, language: Language) -> Path:
    """Write the plan document and return its path; the suffix of `out` chooses PDF or Markdown."""
    text = load_text(language)
    target = out or Path(f"{brief.plan.spec.name}-brief.md")
    render = render_pdf if target.suffix.lower() == ".pdf" else render_markdown
    name = spec.name if spec.is_absolute() else str(spec)
    return publish(target, render(brief, text, name))


def render_markdown(brief: Brief, text: Text, spec_name: str) -> bytes:
    """Return the plan document as Markdown."""
    head = [f"# {literal(_title(brief, text))}", f"**{literal(text('brief.unmeasured'))}**"]
    sections = (section_text(one) for one in brief_sections(brief, text, spec_name))
    return ("\n\n".join([*head, *sections]) + "\n").encode()


def render_pdf(brief: Brief, text: Text, spec_name: str) -> bytes:
    """Return the plan document as PDF; equal plans give equal bytes."""
    letters = Letters()
    is_demonstration = brief.plan.spec.kind == "demonstration"
    data = letters.fitted(
        {
            "language": text.language,
            "title": _title(brief, text),
            "banner": text("brief.unmeasured"),
            "watermark": text("mark.demonstration") if is_demonstration else "",
            "pictures": [],
            "sections": brief_sections(brief, text, spec_name),
        }
    )
    data["glyphs"] = glyphs_note(text, letters)
    return typeset("brief.typ", data, {}, made="")


def _title(brief: Brief, text: Text) -> str:
    return text("brief.title", name=words.shown(brief.plan.spec.name))
