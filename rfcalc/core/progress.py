"""What long work is at: set by the work, read by whoever shows it (a terminal's command line). Imports nothing."""

from __future__ import annotations

now: tuple[str, int, int] = ("", 0, 0)  # what is done; how much of it; of how much (0: not known)


def at(what: str, done: int = 0, of: int = 0) -> None:
    """Say what is being done."""
    global now  # noqa: PLW0603 (the state that this module is)
    now = (what, done, of)
