"""`python -m poc`: the same as the `poc` command."""

from __future__ import annotations

from poc.cli import main

raise SystemExit(main())
