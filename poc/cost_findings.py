"""The sentences of the cost model, each in English and Japanese; no rule is applied here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from poc.cost_file import AlternativeName, Basis, Deliverable, GpuMode, Quantity, Stage
from poc.cost_model import Part
from poc.records import ClipShape, Finding
from poc.vote_intervals import FEWEST_PROMPTS, FEWEST_RATERS

PARTS: Final[Mapping[Part, Finding]] = {
    Part.EQUIPMENT: Finding(text_en="equipment", text_ja="機器（GPU・電力）"),
    Part.PEOPLE: Finding(text_en="people", text_ja="人件費"),
    Part.FEES: Finding(text_en="fees", text_ja="外部への支払い"),
    Part.RIGHTS: Finding(text_en="rights", text_ja="権利"),
}

ALTERNATIVES: Final[Mapping[AlternativeName, Finding]] = {
    AlternativeName.OUTSIDE_PARTNER: Finding(text_en="outside partner", text_ja="外部パートナー"),
    AlternativeName.OUTSOURCING: Finding(text_en="outsourcing", text_ja="外注"),
    AlternativeName.STOCK_FOOTAGE: Finding(text_en="stock footage", text_ja="ストック素材"),
    AlternativeName.OWN_SHOOTING: Finding(text_en="own shooting", text_ja="自社撮影"),
    AlternativeName.DOING_NOTHING: Finding(text_en="doing nothing", text_ja="何もしない"),
}

MODES: Final[Mapping[GpuMode, Finding]] = {
    GpuMode.RENTED: Finding(text_en="rented", text_ja="従量課金"),
    GpuMode.RESERVED: Finding(text_en="reserved", text_ja="期間契約"),
    GpuMode.BOUGHT: Finding(text_en="bought", text_ja="購入"),
}

STAGES: Final[Mapping[str, Finding]] = {
    "poc": Finding(text_en="PoC", text_ja="PoC"),
    "shadow": Finding(text_en="shadow", text_ja="並行運用"),
    "limited": Finding(text_en="limited", text_ja="限定導入"),
    "scale": Finding(text_en="scale", text_ja="全面導入"),
}


def gpu_option(mode: GpuMode, *, is_shared: bool) -> Finding:
    """Name a way of paying for GPUs."""
    way = MODES[mode]
    if mode is GpuMode.RENTED:
        return way
    en, ja = ("shared", "共用") if is_shared else ("whole, this work alone", "整数台・専用")
    return Finding(text_en=f"{way.text_en} ({en})", text_ja=f"{way.text_ja}（{ja}）")


def break_even(least: float | None, below: float | None) -> Finding:
    """Say at which volume ours costs no more than what it is compared with."""
    if below is not None:
        return Finding(
            text_en=f"cheaper below {number(below, 3)} deliverables a month",
            text_ja=f"月{number(below, 3)}本までは安い",
        )
    if least is None:
        return Finding(text_en="never", text_ja="なし")
    if least == 0:
        return Finding(text_en="cheaper at any volume", text_ja="本数によらず安い")
    return Finding(
        text_en=f"from {number(least, 3)} deliverables a month on",
        text_ja=f"月{number(least, 3)}本以上",
    )


def number(value: float, digits: int = 15) -> str:
    """Return a number to so many significant digits as people write it: large ones in groups.

    >>> number(6e6), number(0.05), number(1234.5, 3), number(22.0)
    ('6,000,000', '0.05', '1,230', '22')
    """
    return f"{float(f'{value:.{digits}g}'):,.15g}"


def amount(value: float) -> str:
    """Return an amount as people write it, cents only where it is small.

    >>> amount(470348.6), amount(9.375), amount(0)
    ('470,349', '9.38', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:,.2f}"


def money(value: float, currency: str) -> Finding:
    """Return an amount with its currency.

    >>> money(470348.6, "JPY").text_en, money(9.375, "USD").text_ja
    ('470,349 JPY', '9.38 USD')
    """
    shown = amount(value)
    ja = f"{shown}円" if currency == "JPY" else f"{shown} {currency}"
    return Finding(text_en=f"{shown} {currency}", text_ja=ja)


def months(value: float | None) -> Finding:
    """Return a number of months, or that it never comes."""
    if value is None:
        return Finding(text_en="not within the period", text_ja="評価期間内に回収できない")
    return Finding(text_en=f"{value:.1f} months", text_ja=f"{value:.1f}か月")


def days(value: float) -> Finding:
    """Return a number of working days."""
    return Finding(text_en=f"{value:g} working days", text_ja=f"{value:g}営業日")


def percent(share: float) -> str:
    """Return a share in percent, never 0 or 100 for what is only close to it.

    >>> percent(0.583), percent(0.0004), percent(0.9999), percent(1)
    ('58 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def limited(name: str, value: float | None, currency: str) -> Finding:
    """Return a figure that a limit of this name is set on, in its unit; None: never reached."""
    if name == "payback_months" or value is None:
        return months(value)
    return days(value) if name == "working_days" else money(value, currency)


def deliverable(one: Deliverable) -> Finding:
    """Say what the unit is."""
    size = f"{one.width} x {one.height}"
    en = ["sound" if one.sound else "no sound", "captions" if one.captions else "no captions"]
    ja = ["音声あり" if one.sound else "音声なし", "字幕あり" if one.captions else "字幕なし"]
    facts = f"{size}, {one.fps:g} fps, {one.aspect}"
    return Finding(
        text_en=f"{one.name}: {one.duration_s:g} s, {facts}, {', '.join(en)}",
        text_ja=f"{one.name_ja}：{one.duration_s:g}秒、{facts}、{'、'.join(ja)}",
    )


def largest_part(
    total: float, shares: Mapping[Part, float], amounts: Mapping[Part, float], currency: str
) -> Finding:
    """Say which of equipment, people, fees and rights costs most, and what the others do."""
    order = sorted(Part, key=lambda part: -shares[part])
    first, others = order[0], order[1:]
    whole, most = money(total, currency), money(amounts[first], currency)
    rest_en = ", ".join(f"{PARTS[p].text_en} {percent(shares[p])}" for p in others)
    rest_ja = "、".join(f"{PARTS[p].text_ja}{percent(shares[p])}" for p in others)
    verb = "is" if first is Part.EQUIPMENT else "are"
    return Finding(
        text_en=f"Of the {whole.text_en} that a finished deliverable costs, {PARTS[first].text_en} "
        f"{verb} the largest part: {percent(shares[first])} ({most.text_en}); {rest_en}.",
        text_ja=f"完成動画1本の費用{whole.text_ja}のうち最大は{PARTS[first].text_ja}で、"
        f"{percent(shares[first])}（{most.text_ja}）を占める。内訳の残りは{rest_ja}。",
    )


def distribution(*, has_estimates: bool) -> Finding:
    """Say how inputs are drawn, and what the intervals are not."""
    voted_en = voted_ja = ""
    if has_estimates:
        voted_en = (
            "What people's votes measured is drawn from a two-piece normal instead, on the arcsine "
            "scale of a share and the root of minutes: its median is the estimate, and 95 % lie "
            "within its interval. "
        )
        voted_ja = (
            "人の評価で測った値だけは、割合は逆正弦、時間は平方根の尺度で、左右で幅の異なる正規分布から"
            "抽出する。中央値は推定値であり、95 %がその信頼区間に収まる。"
        )
    return Finding(
        text_en="Each input is drawn on its own from a triangle: its value is the likeliest, its "
        "range the ends. Three numbers are stated of each, and a triangle claims no more than "
        f"they do. {voted_en}Intervals hold 90 % of the simulations; they are not confidence "
        "intervals.",
        text_ja="各入力は、値を最頻値、範囲を両端とする三角分布から互いに独立に抽出する。"
        "入力として示されるのはこの三つの数だけであり、三角分布はそれ以上の仮定を加えないためである。"
        f"{voted_ja}区間は試算の90 %が収まる範囲であり、信頼区間ではない。",
    )


# --- reasons -------------------------------------------------------------------------------------


def limit(label: Finding, value: Finding, line: Finding, share: float) -> Finding:
    """Say how a figure stands to its limit."""
    return Finding(
        text_en=f"Economic: {label.text_en} {value.text_en}, limit {line.text_en}; within it in "
        f"{percent(share)} of the simulations.",
        text_ja=f"経済性: {label.text_ja}は{value.text_ja}（上限{line.text_ja}）。"
        f"試算の{percent(share)}で上限以内となる。",
    )


def all_limits(share: float) -> Finding:
    """Say how often nothing is missed."""
    return Finding(
        text_en=f"Economic: all limits hold at once in {percent(share)} of the simulations.",
        text_ja=f"経済性: すべての上限が同時に守られるのは試算の{percent(share)}である。",
    )


def shared(other_work: str) -> Finding:
    """Say what the figures of shared GPUs stand on."""
    return Finding(
        text_en=f"Economic: the rest of the GPUs' time is taken to be paid for by {other_work}.",
        text_ja=f"経済性: GPUの残りの時間は「{other_work}」が負担するものとしている。",
    )


def no_limit() -> Finding:
    """Say that nothing was asked for."""
    return Finding(
        text_en="Economic: no limit on price, payback or working days was set, so nothing can be "
        "said of the result.",
        text_ja="経済性: 費用・回収期間・所要日数のどれにも上限がなく、判定できない。",
    )


def oracle() -> Finding:
    """Say that acceptance or review was read in the tiny world."""
    return Finding(
        text_en="Economic: acceptance or review comes from the oracle of the tiny world; it says "
        "nothing about real clips.",
        text_ja="経済性: 採用率または確認時間は小さな合成世界の判定器による値であり、"
        "実際のクリップについては何も示さない。",
    )


def judged(
    *,
    acceptance: Quantity | None,
    review: Quantity | None,
    stated: tuple[float, float],
    counts: tuple[int, int, int],
) -> Finding:
    """Say what people's votes replace: `stated` acceptance and review, `counts` of who judged.

    `counts` are votes, raters and clips.
    """
    votes, raters, clips = counts
    en, ja = [], []
    if acceptance is not None:
        is_en, was = percent(acceptance.value), percent(stated[0])
        en.append(f"acceptance rate {is_en} instead of the stated {was}")
        ja.append(f"採用率は{is_en}（入力の{was}に代える）")
    if review is not None:
        en.append(f"review {review.value:.2g} minutes a clip instead of {stated[1]:g}")
        ja.append(f"確認時間は1本{review.value:.2g}分（入力の{stated[1]:g}分に代える）")
    return Finding(
        text_en=f"Economic: people's votes go before the inputs: {', '.join(en)} ({votes} votes, "
        f"{raters} raters, {clips} clips). A clip that needs retouching is not accepted.",
        text_ja=f"経済性: 人の評価を入力より優先する。{'、'.join(ja)}"
        f"（{votes}票、評価者{raters}人、クリップ{clips}本）。手直しが必要なクリップは採用に数えない。",
    )


def too_few_votes(votes: int, raters: int, prompts: int) -> Finding:
    """Say that people's votes replace nothing, since there are not enough of them."""
    return Finding(
        text_en="Economic: votes on single clips are there but too few to go before the inputs: "
        f"{votes} votes, {raters} raters, {prompts} prompts. It takes {FEWEST_RATERS} raters who "
        f"have answered a damaged copy, and {FEWEST_PROMPTS} prompts of theirs.",
        text_ja="経済性: クリップごとの人の評価はあるが、入力より優先するには少ない"
        f"（{votes}票、評価者{raters}人、プロンプト{prompts}件）。"
        f"確認用のクリップに答えた評価者{FEWEST_RATERS}人と、"
        f"その評価によるプロンプト{FEWEST_PROMPTS}件が必要である。",
    )


def votes_amiss() -> Finding:
    """Say that people's votes replace nothing, since their sum does not hold."""
    return Finding(
        text_en="Economic: people's votes are there, but their sum is damaged or of other answers, "
        "so it replaces nothing. `poc rate show` sums them up anew; then price again.",
        text_ja="経済性: 人の評価はあるが、集計が壊れているか別の回答のものであるため、"
        "使っていない。"
        "`poc rate show`で集計し直してから、費用を計算し直す。",
    )


def judge_real_clips() -> Finding:
    """Ask for votes on what is to be bought."""
    return Finding(
        text_en="Acceptance and review: people judged clips of a demonstration; have them judge "
        "clips of the model that is to be used.",
        text_ja="採用率と確認時間: 実演用のクリップに対する評価である。"
        "実際に使うモデルのクリップを評価してもらう。",
    )


def examples_are_no_evidence() -> Finding:
    """Say why examples do not lead to NO_GO."""
    return Finding(
        text_en="Economic: the limits are missed, but with example values, which are no evidence.",
        text_ja="経済性: 上限を超えているが、例示の値による試算であり、根拠にはならない。",
    )


# --- conditions ----------------------------------------------------------------------------------


_ORIGINS: Final[Mapping[Basis, tuple[str, str]]] = {
    Basis.ASSUMED: ("is assumed", "仮定"),
    Basis.ORACLE: ("is what the tiny world's oracle says", "合成世界の判定器による値"),
}


def measure_acceptance(rate: Quantity, origin: Basis) -> Finding:
    """Ask for votes on clips."""
    value, low, high = map(percent, (rate.value, rate.low, rate.high))
    en, ja = _ORIGINS[origin]
    return Finding(
        text_en=f"Acceptance rate: have people judge clips; {value} ({low} to {high}) {en}.",
        text_ja=f"採用率: クリップを人が評価して求める（{value}、範囲{low}～{high}は{ja}）。",
    )


def measure_review(minutes: Quantity, origin: Basis) -> Finding:
    """Ask for timed reviews."""
    span = f"{minutes.low:g}", f"{minutes.high:g}"
    en, ja = _ORIGINS[origin]
    return Finding(
        text_en=f"Review minutes: time people while they judge clips; {minutes.value:g} minutes a "
        f"clip ({' to '.join(span)}) {en}.",
        text_ja=f"確認時間: 評価に要した時間を計る（1本{minutes.value:g}分、"
        f"範囲{'～'.join(span)}分は{ja}）。",
    )


def reach(label: Finding, value: str, *, at_least: bool) -> Finding:
    """Name the value of an assumed input from which on the limits hold."""
    side_en, side_ja = ("at least", "以上") if at_least else ("at most", "以下")
    return Finding(
        text_en=f"Show {label.text_en} of {side_en} {value}: from there on all limits hold at "
        "once in 95 % of the simulations.",
        text_ja=f"{label.text_ja}が{value}{side_ja}であることを示す。その場合、試算の95 %以上で"
        "すべての上限が同時に守られる。",
    )


def time_on(gpu: str, doubt: Finding) -> Finding:
    """Ask for seconds from the GPU that is to be used."""
    return Finding(
        text_en=f"Seconds per clip: time clips on {gpu}; they are {doubt.text_en}.",
        text_ja=f"生成時間: {gpu}で計測する（現在は{doubt.text_ja}）。",
    )


def only_stated() -> Finding:
    """Say that nobody timed the seconds."""
    return Finding(text_en="stated, not timed", text_ja="計測値ではなく申告値")


def timed_elsewhere(device: str) -> Finding:
    """Say that the seconds come from a device that is not the one to be paid for."""
    return Finding(text_en=f"from another device ({device})", text_ja=f"別の装置（{device}）での値")


def timed_in_demonstration(shape: ClipShape) -> Finding:
    """Say that the seconds come from a run that decides on no purchase."""
    clip = timed_clip(shape)
    return Finding(
        text_en=f"from a demonstration, with {clip.text_en}",
        text_ja=f"実演用の実行（{clip.text_ja}）での値",
    )


def too_few_rounds(rounds: int, needed: int) -> Finding:
    """Say that the seconds rest on too little."""
    noun = "round" if rounds == 1 else "rounds"
    return Finding(
        text_en=f"from {rounds} {noun}, {needed} are needed for their range",
        text_ja=f"{rounds}回だけの計測値（範囲を示すには{needed}回が必要）",
    )


def timed_clip(shape: ClipShape) -> Finding:
    """Say which clip was timed."""
    size = f"{shape.width} x {shape.height}"
    return Finding(
        text_en=f"clips of {shape.num_frames} frames, {size}",
        text_ja=f"{shape.num_frames}フレーム、{size}のクリップ",
    )


def replace_examples(count: int, foremost: Sequence[Finding]) -> Finding:
    """Ask for real numbers instead of examples, those that move the result most first."""
    en, ja = "; ".join(f.text_en for f in foremost), "、".join(f.text_ja for f in foremost)
    noun = "1 input is an example" if count == 1 else f"{count} inputs are examples"
    return Finding(
        text_en=f"Example inputs: {noun}; replace by own dated figures, first of all: {en}.",
        text_ja=f"例示の入力: {count}件が例示である。自社の値（日付と出典つき）に置き換える。"
        f"影響の大きい順に{ja}。",
    )


def renew_offers(until: str) -> Finding:
    """Ask for prices that still stand."""
    return Finding(
        text_en=f"Prices: the offers behind them ended on {until}; ask for new ones.",
        text_ja=f"価格: 見積もりの有効期限（{until}）が過ぎている。取り直す。",
    )


def stage(one: Stage, currency: str) -> Finding:
    """Say how far a stage of the roll-out goes, and what lets it go on or ends it."""
    most = money(one.budget.value, currency)
    return Finding(
        text_en=f"{one.months} months, {percent(one.share)} of the deliverables, at most "
        f"{most.text_en}. Goes on when: {one.gate}. Stops when: {one.stop}.",
        text_ja=f"{one.months}か月、制作本数の{percent(one.share)}、支出は{most.text_ja}まで。"
        f"次へ進む条件: {one.gate_ja}。中止の条件: {one.stop_ja}。",
    )


def justify_over(name: AlternativeName) -> Finding:
    """Ask for the reason why a cheaper way is not taken."""
    way = ALTERNATIVES[name]
    return Finding(
        text_en=f"Cheaper way: say why not {way.text_en}, which costs less per deliverable.",
        text_ja=f"より安い方法: 1本あたりの費用が低い「{way.text_ja}」を選ばない理由を示す。",
    )


def justify_over_setting(name: str, share: float) -> Finding:
    """Ask for the reason why another setting is not taken that costs less."""
    return Finding(
        text_en=f"Cheaper setting: say why not {name}. In {percent(share)} of the simulations a "
        "finished video costs less with it, by the share of its clips that people accepted.",
        text_ja=f"より安い構成: {name}を選ばない理由を示す。人の評価による採用率で計算すると、"
        f"試算の{percent(share)}で、{name}のほうが推奨の構成より完成動画1本の費用が低い。",
    )


def not_priced(name: str, others: Sequence[str]) -> Finding:
    """Say that settings that pass as well were not priced: acceptance can outweigh seconds."""
    return Finding(
        text_en=f"Economic: settings that pass as well but are not priced beside {name}: "
        f"{', '.join(others)}. One that people accept more often can cost less although it is "
        "slower. To compare, both have to be timed alike and judged clip by clip by enough people.",
        text_ja=f"経済性: {'、'.join(others)}も基準を満たすが、{name}と並べた費用は計算していない。"
        "採用率の高い構成は、生成が遅くても費用が安いことがある。比べるには、両方を同じ条件で計測し、"
        "十分な人数がクリップごとに評価する必要がある。",
    )


def buy_setting(name: str, share: float) -> Finding:
    """Say which other setting keeps the limits more surely than the recommended one."""
    return Finding(
        text_en=f"Weigh {name} instead, which passes the technical criteria as well: with it all "
        f"limits are kept in {percent(share)} of the simulations.",
        text_ja=f"代わりに、同じく技術の基準を満たす{name}を検討する。試算の{percent(share)}で、"
        "すべての上限内に収まる。",
    )


# --- next step -----------------------------------------------------------------------------------


def narrow(label: Finding) -> Finding:
    """Propose to learn more about the input that moves the result most."""
    return Finding(
        text_en=f"Narrow the range of the input that moves the result most: {label.text_en}.",
        text_ja=f"結果への影響が最も大きい入力（{label.text_ja}）の範囲を絞る。",
    )


def set_limits() -> Finding:
    """Propose to decide what it may cost."""
    return Finding(
        text_en="Set a limit on price per deliverable, payback or working days.",
        text_ja="1本あたりの費用、回収期間、所要日数のいずれかに上限を定める。",
    )


def basis(name: Basis) -> Finding:
    """Return where a number comes from, in a word."""
    words = {
        Basis.VOTES: ("measured by votes", "人の評価による実測"),
        Basis.ORACLE: ("the tiny world's oracle", "合成世界の判定器"),
        Basis.ASSUMED: ("assumed", "仮定"),
    }
    return Finding(text_en=words[name][0], text_ja=words[name][1])
