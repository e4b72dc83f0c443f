"""What code asserts where it asks for a value: of two ways, one of which does nothing but raise, the other."""

from __future__ import annotations

import dis
from types import FrameType


def told(frame: FrameType, line: int = 0) -> str:
    """The line that a frame is at, with its file."""
    from linecache import getline
    from os.path import basename

    path, line = frame.f_code.co_filename, line or frame.f_lineno
    text = " ".join(getline(path, line).split()).rstrip(":")
    return f"{text or 'a condition'} ({basename(path)}, line {line})"


def asserted(frame: FrameType) -> bool | None:
    """The answer that does not raise, where a frame is at a branch one way of which does nothing but raise."""
    steps = list(dis.get_instructions(frame.f_code))
    at = next((i for i, s in enumerate(steps) if s.offset == frame.f_lasti), None)
    if at is None:
        return None
    negated = False
    at += steps[at].opname.startswith("CALL")
    while at < len(steps) and "JUMP" not in steps[at].opname:
        if steps[at].opname == "UNARY_NOT":
            negated = not negated
        elif steps[at].opname not in ("TO_BOOL", "NOP", "CACHE", "NOT_TAKEN"):
            return None
        at += 1
    if at >= len(steps) or "POP_JUMP" not in steps[at].opname:
        return None
    jump = steps[at]
    when = "IF_TRUE" in jump.opname  # the answer that jumps
    target = next((i for i, s in enumerate(steps) if s.offset == jump.argval), None)
    if target is None:
        return None
    through, there = _raises(steps, at + 1), _raises(steps, target)
    if through == there:
        return None
    answer = when if through else not when
    return not answer if negated else answer


def _raises(steps: list[dis.Instruction], at: int) -> bool:
    """Whether what begins here does nothing but raise."""
    for step in steps[at : at + 200]:
        name = step.opname
        if name in ("RAISE_VARARGS", "RERAISE"):
            return True
        if "JUMP" in name or name.startswith(("RETURN", "STORE", "YIELD", "FOR_ITER", "DELETE")):
            return False
    return False
