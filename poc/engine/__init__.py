"""Where tasks run. `local` is one process per device on this machine."""
