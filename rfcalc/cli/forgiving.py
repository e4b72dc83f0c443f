"""The command line as people type it: other spellings of options, a node after the network, a network without quotes.

Only words that mean nothing as they stand are rewritten; what is well-formed already stays as it is.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rfcalc.core.errors import NamesCode, RfcalcError, UnknownName, suggestion

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
    **dict.fromkeys(("size", "divisible", "divisor", "padding-size", "pad", "valid-sizes"), "rfcalc sizes NETWORK"),
    **dict.fromkeys(("valid", "padding", "crop", "multiple", "multiples", "minimum", "resize"), "rfcalc sizes NETWORK"),
    **dict.fromkeys(("anchor", "anchors", "centers", "centres", "strides", "alignment"), "rfcalc grid NETWORK"),
    **dict.fromkeys(
        ("tiles", "tiling", "halo", "overlap", "patches", "stitch", "seams"), "rfcalc tile NETWORK --input 3x4096x4096"
    ),
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
# Options as other tools call them → what is meant here, with its value where the name alone says it.
OPTIONS = {
    **dict.fromkeys(("--input-size", "--input-shape", "--shape", "--img-size", "--imgsz"), ("--input",)),
    **dict.fromkeys(("--batch-size", "--bs", "-b"), ("--batch",)),
    **dict.fromkeys(("--layer", "--node"), ("--at",)),
    **dict.fromkeys(("--col", "--cols", "--column"), ("--columns",)),
    **dict.fromkeys(("--max-depth",), ("--depth",)),
    **dict.fromkeys(("--top-k", "--topk", "--limit"), ("--top",)),
    **dict.fromkeys(("--sample-rate", "--sampling-rate", "--sr"), ("--rate",)),
    **dict.fromkeys(("--tile-size", "--patch-size"), ("--tile",)),
    **dict.fromkeys(("--topic",), ("--family",)),
    **dict.fromkeys(("--format", "--form"), ("--to",)),  # of export
    **dict.fromkeys(("--sort-by", "--order-by"), ("--sort",)),
    **dict.fromkeys(("--precision", "--data-type"), ("--dtype",)),
    **dict.fromkeys(("--out", "--save", "--save-to", "--output-file"), ("--output",)),
    **dict.fromkeys(("--vram", "--gpu-memory", "--gpu"), ("--budget",)),
    **dict.fromkeys(("--optim", "--opt"), ("--optimizer",)),
    **dict.fromkeys(("--inference", "--eval"), ("--infer",)),
    **dict.fromkeys(("--fp16", "--half", "--float16"), ("--dtype", "float16")),
    **dict.fromkeys(("--bf16", "--bfloat16"), ("--dtype", "bfloat16")),
}
NOT_RUN = "leave it out: nothing is run, so that there is nothing to choose"
TOLD = {  # what other tools have and this one cannot: why, and what does the like
    **dict.fromkeys(("--device", "--cuda", "--cpu", "--gpus"), NOT_RUN),
    **dict.fromkeys(
        ("--pretrained", "--weights", "--checkpoint-path"), "leave it out: figures do not depend on values"
    ),
    **dict.fromkeys(("--overlap", "--halo", "--margin"), "leave it out: rfcalc tile says which halo is needed"),
    **dict.fromkeys(("--with", "--against"), "name the networks one after another: compare vgg16 resnet50"),
    **dict.fromkeys(("--verbose", "--debug", "-v"), "leave it out; --all shows every node, --help all options"),
    **dict.fromkeys(("--layers", "--nodes"), "name one: --at NODE; --columns chooses figures"),
    "--format": "leave it out: a quiz is answered here; rfcalc exercise --format writes the same questions down",
    **dict.fromkeys(("--metric", "--metrics", "--figures"), "name figures with --columns (rfcalc columns lists them)"),
}
NEEDS = {  # what a number behind the network means, by command
    "sizes": "--near {0}x{0}", "tile": "--tile {0}", "memory": "--batch {0}", "exercise": "--count {0}",
    "quiz": "--count {0}",
}  # fmt: skip
QUOTES = "“”„‟‘’‚«»\"'`"
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
    if first.startswith("--") and first[2:] in commands:
        raise RfcalcError(f"{first} is no option", fix=f"write rfcalc {' '.join([first[2:], *map(_shown, words[1:])])}")
    if first.startswith("-") and first != "-":
        return words
    if first in ALIASES:
        raise RfcalcError(f"there is no command {first!r}", fix=f"write {ALIASES[first]}")
    if _is_network(first) or _is_network(plain(first)):
        if words[1:2] and words[1] in commands:
            raise RfcalcError(
                f"the command comes before the network {first}",
                fix=f"write rfcalc {words[1]} {' '.join([_shown(first), *words[2:]])}",
            )
        return ["table", *words]
    if first in ("version", "about"):
        raise RfcalcError(f"there is no command {first!r}", fix="write rfcalc --version")
    from rfcalc import zoo

    command, network = suggestion(first, commands), suggestion(first, zoo.networks())
    if network.startswith("did you mean") and not command.startswith("did you mean"):
        raise RfcalcError(f"there is no command and no network {first!r}", fix=f"{network} (rfcalc list)")
    raise UnknownName("command", first, [*commands], fix="rfcalc --help shows what there is")


def _about(word: str) -> list[str]:
    """The help of the one command that tells of something (halo, divisible by 32); else of all.

    Raises:
        RfcalcError: several do; they are named. Or none does, and a command has nearly this name.
    """
    from rfcalc.cli import COMMANDS

    found = [name for name, (_, told) in COMMANDS.items() if word and word.lower() in told.lower()]
    if len(found) > 1:
        raise RfcalcError(f"{', '.join(found)} tell of {word!r}", fix=f"write rfcalc help {found[0]}")
    if not found and (near := suggestion(word, [*COMMANDS])).startswith("did you mean"):
        raise RfcalcError(f"there is no command {word!r}", fix=near)
    return [*found, "--help"]


def _is_network(text: str) -> bool:
    """Whether a word names a network by itself: a file, a network of the literature, layers, code with its prefix."""
    from rfcalc import zoo

    if text == "-" or text.startswith("py:") or ".py:" in text or os.path.isfile(text):
        return True
    if any(text.lower().endswith(ending) for ending in (".onnx", ".keras", ".toml", ".cfg")):
        return True
    return zoo.find(text) is not None or _are_layers(text)


def _shown(word: str) -> str:
    """A word as it is typed in a shell."""
    return f'"{word}"' if set(word) & set(" >|*()'&;<") else word


def plain(text: str) -> str:
    """A network without the quotes and signs that editors and other shells put around it and into it.

    >>> plain("“conv3–64, relu”"), plain("'conv3-64 * 3'"), plain("3*conv3-64"), plain("conv3-64; relu")
    ('conv3-64, relu', 'conv3-64 x3', 'conv3-64 x3', 'conv3-64, relu')
    """
    text = text.strip().strip(QUOTES).strip().replace("–", "-").replace("—", "-").replace("−", "-").replace(";", ",")
    text = re.sub(r"^(\d+)\s*[*×]\s*(\S+)$", r"\2 x\1", text)
    return re.sub(r"(?<=[\w)])\s*[*×]\s*(\d+)(?=$|[\s,>])", r" x\1", text)


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
        rest = _with_units(args)
        for text in rest:
            if text == "--":
                words += rest
            elif not text.startswith("-") or text == "-" or text[1:2].isdecimal():
                words.append(text)
            else:
                options += self._option(text, rest, known)
        options = self._completed(options, words)
        words, more = self._words(words, known)
        return [*options, *more, "--", *words] if words else [*options, *more]

    def _option(self, text: str, rest: Iterator[str], known: dict[str, bool]) -> list[str]:
        name, sign, given = text.partition("=")
        if name == "--help":
            return [text]
        if name not in known and f"-{name}" in known and not name.startswith("--"):  # -input
            name, text = f"-{name}", f"-{text}"
        if sign and not name.startswith("--") and known.get(name):  # -f=json
            return [name, given] if given else self._option(name, iter(()), known)
        if sign and not given and known.get(name):
            return self._option(name, iter(()), known)
        if name not in known and name.startswith("--"):
            name = name.replace("_", "-").lower()
            text = f"{name}={given}" if sign else name
        if name not in known and name in OPTIONS and OPTIONS[name][0] in known:
            name, *said = OPTIONS[name]
            if said:
                return [name, *said]
            text = f"{name}={given}" if sign else name
        if name not in known and "--format" in known and name.startswith("--"):
            from rfcalc.render import FORMATS

            form = name.removeprefix("--")
            if form in FORMATS and not sign:
                return ["--format", form]
        if name not in known and (name.startswith("--") or name[:2] not in known):
            here = (*known, *(other for other, own in OPTIONS.items() if own[0] in known))
            run_together = {option.replace("-", ""): option for option in here}
            same = run_together.get(name.replace("-", ""))  # --nonotes, --sortby
            if same is not None:
                return self._option(f"{same}={given}" if sign else same, rest, known)
            raise self._no_option(name, text, rest, known)
        if known.get(name) and not sign:
            value = next(rest, None)
            if value is not None and value.isdecimal() and not value.isascii():
                raise RfcalcError(f"{name} {value} is not a number", fix="write it with the digits 0 to 9")
            if value is None:
                raise RfcalcError(f"nothing stands behind {name}", fix=f"give a value: {name} {self._value(name)}")
            return [text, value]
        return [text]

    def _no_option(self, name: str, text: str, rest: Iterator[str], known: dict[str, bool]) -> RfcalcError:
        """What is said of an option that the command does not have: the nearest one, with the value that was given."""
        from difflib import get_close_matches

        if self.name == "design" and _is_metric(name.removeprefix("--")):
            bound = text.partition("=")[2] or next(rest, "VALUE")
            return RfcalcError(
                f"there is no option {name}", fix=f"write it as a constraint: '{name.removeprefix('--')} <= {bound}'"
            )
        if name in TOLD:
            return RfcalcError(f"there is no option {name}", fix=TOLD[name])
        others = [other for other, own in OPTIONS.items() if own[0] in known]
        near = get_close_matches(name, known, n=1, cutoff=0.7) or get_close_matches(name, others, n=1, cutoff=0.85)
        if not near:
            given = [option for option in known if option.startswith("--") and option != "--help"]
            return RfcalcError(
                f"there is no option {name}", fix=f"rfcalc {self.name} takes {', '.join(given)}; --help tells of each"
            )
        option = OPTIONS[near[0]][0] if near[0] not in known else near[0]
        value = text.partition("=")[2] or (next(rest, "") if known.get(option) else "")
        shown = f" {_shown(value)}" if known.get(option) and value and not value.startswith("-") else ""
        return RfcalcError(f"there is no option {name}", fix=f"did you mean {option}{shown}?")

    def _value(self, name: str) -> str:
        """A value that an option takes, for a message: that of the command's example, or its kind."""
        usual = {
            "--input": "3x224x224",
            "-i": "3x224x224",
            "--output": "table.md",
            "-o": "table.md",
            "--near": "350x525",
        }
        usual |= {"--sort": "params", "--at": "NODE", "--format": "markdown", "-f": "markdown", "--dtype": "float16"}
        usual |= {"--lint": "vgg16", "--like": "vgg16", "--unit": "0,0", "--chart": "cost"}
        usual |= {"--columns": "name,output,params", "-c": "name,output,params", "--budget": "24GB"}
        kind = next((p.type.name for p in self.params if name in p.opts), "")
        return usual.get(name) or ("8" if kind in ("integer", "int") else "VALUE")

    def _completed(self, options: list[str], words: list[str]) -> list[str]:
        """The options, once it is clear that no shape was typed in several words.

        Raises:
            RfcalcError: ``--input 3 224 224``, ``--near 350 525``.
        """
        rest = [word for word in words if word.isdecimal()]
        for name in ("--input", "-i", "--near", "--tile", "--tiles"):
            if name in options[:-1] and rest and words[-len(rest) :] == rest:
                first = options[options.index(name) + 1].strip("()[], ")
                if first.isdecimal():
                    order = ", channels first" if name in ("--input", "-i") else ""
                    raise RfcalcError(f"{name} takes one word", fix=f"write {name} {'x'.join([first, *rest])}{order}")
        return options

    def _words(self, words: list[str], known: dict[str, bool]) -> tuple[list[str], list[str]]:
        """The arguments with the words of a network joined, and an option for a node that follows it."""
        words = [word if _is_network(word) or not _is_network(plain(word)) else plain(word) for word in words]
        if self.name == "compare":
            return _apart(words), []
        number = words[-1] if words and words[-1].isdecimal() else ""
        nodes = "--at" in known and number and int(number) < 32  # a module's parts are called 0, 1, 2
        if number and self.name in NEEDS and not nodes and len(words) > min(self._places, 1):
            meant = " ".join([*map(_shown, words[:-1]), NEEDS[self.name].format(number)])
            raise RfcalcError(f"{number} stands alone", fix=f"write rfcalc {self.name} {meant}")
        if self.name in SEVERAL or len(words) < 2:
            return words, []
        settings = [word for word in words[1:] if re.fullmatch(r"\w+=\S+", word)]
        if settings and ":" in words[0] and len(settings) == len(words) - 1:
            fix = f"write them behind it: rfcalc {self.name} '{words[0]}({', '.join(settings)})'"
            raise RfcalcError(f"{settings[0]} stands alone", fix=fix)
        if self.name == "design" and all(re.search("[<>=]", word) for word in words):
            return [", ".join(word.strip(",") for word in words)], []
        if self.name == "sizes" and re.fullmatch(r"\d+x\d+", words[-1]):
            return self._words(words[:-1], known)[0], ["--near", words[-1]]
        if "--input" in known and re.fullmatch(r"\d+(x\d+)+", words[-1]):
            return self._words(words[:-1], known)[0], ["--input", words[-1]]
        if len(words) == 2 and not _is_file(words[0]) and _named(words[1]) and not _named(words[0]):
            raise RfcalcError(
                f"{words[1]} is a network, and stands behind {words[0]}",
                fix=f"write rfcalc {self.name} {words[1]} {words[0]}",
            )
        count = self._joined(words)
        words = [" ".join(words[:count]), *words[count:]]
        takes = [p for p in self.params if p.param_type_name == "argument"]
        if len(words) == 2 and len(takes) == 1 and takes[0].nargs == 1 and "--at" in known:
            return words[:1], ["--at", words[1]]
        return words, []

    @property
    def _places(self) -> int:
        """How many words the command takes."""
        return sum(p.nargs for p in self.params if p.param_type_name == "argument")

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


def _is_metric(word: str) -> bool:
    from rfcalc.report.metrics import METRICS

    return word in METRICS


def _with_units(args: Sequence[str]) -> Iterator[str]:
    """The arguments, a number and the unit behind it as one: ``24 GB``."""
    rest = iter([*args, ""])
    before = next(rest)
    for text in rest:
        if re.fullmatch(r"\d+(\.\d+)?", before) and re.fullmatch(r"[kKMGT]i?B", text):
            before += text
        else:
            yield before
            before = text


def _is_file(text: str) -> bool:
    return os.path.exists(text) or ".py:" in text or text.startswith("py:")


def _named(text: str) -> bool:
    """Whether a word is a network of the literature."""
    from rfcalc import zoo

    return zoo.find(text) is not None


def _apart(words: list[str]) -> list[str]:
    """The networks that are compared, without the words and commas between them."""
    found: list[str] = []
    for word in words:
        parts = [part.strip() for part in word.split(",") if part.strip()]
        if _is_file(word) or not parts or not all(map(_named, parts)):
            parts = [word] if word not in ("and", "vs", "vs.", "versus", "with", "against", "&", ",") else []
        found += parts
    return found


def example(error: Any) -> str:
    """The example of the command that a complaint is about, as a fix; the general help where there is none."""
    param, text = getattr(error, "param", None), str(getattr(error, "message", ""))
    if param is not None and text.endswith(("is not a valid int.", "is not a valid integer.")):
        usual = 0 if param.opts[0] == "--axis" else 8
        return f"{param.opts[0]} takes a whole number: {param.opts[0]} {usual}"
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


def recorded(error: NamesCode) -> None:
    """Where a model of a package was named of which only totals are kept: what they are, and how to get its rows."""
    from rfcalc.claims.recorded import as_code, in_zoo, record

    code = as_code(error.text)
    if code is None:
        return
    target = error.text
    totals, same = record(target).totals, in_zoo(target)
    error.what = f"of {target} only the totals are kept, not its layers"
    error.why = f"{totals.params:,} parameters, {totals.macs:,} multiply-adds (rfcalc check {target})"
    error.fix = f'write "{code}", which imports and runs that code'
    if same is not None:
        error.fix = f"write {same}, which is the same network\nor {error.fix[6:]}"
