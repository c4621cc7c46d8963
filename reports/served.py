"""`streamlit` with what the pages stand on in memory before the first visitor comes.

Streamlit reads a page's modules when somebody first asks for it: a second of waiting that the start
of the server can take instead. Modules that register components stay out: they need its runtime.
"""

from __future__ import annotations

import pandas as pd  # noqa: F401
from streamlit.web.cli import main

from reports import (  # noqa: F401
    charts,
    compare,
    content,
    load,
    tidy,
)
from reports.export import clips  # noqa: F401

if __name__ == "__main__":
    main(prog_name="streamlit")
