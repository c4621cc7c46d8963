"""`poc report` and `poc dashboard`: what people look at."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command


def add_report(commands: Commands) -> None:
    """Add `poc report`."""
    text = (
        "write the report as one HTML file; as a summary folder: numbers, table, two pictures; or "
        "the published claims as Markdown pages, Japanese and English, with pictures"
    )
    parser = add_command(commands, "report", _report, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--format", choices=["html", "summary", "claims"], default="html")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language shown first")
    parser.add_argument("--out", type=Path, help="file or folder to write (default: in RUN)")
    parser.add_argument(
        "--note", default="", help="what readers of the claims pages must know, said at their top"
    )


def _report(arguments: argparse.Namespace) -> int:
    path = _written_report(arguments)
    print(json.dumps({"report": str(path)}) if arguments.json else f"report: {path}")
    return COMPLETE


def _written_report(arguments: argparse.Namespace) -> Path:
    if arguments.format == "summary":
        from reports.export.summary import write_summary

        return write_summary(arguments.run, arguments.out or arguments.run / "summary")
    if arguments.format == "claims":
        from reports.export.claims import write_claims

        return write_claims(
            arguments.run, arguments.out or arguments.run / "claims", note=arguments.note
        )
    from reports.export.html import write_report

    return write_report(arguments.run, arguments.out, language=arguments.lang)


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
