"""What code asserts where it asks for a value: of two ways, one of which does nothing but raise, the other; whether it
catches what is raised."""

from __future__ import annotations

import dis
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType


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


@cache
def catches(code: CodeType) -> bool:
    """Whether code catches errors, and so may do something else where a layer refuses."""
    steps = [step.opname for step in dis.get_instructions(code)]
    bare = any(pair == ("PUSH_EXC_INFO", "POP_TOP") for pair in pairwise(steps))
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return "CHECK_EXC_MATCH" in steps or bare or "suppress" in code.co_names or any(map(catches, inner))
