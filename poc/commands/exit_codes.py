"""What `poc` exits with; an interface, of which the README has the table.

`decide`, `rights` and `check` have words of their own for their codes and keep them beside these.
"""

from __future__ import annotations

COMPLETE, INCOMPLETE, ENVIRONMENT, INTERRUPTED, UNREAD = 0, 3, 2, 130, 141
DIFFERENT = 1
"""Of `verify`: something is not what the raw records say."""
