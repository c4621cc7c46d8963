"""Laws of the rights file: what is refused and how, and what the command answers with what code."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import small_run
from hypothesis import given, settings
from hypothesis import strategies as st

from poc import cli
from poc.approvals import approved_digest
from poc.checklist import CHECKLIST, read_checklist
from poc.datasets import dataset_licences
from poc.errors import InputError
from poc.governance import PartKind
from poc.licences import LICENCES, Use, read_licences
from poc.models import ModelTable, StillsFolder, read_models
from poc.prompt_screen import folded, names, screen
from poc.records import Prompt, canonical_json, digest
from poc.rights_check import Rights, pictures, read_rights
from poc.rights_file import Words
from poc.rights_parts import subject_of
from poc.run import read_plan

SPECS = LICENCES.parent
EXAMPLE = SPECS / "rights" / "example.yaml"
TINY = SPECS / "tiny.yaml"
TEXT = EXAMPLE.read_text("utf-8")
DAY = "2026-12-01"
ON = date.fromisoformat(DAY)

OPEN = (
    ("status: open", "status: done"),
    ("evidence: null, due: 2027-01-10", "evidence: plan 9, due: null"),
)
CLEAN = (("example: true", "example: false"), *OPEN * 4)
"""What turns the example into a file that lacks nothing but approvals."""


@pytest.fixture(scope="module")
def models() -> ModelTable:
    return read_models()


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    """The example with changes, its checklist beside it; each old text must be there."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "checklist_jp.yaml").write_text(CHECKLIST.read_text("utf-8"), encoding="utf-8")
    path = folder / "rights.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, models: ModelTable) -> Rights:
    return read_rights(path, models, dataset_licences())


def approval(number: int, before: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """One line of the approvals, chained to the one before."""
    fields: dict[str, Any] = {
        "number": number,
        "role": ("legal", "business")[(number - 1) % 2],
        "by": f"approver {number}",
        "requester": "planner",
        "digest": "0" * 64,
        "previous": None if before is None else digest(before),
        "date": "2026-11-30",
    }
    return fields | changes


def approvals(*lines: dict[str, Any]) -> tuple[str, str]:
    text = "\n".join(f"  - {canonical_json(line)}" for line in lines)
    return ("approvals: []", f"approvals:\n{text}\n#")


def fully_approved(folder: Path, models: ModelTable, *changes: tuple[str, str]) -> Path:
    """The changed example, approved for the default spec by both roles."""
    rights = read(written(folder, *changes), models)
    plan, _ = read_plan(TINY)
    licence = dataset_licences()[plan.spec.dataset]
    subject = subject_of(plan, models, rights.file.words, prompt_licence=licence)
    found = approved_digest(subject, rights, read_licences())
    one = approval(1, digest=found)
    return written(folder, *changes, approvals(one, approval(2, one, digest=found)))


def answered(
    path: Path, capsys: pytest.CaptureFixture[str], *more: str, subject: Path = TINY
) -> tuple[int, str]:
    """The exit code and output of `poc rights` on a day."""
    code = cli.main(["rights", str(subject), "--rights", str(path), "--on", DAY, *more])
    return code, capsys.readouterr().out


# --- what passes ---------------------------------------------------------------------------------


def test_the_example_is_read_and_calls_itself_one(models: ModelTable) -> None:
    rights = read(EXAMPLE, models)

    assert rights.file.example
    assert "EXAMPLE" in rights.file.name
    assert {one.item for one in rights.file.answers} == {
        one.id for one in rights.checklist.asked(rights.file.use.use)
    }


def test_a_file_survives_its_json(models: ModelTable) -> None:
    file = read(EXAMPLE, models).file

    assert type(file).from_json(file.to_json()) == file


def test_the_checklist_that_ships_has_sourced_questions_in_both_languages() -> None:
    checklist = read_checklist()

    assert 12 <= len(checklist.items) <= 20
    assert {one.document for one in checklist.items} == {one.id for one in checklist.documents}
    for item in checklist.items:
        assert item.question.en.endswith("?")
        assert item.question.ja.endswith("か。")
        assert item.why.en
        assert item.section
    assert 0 < len(checklist.asked(Use.EVALUATION)) < len(checklist.asked(Use.CLIENT_WORK))


def test_a_name_may_be_a_single_letter(tmp_path: Path, models: ModelTable) -> None:
    rights = read(written(tmp_path, ("names: [EXAMPLE PERSON", "names: [嵐")), models)

    assert rights.file.words.names[0] == "嵐"


def test_chained_approvals_of_two_people_are_read(tmp_path: Path, models: ModelTable) -> None:
    one = approval(1)

    rights = read(written(tmp_path, approvals(one, approval(2, one))), models)

    assert [line.number for line in rights.file.approvals] == [1, 2]


def test_one_person_may_approve_one_digest_and_ask_for_another(
    tmp_path: Path, models: ModelTable
) -> None:
    one = approval(1, by="Sato", requester="Ito")
    other = approval(2, one, by="Ito", requester="Sato", digest="1" * 64)
    both = approval(3, other, role="business", by="Ito", requester="Mori", digest="2" * 64)

    rights = read(written(tmp_path, approvals(one, other, both)), models)

    assert len(rights.file.approvals) == 3


def test_an_approval_of_a_role_that_the_policy_no_longer_has_stands_and_counts_for_nothing(
    tmp_path: Path, models: ModelTable, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(fully_approved(tmp_path, models, *CLEAN), models).file.approvals[0].digest
    one = approval(1, role="finance", by="Sato", digest=found)
    two = approval(2, one, role="legal", by="Sato", digest=found)

    code, out = answered(written(tmp_path, *CLEAN, approvals(one, two)), capsys)

    assert code == 4
    assert "to be approved by business" in out


# --- what is refused -----------------------------------------------------------------------------

WAIVER = """waivers:
  - {{part: {part}, reason: asked the author, owner: head, decided: {decided}, expires: {expires}}}
"""


def waiver(
    part: str = "tiny-base", decided: str = "2026-11-25", expires: str = "2027-03-31"
) -> str:
    return WAIVER.format(part=part, decided=decided, expires=expires)


DELIVERY = """deliveries:
  - id: studio
    part: clips of vendor
    digest: "{digest}"
    supplier: A Studio
    agreement: contract 2
    warranty: section 5
    uses: [advertising]
    territory: [JP]
    given: 2026-11-01
    valid_until: {until}
"""


def delivery(digest: str = "0" * 64, until: str = "2027-12-31") -> tuple[str, str]:
    """The change that puts an agreement for clips made elsewhere into the example."""
    return ("deliveries: [] ", DELIVERY.format(digest=digest, until=until) + "#")


BAD = {
    "duplicate key": (
        ("example: true", "example: true\nexample: false"),
        "duplicate key 'example'",
    ),
    "unknown key": (("example: true", "exampel: true"), "unknown key 'exampel'. Did you mean"),
    "no such day": (("given: 2026-11-01", "given: 2026-11-31"), "expected a day of the calendar"),
    "no use": (("use: advertising ", "use: advertisement "), "Did you mean 'advertising'?"),
    "no country": (("territory: [JP]", "territory: [UK]"), "The United Kingdom is GB."),
    "use backwards": (("until: 2027-12-31", "until: 2027-01-01"), "before it starts on 2027-01-15"),
    "revenue backwards": (("below: 5000000", "below: 10"), "expected 'below' above 'at_least'"),
    "expired consent": (
        ("valid_until: 2027-12-31", "valid_until: 2027-01-14"),
        "'example-pastel' expired on 2027-01-14, before the use starts on 2027-01-15",
    ),
    "consent backwards": (
        ("valid_until: 2027-12-31", "valid_until: 2026-10-31"),
        "ends on 2026-10-31, before it was given on 2026-11-01",
    ),
    "unknown stills": (("model: tiny-stills", "model: tiny-still"), "unknown model 'tiny-still'"),
    "no stills": (("model: tiny-stills", "model: tiny-base"), "to be of kind stills"),
    "no file": (("files: pastel/*", "files: pastell/*"), "no still of 'tiny-stills' fits"),
    "other stills": (("digest: d7a1", "digest: 0000"), "The consent is for other stills"),
    "same id": (("id: example-neon", "id: example-pastel"), "duplicate id 'example-pastel'"),
    "same word": (
        ("brands: [EXAMPLE BRAND", "brands: [ｅｘａｍｐｌｅ person"),
        "'ｅｘａｍｐｌｅ person' is given twice",
    ),
    "unknown question": (("item: portrait", "item: portraits"), "Did you mean 'portrait'?"),
    "answered twice": (("item: records", "item: purpose"), "'purpose' is answered twice"),
    "open without day": (("due: 2027-01-10", "due: null"), "is open: expected 'due', got null"),
    "done without evidence": (
        ('evidence: "EXAMPLE, plan 12"', "evidence: null"),
        "is done: expected 'evidence', got null",
    ),
    "unknown part": (("waivers: []", waiver("tiny-bass")), "Did you mean 'tiny-base'?"),
    "waiver backwards": (
        ("waivers: []", waiver(expires="2026-11-24")),
        "expires on 2026-11-24, before it was decided on 2026-11-25",
    ),
    "waiver without end": (("waivers: []", waiver(expires="null")), "'waivers[0].expires'"),
    "own request": (
        approvals(approval(1, by="Ｐｌａｎｎｅｒ")),
        "asked for and gave the approval. Another person has to approve",
    ),
    "each other's request": (
        approvals(
            approval(1, by="Sato", requester="Ito"),
            approval(
                2, approval(1, by="Sato", requester="Ito"), by="I\u034fto", requester="Planner"
            ),
        ),
        "asked for approval 1 of the same digest. Another person has to approve",
    ),
    "asked after approving": (
        approvals(approval(1), approval(2, approval(1), requester="APPROVER  1")),
        "'APPROVER  1' gave approval 1 of the same digest. Another person has to ask",
    ),
    "one person in two roles": (
        approvals(approval(1), approval(2, approval(1), by="Ａpprover  1")),
        "gave approval 1 of the same digest as 'legal'. Another person has to approve",
    ),
    "number missing": (approvals(approval(2)), "'number': expected 1, got 2"),
    "chain broken": (
        approvals(approval(1), approval(2, approval(1, by="somebody else"))),
        "An approval before it was changed or removed",
    ),
    "approval backwards": (
        approvals(approval(1), approval(2, approval(1), date="2026-11-29")),
        "2026-11-29 lies before approval 1 of 2026-11-30",
    ),
    "no digest": (approvals(approval(1, digest="abc")), "text that fits ^[0-9a-f]{64}$"),
    "agreement backwards": (
        delivery(until="2026-10-31"),
        "'studio' ends on 2026-10-31, before it was given on 2026-11-01",
    ),
    "expired agreement": (
        delivery(until="2027-01-14"),
        "'studio' expired on 2027-01-14, before the use starts on 2027-01-15",
    ),
    "agreement for no digest": (delivery("what poc rights printed"), "text that fits ^[0-9a-f]"),
    "no roles": (("approval_roles: [legal, business]", "approval_roles: []"), "at least 1 entries"),
    "no checklist": (("checklist: checklist_jp.yaml", "checklist: none.yaml"), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_faulty_file_is_refused_with_line_and_exit_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = BAD[name]
    path = written(tmp_path, change)

    code = cli.main(["rights", str(TINY), "--rights", str(path), "--on", DAY])
    error = capsys.readouterr().err

    assert code == 2
    assert message in error
    assert "Traceback" not in error
    if name != "no checklist":
        assert error.startswith(f"poc: error: {path}:")
        assert error.split(":")[3].strip().isdecimal()


def test_a_fault_is_named_with_its_own_line(tmp_path: Path, models: ModelTable) -> None:
    path = written(tmp_path, ("files: pastel/*", "files: pastell/*"))
    line = TEXT[: TEXT.index("files: pastel/*")].count("\n") + 1

    with pytest.raises(InputError, match=f":{line}: 'files'"):
        read(path, models)


def test_every_fault_is_named_at_once(tmp_path: Path, models: ModelTable) -> None:
    path = written(
        tmp_path, ("item: portrait", "item: portraits"), ("files: neon/*", "files: none/*")
    )

    with pytest.raises(InputError) as caught:
        read(path, models)

    assert len(str(caught.value).splitlines()) == 2


def faulty(folder: Path, source: Path, old: str, new: str) -> Path:
    text = source.read_text("utf-8")
    assert old in text
    path = folder / source.name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_checklist_that_names_no_document_or_repeats_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown document 'ai-guidelines'"):
        read_checklist(
            faulty(
                tmp_path, CHECKLIST, ": ai-guideline\n    section", ": ai-guidelines\n    section"
            )
        )
    with pytest.raises(InputError, match="duplicate id 'purpose'"):
        read_checklist(faulty(tmp_path, CHECKLIST, "id: disclosure", "id: purpose"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: MIT", "id: apache-2.0", "duplicate licence 'apache-2.0'"),
        ("id: unknown", "id: not-known", "expected an entry 'unknown'"),
        ("dated: 2022-08-22", "dated: 2027-08-22", "lies after 'read'"),
        ("advertising: permitted", "advertising: unclear", "expected a way out, got none"),
    ],
)
def test_a_faulty_table_of_licences_is_refused(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_licences(faulty(tmp_path, LICENCES, old, new))


# --- names and brands ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("a Porsche at night", "porsche", True),
        ("a PORSCHE, parked", "Porsche", True),
        ("ｐｏｒｓｃｈｅ", "Porsche", True),
        ("Porsche's new car", "porsche", True),
        ("supporsche", "porsche", False),
        ("porsches", "porsche", False),
        ("夜のPorscheを撮る", "porsche", True),
        ("por\u200bsche", "porsche", True),
        ("por\x00\x7f\x9fsche", "porsche", True),
        ("coca\ncola", "Coca\tCola", True),
        ("coca\x85cola", "Coca Cola", True),
        ("coca   cola", "Coca Cola", True),
        ("東京スカイツリーの前", "スカイツリー", True),
        ("ｽｶｲﾂﾘｰ", "スカイツリー", True),
        ("straße", "STRASSE", True),
        ("7up", "7UP", True),
        ("17up", "7UP", False),
        ("嵐のコンサート", "嵐", True),
        ("x marks the spot", "X", True),
        ("a red circle", "", False),
    ],
)
def test_a_name_is_found_as_a_whole_word_and_japanese_inside_words(
    text: str, term: str, expected: bool
) -> None:
    assert names(text, term) is expected


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
        (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    ],
)  # fmt: skip
def test_no_sign_that_is_not_drawn_hides_a_name(first: int, last: int) -> None:
    for sign in map(chr, range(first, last + 1)):
        assert names(f"a Por{sign}sche at night", "Porsche"), hex(ord(sign))
        assert names("a Porsche at night", f"{sign}Porsche"), hex(ord(sign))


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(before=st.text(), term=st.text(min_size=1), after=st.text())
def test_a_name_that_stands_alone_is_always_found(before: str, term: str, after: str) -> None:
    found = names(f"{before} {term} {after}", term)

    assert (
        found or not folded(term) or folded(f" {term} ") not in folded(f"{before} {term} {after}")
    )


def test_both_wordings_of_a_prompt_are_screened() -> None:
    prompt = Prompt(id="p1", text="a tower", language="en", text_ja="東京塔", attributes={})

    assert screen([prompt], ["東京塔", "tower", "bridge"]) == (("p1", "東京塔"), ("p1", "tower"))


# --- what a plan uses ----------------------------------------------------------------------------


def test_a_plan_uses_its_models_the_stills_of_its_style_the_judges_and_the_prompts(
    models: ModelTable,
) -> None:
    plan, _ = read_plan(TINY)
    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence="MIT")

    for arm, parts in zip(plan.arms, (one.parts for one in subject.arms), strict=True):
        of = {kind: [part for part in parts if part.kind is kind] for kind in PartKind}
        stills = [name for part in of[PartKind.STILLS] for name in part.files]
        assert [part.id for part in of[PartKind.BASE]] == [arm.base]
        assert [part.id for part in of[PartKind.MOTION_ADAPTER]] == [arm.motion_adapter]
        assert {part.id for part in of[PartKind.LORA]} == {one.model for one in arm.loras}
        assert [part.id for part in of[PartKind.JUDGE]] == ["tiny-clip", "tiny-video-features"]
        assert [part.licence for part in of[PartKind.PROMPTS]] == ["MIT"]
        assert {name.split("/")[0] for name in stills} == ({arm.style} if arm.style else set())
        assert not any(part.changed for part in parts)


STYLED = "tiny-style-pastel"


def stills_of(models: ModelTable, **changes: Any) -> list[tuple[str, set[str]]]:
    """The stills of the pastel arm of the default spec, changed: entry and its folders."""
    plan, _ = read_plan(TINY)
    styled = next(arm for arm in plan.arms if STYLED in {use.model for use in arm.loras})
    arm = styled.model_copy(update=changes)
    plan = plan.model_copy(update={"arms": (arm,)})
    (parts,) = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None).arms
    return [
        (part.id, {name.split("/")[0] for name in part.files})
        for part in parts.parts
        if part.kind is PartKind.STILLS
    ]


def restated(models: ModelTable, stills: StillsFolder | str | None) -> ModelTable:
    """The table with another statement of the stills that the pastel LoRA learnt from."""
    model = models.models[STYLED]
    entry = model.entry.model_copy(update={"stills": stills})
    return replace(models, models={**models.models, STYLED: replace(model, entry=entry)})


def test_no_name_of_a_style_takes_away_the_stills_of_a_lora(models: ModelTable) -> None:
    assert stills_of(models) == [("tiny-stills", {"pastel"})]
    assert stills_of(models, style=None) == [("tiny-stills", {"pastel"})]
    assert stills_of(models, style="neon") == [("tiny-stills", {"pastel", "neon"})]
    assert stills_of(models, style=None, loras=()) == []


@pytest.mark.parametrize("stated", [None, StillsFolder(model="tiny-stills", folder="past")])
def test_a_lora_whose_stills_are_not_known_is_asked_for_them(
    stated: StillsFolder | None, models: ModelTable
) -> None:
    other = restated(models, stated)

    assert stills_of(other, style=None) == [(STYLED, set())]
    assert stills_of(other) == [(STYLED, set()), ("tiny-stills", {"pastel"})]


def test_a_lora_that_learnt_from_no_stills_is_asked_for_none(models: ModelTable) -> None:
    assert stills_of(restated(models, "none"), style=None) == []


def test_all_stills_of_an_entry_can_be_named(models: ModelTable) -> None:
    every = StillsFolder(model="tiny-stills", folder=".")

    assert {"pastel", "neon"} <= stills_of(restated(models, every), style=None)[0][1]


def test_a_run_with_other_weights_than_those_listed_is_seen(models: ModelTable) -> None:
    plan, _ = read_plan(TINY)
    first = plan.arms[0]
    other = first.model_copy(update={"model_digests": {first.base: "0" * 64}})
    plan = plan.model_copy(update={"arms": (other,)})

    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None)

    assert [part.id for part in subject.arms[0].parts if part.changed] == [first.base]


# --- the command ---------------------------------------------------------------------------------


def test_everything_cleared_is_go(
    tmp_path: Path, models: ModelTable, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = answered(fully_approved(tmp_path, models, *CLEAN), capsys)

    assert code == 0
    assert out.splitlines()[-2:] == ["valid_until: 2027-11-25", "rights: GO"]
    assert "No legal advice" in out


def test_without_approvals_it_is_conditional_and_says_what_to_approve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = answered(written(tmp_path, *CLEAN), capsys)

    assert code == 4
    assert "to be approved by legal, business" in out
    assert "previous: null" in out


def test_the_example_is_no_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = answered(EXAMPLE, capsys)

    assert code == 3
    assert "made-up names" in out


def test_a_brand_in_the_prompts_is_no_go(
    tmp_path: Path, models: ModelTable, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _ = read_plan(TINY)
    word = plan.prompts[0].text.split()[2]
    path = fully_approved(tmp_path, models, *CLEAN, ("brands: [EXAMPLE BRAND", f"brands: [{word}"))

    code, out = answered(path, capsys)

    assert code == 1
    assert f"Prompts name {word}" in out


def test_an_answer_about_one_arm_is_that_arms(
    tmp_path: Path, models: ModelTable, capsys: pytest.CaptureFixture[str]
) -> None:
    every = pictures(models.resolve("tiny-stills"))
    pastel, held_out = (
        digest({name: sha for name, sha in every.items() if name.startswith(folder)})
        for folder in ("pastel/", "pastel/heldout/")
    )
    narrower = (("files: pastel/*", "files: pastel/heldout/*"), (pastel, held_out))
    path = fully_approved(tmp_path, models, *CLEAN, *narrower)
    plan, _ = read_plan(TINY)
    styled = next(arm.name for arm in plan.arms if arm.style == "pastel")
    plain = next(arm.name for arm in plan.arms if arm.style is None)

    assert answered(path, capsys)[0] == 3
    assert answered(path, capsys, "--arm", styled)[0] == 3
    assert answered(path, capsys, "--arm", plain)[0] == 0


def test_the_json_has_every_arm_and_part(
    tmp_path: Path, models: ModelTable, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = answered(fully_approved(tmp_path, models, *CLEAN), capsys, "--json")
    found = json.loads(out)

    assert (code, found["light"], found["valid_until"]) == (0, "GO", "2027-11-25")
    assert all(part["judgement"] == "permitted" for arm in found["arms"] for part in arm["parts"])
    assert {part["kind"] for arm in found["arms"] for part in arm["parts"]} == {
        "base", "motion_adapter", "lora", "stills", "judge", "prompts",
    }  # fmt: skip


def test_a_day_before_the_records_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["rights", str(TINY), "--rights", str(EXAMPLE), "--on", "2026-01-01"])

    assert code == 2
    assert "with --on" in capsys.readouterr().err


def test_a_run_whose_models_nobody_listed_is_no_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_run.open_store(tmp_path / "run"):
        pass

    code, out = answered(written(tmp_path, *CLEAN), capsys, subject=tmp_path / "run")

    assert code == 3
    assert "lcm-1" in out
    assert "base unclear" in out


def test_what_a_file_says_steers_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, ("owner: EXAMPLE Ito, ev", 'owner: "a\u200fb", ev'))

    code, out = answered(path, capsys)

    assert code == 3
    assert "a\ufffdb, due 2027-01-10" in out
