"""A small rights case in memory: two parts, one question, two roles, and ways to change each."""

from __future__ import annotations

import functools
from datetime import date
from typing import Any, Final

from poc.approvals import approved_digest
from poc.checklist import Checklist, Document, Item
from poc.governance import ArmParts, Part, PartKind, RightsResult, Subject, judge
from poc.licences import LicenceTable, Statement, Use, UseStatement, read_licences
from poc.records import digest
from poc.rights_check import Rights
from poc.rights_file import (
    Answer,
    Approval,
    Consent,
    DeliveryRights,
    ModelRelease,
    Policy,
    Release,
    RightsFile,
    Status,
    Waiver,
    Words,
)

TODAY: Final = date(2026, 12, 1)
STILLS: Final = {"pastel/a.png": "a" * 64, "pastel/b.png": "b" * 64}
ROLES: Final = ("legal", "business")
UNCLEAR: Final = "LicenseRef-AnimateLCM-weights"
FORBIDDEN: Final = "CC-BY-NC-4.0"


@functools.cache
def table() -> LicenceTable:
    """Return the table that ships."""
    return read_licences()


def part(name: str = "base", licence: str = "MIT", **changes: Any) -> Part:
    """Return a part under a licence that permits everything, unless changed."""
    fields: dict[str, Any] = {
        "id": name,
        "kind": PartKind.BASE,
        "licence": licence,
        "commercial_use": "permitted",
        "digest": "0" * 64,
    }
    return Part(**(fields | changes))


def stills(**changes: Any) -> Part:
    """Return two stills of one style."""
    return part("stills", kind=PartKind.STILLS, files=STILLS, **changes)


def clips(**changes: Any) -> Part:
    """Return the clips of an imported arm."""
    licence = "LicenseRef-delivered-clips"
    return part("clips of vendor", licence, kind=PartKind.CLIPS, commercial_use=None, **changes)


def prompts() -> Part:
    """Return a prompt set."""
    return part("prompts", kind=PartKind.PROMPTS, commercial_use=None)


def arm(*parts: Part, name: str = "fast") -> ArmParts:
    """Return an arm of these parts."""
    return ArmParts(arm_id=name, name=name, parts=parts)


def subject(*arms: ArmParts, **changes: Any) -> Subject:
    """Return the arms of a plan with three harmless prompts."""
    fields: dict[str, Any] = {"arms": arms or (arm(part()),), "n_prompts": 3, "hits": ()}
    return Subject(**(fields | changes))


def use(**changes: Any) -> UseStatement:
    """Return a campaign in Japan."""
    fields: dict[str, Any] = {
        "use": Use.ADVERTISING,
        "territory": ("JP",),
        "annual_revenue": None,
        "starts": date(2027, 1, 1),
        "until": date(2027, 12, 31),
    }
    return UseStatement(**(fields | changes))


def consent(**changes: Any) -> Consent:
    """Return a consent for both stills in this campaign."""
    fields: dict[str, Any] = {
        "id": "pastel",
        "model": "stills",
        "files": "pastel/*",
        "digest": digest(STILLS),
        "photographer": "A. Photographer",
        "agreement": "contract 1",
        "model_release": ModelRelease(status=Release.YES, evidence="release 1"),
        "uses": (Use.ADVERTISING,),
        "territory": ("JP",),
        "given": date(2026, 11, 1),
        "valid_until": date(2027, 6, 30),
    }
    return Consent(**(fields | changes))


def delivery(**changes: Any) -> DeliveryRights:
    """Return what was agreed for those clips in this campaign."""
    fields: dict[str, Any] = {
        "id": "studio",
        "part": "clips of vendor",
        "digest": "0" * 64,
        "supplier": "A Studio",
        "agreement": "contract 2",
        "warranty": "section 5: free of the rights of others",
        "uses": (Use.ADVERTISING,),
        "territory": ("JP",),
        "given": date(2026, 11, 1),
        "valid_until": date(2027, 5, 31),
    }
    return DeliveryRights(**(fields | changes))


def waiver(name: str = "base", **changes: Any) -> Waiver:
    """Return a waiver of one part to the end of March 2027."""
    fields: dict[str, Any] = {
        "part": name,
        "reason": "the author was asked",
        "owner": "head of production",
        "decided": date(2026, 11, 26),
        "expires": date(2027, 3, 31),
    }
    return Waiver(**(fields | changes))


def answer(**changes: Any) -> Answer:
    """Return a closed question."""
    fields: dict[str, Any] = {
        "item": "purpose",
        "status": Status.DONE,
        "owner": "planning",
        "evidence": "plan 12",
        "due": None,
    }
    return Answer(**(fields | changes))


def checklist() -> Checklist:
    """Return a checklist of one question, asked for advertising only."""
    said = Statement(en="Is it written down?", ja="文書にしているか。")
    return Checklist(
        version=1,
        name="small",
        name_ja="試験用",
        documents=(
            Document(
                id="guide",
                name="guide",
                name_ja="手引き",
                publisher="a ministry",
                version=None,
                dated=date(2026, 3, 31),
            ),
        ),
        items=(
            Item(
                id="purpose",
                question=said,
                why=said,
                document="guide",
                section="part 1",
                uses=(Use.ADVERTISING,),
            ),
        ),
    )


def rights(**changes: Any) -> Rights:
    """Return a rights file in which everything is stated and answered, and nothing approved."""
    fields: dict[str, Any] = {
        "version": 1,
        "name": "campaign",
        "name_ja": "広告",
        "example": False,
        "use": use(),
        "policy": Policy(approval_roles=ROLES, fact_days=365, warn_days=30),
        "checklist": "checklist.yaml",
        "stills": (consent(),),
        "words": Words(names=("Hanako",), brands=("Brand",)),
        "answers": (answer(),),
        "waivers": (),
        "approvals": (),
    }
    return Rights(RightsFile(**(fields | changes)), checklist())


def approved(asked: Subject, given: Rights, roles: tuple[str, ...] = ROLES) -> Rights:
    """Return the same rights file, approved by these roles one after the other."""
    found = approved_digest(asked, given, table())
    lines = given.file.approvals
    for role in roles:
        line = Approval(
            number=len(lines) + 1,
            role=role,
            by=f"{role} person",
            requester="planner",
            digest=found,
            previous=lines[-1].content_digest() if lines else None,
            date=date(2026, 11, 30),
        )
        lines = (*lines, line)
    return Rights(given.file.model_copy(update={"approvals": lines}), given.checklist)


def judged(asked: Subject, given: Rights, on: date = TODAY) -> RightsResult:
    """Judge by the table that ships, after every role has approved."""
    return judge(asked, approved(asked, given), table(), on=on)
