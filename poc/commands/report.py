"""`poc report` and `poc dashboard`: what people look at."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command
from poc.errors import InputError

FORMATS: Final = ("html", "pdf", "pptx", "xlsx", "md", "audit", "summary", "claims", "comparisons")
"""What a run can be written as."""


def add_report(commands: Commands) -> None:
    """Add `poc report`."""
    text = (
        "write the report: one HTML file in both languages; in one language PDF (a page for the "
        "board, then the evidence), PPTX, XLSX or Markdown; an archive for auditors; a summary "
        "folder: numbers, table, two pictures; the published claims as Markdown pages, told by the "
        "first run and, where it does not ask, by another; or the comparisons of runs, alike"
    )
    parser = add_command(commands, "report", _report, text)
    parser.add_argument(
        "run", type=Path, nargs="+", help="run folder; for claims and comparisons one or more"
    )
    parser.add_argument("--format", choices=FORMATS, default="html")
    parser.add_argument(
        "--lang", choices=["ja", "en"], default="ja", help="language, in HTML the one shown first"
    )
    parser.add_argument("--out", type=Path, help="file or folder to write (default: in RUN)")
    for name in ("criteria", "rights", "cost"):
        text = f"{name} file that the decision was made with, for the archive"
        parser.add_argument(f"--{name}", type=Path, help=text)
    parser.add_argument(
        "--note", default="", help="what readers of Markdown pages must know, said at their top"
    )


def _report(arguments: argparse.Namespace) -> int:
    path = _written_report(arguments)
    print(json.dumps({"report": str(path)}) if arguments.json else f"report: {path}")
    return COMPLETE


def _written_report(arguments: argparse.Namespace) -> Path:
    if arguments.format == "comparisons":
        from reports.export.comparisons import write_comparisons

        out = arguments.out or arguments.run[0] / "comparisons"
        return write_comparisons(arguments.run, out, note=arguments.note)
    if arguments.format == "claims":
        from reports.export.claims import write_claims

        out = arguments.out or arguments.run[0] / "claims"
        return write_claims(arguments.run, out, note=arguments.note)
    run = _only(arguments.run, arguments.format)
    if arguments.format == "summary":
        from reports.export.summary import write_summary

        return write_summary(run, arguments.out or run / "summary")
    if arguments.format == "audit":
        from poc.audit import Given, write_audit
        from poc.models import read_models

        given = Given(arguments.criteria, arguments.rights, arguments.cost)
        return write_audit(run, arguments.out, given, read_models())
    return _report_document(arguments.format)(run, arguments.out, language=arguments.lang)


def _only(runs: list[Path], form: str) -> Path:
    """Return the one run that a report is about."""
    if len(runs) > 1:
        raise InputError(
            f"RUN: expected one run folder for the format {form}, got {len(runs)}. Write one "
            "report after the other; only the formats claims and comparisons take several."
        )
    return runs[0]


def _report_document(form: str) -> Callable[..., Path]:
    """Return the writer of a document; only its own packages are loaded."""
    if form == "pdf":
        from reports.export.pdf import write_pdf

        return write_pdf
    if form == "pptx":
        from reports.export.pptx import write_pptx

        return write_pptx
    if form == "xlsx":
        from reports.export.xlsx import write_xlsx

        return write_xlsx
    if form == "md":
        from reports.export.markdown import write_markdown

        return write_markdown
    from reports.export.html import write_report

    return write_report


def add_dashboard(commands: Commands) -> None:
    """Add `poc dashboard`."""
    text = "open the dashboard over a folder of runs; options after -- go to Streamlit"
    parser = add_command(commands, "dashboard", _dashboard, text)
    parser.add_argument("runs_dir", type=Path, nargs="?", default=Path("runs"))
    parser.add_argument("streamlit", nargs="*", help="Streamlit's own options, after --")


def _dashboard(arguments: argparse.Namespace) -> int:
    from reports.dashboard import command

    argv = command(arguments.runs_dir, arguments.streamlit)
    if not arguments.json:
        os.execv(argv[0], argv)  # noqa: S606  # our own argument list; Streamlit takes over
    print(json.dumps({"command": argv}))
    return COMPLETE
