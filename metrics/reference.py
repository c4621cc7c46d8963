"""The reference page of all metrics, written from the catalogue and the report card.

`make metric-reference` writes `metrics/REFERENCE.md`; a test says when it is out of date. What each
metric saw is read from `reports/baselines/report_card/report_card.json`, which `make report-card`
measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from metrics.catalog import ARGUMENTS, CATALOG, Direction, MetricInfo, Scope
from metrics.frames import PROTOCOL
from metrics.report_card import CARD, ON_CARD, SEEN, ReportCard

PAGE = Path(__file__).parent / "REFERENCE.md"

_CARD_PAGE = "../reports/baselines/report_card/report_card.md"
_BETTER = MappingProxyType(
    {
        Direction.HIGHER: "higher",
        Direction.LOWER: "lower",
        Direction.TARGET: "as the baseline",
        Direction.NONE: "neither",
    }
)


def page(card: ReportCard) -> str:
    """Return the whole page as Markdown."""
    lines = [*_head(card), *_overview()]
    for info in CATALOG.values():
        lines += ["", *_section(info, card)]
    lines += ["", "## What metrics take", ""]
    lines += [f"- `{name}`: {what}" for name, what in ARGUMENTS.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(ReportCard.from_json(CARD.read_text("utf-8"))), "utf-8")


def _head(card: ReportCard) -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield (
        "Written by `make metric-reference` from the [catalogue](catalog.py) and the "
        f"[report card]({_CARD_PAGE}); do not edit. A metric *saw* a planted fault when its AUC is "
        f"{SEEN} or more over {card.clips} clean and {card.clips} spoilt clips of the tiny world, "
        f"and *scored it as better* at {1 - SEEN:.1f} or less. That is clip by clip; over many "
        "prompts, paired, smaller changes show. A frozen clip is invalid and has no other value. "
        "Of clips of other kinds the card says nothing."
    )
    yield ""
    yield (
        "Values of different versions are not comparable. Pixels are read by the frame protocol "
        f"`{PROTOCOL}` ([frames.py](frames.py)); what a network or a flow sees through is named "
        "with every value. *As the baseline*: too little and too much are both worse."
    )
    yield ""


def _overview() -> Iterator[str]:
    yield "| metric | name | unit | better | of | version |"
    yield "|---|---|---|---|---|---|"
    for info in CATALOG.values():
        cells = (_link(info), info.label_en, info.unit, _BETTER[info.direction], str(info.scope))
        yield f"| {' | '.join(cells)} | {info.version} |"


def _link(info: MetricInfo) -> str:
    return f"[`{info.name}`](#{info.name})"


def _section(info: MetricInfo, card: ReportCard) -> Iterator[str]:
    yield f"## `{info.name}`"
    yield ""
    yield f"{info.label_en} · {info.label_ja}"
    yield ""
    yield f"- **Measures** {info.what}."
    yield f"- **Does not see** {info.not_seen}."
    yield f"- **Unit** {info.unit}; better: {_BETTER[info.direction]}."
    yield f"- **Version** {info.version}; {_made_of(info)}."
    yield f"- **Fewest** {_fewest(info)}."
    yield f"- **Report card** {_card_line(info, card)}."
    yield f"- **Source** {info.source}."


def _made_of(info: MetricInfo) -> str:
    if info.target is None:
        return "supplied by the harness"
    file = f"{info.target.partition(':')[0].removeprefix('metrics.')}.py"
    takes = " and ".join(f"`{name}`" for name in info.takes)
    protocol = "" if info.takes == ("samples",) else f", protocol `{PROTOCOL}`"
    return f"[{file}]({file}), from {takes}{protocol}"


def _fewest(info: MetricInfo) -> str:
    """Return what a value and an interval take, in words."""
    of_clip = info.scope is Scope.CLIP
    if of_clip:
        value = _counted(info.minimum_n, "frame") if info.minimum_n else "any number of frames"
        of_what = "prompt"
    else:
        value = _counted(info.minimum_n, "clip")
        of_what = "timed clip" if info.takes == ("samples",) else "prompt"
        if "reference_features" in info.takes:
            value += " on each side"
    if info.interval_n is None:
        return f"{value}; there is no interval"
    whose = "a mean's interval" if of_clip else "an interval"
    return f"{value}; {whose} takes {_counted(info.interval_n, of_what)}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _card_line(info: MetricInfo, card: ReportCard) -> str:
    found = card.of(info.name)
    if found is None:
        return "not on it"
    if card.versions[info.name] != info.version:
        return f"it was taken at version {card.versions[info.name]}: run `make report-card`"
    seen = {fault: value for fault, value in found.items() if value >= SEEN}
    text = f"saw {_listed(seen)}" if seen else "saw none of the planted faults"
    in_pairs = card.of_pairs(info.name) or {}
    more = {f: value for f, value in in_pairs.items() if value >= SEEN and f not in seen}
    if more:
        text += f"; in pairs also {_listed(more)}"
    fooled = {fault: value for fault, value in found.items() if value <= 1 - SEEN}
    if fooled and info.name not in ON_CARD:
        text += f"; scored as better {_listed(fooled)}"
    return text


def _listed(found: Mapping[str, float]) -> str:
    return ", ".join(f"{fault.replace('_', ' ')} ({value:.2f})" for fault, value in found.items())


if __name__ == "__main__":
    main()
