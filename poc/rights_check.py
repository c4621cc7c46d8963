"""Reads a rights file: strictly, and so that whatever is wrong is said with its line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from poc.checklist import Checklist, read_checklist
from poc.errors import InputError, did_you_mean
from poc.models import Model, ModelKind, ModelTable
from poc.prompt_screen import folded
from poc.records import digest
from poc.rights_file import Approval, Consent, DeliveryRights, RightsFile
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse


@dataclass(frozen=True, slots=True)
class Rights:
    """A rights file with its checklist, both without fault."""

    file: RightsFile
    checklist: Checklist


def read_rights(path: Path, models: ModelTable, datasets: Collection[str]) -> Rights:
    """Read a rights file and the checklist it names.

    Args:
        path: the file.
        models: whose ids waivers and consents may name, and whose stills consents are bound to.
        datasets: ids of prompt sets that waivers may name.

    Raises:
        InputError: every fault of the file with its line.
    """
    node = load(read_text(path), path)
    file = decode(RightsFile, node, path)
    checklist = read_checklist(path.parent / file.checklist)
    problems = [
        *_use_problems(file, node),
        *_consent_problems(file, node, models),
        *_delivery_problems(file, node),
        *_word_problems(file, node),
        *_answer_problems(file, node, checklist),
        *_waiver_problems(file, node, {*models.models, *datasets}),
        *_approval_problems(file, node),
    ]
    refuse(path, problems)
    return Rights(file, checklist)


def pictures(model: Model) -> dict[str, str]:
    """Return the stills {path: SHA-256} of an entry, without the captions beside them."""
    return {name: sha for name, sha in model.files.items() if name.endswith((".png", ".jpg"))}


def fitting(consent: Consent, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files {path: SHA-256} that a consent's pattern fits."""
    return {name: sha for name, sha in files.items() if fnmatchcase(name, consent.files)}


# --- use and stills ------------------------------------------------------------------------------


def _use_problems(file: RightsFile, node: Node) -> Iterator[Problem]:
    use = file.use
    if use.until < use.starts:
        text = f"'use': it ends on {use.until}, before it starts on {use.starts}. Mend one."
        yield Problem(node.get("use", "until").line, text)


def _consent_problems(file: RightsFile, node: Node, models: ModelTable) -> Iterator[Problem]:
    for place, one in enumerate(file.stills):
        at = node.get("stills", place)
        yield from _record_problems(one, file.stills[:place], file, at)
        yield from _file_problems(one, at, models)


def _delivery_problems(file: RightsFile, node: Node) -> Iterator[Problem]:
    for place, one in enumerate(file.deliveries):
        at = node.get("deliveries", place)
        yield from _record_problems(one, file.deliveries[:place], file, at)


def _record_problems(
    one: Consent | DeliveryRights,
    before: Sequence[Consent | DeliveryRights],
    file: RightsFile,
    at: Node,
) -> Iterator[Problem]:
    if one.id in {other.id for other in before}:
        yield Problem(at.get("id").line, f"duplicate id '{one.id}'. Rename one.")
    if one.valid_until < one.given:
        text = f"'{one.id}' ends on {one.valid_until}, before it was given on {one.given}."
        yield Problem(at.get("valid_until").line, f"{text} Mend one.")
    elif one.valid_until < file.use.starts:
        text = (
            f"'{one.id}' expired on {one.valid_until}, before the use starts on "
            f"{file.use.starts}. Ask for a new consent, or take the record out."
        )
        yield Problem(at.get("valid_until").line, text)


def _file_problems(one: Consent, at: Node, models: ModelTable) -> Iterator[Problem]:
    try:
        files = fitting(one, pictures(models.resolve(one.model, ModelKind.STILLS)))
    except InputError as error:
        yield Problem(at.get("model").line, str(error))
        return
    if not files:
        text = f"'files': no still of '{one.model}' fits '{one.files}'. Mend the pattern."
        yield Problem(at.get("files").line, text)
    elif one.digest != (found := digest(files)):
        text = (
            f"'digest': the {len(files)} stills that fit '{one.files}' have digest {found}, the "
            f"record has {one.digest}. The consent is for other stills: ask again, or mend it."
        )
        yield Problem(at.get("digest").line, text)


# --- words, answers, waivers ---------------------------------------------------------------------


def _word_problems(file: RightsFile, node: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for key, words in (("names", file.words.names), ("brands", file.words.brands)):
        for place, word in enumerate(words):
            line = node.get("words", key, place).line
            if not folded(word):
                yield Problem(line, f"'words.{key}': expected visible letters, got none.")
            elif folded(word) in seen:
                yield Problem(line, f"'{word}' is given twice. Remove one.")
            seen.add(folded(word))


def _answer_problems(file: RightsFile, node: Node, checklist: Checklist) -> Iterator[Problem]:
    known = [item.id for item in checklist.items]
    given = [answer.item for answer in file.answers]
    for place, item in enumerate(given):
        line = node.get("answers", place, "item").line
        if item not in known:
            hint = did_you_mean(item, known)
            yield Problem(line, f"no question of the checklist is called '{item}'. {hint}")
        if item in given[:place]:
            yield Problem(line, f"'{item}' is answered twice. Keep one answer.")


def _waiver_problems(file: RightsFile, node: Node, known: Collection[str]) -> Iterator[Problem]:
    parts = [waiver.part for waiver in file.waivers]
    for place, one in enumerate(file.waivers):
        at = node.get("waivers", place)
        if one.part not in known:
            hint = did_you_mean(one.part, known)
            yield Problem(at.get("part").line, f"no part is called '{one.part}'. {hint}")
        if one.part in parts[:place]:
            yield Problem(at.get("part").line, f"'{one.part}' is waived twice. Keep one.")
        if one.expires < one.decided:
            text = f"the waiver expires on {one.expires}, before it was decided on {one.decided}."
            yield Problem(at.get("expires").line, f"{text} Mend one.")


# --- approvals -----------------------------------------------------------------------------------


def _approval_problems(file: RightsFile, node: Node) -> Iterator[Problem]:
    """Yield what is wrong with each line; a role that the policy no longer has may stand."""
    before: Approval | None = None
    for place, one in enumerate(file.approvals):
        at = node.get("approvals", place)
        if folded(one.by) == folded(one.requester):
            text = f"'{one.by}' asked for and gave the approval. Another person has to approve."
            yield Problem(at.get("by").line, text)
        alike = [line for line in file.approvals[:place] if line.digest == one.digest]
        yield from _person_problems(one, alike, file.policy.approval_roles, at)
        yield from _chain_problems(one, before, at)
        before = one


def _person_problems(
    one: Approval, alike: Sequence[Approval], roles: Collection[str], at: Node
) -> Iterator[Problem]:
    """Yield what an approval adds that one person may not do twice, by those of the same digest.

    A fault is that of the later line, which can still be taken out.
    """
    for line in alike:
        if folded(one.by) == folded(line.requester):
            text = f"'{one.by}' asked for approval {line.number} of the same digest."
            yield Problem(at.get("by").line, f"{text} Another person has to approve.")
        if folded(one.requester) == folded(line.by):
            text = f"'{one.requester}' gave approval {line.number} of the same digest."
            yield Problem(at.get("requester").line, f"{text} Another person has to ask.")
        counts = one.role in roles and line.role in roles
        if counts and one.role != line.role and folded(one.by) == folded(line.by):
            text = f"'{one.by}' gave approval {line.number} of the same digest as '{line.role}'."
            yield Problem(at.get("by").line, f"{text} Another person has to approve.")


def _chain_problems(one: Approval, before: Approval | None, at: Node) -> Iterator[Problem]:
    number = 1 if before is None else before.number + 1
    if one.number != number:
        text = f"'number': expected {number}, got {one.number}. Approvals are only added at the end"
        yield Problem(at.get("number").line, f"{text}.")
    expected = None if before is None else before.content_digest()
    if one.previous != expected:
        text = (
            f"'previous': expected {expected or 'null'}, got {one.previous or 'null'}. An approval "
            "before it was changed or removed: restore it."
        )
        yield Problem(at.get("previous").line, text)
    if before is not None and one.date < before.date:
        text = f"'date': {one.date} lies before approval {before.number} of {before.date}. Mend one"
        yield Problem(at.get("date").line, f"{text}.")
