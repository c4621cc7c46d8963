"""The rights light of a decision, and what rights say of the choice between arms. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from poc import findings
from poc.decision_case import Case
from poc.lights import worst
from poc.records import Estimates, Finding, Light, RightsBasis

CommercialUse = Literal["permitted", "forbidden", "unclear"]
"""What a model's licence says of the stated use."""


class RightsAnswer(NamedTuple):
    """What a rights file says of every arm, as `poc.governance` judged it."""

    lights: Mapping[str, Light]
    """By arm id."""
    valid_until: Mapping[str, str | None]
    digest: str
    on: str


def may_use(
    estimates: Estimates,
    licences: Mapping[str, CommercialUse] | None,
    rights: RightsAnswer | None,
) -> dict[str, Light]:
    """Return what rights say of every arm, as far as the choice goes: licences alone only bar."""
    if rights is not None:
        unknown = Light.INSUFFICIENT_EVIDENCE
        return {s.arm.id: rights.lights.get(s.arm.id, unknown) for s in estimates.arms}
    forbidden = {model for model, use in (licences or {}).items() if use == "forbidden"}
    return {s.arm.id: Light.NO_GO for s in estimates.arms if forbidden & set(s.arm.model_digests)}


class RightsLight(NamedTuple):
    """What is known of the rights in the arm that a decision is about."""

    light: Light
    reason: Finding
    unclear: tuple[str, ...] = ()
    basis: RightsBasis | None = None


def licensed(case: Case, licences: Mapping[str, CommercialUse] | None) -> RightsLight:
    """Return the rights light for the chosen arm's models, or all candidates' without one.

    Licences of models alone can forbid and never permit: use, stills, consents and approvals count
    as well, and only a rights file tells of them.
    """
    if licences is None:
        return RightsLight(Light.INSUFFICIENT_EVIDENCE, findings.rights_unknown())
    judged = _judged_licences(case, licences)
    forbidden = [model for model, use in judged.items() if use == "forbidden"]
    if forbidden:
        return RightsLight(Light.NO_GO, findings.rights_forbidden(forbidden))
    unclear = tuple(model for model, use in judged.items() if use == "unclear")
    reason = findings.rights_unclear(unclear) if unclear else findings.licences_permit()
    return RightsLight(Light.INSUFFICIENT_EVIDENCE, reason, unclear)


def governed(case: Case, answer: RightsAnswer) -> RightsLight:
    """Return the rights light that a rights file gives the chosen arm, or all candidates."""
    arms = [a.arm_id for a in ([case.chosen] if case.chosen else case.candidates)]
    lights = [answer.lights.get(arm, Light.INSUFFICIENT_EVIDENCE) for arm in arms]
    light = worst(lights or [Light.INSUFFICIENT_EVIDENCE])
    ends = [end for arm in arms if (end := answer.valid_until.get(arm)) is not None]
    stands = min(ends, default=None) if light in {Light.GO, Light.CONDITIONAL} else None
    basis = RightsBasis(digest=answer.digest, on=answer.on, valid_until=stands)
    return RightsLight(light, findings.rights_judged(light, answer.on, stands), basis=basis)


def _judged_licences(case: Case, licences: Mapping[str, CommercialUse]) -> dict[str, CommercialUse]:
    known = ("permitted", "forbidden", "unclear")
    wrong = sorted(model for model, use in licences.items() if use not in known)
    if wrong:
        raise ValueError(
            f"licences: {wrong[0]!r} has {licences[wrong[0]]!r}; expected one of {', '.join(known)}"
        )
    arms = [case.chosen] if case.chosen else case.candidates
    models = {m for a in arms for m in case.summary(a.arm_id).arm.model_digests}
    return {model: licences.get(model, "unclear") for model in sorted(models)}
