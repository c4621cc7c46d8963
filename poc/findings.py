"""The sentences of a decision, each in English and Japanese; no rule is applied here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metrics.catalog import CATALOG
from poc.records import (
    Arm,
    Choice,
    ContrastResult,
    Estimate,
    Finding,
    Light,
    Standing,
    Verdict,
)
from poc.vote_records import Question


def _listed(names: Sequence[str]) -> tuple[str, str]:
    return ", ".join(names), "、".join(names)


# --- reasons -------------------------------------------------------------------------------------


def demonstration() -> Finding:
    """Say that the run judges no purchase."""
    return Finding(
        text_en="This is a demonstration with tiny models, not a verdict on a purchase.",
        text_ja="これは小型モデルによるデモンストレーションであり、購入の可否を判断するものではない。",
    )


def random_weights() -> Finding:
    """Say that only times mean anything."""
    return Finding(
        text_en="The weights are random: only times and memory were measured. Quality was not "
        "measured, and nothing here says that a clip would be usable.",
        text_ja="重みは乱数であり、計測したのは時間とメモリだけである。品質は計測しておらず、"
        "使用可能なクリップが得られるとは言えない。",
    )


def take_weights() -> Finding:
    """Say what comes after latency before weights."""
    return Finding(
        text_en="Where the times are good enough, clear the licences, `poc fetch` the models, and "
        "run a spec with their weights.",
        text_ja="時間が十分であれば、ライセンスを確認し、`poc fetch`でモデルを取得して、"
        "実際の重みを使う仕様を実行する。",
    )


def meets_all(arm: Arm, *, on_seconds: bool) -> Finding:
    """Say that the recommended arm meets every must-criterion, and by what it leads the others."""
    least_en = "seconds per clip" if on_seconds else "network evaluations"
    least_ja = (
        "1本あたりの生成時間が最も短い" if on_seconds else "ネットワーク評価回数（NFE）が最も少ない"
    )
    return Finding(
        text_en=f"{arm.name} (NFE {arm.nfe}) meets every must-criterion; it is that of the fewest "
        f"{least_en} among those that do.",
        text_ja=f"{arm.name}（NFE {arm.nfe}）は必須基準をすべて満たす。"
        f"満たす候補の中で、{least_ja}。",
    )


_ENDED = {
    Light.GO: ("pass", "合格"),
    Light.INSUFFICIENT_EVIDENCE: ("are undecided", "判定保留"),
    Light.NO_GO: ("fail", "不合格"),
}


def leads_without_style(arm: Arm, styled: Mapping[Light, Sequence[str]]) -> Finding:
    """Say that the leading arm has no style, and how the `styled` candidates ended."""
    en, ja = [], []
    for light, (word, word_ja) in _ENDED.items():
        if names := styled.get(light):
            names_en, names_ja = _listed(names)
            en.append(f"{word}: {names_en}")
            ja.append(f"{word_ja}（{names_ja}）")
    return Finding(
        text_en=f"{arm.name} has no style. Of the candidates with one, by the must-criteria, "
        f"{'; '.join(en)}.",
        text_ja=f"{arm.name}は画風を付けない構成である。画風を付けた候補の必須基準の結果は、"
        f"{'、'.join(ja)}。",
    )


def comes_closest(arm: Arm, undecided: Sequence[str], asked: int) -> Finding:
    """Say which arm leads and which of its must-criteria are undecided."""
    names_en, names_ja = _listed(undecided)
    if not undecided:
        return Finding(
            text_en=f"{arm.name} comes closest: no must-criterion is undecided, but GO is blocked.",
            text_ja=f"最も有力なのは{arm.name}である。未確定の必須基準はないが、別の理由でGOを出せない。",
        )
    return Finding(
        text_en=f"{arm.name} comes closest; undecided must-criteria: {names_en} "
        f"({len(undecided)} of {asked}).",
        text_ja=f"最も有力なのは{arm.name}だが、必須基準{asked}件のうち{len(undecided)}件"
        f"（{names_ja}）が未確定である。",
    )


def all_fail(names: Sequence[str]) -> Finding:
    """Say that no candidate survives."""
    names_en, names_ja = _listed(names)
    return Finding(
        text_en=f"Every candidate fails a must-criterion. Failed: {names_en}.",
        text_ja=f"候補はいずれも必須基準を満たさない。不合格の基準: {names_ja}。",
    )


def no_candidate() -> Finding:
    """Say that there is nothing to recommend."""
    return Finding(
        text_en="No candidate needs fewer evaluations than the baseline: nothing to decide on.",
        text_ja="ベースラインよりNFE（ネットワーク評価回数）の少ない候補がなく、判定の対象がない。",
    )


def barred_by_rights(barred: Arm, chosen: Arm, *, forbidden: bool, may: bool) -> Finding:
    """Say that a better arm stands back because of its rights.

    `forbidden`: it may not be used at all; `may`: the chosen one may, if only on conditions.
    """
    why_en = "may not be used" if forbidden else f"has less clear rights than {chosen.name}"
    why_ja = "使用できない" if forbidden else f"権利の確認状況が{chosen.name}に及ばない"
    end_en = "that may be used" if may else "that nobody has forbidden"
    end_ja = "使用できる構成" if may else "禁止されていない構成"
    return Finding(
        text_en=f"By what was measured {barred.name} would lead, but it {why_en}. "
        f"{chosen.name} is the best {end_en}.",
        text_ja=f"測定結果だけなら{barred.name}が最も有力だが、{why_ja}。"
        f"{end_ja}の中では{chosen.name}が最も有力である。",
    )


def control_suffices(control: Arm, *, beside: Arm | None) -> Finding:
    """Say that a control meets every must-criterion, `beside` a candidate that does or alone."""
    if beside is None:
        return Finding(
            text_en=f"No candidate meets every must-criterion, but the control {control.name} "
            "does: look at it first.",
            text_ja=f"必須基準をすべて満たす候補はないが、対照の{control.name}は満たす。"
            "まずこの構成を検討すべきである。",
        )
    return Finding(
        text_en=f"The control {control.name} meets every must-criterion too: what {beside.name} "
        "adds to it may not be needed.",
        text_ja=f"対照の{control.name}も必須基準をすべて満たす。{beside.name}で加えた部分は"
        "不要かもしれない。",
    )


def control_lacks_speed(control: Arm, seconds: float, *, fails: bool) -> Finding:
    """Say that a control lacks speed alone; `seconds` are its over the baseline's."""
    en, ja = ("which it fails", "不合格") if fails else ("which is undecided", "判定保留")
    faster = f"{1 / seconds:.1f}"
    return Finding(
        text_en=f"The control {control.name} meets every must-criterion but that of speed, {en} "
        f"({faster} times as fast as the baseline): where this is fast enough, nothing more is "
        "needed.",
        text_ja=f"対照の{control.name}は、速さ以外の必須基準をすべて満たす（速さは{ja}、"
        f"ベースラインの{faster}倍）。その速さで足りるなら、候補で加えた部分は不要である。",
    )


def justify_over_control(control: Arm, chosen: Arm) -> Finding:
    """Ask why a candidate should be bought where a control does as well at no more cost."""
    return Finding(
        text_en=f"Say why {chosen.name} and not {control.name}, which meets every must-criterion "
        "with no more network evaluations.",
        text_ja=f"NFEが同じかより少ない{control.name}も必須基準をすべて満たすため、"
        f"{chosen.name}を選ぶ理由を示すこと。",
    )


def pending(clips: int) -> Finding:
    """Say that clips are missing, which blocks GO."""
    noun = "1 planned clip is" if clips == 1 else f"{clips} planned clips are"
    return Finding(
        text_en=f"{noun} pending: no GO before every clip has ended.",
        text_ja=f"計画したクリップのうち{clips}本が未生成である。すべて終わるまでGOは出せない。",
    )


def unfinished() -> Finding:
    """Say that a pass after generation is incomplete, which blocks GO."""
    return Finding(
        text_en="All clips have ended, but their measurement or the latency pass is unfinished.",
        text_ja="クリップの生成は終わっているが、評価または速度計測が完了していない。",
    )


def closed(reason: str) -> Finding:
    """Say that the run was ended early by hand, and why."""
    return Finding(
        text_en=f"The run was closed early: {reason}",
        text_ja=f"計測は途中で打ち切られた。理由: {reason}",
    )


def lost_clips(arm: Arm, clips: int) -> Finding:
    """Say that clips of an arm ended badly."""
    noun = "1 clip" if clips == 1 else f"{clips} clips"
    return Finding(
        text_en=f"{noun} of {arm.name} failed or came out invalid and count as not accepted.",
        text_ja=f"{arm.name}では{clips}本が生成失敗または無効となり、不採用として数えた。",
    )


def not_timed(arm: Arm) -> Finding:
    """Say that timing an arm failed, which blocks a GO for it."""
    return Finding(
        text_en=f"{arm.name} could not be timed: the run's record says why. It has no time, and is "
        "not recommended.",
        text_ja=f"{arm.name}は速度計測に失敗した（理由は記録を参照）。所要時間は不明であり、推奨しない。",
    )


def unsteady(control: Estimate) -> Finding:
    """Say that the baseline differed from itself while it was timed."""
    ratio = f"{control.value:.3g} [{control.low:.3g}, {control.high:.3g}]"
    return Finding(
        text_en="The machine was not steady: the baseline, timed twice in each round, took "
        f"{ratio} times its own seconds. Smaller differences in seconds may be the machine's.",
        text_ja="装置が安定していなかった。各回で2度計測したベースラインの所要時間の比は"
        f"{ratio}であり、これより小さい時間差は装置の揺らぎによる可能性がある。",
    )


def none_timed(arms: Sequence[Arm]) -> Finding:
    """Say that what is left to recommend has no time."""
    names = [arm.name for arm in arms]
    return Finding(
        text_en=f"No candidate is left to recommend: {', '.join(names)} could not be timed.",
        text_ja=f"推奨できる候補がない。{'、'.join(names)}は速度計測に失敗した。",
    )


def time_again(arms: Sequence[Arm]) -> Finding:
    """Ask for the times that failed."""
    names = [arm.name for arm in arms]
    return Finding(
        text_en=f"Time {', '.join(names)} in a new run, with more memory or on another device: "
        "the record says why it failed.",
        text_ja=f"{'、'.join(names)}の速度を、メモリーの多い別の装置での新しい実行で計測する"
        "（失敗の理由は記録を参照）。",
    )


def no_must(arm: Arm) -> Finding:
    """Say that nothing is demanded of an arm."""
    return Finding(
        text_en=f"No must-criterion applies to {arm.name}: without one there is no GO.",
        text_ja=f"{arm.name}に適用される必須基準がない。必須基準なしにGOは出せない。",
    )


def no_quality_must(*, speed: bool) -> Finding:
    """Say that the criteria would let bad clips pass."""
    lead_en = "Speed never decides without quality" if speed else "Quality is not asked for"
    lead_ja = "速度だけで採否は決められない" if speed else "品質が問われていない"
    return Finding(
        text_en=f"{lead_en}: no must-criterion looks at what the clips show, so there is no GO.",
        text_ja=f"{lead_ja}。クリップの内容を見る必須基準が一つもないため、GOは出せない。",
    )


def edited() -> Finding:
    """Say that the criteria are not those fixed before the run."""
    return Finding(
        text_en="These criteria are not the ones fixed before the run.",
        text_ja="この判定基準は、計測の前に定めたものから変更されている。",
    )


def no_price() -> Finding:
    """Say why the economic light is not lit."""
    return Finding(
        text_en="Economic: no price was given, so the cost per accepted clip is not known.",
        text_ja="経済性：価格が入力されていないため、採用クリップ1本あたりの費用は分からない。",
    )


def nothing_to_price() -> Finding:
    """Say why prices that were given answer nothing."""
    return Finding(
        text_en="Economic: no setting is recommended, so none was priced.",
        text_ja="経済性：推奨できる構成がないため、費用を計算していない。",
    )


def rights_unknown() -> Finding:
    """Say why the rights light is not lit."""
    return Finding(
        text_en="Rights: no record of licences and consents was given.",
        text_ja="権利：ライセンスと許諾の記録が与えられていない。",
    )


def licences_permit() -> Finding:
    """Say that the models' licences are no obstacle, and what was not looked at."""
    return Finding(
        text_en="Rights: the licence of every model in use permits commercial use; use, stills, "
        "consents and approvals were not looked at.",
        text_ja="権利：使用するモデルのライセンスはすべて商用利用を認めている。"
        "用途、素材、同意、承認は未確認である。",
    )


def rights_forbidden(models: Sequence[str]) -> Finding:
    """Say which models may not be used."""
    names_en, names_ja = _listed(models)
    return Finding(
        text_en=f"Rights: commercial use is forbidden for {names_en}.",
        text_ja=f"権利：{names_ja}は商用利用が禁止されている。",
    )


def rights_unclear(models: Sequence[str]) -> Finding:
    """Say for which models the licence is unclear."""
    names_en, names_ja = _listed(models)
    return Finding(
        text_en=f"Rights: whether {names_en} may be used commercially is unclear.",
        text_ja=f"権利：{names_ja}を商用利用できるかどうかが明らかでない。",
    )


def rights_judged(light: Light, on: str, until: str | None) -> Finding:
    """Say what the rights file gives on a day."""
    en, ja = {
        Light.GO: (
            "every part may be used as stated",
            "すべての部品を、記載された用途に利用できる",
        ),
        Light.CONDITIONAL: (
            "every part may be used as stated, on conditions",
            "条件付きで、記載された用途に利用できる",
        ),
        Light.INSUFFICIENT_EVIDENCE: (
            "a part, an answer or a period is not cleared; `poc rights` says which",
            "未確認の部品、未回答の項目、または期限切れがある（詳細は poc rights）",
        ),
        Light.NO_GO: (
            "a part is forbidden for the stated use; `poc rights` says which",
            "記載された用途に使えない部品がある（詳細は poc rights）",
        ),
    }[light]
    stands_en, stands_ja = (f", until {until}", f"（{until}まで）") if until else ("", "")
    return Finding(
        text_en=f"Rights, as the rights file says on {on}: {en}{stands_en}.",
        text_ja=f"権利（{on}時点の権利ファイルによる）: {ja}{stands_ja}。",
    )


# --- conditions ----------------------------------------------------------------------------------


_ASKED = {
    Question.MOTION: ("motion", "動き"),
    Question.PICTURE: ("picture", "画質"),
    Question.AS_ASKED: ("as asked", "指示どおりか"),
    Question.OVERALL: ("overall", "総合"),
}


def contradicts(arm: Arm, metric: str, question: Question, *, metric_better: bool) -> Finding:
    """Say that a metric and people judge an arm the opposite way."""
    info, (asked_en, asked_ja) = CATALOG[metric], _ASKED[question]
    says, say = ("better", "worse") if metric_better else ("worse", "better")
    says_ja, say_ja = ("良い", "悪い") if metric_better else ("悪い", "良い")
    return Finding(
        text_en=f"Contradiction: {info.label_en} calls {arm.name} {says} than the baseline, people "
        f"call it {say} ({asked_en}). Trust the people, and find out why.",
        text_ja=f"矛盾：{arm.name}は、{info.label_ja}ではベースラインより{says_ja}が、"
        f"人の評価（{asked_ja}）では{say_ja}。人の評価を優先し、原因を調べる。",
    )


def valid_until(day: str) -> Finding:
    """Say when the decision has to be taken again."""
    return Finding(
        text_en=f"This decision stands until {day}, when rights or prices end: decide again then.",
        text_ja=f"この判定の有効期限は{day}である（権利または価格の期限）。以後は判定し直す。",
    )


_STANDS = {
    Standing.BETTER: ("better in", "優れる"),
    Standing.WORSE: ("worse in", "劣る"),
    Standing.DIFFERENT: ("different in", "異なる"),
    Standing.OPEN: ("no difference shown in", "差は示されない"),
}


def against_today(arm: Arm, today: Arm, results: Sequence[ContrastResult]) -> Finding:
    """Say how an arm stands to what is done today, metric by metric."""
    en, ja = [], []
    for standing, (word, word_ja) in _STANDS.items():
        named = [one.estimate.metric for one in results if one.standing is standing]
        if named:
            labels = [CATALOG[name.partition("[")[0]] for name in named]
            en.append(f"{word} {', '.join(one.label_en for one in labels)}")
            ja.append(f"{'、'.join(one.label_ja for one in labels)}は{word_ja}")
    return Finding(
        text_en=f"Against what is done today ({today.name}), {arm.name} is: {'; '.join(en)}.",
        text_ja=f"現状（{today.name}）と比べた{arm.name}: {'；'.join(ja)}。",
    )


def confirmed(choice: Choice, light: Light | None, prompts: int) -> Finding:
    """Say what a second look at the chosen arm gave; None: the arm is not in it."""
    day = choice.time[:10]
    if light is Light.GO:
        return Finding(
            text_en=f"Confirmed: {choice.arm} was chosen on {day}, and passes again on {prompts} "
            "prompts given as new.",
            text_ja=f"再確認済み：{choice.arm}は{day}に選ばれ、新しいものとして与えられた"
            f"プロンプト{prompts}件でも基準を満たす。",
        )
    return Finding(
        text_en=f"Not confirmed: {choice.arm} was chosen on {day}, and is not shown to pass on "
        f"{prompts} prompts given as new.",
        text_ja=f"再確認できず：{choice.arm}は{day}に選ばれたが、新しいものとして与えられた"
        f"プロンプト{prompts}件では基準を満たすと示されていない。",
    )


def withdrawn(arm: Arm) -> Finding:
    """Say that an arm was taken out of the run for good, so that it leads nowhere."""
    return Finding(
        text_en=f"{arm.name} was taken out of this run for good (poc redact): what was measured of "
        "it stays as a record and recommends nothing.",
        text_ja=f"{arm.name}はこの実行から完全に取り除かれた（poc redact）。"
        "測定値は記録として残るが、推奨の根拠にはならない。",
    )


def confirm(arm: Arm) -> Finding:
    """Ask for a second look at the chosen arm."""
    return Finding(
        text_en=f"Confirm {arm.name} and the baseline on prompts generated after this choice: the "
        "best of several arms looks better than it is.",
        text_ja=f"{arm.name}とベースラインを、この選定の後に用意したプロンプトで再確認する。"
        "複数から最良のものを選ぶと、実力より良く見えるためである。",
    )


def approve_criteria() -> Finding:
    """Ask for an approval of changed criteria."""
    return Finding(
        text_en="Have the changed criteria approved, or decide by those fixed before the run.",
        text_ja="変更後の基準について承認を得るか、計測前に定めた基準で判定する。",
    )


def clear_licence(models: Sequence[str]) -> Finding:
    """Ask for a licence answer."""
    names_en, names_ja = _listed(models)
    return Finding(
        text_en=f"Get the licence of {names_en} clarified by its author, or replace it.",
        text_ja=f"{names_ja}のライセンスを作者に確認するか、別のモデルに置き換える。",
    )


def keep_rights_conditions() -> Finding:
    """Ask for the open approvals and questions, and for the waivers' ends to be kept."""
    return Finding(
        text_en="Settle what `poc rights` names: approvals, open questions, waivers that end.",
        text_ja="poc rights が示す未承認・対応中の項目を解決し、例外の受け入れは期限を守る。",
    )


# --- next measurement ----------------------------------------------------------------------------


def finish_run(clips: int) -> Finding:
    """Propose to complete the run."""
    what_en = f"clips to generate: {clips}" if clips else "complete measurement and timing"
    what_ja = f"未生成の{clips}本を生成する" if clips else "評価と速度計測を最後まで行う"
    return Finding(
        text_en=f"Finish the run: {what_en}.",
        text_ja=f"計測を完了させる（{what_ja}）。",
    )


def more_prompts(
    criterion: str, arm: Arm, *, count: int, clips: int, paired: bool, toward: Verdict
) -> Finding:
    """Propose a number of new prompts and say how the criterion would then end."""
    who_en, who_ja = _whose(arm, paired=paired)
    end_en, end_ja = _expected(toward)
    return Finding(
        text_en=f"About {count} more prompts ({clips} clips of {who_en}) {end_en} {criterion!r}.",
        text_ja=f"プロンプトを約{count}件（{who_ja}のクリップ計{clips}本）追加すれば、"
        f"「{criterion}」{end_ja}。",
    )


def more_rounds(
    criterion: str, arm: Arm, *, count: int, clips: int, paired: bool, toward: Verdict
) -> Finding:
    """Propose a number of timed rounds and say how the criterion would then end."""
    who_en, who_ja = _whose(arm, paired=paired)
    end_en, end_ja = _expected(toward)
    return Finding(
        text_en=f"About {count} more timed rounds ({clips} clips of {who_en}) {end_en} "
        f"{criterion!r}.",
        text_ja=f"速度計測を約{count}回（{who_ja}のクリップ計{clips}本）追加すれば、"
        f"「{criterion}」{end_ja}。",
    )


def _whose(arm: Arm, *, paired: bool) -> tuple[str, str]:
    if not paired:
        return arm.name, arm.name
    return f"{arm.name} and the baseline", f"{arm.name}とベースライン"


def _expected(toward: Verdict) -> tuple[str, str]:
    if toward is Verdict.INCONCLUSIVE:
        return "give a first interval of", "の信頼区間を初めて示せる"
    end_en, end_ja = ("a pass", "合格") if toward is Verdict.PASS else ("a fail", "不合格")
    return (
        f"should settle, as {end_en} if value and spread stay as they are,",
        f"は決着する見込みである（値とばらつきが今のままなら{end_ja}）",
    )


def measure_first(criterion: str, arm: Arm, reason: str) -> Finding:
    """Propose to obtain the estimate that a criterion lacks."""
    return Finding(
        text_en=f"{criterion!r} has no usable estimate for {arm.name} ({reason}): measure it.",
        text_ja=f"「{criterion}」は{arm.name}について判定に使える推定値がない。まず計測する。",
    )


def clips_do_not_help(criterion: str, arm: Arm) -> Finding:
    """Say that a larger sample of this arm would not settle it."""
    return Finding(
        text_en=f"Look at another setting. More clips of {arm.name} are not expected to settle "
        f"{criterion!r}: it lies too close to its minimum, or between minimum and target.",
        text_ja=f"別の設定を検討する。{arm.name}のクリップを増やしても「{criterion}」は決着しない"
        "見込みである（最低基準に近すぎるか、最低基準と目標の間にある）。",
    )


def add_quality_criterion() -> Finding:
    """Propose criteria that can carry a GO."""
    return Finding(
        text_en="Add a must-criterion on quality, have it approved, and decide again; no new clips "
        "are needed where its metric was measured.",
        text_ja="品質に関する必須基準を加えて承認を得たうえで、判定し直す。"
        "その指標が計測済みなら、クリップの追加は不要である。",
    )


def add_motion_criterion() -> Finding:
    """Propose the criterion without which smoothness does not count."""
    return Finding(
        text_en="Add a criterion on the amount of motion, have it approved, and decide again: "
        "smoothness does not count without one that passes.",
        text_ja="動きの量に関する基準を加えて承認を得たうえで、判定し直す。"
        "動きの基準を満たさない限り、滑らかさは評価に数えない。",
    )


def give_prices() -> Finding:
    """Propose to enter prices."""
    return Finding(
        text_en="Give prices (GPU, people, outside work). Prices alone need no further clips.",
        text_ja="価格（GPU、人件費、外注費）を入力する。入力だけで判定でき、クリップの追加は不要である。",
    )


def record_rights() -> Finding:
    """Propose to record licences and consents."""
    return Finding(
        text_en="Record the licences and consents of the models and stills in use.",
        text_ja="使用するモデルと素材のライセンスおよび許諾を記録する。",
    )
