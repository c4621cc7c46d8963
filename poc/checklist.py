"""Questions to answer before use, as data: each with its source and why it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from poc.licences import Day, Statement, Text, Use
from poc.records import Record
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

CHECKLIST: Final = Path(__file__).parent / "specs" / "rights" / "checklist_jp.yaml"


class Document(Record):
    """A published guideline that items come from."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    name: Text
    name_ja: Text
    publisher: Text
    version: Text | None
    dated: Day


class Item(Record):
    """One question, in our own words."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    question: Statement
    why: Statement
    document: str
    """Id of the document behind it."""
    section: Text
    """Where in the document: its part or principle."""
    uses: Annotated[tuple[Use, ...], Field(min_length=1)]
    """Uses for which it has to be answered."""


class Checklist(Record):
    """A checklist file as a whole."""

    version: Literal[1]
    name: Text
    name_ja: Text
    documents: Annotated[tuple[Document, ...], Field(min_length=1)]
    items: Annotated[tuple[Item, ...], Field(min_length=1)]

    def asked(self, use: Use) -> tuple[Item, ...]:
        """Return the items that a use asks for, in the order of the file."""
        return tuple(item for item in self.items if use in item.uses)


def read_checklist(path: Path = CHECKLIST) -> Checklist:
    """Read a checklist; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    checklist = decode(Checklist, node, path)
    refuse(path, _problems(checklist, node))
    return checklist


def _problems(checklist: Checklist, node: Node) -> Iterator[Problem]:
    documents = [one.id for one in checklist.documents]
    items = [one.id for one in checklist.items]
    for key, ids in (("documents", documents), ("items", items)):
        for place, one in enumerate(ids):
            if one in ids[:place]:
                line = node.get(key, place, "id").line
                yield Problem(line, f"duplicate id '{one}'. Rename one.")
    for place, item in enumerate(checklist.items):
        if item.document not in documents:
            line = node.get("items", place, "document").line
            known = ", ".join(documents)
            yield Problem(line, f"unknown document '{item.document}'. Known: {known}.")
