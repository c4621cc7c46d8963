"""Laws of the rights answer: every gate that passes, and its twin that must not."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rights_fixture import (
    FORBIDDEN,
    TODAY,
    UNCLEAR,
    answer,
    approved,
    arm,
    clips,
    consent,
    delivery,
    judged,
    part,
    prompts,
    rights,
    stills,
    subject,
    table,
    use,
    waiver,
)

from poc.errors import InputError
from poc.governance import Part, PartRights, RightsResult, judge, only
from poc.licences import (
    Judgement,
    LicenceTable,
    RevenueBand,
    Use,
    judge_licence,
    severity,
)
from poc.prompt_screen import Hit
from poc.records import Light
from poc.rights_file import ModelRelease, Policy, Release, Status, Words

LONG_AGO, NEVER = date(2020, 1, 1), date(2999, 12, 31)


def first(result: RightsResult, name: str = "base") -> PartRights:
    """The answer about one part of the first arm."""
    return next(one for one in result.arms[0].parts if one.part == name)


def said(answered: PartRights) -> str:
    return " ".join(reason.en for reason in answered.reasons)


def light_of(*parts: Part, on: date = TODAY, **changes: Any) -> Light:
    """The light of one arm of these parts, everything approved."""
    return judged(subject(arm(*parts)), rights(**changes), on).light


def rank(light: Light) -> int:
    return list(Light).index(light)


# --- licences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("licence", "wanted", "expected"),
    [
        ("Apache-2.0", Use.ADVERTISING, "permitted"),
        ("apache-2.0", Use.CLIENT_WORK, "permitted"),
        ("MIT", Use.IN_HOUSE, "permitted"),
        ("CreativeML-OpenRAIL-M", Use.ADVERTISING, "permitted"),
        ("openrail++", Use.ADVERTISING, "permitted"),
        (UNCLEAR, Use.EVALUATION, "unclear"),
        (UNCLEAR, Use.ADVERTISING, "unclear"),
        ("LicenseRef-AnimateDiff-weights", Use.ADVERTISING, "unclear"),
        ("LicenseRef-AnimateDiff-Lightning-weights", Use.EVALUATION, "permitted"),
        ("LicenseRef-AnimateDiff-Lightning-weights", Use.ADVERTISING, "unclear"),
        (FORBIDDEN, Use.EVALUATION, "unclear"),
        (FORBIDDEN, Use.ADVERTISING, "forbidden"),
        ("", Use.EVALUATION, "unclear"),
        ("unknown", Use.ADVERTISING, "unclear"),
        ("Somebody-1.0", Use.ADVERTISING, "unclear"),
        ("MIT AND Apache-2.0", Use.ADVERTISING, "permitted"),
        (f"MIT AND {FORBIDDEN}", Use.ADVERTISING, "forbidden"),
        ("MIT OR Apache-2.0", Use.ADVERTISING, "unclear"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Use.ADVERTISING, "unclear"),
    ],
)
def test_a_part_is_judged_by_its_licence_and_the_use(
    licence: str, wanted: Use, expected: str
) -> None:
    asked = subject(arm(part(licence=licence)))

    assert first(judged(asked, rights(use=use(use=wanted)))).judgement == expected


def test_openrail_names_its_use_restrictions_as_a_condition() -> None:
    found = first(judged(subject(arm(part(licence="CreativeML-OpenRAIL-M"))), rights()))

    assert any("Attachment A" in condition.en for condition in found.conditions)


def test_every_entry_has_facts_with_source_and_day_and_a_way_out_where_it_is_not_permitted() -> (
    None
):
    for licence in table().licences.values():
        assert all(fact.source and fact.read for fact in licence.facts)
        assert licence.way_out or not licence.is_open


def test_an_unclear_part_says_why_and_offers_a_letter_and_a_replacement() -> None:
    found = first(judged(subject(arm(part(licence=UNCLEAR))), rights()))
    ways = " ".join(way.en for way in found.way_out)

    assert "no licence of the weights is declared" in said(found)
    assert "Write to the author" in ways
    assert "Replace the part" in ways


def test_an_unknown_licence_is_named_as_not_in_the_table() -> None:
    found = first(judged(subject(arm(part(licence="Somebody-1.0"))), rights()))

    assert "'Somebody-1.0' is not in the table" in said(found)


LTX, STABILITY = "LicenseRef-LTX-2-Community", "LicenseRef-StabilityAI-Community"


@pytest.mark.parametrize(
    ("licence", "least", "below", "expected"),
    [
        (STABILITY, 0.0, 1e6, "permitted"),
        (STABILITY, 0.0, 2e6, "unclear"),
        (STABILITY, 1e6, None, "unclear"),  # exactly the limit is not above it, more would be
        (STABILITY, 1000001.0, None, "forbidden"),
        (LTX, 10e6, None, "forbidden"),
        (LTX, 0.0, 10e6, "unclear"),  # what holds below the limit was not read
    ],
)
def test_a_revenue_limit_forbids_above_and_is_unclear_across(
    licence: str, least: float, below: float | None, expected: str
) -> None:
    band = RevenueBand(currency="USD", at_least=least, below=below)
    asked = subject(arm(part(licence=licence)))

    assert first(judged(asked, rights(use=use(annual_revenue=band)))).judgement == expected


def test_a_revenue_limit_is_for_its_own_uses_only() -> None:
    band = RevenueBand(currency="USD", at_least=10e6, below=None)
    asked, large = subject(arm(part(licence=LTX))), use(use=Use.EVALUATION, annual_revenue=band)

    assert first(judged(asked, rights(use=large))).judgement is Judgement.UNCLEAR


@pytest.mark.parametrize("band", [None, RevenueBand(currency="JPY", at_least=0.0, below=1e6)])
def test_a_revenue_that_cannot_be_compared_is_unclear(band: RevenueBand | None) -> None:
    found = first(
        judged(subject(arm(part(licence=STABILITY))), rights(use=use(annual_revenue=band)))
    )

    assert found.judgement is Judgement.UNCLEAR
    assert "State the annual revenue in USD." in {way.en for way in found.way_out}


@pytest.mark.parametrize(
    ("territory", "expected"),
    [
        (("JP",), "unclear"),
        (("JP", "KR"), "forbidden"),
        (("DE",), "forbidden"),
        (("WORLD",), "forbidden"),
    ],
)
def test_a_licence_that_does_not_hold_somewhere_forbids_there_only(
    territory: tuple[str, ...], expected: str
) -> None:
    asked = subject(arm(part(licence="LicenseRef-Tencent-Hunyuan-Community")))

    assert first(judged(asked, rights(use=use(territory=territory)))).judgement == expected


def test_a_licence_read_too_long_ago_is_unclear_until_it_is_read_again() -> None:
    read = table().licences["mit"].read
    found = [
        judge_licence("MIT", table(), use(), on=read + timedelta(days=days), fact_days=30)
        for days in (30, 31)
    ]

    assert [one.judgement for one in found] == [Judgement.PERMITTED, Judgement.UNCLEAR]
    assert "was last read" in found[1].reason.en
    assert found[0].valid_until == read + timedelta(days=30)


# --- the models' own table, and the files --------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "wanted", "expected"),
    [
        ("permitted", Use.ADVERTISING, Light.GO),
        ("unclear", Use.ADVERTISING, Light.INSUFFICIENT_EVIDENCE),
        ("forbidden", Use.ADVERTISING, Light.NO_GO),
        ("forbidden", Use.EVALUATION, Light.GO),
    ],
)
def test_what_the_table_of_models_says_of_commercial_use_counts_beyond_a_trial(
    word: str, wanted: Use, expected: Light
) -> None:
    assert light_of(part(commercial_use=word), use=use(use=wanted)) is expected


def test_weights_other_than_those_listed_are_unclear() -> None:
    assert light_of(part(changed=True)) is Light.INSUFFICIENT_EVIDENCE


# --- stills --------------------------------------------------------------------------------------


def test_stills_with_a_consent_for_use_place_and_time_are_permitted_until_it_ends() -> None:
    found = first(judged(subject(arm(stills())), rights()), "stills")

    assert found.judgement is Judgement.PERMITTED
    assert found.valid_until == consent().valid_until


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({"uses": (Use.IN_HOUSE,)}, "forbidden", "does not cover advertising"),
        ({"territory": ("US",)}, "forbidden", "does not cover JP"),
        (
            {"model_release": ModelRelease(status=Release.NO, evidence="asked, refused")},
            "forbidden",
            "no model release",
        ),
        ({"files": "pastel/a.*"}, "unclear", "covers 1 of 2 stills: pastel/b.png"),
        ({"model": "others"}, "unclear", "covers 2 of 2 stills"),
    ],
)
def test_stills_beyond_their_consent_are_not_permitted(
    changes: dict[str, Any], expected: str, reason: str
) -> None:
    found = first(judged(subject(arm(stills())), rights(stills=(consent(**changes),))), "stills")

    assert found.judgement == expected
    assert reason in said(found)
    assert found.way_out


def test_a_release_that_is_not_needed_is_as_good_as_one_given() -> None:
    shapes = ModelRelease(status=Release.NOT_NEEDED, evidence="shapes only")

    assert light_of(stills(), stills=(consent(model_release=shapes),)) is Light.GO


# --- delivered clips -----------------------------------------------------------------------------


def test_clips_made_elsewhere_are_permitted_by_an_agreement_until_it_ends() -> None:
    result = judged(subject(arm(clips())), rights(deliveries=(delivery(),)))
    found = first(result, "clips of vendor")

    assert (result.light, found.judgement) == (Light.GO, Judgement.PERMITTED)
    assert found.valid_until == delivery().valid_until
    assert "as A Studio agreed; what made them was not looked at" in said(found)


def test_clips_made_elsewhere_without_an_agreement_are_unclear_and_say_what_to_record() -> None:
    result = judged(subject(arm(clips())), rights())
    found = first(result, "clips of vendor")

    assert (result.light, found.judgement) == (Light.INSUFFICIENT_EVIDENCE, Judgement.UNCLEAR)
    assert f"part 'clips of vendor' and digest {'0' * 64}" in found.way_out[0].en
    assert f"部品「clips of vendor」・ダイジェスト{'0' * 64}" in found.way_out[0].ja


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({"digest": "1" * 64}, "unclear", "'studio' is for other takes or files"),
        ({"part": "clips of others"}, "unclear", "No rights record covers the clips of vendor"),
        ({"uses": (Use.IN_HOUSE,)}, "forbidden", "does not cover advertising"),
        ({"territory": ("US",)}, "forbidden", "does not cover JP"),
        ({"valid_until": TODAY - timedelta(days=1)}, "forbidden", "expired on 2026-11-30"),
    ],
)
def test_clips_beyond_their_agreement_are_not_permitted(
    changes: dict[str, Any], expected: str, reason: str
) -> None:
    found = first(
        judged(subject(arm(clips())), rights(deliveries=(delivery(**changes),))), "clips of vendor"
    )

    assert found.judgement == expected
    assert reason in said(found)
    assert found.way_out


def test_of_two_agreements_for_the_same_clips_the_better_counts() -> None:
    ended = delivery(id="old", valid_until=TODAY - timedelta(days=1))

    assert light_of(clips(), deliveries=(ended, delivery())) is Light.GO


def test_the_end_of_an_agreement_is_shown_ahead() -> None:
    soon = delivery(valid_until=TODAY + timedelta(days=30))
    shown = judged(subject(arm(clips())), rights(deliveries=(soon,))).expiring

    assert [one.what for one in shown] == ["delivery studio"]


def test_a_file_without_deliveries_keeps_the_digest_that_it_had_before_there_were_any() -> None:
    without, empty = rights().file, rights(deliveries=()).file

    assert "deliveries" not in without.to_json()
    assert empty.content_digest() == without.content_digest()
    assert rights(deliveries=(delivery(),)).file.content_digest() != without.content_digest()


# --- days ----------------------------------------------------------------------------------------


def test_a_consent_holds_on_its_last_day_and_not_on_the_next() -> None:
    last = consent().valid_until

    assert light_of(stills(), on=last) is Light.GO
    assert light_of(stills(), on=last + timedelta(days=1)) is Light.NO_GO


def test_of_two_consents_for_a_still_the_better_counts() -> None:
    ended = consent(id="old", valid_until=TODAY - timedelta(days=1))

    assert light_of(stills(), stills=(ended,)) is Light.NO_GO
    assert light_of(stills(), stills=(ended, consent())) is Light.GO


def test_stills_without_files_are_unclear() -> None:
    assert light_of(stills().model_copy(update={"files": {}})) is Light.INSUFFICIENT_EVIDENCE


# --- prompts -------------------------------------------------------------------------------------


def test_prompts_that_name_a_listed_brand_are_forbidden_and_others_are_not() -> None:
    asked = subject(arm(part(), prompts()), hits=(Hit("p1", "Brand"),))
    clean = subject(arm(part(), prompts()))

    assert judged(asked, rights()).light is Light.NO_GO
    assert "Prompts name Brand (prompts p1)" in said(first(judged(asked, rights()), "prompts"))
    assert judged(clean, rights()).light is Light.GO


def test_prompts_that_were_not_screened_are_unclear() -> None:
    assert light_of(prompts(), words=Words(names=(), brands=())) is Light.INSUFFICIENT_EVIDENCE


# --- waivers and approvals -----------------------------------------------------------------------


def test_an_approved_waiver_of_an_unclear_part_is_conditional_with_owner_and_end() -> None:
    asked = subject(arm(part(licence=UNCLEAR)))
    result = judged(asked, rights(waivers=(waiver(),)))
    counted = first(result).waiver

    assert result.light is Light.CONDITIONAL
    assert counted is not None
    assert (counted.owner, result.valid_until) == ("head of production", counted.expires)


def test_an_expired_waiver_counts_for_nothing() -> None:
    last = waiver().expires
    lights = [
        light_of(part(licence=UNCLEAR), waivers=(waiver(),), on=day)
        for day in (last, last + timedelta(days=1))
    ]

    assert lights == [Light.CONDITIONAL, Light.INSUFFICIENT_EVIDENCE]


def test_a_waiver_of_another_part_counts_for_nothing() -> None:
    other = waiver("other")

    assert light_of(part(licence=UNCLEAR), waivers=(other,)) is Light.INSUFFICIENT_EVIDENCE


def test_a_waiver_that_not_every_role_has_approved_counts_for_nothing() -> None:
    asked, given_ = subject(arm(part(licence=UNCLEAR))), rights(waivers=(waiver(),))
    half = judge(asked, approved(asked, given_, ("legal",)), table(), on=TODAY)

    assert half.light is Light.INSUFFICIENT_EVIDENCE
    assert (half.approved_by, half.missing_roles) == (("legal",), ("business",))


def test_what_is_forbidden_cannot_be_waived() -> None:
    result = judged(subject(arm(part(licence=FORBIDDEN))), rights(waivers=(waiver(),)))

    assert (result.light, first(result).waiver) == (Light.NO_GO, None)


def test_a_waiver_of_a_permitted_part_is_not_called_upon() -> None:
    result = judged(subject(), rights(waivers=(waiver(),)))

    assert (result.light, first(result).waiver) == (Light.GO, None)


def test_without_every_approval_the_best_is_conditional() -> None:
    asked, given_ = subject(), rights()

    assert judge(asked, given_, table(), on=TODAY).light is Light.CONDITIONAL
    assert judge(asked, approved(asked, given_), table(), on=TODAY).light is Light.GO


@pytest.mark.parametrize("what", ["file", "part", "prompts"])
def test_an_approval_of_something_else_counts_for_nothing(what: str) -> None:
    asked = subject()
    given_ = approved(asked, rights())
    if what == "file":
        fewer = given_.file.model_copy(update={"words": Words(names=("Hanako",), brands=())})
        given_ = type(given_)(fewer, given_.checklist)
    elif what == "part":
        asked = subject(arm(part(digest="1" * 64)))
    else:
        asked = subject(n_prompts=4)

    result = judge(asked, given_, table(), on=TODAY)

    assert result.light is Light.CONDITIONAL
    assert result.other_approvals == (1, 2)


@pytest.mark.parametrize("what", ["licence", "question"])
def test_a_changed_licence_fact_or_question_asks_for_a_new_approval(what: str) -> None:
    asked, given_, licences = subject(), approved(subject(), rights()), table()
    if what == "licence":
        other = licences.licences["mit"].model_copy(update={"conditions": ()})
        licences = LicenceTable({**licences.licences, "mit": other})
    else:
        fewer = given_.checklist.model_copy(update={"name": "another"})
        given_ = type(given_)(given_.file, fewer)

    assert judge(asked, given_, licences, on=TODAY).missing_roles == ("legal", "business")


def test_a_changed_licence_that_no_part_stands_on_asks_for_none() -> None:
    other = table().licences["apache-2.0"].model_copy(update={"conditions": ()})
    licences = LicenceTable({**table().licences, "apache-2.0": other})

    result = judge(subject(), approved(subject(), rights()), licences, on=TODAY)

    assert result.missing_roles == ()


def test_an_approval_outlives_one_for_another_plan_that_is_added_behind_it() -> None:
    one, other = subject(), subject(arm(part("other")))
    both = approved(other, approved(one, rights()))

    assert judge(one, both, table(), on=TODAY).light is Light.GO
    assert judge(other, both, table(), on=TODAY).light is Light.GO


# --- the checklist, the period, the example ------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Light.GO),
        ({"status": Status.NOT_APPLICABLE}, Light.GO),
        ({"status": Status.OPEN, "evidence": None, "due": TODAY}, Light.CONDITIONAL),
        (
            {"status": Status.OPEN, "evidence": None, "due": TODAY - timedelta(days=1)},
            Light.INSUFFICIENT_EVIDENCE,
        ),
    ],
)
def test_a_question_is_closed_or_has_an_owner_and_a_day_to_come(
    changes: dict[str, Any], expected: Light
) -> None:
    assert light_of(part(), answers=(answer(**changes),)) is expected


def test_a_question_that_nobody_answered_is_no_evidence_where_the_use_asks_it() -> None:
    assert light_of(part(), answers=()) is Light.INSUFFICIENT_EVIDENCE
    assert light_of(part(), answers=(), use=use(use=Use.EVALUATION)) is Light.GO


def test_after_the_stated_use_nothing_is_known() -> None:
    until = use().until
    policy = Policy(approval_roles=("legal", "business"), fact_days=3650, warn_days=0)

    assert light_of(part(), policy=policy, on=until) is Light.GO
    late = light_of(part(), policy=policy, on=until + timedelta(days=1))
    assert late is Light.INSUFFICIENT_EVIDENCE


def test_an_example_permits_nothing() -> None:
    assert light_of(part(), example=True) is Light.INSUFFICIENT_EVIDENCE


# --- arms ----------------------------------------------------------------------------------------


def test_an_arm_is_as_good_as_its_worst_part_and_the_plan_as_its_worst_arm() -> None:
    asked = subject(
        arm(part(), name="clear"),
        arm(part(), part("lora", UNCLEAR), name="open"),
        arm(part(), part("lora", UNCLEAR), part("motion", FORBIDDEN), name="closed"),
    )
    result = judged(asked, rights())

    assert [one.light for one in result.arms] == [
        Light.GO,
        Light.INSUFFICIENT_EVIDENCE,
        Light.NO_GO,
    ]
    assert (result.light, result.valid_until) == (Light.NO_GO, None)


def test_an_arm_that_is_not_cleared_is_told_which_are() -> None:
    asked = subject(arm(part(), name="clear"), arm(part("lora", UNCLEAR), name="open"))
    result = judged(asked, rights())

    assert [one.replacements for one in result.arms] == [(), ("clear",)]


def test_one_arm_can_be_asked_for_and_an_unknown_one_is_refused() -> None:
    asked = subject(arm(part(), name="clear"), arm(part("lora", FORBIDDEN), name="closed"))
    result = judged(asked, rights())

    assert only(result, "clear").light is Light.GO
    with pytest.raises(InputError, match=r"no arm is called 'cleer'\. Did you mean 'clear'"):
        only(result, "cleer")


# --- days ----------------------------------------------------------------------------------------


def test_the_answer_holds_until_the_first_thing_relied_on_ends() -> None:
    parts = (part(licence=UNCLEAR), stills(), prompts())
    result = judged(subject(arm(*parts)), rights(waivers=(waiver(),)))

    assert result.valid_until == min(waiver().expires, consent().valid_until)


def test_what_ends_soon_is_shown_and_what_ends_later_is_not() -> None:
    given_ = rights(stills=(consent(valid_until=TODAY + timedelta(days=30)),))
    later = rights(stills=(consent(valid_until=TODAY + timedelta(days=31)),))

    assert [one.what for one in judged(subject(), given_).expiring] == ["consent pastel"]
    assert judged(subject(), later).expiring == ()


def test_a_day_before_what_is_relied_on_is_refused() -> None:
    asked, read = subject(), table().licences["mit"].read
    given_ = approved(asked, rights())

    with pytest.raises(InputError, match="expected a day of 2026-11-30 or later"):
        judge(asked, given_, table(), on=read)


PARTS = st.sampled_from(
    [
        part(),
        part("lora", "Apache-2.0"),
        part("open", UNCLEAR),
        part("waived", UNCLEAR),
        part("closed", FORBIDDEN),
        part("own", commercial_use="unclear"),
        part("other-files", changed=True),
        stills(),
        prompts(),
    ]
)
DAYS = st.dates(min_value=TODAY, max_value=date(2029, 12, 31))
CASES = st.builds(
    rights,
    stills=st.sampled_from([(), (consent(),), (consent(uses=(Use.IN_HOUSE,)),)]),
    waivers=st.sampled_from([(), (waiver("waived"),), (waiver("open"), waiver("waived"))]),
    answers=st.sampled_from(
        [
            (),
            (answer(),),
            (answer(status=Status.OPEN, evidence=None, due=date(2027, 2, 1)),),
        ]
    ),
)
thorough = settings(max_examples=80, deadline=None, database=None, derandomize=True)


@thorough
@given(parts=st.lists(PARTS, min_size=1, max_size=4), more=PARTS, case=CASES, on=DAYS)
def test_one_part_more_never_improves_the_light(
    parts: list[Part], more: Part, case: Any, on: date
) -> None:
    fewer, all_ = (judged(subject(arm(*some)), case, on) for some in (parts, [*parts, more]))

    assert rank(all_.light) >= rank(fewer.light)


@thorough
@given(parts=st.lists(PARTS, min_size=1, max_size=4), case=CASES, days=st.tuples(DAYS, DAYS))
def test_a_later_day_never_improves_the_light(
    parts: list[Part], case: Any, days: tuple[date, date]
) -> None:
    early, late = (judged(subject(arm(*parts)), case, day) for day in sorted(days))

    assert rank(late.light) >= rank(early.light)


@thorough
@given(parts=st.lists(PARTS, min_size=1, max_size=4), case=CASES, on=DAYS, later=st.integers(0))
def test_an_allowed_light_stands_to_its_last_day(
    parts: list[Part], case: Any, on: date, later: int
) -> None:
    asked = subject(arm(*parts))
    result = judged(asked, case, on)
    if result.valid_until is None:
        assert result.light in {Light.NO_GO, Light.INSUFFICIENT_EVIDENCE}
        return
    days = (result.valid_until - on).days
    day = on + timedelta(days=later % (days + 1))

    assert days >= 0
    assert judged(asked, case, day).light is result.light


@thorough
@given(
    keys=st.sampled_from(sorted({one.id for one in table().licences.values()})),
    wanted=st.sampled_from(Use),
    days=st.tuples(DAYS, DAYS),
)
def test_a_later_day_never_improves_a_licence(
    keys: str, wanted: Use, days: tuple[date, date]
) -> None:
    early, late = (
        judge_licence(keys, table(), use(use=wanted), on=day, fact_days=200) for day in sorted(days)
    )

    assert severity(late.judgement) >= severity(early.judgement)


def test_the_same_question_gives_the_same_answer_to_the_byte() -> None:
    asked = subject(arm(part(licence=UNCLEAR), stills(), prompts()))

    assert judged(asked, rights()).to_json() == judged(asked, rights()).to_json()


def test_a_table_is_looked_up_without_regard_to_case_and_only_knows_its_own() -> None:
    small = LicenceTable(table().licences)

    assert small.find("MIT") is small.find("mit")
    assert small.find("WTFPL") is None
