"""Who approved exactly this: rights file, checklist, licences and parts, bound by one digest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from poc.governance_records import Subject
from poc.licences import UNKNOWN, Licence, LicenceTable, ids_of
from poc.records import digest
from poc.rights_check import Rights


class Approvals(NamedTuple):
    """How far what is asked has been approved."""

    digest: str
    given: tuple[str, ...]
    """Roles that have approved this digest, in the order of the policy."""
    missing: tuple[str, ...]
    others: tuple[int, ...]
    """Numbers of approvals of another digest."""


def approvals(subject: Subject, rights: Rights, licences: LicenceTable) -> Approvals:
    """Return which roles have approved exactly what is asked now."""
    found = approved_digest(subject, rights, licences)
    given = {one.role for one in rights.file.approvals if one.digest == found}
    roles = rights.file.policy.approval_roles
    return Approvals(
        digest=found,
        given=tuple(role for role in roles if role in given),
        missing=tuple(role for role in roles if role not in given),
        others=tuple(one.number for one in rights.file.approvals if one.digest != found),
    )


def approved_digest(subject: Subject, rights: Rights, licences: LicenceTable) -> str:
    """Return the SHA-256 over all that an approval is for; without the approvals, and the day.

    A changed answer, waiver, question, licence fact, part or prompt asks for a new approval.
    """
    used = licences_used(subject, licences)
    return digest(
        {
            "file": rights.file.model_dump(mode="json", exclude={"approvals"}),
            "checklist": rights.checklist.model_dump(mode="json"),
            "licences": [one.model_dump(mode="json") for one in used],
            "subject": subject.model_dump(mode="json"),
        }
    )


def licences_used(subject: Subject, licences: LicenceTable) -> tuple[Licence, ...]:
    """Return the entries of the table that the parts stand on, sorted by id."""
    parts = (part for arm in subject.arms for part in arm.parts)
    return _entries((key for part in parts for key in ids_of(part.licence)), licences)


def _entries(keys: Iterable[str], licences: LicenceTable) -> tuple[Licence, ...]:
    found = {
        one.id: one for one in (licences.find(key) or licences.find(UNKNOWN) for key in keys) if one
    }
    return tuple(found[key] for key in sorted(found))
