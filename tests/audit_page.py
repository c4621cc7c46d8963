"""The committed page of the audit: tables of rates, what is assumed, and three lines that sum up.

Everything on it follows from `audit.json`; the README repeats the three lines, and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from audit_rates import COVERAGE, Rate, Standing

TITLES: Final = {
    "intervals": "Intervals of clips",
    "seconds": "Intervals of seconds",
    "kvd": "Intervals of KVD",
    "hard-prompts": "Arms that fail in few prompts alone",
    "false-go": "An arm that lies exactly at one must-criterion's minimum: how often it gets GO",
    "power": "An arm as good as the teacher and eight times as fast",
    "alarms": "Two runs of one commit",
    "planted": "Planted regressions",
}

AGAIN: Final = "with a second look"
"""In the names of rates of checks that were looked at once more where they were open."""

OF_SECOND_LOOKS: Final = (
    "A second look, at twice the prompts and rounds, is taken where the first leaves the answer "
    "open; of the 0.5 % the first spends 0.4 and the second 0.1."
)

ASSUMED: Final = {
    "intervals": (
        "Clips of a prompt share 40 % of the variance over arms, and 30 % more within an arm. The "
        "truth is known by formula. Where a share is near 0.95, some three of 40 pairs of 20 "
        "prompts differ: of so few Tango's interval, which is used, is too wide, and t, whose rows "
        "stand beside it for comparison alone, too narrow. What was found to narrow it passes arms "
        "that fail in few prompts alone too often, see below."
    ),
    "seconds": (
        "n is rounds. Rounds vary by 5 % for both arms together and by 3 % for each alone. Slow "
        "moments: one round in five takes half as long again for both arms, one in ten for one. "
        "The interval ends at two of the rounds' ratios: of few rounds it holds the truth in more "
        "than 95 %, whatever their distribution is, and the next nearer two in far less."
    ),
    "kvd": (
        "Normal features of 8 dimensions, half of their variance the prompt's, which the reference "
        "shares; the truth is known by the moments of the cubic kernel. Real features are not "
        "normal."
    ),
    "hard-prompts": (
        "Clips of easy prompts never fail; each arm has hard prompts of its own. Beside each row, "
        "for comparison alone, what would be said if clips of one prompt counted as independent."
    ),
    "false-go": (
        "The demonstration's criteria; the arm is good in all else. A target above the minimum "
        "makes GO rarer than 5 %; with both at one place the 95 % of resamples alone hold it back."
    ),
    "power": (
        "The teacher is right in 80 % and moves as asked in 97 % of clips, as in the demo. No clip "
        "is lost."
    ),
    "alarms": (
        "Two arms, six metrics, seeds that differ: real runs of one commit and one seed have equal "
        "clips and cannot alarm but in seconds. The runs were timed in turns on a machine that "
        "slows by a fifth and whose turns vary by 5 % for both. With limits of 0 the tests alone "
        "hold an alarm back, at 0.5 % by the gate's promise."
    ),
    "planted": (
        "n is rounds where seconds are planted, taken in turns. Corrections count the tests of the "
        "whole sweep that ships, the other arms' showing nothing. `As promised`: the change that "
        "`poc plan` says is named in 95 %. A change just beyond its limit is named in half of the "
        "checks at best, so what is promised lies further out."
    ),
}

OF_POOLS: Final = (
    "Real measurements of a run: prompts are drawn from it with replacement, each with one of "
    "its seeds or as many as a row says, and what the whole pool says is the truth. KVD is not "
    "among them: drawn twice, a clip would be its own neighbour. Arms of a pool share its "
    "prompts, so its rows are not independent of each other. Decisions are by the "
    "demonstration's criteria on clips. `in truth bad`: some must's minimum is not met by the "
    "pool; `good`: every target is. An arm truly at its minimum is called NO_GO in one run of "
    "five, by the rule. The gate's pairs deal two clips of each prompt to head and base at "
    "random: of two of the pool's seeds where it has several, else of two arms, which differ "
    "more; in truth head and base never differ."
)


NOT_KEPT: Final = (
    "The clips of this run are not in the repository, so `make audit` alone does not repeat it."
)


def _is_kept(pool: Mapping[str, Any]) -> bool:
    """Return whether a pool was drawn from clips that every clone has."""
    return pool.get("clips") is not None


def page(content: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines(content)) + "\n"


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    yield "# Audit of the statistics"
    yield ""
    yield from summary(content)
    yield ""
    yield (
        "Seeded runs whose truth is known, through the functions that a real run goes through. A "
        "bar is kept or missed where all of the 99 % interval of the share says so, and *too "
        "close to tell* otherwise. `make audit` writes this file."
    )
    for name, title in TITLES.items():
        if name in content["parts"]:
            found = content["parts"][name]
            looked_again = any(AGAIN in row["what"] for row in found["rates"])
            about = f"{ASSUMED[name]} {OF_SECOND_LOOKS}" if looked_again else ASSUMED[name]
            yield from _part(title, about, found)
    for name, found in content["pools"].items():
        title = f"Runs drawn from `{name}`, {found['prompts']} prompts"
        about = OF_POOLS if _is_kept(found) else f"{NOT_KEPT} {OF_POOLS}"
        yield from _part(title, about, found)
    if content["verdicts"]:
        yield from _verdicts(content["verdicts"]["rows"])


def summary(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield three lines: of intervals, of decisions, of the gate."""
    yield from _of_intervals(content)
    yield from _of_decisions(content)
    yield from _of_gate(content)


def rates(content: Mapping[str, Any], *names: str) -> list[Rate]:
    """Return the rates of some parts."""
    found = (content["parts"].get(name, {"rates": []}) for name in names)
    return [Rate.from_json(row) for part in found for row in part["rates"]]


def _trials(found: Sequence[Rate]) -> str:
    """Say how many trials stand behind each share."""
    least, most = (pick(rate.trials for rate in found) for pick in (min, max))
    return f"{least:,} trials each" if least == most else f"{least:,} to {most:,} trials each"


def _of_intervals(content: Mapping[str, Any]) -> Iterator[str]:
    of_clips = rates(content, "intervals", "seconds", "kvd", "hard-prompts")
    found = [rate for rate in of_clips if rate.bar == COVERAGE]
    if not found:
        return
    shares = [rate.share for rate in found]
    count = {standing: sum(rate.standing is standing for rate in found) for standing in Standing}
    below = sum(rate.standing is Standing.MISSED and rate.share < 0.93 for rate in found)
    yield (
        f"- Intervals of nominal 95 % hold the truth in {min(shares):.1%} to {max(shares):.1%} of "
        f"simulated runs ({_trials(found)}). Of {len(found)} rows "
        f"{count[Standing.KEPT]} lie inside 93 to 97 %, "
        f"{count[Standing.OPEN]} are too close to tell, {below} lie below and "
        f"{count[Standing.MISSED] - below} above."
    )


def _of_decisions(content: Mapping[str, Any]) -> Iterator[str]:
    false, good = rates(content, "false-go"), rates(content, "power")
    if not false or not good:
        return
    shipped = [rate.share for rate in false if "as shipped" in rate.what]
    bare = [rate.share for rate in false if "as shipped" not in rate.what]
    going = [rate for rate in good if rate.what.endswith(": GO")]
    told = [
        f"{rate.share:.0%} at {rate.n}{' (planned)' if rate.bar is not None else ''}"
        for rate in going
    ]
    most = max(rate.interval[1] for rate in false)
    sizes = " and ".join(dict.fromkeys(str(rate.n) for rate in false))
    yield (
        f"- An arm exactly at a minimum gets GO in {max(shipped):.1%} of runs or fewer, by the "
        f"99 % intervals {most:.1%} or fewer, at {sizes} prompts (with the target moved to the "
        f"minimum {max(bare):.1%}); one as good as the teacher gets it in {', '.join(told)} "
        f"prompts ({_trials([*false, *good])})."
    )


def _of_gate(content: Mapping[str, Any]) -> Iterator[str]:
    equal, found = rates(content, "alarms"), rates(content, "planted")
    if not equal or not found:
        return
    # What alarmed at the first look is among those with a second.
    last = [rate for rate in equal if rate.what == f"equal runs {AGAIN}: REGRESSION"]
    alarms = last or [rate for rate in equal if rate.what == "equal runs: REGRESSION"]
    of_clips = [
        rate
        for pool in filter(_is_kept, content["pools"].values())
        for rate in map(Rate.from_json, pool["rates"])
        if rate.part.endswith(": gate") and rate.bar
    ]
    slow = [r for r in found if r.what == "+10% seconds: REGRESSION"]
    noise = {r.note.partition(",")[0].removeprefix("rounds vary by "): r.share for r in slow}
    told = ", ".join(f"{share:.0%} where rounds vary by {by}" for by, share in noise.items())
    lost = next((r for r in found if "one clip in ten" in r.what), None)
    clips = ""
    if lost:
        clips = f", and one right clip in ten lost, of {lost.n} prompts, in {lost.share:.0%}"
    yield (
        f"- The gate raises {_alarms(alarms)} of equal simulated runs, and {_alarms(of_clips)} "
        "dealt from real clips, which are neither timed nor looked at again. It names 10 % more "
        f"seconds, of {slow[0].n if slow else 0} rounds in turns, in {told} of checks"
        f"{clips} ({_trials(found)})."
    )


def _alarms(found: Sequence[Rate]) -> str:
    """Say how often an alarm was false, in all and in the row that is worst."""
    hits, trials = sum(rate.hits for rate in found), sum(rate.trials for rate in found)
    worst = max((rate.share for rate in found), default=0.0)
    return f"{hits} false alarms in {trials:,} pairs (at most {worst:.2%} of a row's)"


# --- tables --------------------------------------------------------------------------------------


def _part(title: str, assumed: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## {title}", "", assumed, "")
    yield "| what | n | conditions | trials | share [99 %] | bar | |"
    yield "|---|---|---|---|---|---|---|"
    for row in found["rates"]:
        yield _row(Rate.from_json(row))
    clips = f", clips {found['clips'][:12]}" if _is_kept(found) else ""
    yield from ("", f"Seed {found['seed']}, code {found['source'][:12]}{clips}, {found['cpu']}.")


def _row(rate: Rate) -> str:
    low, high = rate.interval
    bar = "" if rate.bar is None else str(rate.bar)
    standing = "" if rate.standing is Standing.TOLD else str(rate.standing)
    mark = f"**{standing}**" if rate.standing is Standing.MISSED else standing
    share = f"{rate.share:.1%} [{low:.1%}, {high:.1%}]"
    return f"| {rate.what} | {rate.n} | {rate.note} | {rate.trials} | {share} | {bar} | {mark} |"


def _verdicts(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "## Broken runs", "")
    yield "What the program says of a run folder that is broken in a known way; for `poc decide`"
    yield "its technical light, since without prices the whole is INSUFFICIENT_EVIDENCE at best."
    yield from ("", "| command | what | should say | says | |", "|---|---|---|---|---|")
    for row in rows:
        should, says = (
            f"{row[word]}, {row[code]}"
            for word, code in (("should_say", "should_exit"), ("says", "exits"))
        )
        mark = "kept" if should == says else "**missed**"
        yield f"| `{row['command']}` | {row['what']} | {should} | {says} | {mark} |"
