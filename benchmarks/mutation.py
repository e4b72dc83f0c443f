"""How strong the tests are: mutants of a part, each against the tests that reach the line it changes.

    python benchmarks/mutation.py core --count 200 --seed 0 --log core.json

A mutant has one operator, comparison, condition or whole number turned round (`+` for `-`, `<` for `<=`, `and` for
`or`, a negated condition, a number one larger). Text, annotations, messages of errors and docstrings are left alone.

One run of the part's tests under coverage says which tests reach which line, and how long each takes. Each mutant is
then a fork of a process that has everything foreign loaded: it imports rfcalc with the mutated source in place of the
file, runs the tests that reach the line, the fastest first, and stops at the first that fails. What starts an
interpreter of its own (a few tests of the command line) runs without the mutant. A mutant that nobody reaches survives.

Why not mutmut or cosmic-ray: both start an interpreter for each mutant, which costs seconds with PyTorch, more than the
tests that notice most mutants.
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parent.parent


class Part(NamedTuple):
    """The files of a part (patterns), and the tests of it (names of files of tests; folders of doctests)."""

    files: str
    tests: str


PARTS = {
    "core": Part(
        "rfcalc/core/*.py rfcalc/layers/*.py rfcalc/graph/*.py rfcalc/receptive/*.py",
        "rfcalc/core rfcalc/layers rfcalc/graph rfcalc/receptive core_edges kinds vgg field_report network symbols "
        "walks_agree autograd long_signals geometry along notation out_again solve training_flops "
        "layer_edges walk_edges view_chains saved memory_recurrent",
    ),
    "torch": Part(
        "rfcalc/readers/torch/*.py rfcalc/readers/builder/*.py",
        "rfcalc/readers/torch rfcalc/readers/builder dependence recording from_torch given_inputs along masks "
        "more_operators named_parameters random_modules torch_operators reader_fuzz user_objects "
        "batch_of_modules walks_agree",
    ),
    "onnx": Part(
        "rfcalc/readers/onnx/*.py rfcalc/readers/onnx/rules/*.py",
        "rfcalc/readers/onnx onnx_reader onnx_kinds onnx_fields onnx_models onnx_fuzz onnx_operators onnx_integers",
    ),
    "verify": Part(
        "rfcalc/backend/verify/*.py rfcalc/backend/counters/*.py",
        "rfcalc/backend/verify rfcalc/backend/counters verify verify_module counts saved",
    ),
    "plan": Part("rfcalc/plan/*.py", "rfcalc/plan sizes tile grid memory design stream passes variants"),
}
FOREIGN = ("jsonschema", "pytest", "sympy", "hypothesis", "numpy", "pandas", "torch", "onnx", "coverage")
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


class Mutant(NamedTuple):
    """A change: where, and what stands there before and after."""

    file: str
    line: int
    before: str
    after: str
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}: {self.before} -> {self.after}"


def mutants(file: str) -> Iterator[Mutant]:
    """All mutants of a file."""
    source = (ROOT / file).read_text(encoding="utf-8")
    lines = source.encode().splitlines()
    for node in _changeable(ast.parse(source)):
        if node.lineno != node.end_lineno:
            continue
        before = lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()
        for after in _changed(node):
            assert node.end_col_offset is not None
            start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
            yield Mutant(file, node.lineno, before, f"({after})", start, end)


def _changeable(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions, but for annotations, decorators, messages and what only type checkers read."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.FunctionDef) and node.name in ("__repr__", "__str__"):
            continue
        if isinstance(node, ast.expr):
            yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
                continue
            waiting.extend(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST))


def _changed(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        texts = (ast.Constant, ast.JoinedStr)
        if not any(
            isinstance(s, texts) and not isinstance(getattr(s, "value", 0), int) for s in (node.left, node.right)
        ):
            yield ast.unparse(ast.BinOp(node.left, SWAPS[type(node.op)](), node.right))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        yield ast.unparse(ast.Compare(node.left, [SWAPS[type(node.ops[0])]()], node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield ast.unparse(ast.BoolOp(SWAPS[type(node.op)](), node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.IfExp):
        yield ast.unparse(ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse))
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield str(node.value + 1)


def drawn(part: Part, count: int, seed: int) -> list[Mutant]:
    """So many mutants of a part, by chance."""
    files = sorted(str(p.relative_to(ROOT)) for pattern in part.files.split() for p in ROOT.glob(pattern))
    every = [m for f in files for m in mutants(f)]
    return random.Random(seed).sample(every, min(count, len(every)))


class Reached(NamedTuple):
    """What one run of the tests showed: the seconds of each test, and which (by number) reach a line (`file:line`)."""

    seconds: dict[str, float]
    lines: dict[str, list[int]]


def reached(copy: Path, part: Part) -> Reached:
    """Run the tests of a part under coverage, in a fork."""
    path = copy / "reached.json"
    child = os.fork()
    if child == 0:
        os._exit(_in_child(copy, lambda: _measure(copy, part, path)))
    os.waitpid(child, 0)
    if not path.exists():
        raise SystemExit(f"the tests fail without a mutant:\n{(copy / 'output.txt').read_text()[-3000:]}")
    return Reached(**json.loads(path.read_text()))


def _measure(copy: Path, part: Part, path: Path) -> int:
    import coverage

    files = sorted(str(p) for pattern in part.files.split() for p in copy.glob(pattern))
    cover = coverage.Coverage(data_file=None, include=files, config_file=False)
    seconds: dict[str, float] = {}
    failed: list[str] = []

    class Watch:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            cover.switch_context(nodeid)

        def pytest_runtest_logfinish(self) -> None:
            cover.switch_context("")

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
            if report.failed:
                failed.append(report.nodeid)

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

    cover.start()
    _pytest([str(copy / t if "/" in t else copy / "tests" / f"test_{t}.py") for t in part.tests.split()], Watch())
    cover.stop()
    if failed:
        print("failed without a mutant, left out:", *failed)
    data, lines, numbers = cover.get_data(), dict[str, list[int]](), {t: i for i, t in enumerate(seconds)}
    for file in data.measured_files():
        for line, tests in data.contexts_by_lineno(file).items():
            # A line that runs while files are loaded concerns every test.
            chosen = list(seconds) if set(tests) == {""} else [t for t in tests if t]
            lines[f"{Path(file).relative_to(copy)}:{line}"] = [numbers[t] for t in chosen if t not in failed]
    path.write_text(json.dumps(Reached(seconds, lines)._asdict()))
    return 0


def _pytest(arguments: list[str], plugin: object) -> int:
    import pytest

    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "--assert=plain"]
    options += ["-m", "not exhaustive and not system", "--hypothesis-seed=0", "-W", "ignore::pytest.PytestWarning"]
    options += ["--override-ini", "addopts=--doctest-modules --strict-markers"]
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def _in_child(copy: Path, what: Any) -> int:
    """Call in the copy, with what is printed kept in a file."""
    os.setpgrp()
    os.chdir(copy)
    sys.path[:] = [str(copy), str(copy / "tests"), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(copy)
    output = os.open(copy / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        return int(what())
    except BaseException:
        import traceback

        traceback.print_exc()
        return 101


class Running(NamedTuple):
    """A mutant whose tests run: its child, the pipe that names the first test that fails, and when it is stopped."""

    mutant: Mutant
    child: int
    pipe: int
    until: float


def started(copy: Path, m: Mutant, known: Reached, budget: float) -> Running | None:
    """A fork that runs the tests that reach a mutant; None where no test does."""
    names = list(known.seconds)
    reach = {names[i] for i in known.lines.get(f"{m.file}:{m.line}", ())}
    tests = sorted(reach, key=known.seconds.__getitem__)
    total, chosen = 0.0, list[str]()
    for t in tests:
        total += known.seconds[t]
        if total > budget and chosen:
            break
        chosen.append(t)
    if not chosen:
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(_in_child(copy, lambda: _with_mutant(copy, m, chosen, writer)))
    os.close(writer)
    return Running(m, child, reader, time.time() + 30 + 4 * min(total, budget))


def _with_mutant(copy: Path, m: Mutant, tests: list[str], writer: int) -> int:
    path = str(copy / m.file)
    mutated = _put(Path(path).read_text(encoding="utf-8"), m)
    usual = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> Any:
        if self.path == path:
            return compile(mutated, path, "exec", dont_inherit=True)
        return usual(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    order = {t: i for i, t in enumerate(tests)}

    class First:
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = sorted((i for i in items if i.nodeid in order), key=lambda i: order[i.nodeid])

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                os.write(writer, report.nodeid.encode()[:400])

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            if report.failed:
                os.write(writer, (report.nodeid or "loading").encode()[:400])

    return _pytest(["-x", *dict.fromkeys(str(copy / t.split("::")[0]) for t in tests)], First())


def finished(running: Running) -> tuple[bool, str]:
    """Whether a mutant was noticed (a child that must be stopped has noticed it), and by which test."""
    os.set_blocking(running.pipe, True)
    late = time.time() >= running.until
    if late:
        os.killpg(running.child, signal.SIGKILL)
    _, status = os.waitpid(running.child, 0)
    with os.fdopen(running.pipe, "rb") as pipe:
        first = pipe.read().decode(errors="replace")
    return status != 0, "time" if late else first


def main() -> None:
    """Run the mutants of a part, two at a time, and write the log after every one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="a log that exists is continued")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--budget", type=float, default=40, help="seconds of tests for one mutant, the fastest first")
    parser.add_argument("--map", type=Path, help="a file that keeps which tests reach which line, for the next time")
    parser.add_argument("--tests", help="only these tests of the part (names in quotation marks)")
    parser.add_argument("--again", type=Path, help="only what an earlier log says was not noticed")
    given = parser.parse_args()
    part = PARTS[given.part]
    part, chosen = part._replace(tests=given.tests or part.tests), drawn(PARTS[given.part], given.count, given.seed)
    if given.again:
        passed = {entry["mutant"] for entry in json.loads(given.again.read_text()) if not entry["caught"]}
        chosen = [m for m in drawn(part, sys.maxsize, given.seed) if m.name in passed]
    os.nice(10)
    for name in FOREIGN:
        __import__(name)
    sys.modules["torch"].set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "repository"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "__pycache__", "*.pyc"))
        begun = time.time()
        if given.map and given.map.exists():
            known = Reached(**json.loads(given.map.read_text()))
        else:
            known = reached(copy, part)
            if given.map:
                given.map.write_text(json.dumps(known._asdict()))
        print(f"{len(known.seconds)} tests, {sum(known.seconds.values()):.0f} s; mapped in {time.time() - begun:.0f} s")
        begun = time.time()
        log: list[dict[str, Any]] = json.loads(given.log.read_text()) if given.log and given.log.exists() else []
        before = {entry["mutant"] for entry in log}
        chosen = [m for m in chosen if m.name not in before]
        waiting, running = list(reversed(chosen)), list[Running]()

        def note(m: Mutant, caught: bool, first: str) -> None:
            log.append({"mutant": m.name, "caught": caught, "by": first})
            killed, told = sum(bool(entry["caught"]) for entry in log), first if caught else "SURVIVES"
            took = f"{time.time() - begun:.0f} s"
            print(f"{len(log)}/{len(chosen) + len(before)} {killed} caught, {took}  {m.name}  {told}", flush=True)
            if given.log:
                given.log.write_text(json.dumps(log, indent=1))

        while waiting or running:
            while waiting and len(running) < given.jobs:
                m = waiting.pop()
                one = started(copy, m, known, given.budget)
                if one is None:
                    note(m, False, "")
                else:
                    running.append(one)
            # A pipe is ready when a test has failed or the child has ended.
            ready = select.select([r.pipe for r in running], [], [], 1)[0] if running else []
            for r in [r for r in running if r.pipe in ready or time.time() >= r.until]:
                running.remove(r)
                note(r.mutant, *finished(r))


def _put(source: str, m: Mutant) -> str:
    lines = source.encode().splitlines(keepends=True)
    (row, begin), (last, end) = m.start, m.end
    assert row == last
    line = lines[row - 1]
    lines[row - 1] = line[:begin] + m.after.encode() + line[end:]
    return b"".join(lines).decode()


if __name__ == "__main__":
    main()
