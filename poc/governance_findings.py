"""The sentences of a rights answer, each in English and Japanese; no rule is applied here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from poc.licences import Statement, Use
from poc.rights_file import Consent, DeliveryRights

SHOWN = 3
"""Names that a sentence lists before it counts the rest."""

USES = {
    Use.EVALUATION: ("evaluation", "評価"),
    Use.IN_HOUSE: ("in-house use", "社内利用"),
    Use.ADVERTISING: ("advertising", "広告"),
    Use.CLIENT_WORK: ("client work", "受託制作"),
}


def _listed(names: Sequence[str]) -> tuple[str, str]:
    shown, rest = [name[:100] for name in names[:SHOWN]], len(names) - SHOWN
    more_en, more_ja = (f" and {rest} more", f"ほか{rest}件") if rest > 0 else ("", "")
    return ", ".join(shown) + more_en, "、".join(shown) + more_ja


# --- parts ---------------------------------------------------------------------------------------


def table_says(judgement: str) -> Statement:
    """Say that the table of models itself does not permit commercial use."""
    word = {"forbidden": "禁止", "unclear": "不明"}[judgement]
    return Statement(
        en=f"The table of models says of commercial use: {judgement}.",
        ja=f"モデル一覧では、商用利用は「{word}」とされている。",
    )


def ask_or_replace() -> Statement:
    """Propose the two ways that are always there."""
    return Statement(
        en="Write to the author for a permission that names this use, or replace the part.",
        ja="作者にこの用途の許諾を書面で求めるか、別の部品に置き換える。",
    )


def other_files() -> Statement:
    """Say that a run used files that nobody has judged."""
    return Statement(
        en="The run used other files than the table of models describes today.",
        ja="計測に使われたファイルは、現在のモデル一覧に記載のものと異なる。",
    )


def judge_those_files() -> Statement:
    """Propose to look up the rights of the files in use."""
    return Statement(
        en="Enter the licence of the files that were used, or run again with those listed.",
        ja="使用したファイルのライセンスを記載するか、一覧のファイルで計測し直す。",
    )


def no_consent(names: Sequence[str], total: int) -> Statement:
    """Say for which stills there is no record."""
    names_en, names_ja = _listed(names)
    return Statement(
        en=f"No rights record covers {len(names)} of {total} stills: {names_en}.",
        ja=f"素材{total}点のうち{len(names)}点に権利の記録がない（{names_ja}）。",
    )


def no_files() -> Statement:
    """Say that nothing is known of which stills there are, or which a LoRA learnt from."""
    return Statement(
        en="The table of models does not list these stills: no rights record can be bound to them.",
        ja="モデル一覧に素材のファイルがなく、権利の記録と結び付けられない。",
    )


def record_consent() -> Statement:
    """Propose to record who made the stills and who agreed."""
    return Statement(
        en="Record photographer, model release, scope and end for these stills, or leave them out.",
        ja="撮影者、モデルリリース、利用範囲、期限を記録するか、その素材を外す。",
    )


def consent_holds(consent: Consent) -> Statement:
    """Say which record covers stills."""
    return Statement(
        en=f"Record '{consent.id}' covers the stills until {consent.valid_until}.",
        ja=f"記録「{consent.id}」により、素材は{consent.valid_until}まで利用できる。",
    )


def consent_ended(consent: Consent | DeliveryRights) -> Statement:
    """Say that a record has run out."""
    return Statement(
        en=f"Record '{consent.id}' expired on {consent.valid_until}.",
        ja=f"記録「{consent.id}」は{consent.valid_until}に期限が切れた。",
    )


def consent_not_for(consent: Consent | DeliveryRights, use: Use) -> Statement:
    """Say that a record is for other uses."""
    en, ja = USES[use]
    return Statement(
        en=f"Record '{consent.id}' does not cover {en}.",
        ja=f"記録「{consent.id}」の利用範囲に{ja}は含まれない。",
    )


def consent_not_in(consent: Consent | DeliveryRights, places: Sequence[str]) -> Statement:
    """Say that a record is for other places."""
    en, ja = _listed(places)
    return Statement(
        en=f"Record '{consent.id}' does not cover {en}.",
        ja=f"記録「{consent.id}」の地域に{ja}は含まれない。",
    )


def no_release(consent: Consent) -> Statement:
    """Say that persons in the stills have not agreed."""
    return Statement(
        en=f"Record '{consent.id}': the persons shown gave no model release.",
        ja=f"記録「{consent.id}」: 写っている人物のモデルリリースがない。",
    )


def new_consent() -> Statement:
    """Propose to ask again, or to take other stills."""
    return Statement(
        en="Get a consent that covers this use, place and time, or take other stills.",
        ja="用途・地域・期間を満たす許諾を得るか、別の素材に替える。",
    )


def no_delivery(part: str) -> Statement:
    """Say that nothing is written down of clips that somebody else made."""
    return Statement(
        en=f"No rights record covers the {part[:100]}, which somebody else made.",
        ja=f"外部で制作された動画（{part[:100]}）に権利の記録がない。",
    )


def other_delivery(record: DeliveryRights) -> Statement:
    """Say that a record is for other clips than those delivered."""
    return Statement(
        en=f"Record '{record.id}' is for other takes or files than those delivered.",
        ja=f"記録「{record.id}」は、納品されたものとは別のテイクまたはファイルに対するものである。",
    )


def record_delivery(part: str, digest: str) -> Statement:
    """Propose to record who delivered clips and what was agreed."""
    return Statement(
        en="Record supplier, agreement, warranty, scope and end under 'deliveries', for part "
        f"'{part[:100]}' and digest {digest}.",
        ja=f"「deliveries」に、部品「{part[:100]}」・ダイジェスト{digest}として、"
        "納品者、契約、保証、利用範囲、期限を記録する。",
    )


def delivery_holds(record: DeliveryRights) -> Statement:
    """Say which agreement clips stand on; nobody here has seen what made them."""
    return Statement(
        en=f"Record '{record.id}' covers these clips until {record.valid_until}, as "
        f"{record.supplier[:100]} agreed; what made them was not looked at.",
        ja=f"記録「{record.id}」により、{record.supplier[:100]}との合意として"
        f"{record.valid_until}まで利用できる。制作に使われたモデルは確認していない。",
    )


def new_delivery() -> Statement:
    """Propose to agree anew, or to take other clips."""
    return Statement(
        en="Get an agreement that covers this use, place and time, or leave the clips out.",
        ja="用途・地域・期間を満たす合意を得るか、その動画を外す。",
    )


def prompts_name(terms: Sequence[str], prompts: Sequence[str]) -> Statement:
    """Say which names and brands stand in prompts."""
    terms_en, terms_ja = _listed(terms)
    prompts_en, prompts_ja = _listed(prompts)
    return Statement(
        en=f"Prompts name {terms_en} (prompts {prompts_en}).",
        ja=f"プロンプトに{terms_ja}が含まれる（プロンプト{prompts_ja}）。",
    )


def reword_prompts() -> Statement:
    """Propose other words."""
    return Statement(
        en="Reword these prompts, or take the word off the list if its owner has agreed.",
        ja="プロンプトを書き換える。権利者の許諾がある語は一覧から外す。",
    )


def prompts_clean(prompts: int, terms: int) -> Statement:
    """Say what was looked for in how many prompts."""
    return Statement(
        en=f"None of {prompts} prompts names one of the {terms} listed names and brands.",
        ja=f"プロンプト{prompts}件に、一覧の名称・商標{terms}件は含まれない。",
    )


def nothing_listed() -> Statement:
    """Say that prompts could not be looked through."""
    return Statement(
        en="No names and brands are listed, so no prompt was screened.",
        ja="名称・商標の一覧が空のため、プロンプトを確認していない。",
    )


def list_words() -> Statement:
    """Propose to fill the list."""
    return Statement(
        en="List the names and brands that must not appear, those of competitors included.",
        ja="競合を含め、使ってはならない名称・商標を一覧に記載する。",
    )


# --- every arm -----------------------------------------------------------------------------------


def example_only() -> Statement:
    """Say that the file is made up."""
    return Statement(
        en="The rights file is an example with made-up names: it permits nothing.",
        ja="この権利ファイルは架空の例であり、何も許諾するものではない。",
    )


def use_ended(until: date) -> Statement:
    """Say that the stated use is over."""
    return Statement(
        en=f"The stated use ended on {until}: state a new one and have it approved.",
        ja=f"記載された利用期間は{until}に終わった。新たに定めて承認を得る。",
    )


def unanswered(names: Sequence[str]) -> Statement:
    """Say which questions nobody answered, or not in time."""
    en, ja = _listed(names)
    return Statement(
        en=f"Checklist, not answered or overdue: {en}.",
        ja=f"チェックリストの未回答または期限超過: {ja}。",
    )


def still_open(names: Sequence[str]) -> Statement:
    """Say which questions are open with an owner and a day."""
    en, ja = _listed(names)
    return Statement(
        en=f"Checklist, open with owner and day: {en}.",
        ja=f"チェックリストの対応中（担当・期限あり）: {ja}。",
    )


def not_approved(roles: Sequence[str]) -> Statement:
    """Say who has not approved, and that waivers wait for it."""
    en, ja = _listed(roles)
    return Statement(
        en=f"Not approved by {en}: until all have, no waiver counts.",
        ja=f"{ja}の承認がない。すべて揃うまで、例外の受け入れは効力をもたない。",
    )
