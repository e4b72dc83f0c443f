"""A line on a terminal's standard error while work takes long: what it is at, and for how many seconds.

It appears after a second, is renewed a few times a second, and is taken away before anything else is written.
"""

from __future__ import annotations

import sys
import threading
from time import monotonic

from rfcalc.core import progress
from rfcalc.core.errors import printable

PATIENCE = 1.0  # seconds before anything is shown
EVERY = 0.25
CLEAR = "\r\x1b[K"


class Meter:
    """The line; `stop` takes it away."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.begun = monotonic()
        self.shown = False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        wait = PATIENCE
        while not self.over.wait(wait):
            sys.stderr.write(CLEAR + self.line())
            sys.stderr.flush()
            self.shown, wait = True, EVERY

    def line(self) -> str:
        """What is shown now."""
        what, done, of = progress.now
        count = f" {done:,} of {of:,}" if of else f" {done:,}" if done else ""
        return printable(f"rfcalc {self.command}: {what or 'working'}{count} ({monotonic() - self.begun:.0f} s)")[:79]

    def stop(self) -> None:
        self.over.set()
        self.thread.join()
        if self.shown:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()
            self.shown = False


_meter: Meter | None = None


def start(command: str) -> None:
    """Show the line from now on."""
    global _meter  # noqa: PLW0603 (there is one terminal)
    stop()
    progress.at("")
    _meter = Meter(command)


def stop() -> None:
    """Take it away, if it is shown."""
    global _meter  # noqa: PLW0603
    if _meter is not None:
        _meter.stop()
        _meter = None
