"""The command line as people type it: other spellings of options, a node after the network, a network without quotes.

Only words that mean nothing as they stand are rewritten; what is well-formed already stays as it is.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownName, suggestion

# What people type for a command elsewhere → what does it here.
ALIASES = {
    **dict.fromkeys(("summary", "torchinfo", "torchsummary"), "rfcalc table NETWORK --style summary"),
    **dict.fromkeys(("info", "show", "print", "analyze", "layers", "inspect", "model"), "rfcalc table NETWORK"),
    **dict.fromkeys(
        ("params", "parameters", "param", "weights", "numel"), "rfcalc table NETWORK --columns name,output,params"
    ),
    **dict.fromkeys(("flops", "ops", "gflops"), "rfcalc table NETWORK --columns name,output,macs,flops"),
    **dict.fromkeys(("macs", "gmacs"), "rfcalc table NETWORK --columns name,output,macs"),
    **dict.fromkeys(("shapes", "shape"), "rfcalc table NETWORK --columns name,output"),
    **dict.fromkeys(("thop", "fvcore", "ptflops", "calflops"), "rfcalc counts NETWORK"),
    "profile": "rfcalc table NETWORK, or rfcalc memory NETWORK",
    **dict.fromkeys(("receptive-field", "receptive_field", "receptivefield", "field", "erf"), "rfcalc rf NETWORK NODE"),
    **dict.fromkeys(("formula", "formulas", "symbols"), "rfcalc symbolic NETWORK"),
    **dict.fromkeys(("why", "derive"), "rfcalc explain NETWORK NODE METRIC"),
    **dict.fromkeys(("diff", "versus", "vs"), "rfcalc compare NETWORK NETWORK"),
    **dict.fromkeys(("models", "networks", "zoo", "ls"), "rfcalc list"),
    "metrics": "rfcalc columns",
    **dict.fromkeys(
        ("plot", "visualize", "visualise", "view", "picture", "graph", "diagram"), "rfcalc draw NETWORK -o net.svg"
    ),
    **dict.fromkeys(
        ("size", "divisible", "divisor", "padding-size", "pad", "valid-sizes", "resize"), "rfcalc sizes NETWORK"
    ),
    **dict.fromkeys(("anchor", "anchors", "centers", "centres", "strides", "alignment"), "rfcalc grid NETWORK"),
    **dict.fromkeys(("tiles", "tiling", "halo", "overlap", "patches"), "rfcalc tile NETWORK --input 3x4096x4096"),
    **dict.fromkeys(("latency", "streaming", "lookahead"), "rfcalc stream NETWORK --input 1x16000"),
    **dict.fromkeys(("vram", "mem", "gpu", "batch-size", "checkpointing"), "rfcalc memory NETWORK"),
    "lint": "rfcalc design --lint NETWORK",
    **dict.fromkeys(("search", "nas"), "rfcalc design 'rf >= 40, params < 1M'"),
    "test": "rfcalc check NETWORK, or rfcalc verify NETWORK",
    "validate": "rfcalc verify NETWORK",
    "snapshot": "rfcalc lock NETWORK",
    **dict.fromkeys(("convert", "code", "torch", "save"), "rfcalc export NETWORK --to torch"),
    **dict.fromkeys(("exercises", "homework", "exam"), "rfcalc exercise"),
    **dict.fromkeys(("mark", "marks"), "rfcalc grade ANSWERS"),
}
SIGNS = (",", "->", "→", ">", ">>", "|", "+", "*")
SEVERAL = ("compare", "check", "grade", "list", "exercise", "quiz", "columns")  # these do not take one network first


def whole_line(arguments: Sequence[str], commands: Sequence[str]) -> list[str]:
    """The arguments with `help`, `-V` and a missing `table` understood.

    Raises:
        UnknownName: the first word is neither a command nor a network; the message names what does the like.
    """
    words = list(arguments)
    if not words or words[0] in commands:
        return words
    first = words[0]
    if first == "-V":
        return ["--version", *words[1:]]
    if first == "help":
        return [words[1], "--help"] if words[1:2] and words[1] in commands else _about(" ".join(words[1:]))
    if first.startswith("-") and first != "-":
        return words
    if first in ALIASES:
        raise RfcalcError(f"there is no command {first!r}", fix=f"write {ALIASES[first]}")
    if _is_network(first):
        return ["table", *words]
    from rfcalc import zoo

    command, network = suggestion(first, commands), suggestion(first, zoo.networks())
    if network.startswith("did you mean") and not command.startswith("did you mean"):
        raise RfcalcError(f"there is no command and no network {first!r}", fix=f"{network} (rfcalc list)")
    raise UnknownName("command", first, [*commands], fix="rfcalc --help shows what there is")


def _about(word: str) -> list[str]:
    """The help of the one command that tells of something (halo, divisible by 32); else of all.

    Raises:
        RfcalcError: several do; they are named.
    """
    from rfcalc.cli import COMMANDS

    found = [name for name, (_, told) in COMMANDS.items() if word and word.lower() in told.lower()]
    if len(found) > 1:
        raise RfcalcError(f"{', '.join(found)} tell of {word!r}", fix=f"write rfcalc help {found[0]}")
    return [*found, "--help"]


def _is_network(text: str) -> bool:
    """Whether a word names a network by itself: a file, a network of the literature, layers, code with its prefix."""
    from rfcalc import zoo

    if text == "-" or text.startswith("py:") or ".py:" in text or os.path.isfile(text):
        return True
    if any(text.lower().endswith(ending) for ending in (".onnx", ".keras", ".toml", ".cfg")):
        return True
    return zoo.find(text) is not None or _are_layers(text)


def _are_layers(text: str) -> bool:
    """Whether a text is notation."""
    from rfcalc.notation import parse

    try:
        parse(text, symbols=True)
    except RfcalcError:
        return False
    return True


class Understood:
    """The arguments of a command, with `--json` for `--format json`, a node after the network, layers without quotes.

    Args:
        command: a click command; its name and parameters say what it takes.
    """

    def __init__(self, command: Any) -> None:
        self.name, self.params = command.name, command.params

    def meant(self, args: list[str]) -> list[str]:
        known = {}  # option → whether a value follows it
        for parameter in self.params:
            if parameter.param_type_name == "option":
                takes_value = not getattr(parameter, "is_flag", False)
                known.update(dict.fromkeys((*parameter.opts, *parameter.secondary_opts), takes_value))
        options: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for text in rest:
            if text == "--":
                words += rest
            elif not text.startswith("-") or text == "-" or text[1:2].isdecimal():
                words.append(text)
            else:
                options += self._option(text, rest, known)
        words, more = self._words(words, known)
        return [*options, *more, "--", *words] if words else [*options, *more]

    def _option(self, text: str, rest: Iterator[str], known: dict[str, bool]) -> list[str]:
        name, sign, _ = text.partition("=")
        if name not in known and "--format" in known and name.startswith("--"):
            from rfcalc.render import FORMATS

            form = name.removeprefix("--")
            if form in FORMATS and not sign:
                return ["--format", form]
        if known.get(name) and not sign:
            value = next(rest, None)
            if value is not None and value.isdecimal() and not value.isascii():
                raise RfcalcError(f"{name} {value} is not a number", fix="write it with the digits 0 to 9")
            return [text] if value is None else [text, value]
        return [text]

    def _words(self, words: list[str], known: dict[str, bool]) -> tuple[list[str], list[str]]:
        """The arguments with the words of a network joined, and an option for a node that follows it."""
        if self.name in SEVERAL or len(words) < 2:
            return words, []
        count = self._joined(words)
        words = [" ".join(words[:count]), *words[count:]]
        takes = [p for p in self.params if p.param_type_name == "argument"]
        if len(words) == 2 and len(takes) == 1 and takes[0].nargs == 1 and "--at" in known:
            return words[:1], ["--at", words[1]]
        return words, []

    def _joined(self, words: list[str]) -> int:
        """How many of the first words are layers of one network; a word that names a node of it is not one of them."""
        if _is_network(words[0]) and not _are_layers(words[0]):
            return 1
        count = 0
        while count < len(words) and (words[count] in SIGNS or _are_layers(f"relu {words[count]}")):
            count += 1
        count = max(count, 1)
        while count > 1 and self._is_node(" ".join(words[: count - 1]), words[count - 1]):
            count -= 1
        return count if _are_layers(" ".join(words[:count])) else 1

    def _is_node(self, text: str, word: str) -> bool:
        from rfcalc.notation import parse

        try:
            return word in {node.name for node in parse(text, symbols=True).network().nodes}
        except RfcalcError:
            return False


def example(error: Any) -> str:
    """The example of the command that a complaint is about, as a fix; the general help where there is none."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    told = getattr(getattr(command, "callback", None), "__doc__", None) or ""
    line = next((line.strip() for line in told.split("\n") if line.strip().startswith("Example: ")), "")
    name = getattr(command, "name", None)
    if not line:
        return "rfcalc --help"
    return f"for example: {line.removeprefix('Example: ')}  (rfcalc {name} --help shows all)"


def eaten_by_the_shell() -> str | None:
    """What to say where standard output is a file that is called like a layer: the shell took `>` for itself."""
    try:
        mine = os.fstat(sys.stdout.fileno())
        if not stat.S_ISREG(mine.st_mode):
            return None
        with os.scandir() as entries:
            same = (e.name for e in entries if e.is_file() and os.path.samestat(e.stat(), mine))
            name = next(same, None)
    except (OSError, ValueError, AttributeError):
        return None
    if name is None or "." in name or not _are_layers(name):
        return None
    return (
        f"note: the shell wrote this to a file called {name}: it takes > for itself. "
        "Put the network in quotes, or write -> in quotes, or a comma, between layers"
    )


def recorded(error: RfcalcError, arguments: list[str]) -> None:
    """Where a model of a package was named of which only totals are kept: what they are, and how to get its rows."""
    from rfcalc.claims.recorded import as_code, in_zoo, record

    target = next((word for word in arguments if error.what == f"{word!r} is not a network"), "")
    code = as_code(target)
    if code is None:
        return
    totals, same = record(target).totals, in_zoo(target)
    error.what = f"of {target} only the totals are kept, not its layers"
    error.why = f"{totals.params:,} parameters, {totals.macs:,} multiply-adds (rfcalc check {target})"
    error.fix = f'write "{code}", which imports and runs that code'
    if same is not None:
        error.fix = f"write {same}, which is the same network\nor {error.fix[6:]}"
