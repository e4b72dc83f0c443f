"""Figures in others' files: OpenMMLab's metafiles, model cards of Hugging Face, tables with model, parameters, FLOPs.

Each entry becomes claims. A name is looked up among the networks of `rfcalc list` (``resnet50_8xb32_in1k`` and
``resnet50.a1_in1k`` are ``resnet50``), or is given a target. What is called FLOPs is tried as multiply-adds, as two for
each multiply-add, and as the counting tools count; the one that makes most of a file's figures true is told.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import ClassVar, NamedTuple

from rfcalc import zoo
from rfcalc.claims import expression as language
from rfcalc.claims.changes import ClaimExplanation
from rfcalc.claims.counting import CONVENTIONS, count, unknown
from rfcalc.claims.files import Claim, File, is_code, same_quantity
from rfcalc.claims.judging import JudgedClaim, Reports, Verdict, judge
from rfcalc.claims.printed import Printed, read
from rfcalc.claims.recorded import is_recorded, recorded_as
from rfcalc.core.errors import MissingExtra, RfcalcError, UnknownName
from rfcalc.report import Report

ENDINGS = (".yml", ".yaml", ".md", ".csv", ".tsv")
UNSAID = ("", "-", "--", "–", "—", "?", "n/a", "na", "nan", "none", "null", "tbd", "unknown", "~")  # in tables
FOREIGN_CODE = ("node_modules", "site-packages")  # below these folders nothing is looked for
LARGEST = 8_000_000  # bytes
EMPTY = (None, "", "~", "null", "Null", "NULL")  # what YAML writes for no value
HEADS = {
    "model": ("model", "name", "network", "architecture", "arch", "backbone", "modelname"),
    "params": ("params", "param", "parameters", "nparams", "numparams", "paramcount", "numberofparameters"),
    "macs": ("macs", "mac", "gmacs", "mmacs", "multadds", "madds", "multiplyadds"),
    "flops": ("flops", "flop", "gflops", "mflops", "flopsg", "ops", "gops"),
    "input": ("input", "inputsize", "resolution", "imagesize", "imgsize", "size"),
}
_SCALES = {"k": "K", "m": "M", "g": "G", "b": "G", "thousand": "K", "million": "M", "billion": "G"}
_SIZES = (("tiny", "t"), ("small", "s"), ("base", "b"), ("large", "l"), ("huge", "h"))
# what the names of OpenMMLab's models say of another network: fewer or more classes, a larger image, other data
_OTHER = re.compile(r"cifar|_(?:cub|voc07|inshop)\b|^[^.]*_in21k$|_in1k-\d{3}(?:px)?$")
_GROUPS = re.compile(r"[-_]\d+x\d+d")
USUAL_GROUPS = {"resnext50": "32x4d", "resnext101": "32x8d"}
_NUMBER = re.compile(r"([0-9][0-9,_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)$")


class _NotThis(RfcalcError):
    """A file that can be read and is in none of these formats."""


class PrintedModel(NamedTuple):
    """One model of a file: what is printed of it, as text with its unit; `line` is where it stands."""

    line: int
    name: str
    params: str = ""
    macs: str = ""
    flops: str = ""
    input: str = ""


class Foreign(NamedTuple):
    """The entries of a file whose networks are known, as claims; the names of the others; what cannot be read."""

    claims: list[Claim]
    unknown: tuple[str, ...]
    broken: tuple[RfcalcError, ...] = ()


def is_foreign(name: str) -> bool:
    """Whether a word names a file in one of these formats."""
    return name.lower().endswith(ENDINGS) and Path(name).is_file()


def below(folder: str) -> tuple[list[str], list[str]]:
    """The files in and below a folder that may hold figures of models, and those in these formats that hold none.

    What cannot be read is among the first where it speaks of parameters or FLOPs, so that it is told.
    """
    found: list[str] = []
    passed: list[str] = []
    for path in sorted(Path(folder).rglob("*")):
        inside = path.relative_to(folder).parts
        if any(part.startswith(".") or part in FOREIGN_CODE for part in inside) or not is_foreign(str(path)):
            continue
        try:
            speaks = any(isinstance(e, RfcalcError) or e.params or e.macs or e.flops for e in _entries(path))
        except _NotThis:
            speaks = False
        except RfcalcError:
            speaks = _speaks(path)
        (found if speaks else passed).append(str(path))
    return found, passed


def _speaks(path: Path) -> bool:
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    words = rb"(?im)\b(params|parameters|[gm]?flops|[gm]?macs)\b|^models:"
    try:
        with path.open("rb") as file:
            return re.search(words, file.read(LARGEST)) is not None
    except OSError:
        return True


def claims_of(path: Path | str, targets: Mapping[str, str] | None = None, run: Sequence[str] = ()) -> Foreign:
    """The claims in a file.

    Args:
        targets: what networks the names in the file are, where rfcalc does not know; the empty name is that of a file
            with one model.
        run: the targets in the user's code that are trusted.

    Raises:
        RfcalcError: the file cannot be read, or holds no figures.
    """
    path, given = Path(path), dict(targets or {})
    read_there = list(_entries(path))
    broken = [e for e in read_there if isinstance(e, RfcalcError)]
    entries = [e for e in read_there if isinstance(e, PrintedModel) and (e.params or e.macs or e.flops)]
    if not entries and not broken:
        raise RfcalcError(
            "no model with parameters or FLOPs stands in this file",
            where=str(path),
            fix="a card says Params (M): 25.6 or GMACs: 4.1, a table has the heads model, params, FLOPs",
        )
    names = {e.name for e in entries}
    for name in given:
        if name and name not in names:
            raise UnknownName("model", name, sorted(names))
    for target in given.values():
        if is_code(target) and target not in run:
            raise RfcalcError(f"{target} is code, and claims run no code", fix=f"if you trust it: --run {target}")
    file = File(path, path.name, path.name, (), [])
    lost: dict[str, None] = {}
    for entry in entries:
        if not entry.name:
            broken.append(_nameless(f"{path}:{entry.line}"))
            continue
        known = given.get(entry.name) or (given.get("") if len(names) == 1 else None) or network_of(entry.name)
        known = known or recorded_as(entry.name)
        if known is None:
            lost[entry.name] = None
            continue
        for kind in ("params", "macs", "flops"):
            text = getattr(entry, kind)
            try:
                file.claims.extend([_claim(file, entry, kind, text, known)] if text else ())
            except RfcalcError as error:  # one figure that cannot be read does not silence the others
                broken.append(error)
    return Foreign(file.claims, tuple(lost), tuple(broken))


def network_of(name: str) -> str | None:
    """The network of `rfcalc list` that a name of others begins with; None where it is none, or another's variant.

    >>> network_of("resnet50_8xb32_in1k"), network_of("resnet50.a1_in1k"), network_of("swin-tiny_16xb64_in1k")
    ('resnet50', 'resnet50', 'swin-t')
    >>> network_of("resnet18_8xb16_cifar10"), network_of("resnetv1d50_8xb32_in1k"), network_of("ResNet-50")
    (None, None, 'resnet50')
    >>> network_of("resnext101-32x4d_8xb32_in1k"), network_of("resnext101-32x8d_8xb32_in1k")
    (None, 'resnext101')
    """
    text = name.strip().lower()
    if _OTHER.search(text):
        return None
    text = re.sub(r"^(timm|facebook|google|microsoft|torchvision)/", "", text)
    long_head = re.split(r"[.\s(]|_(?:\d+x[bB]?\d+(?!\d*d)|3rdparty|in1k|pt-|imagenet|tv|a1|ra)", text)[0]
    long_head, _, groups = (
        long_head.partition(found[0]) if (found := _GROUPS.search(long_head)) else (long_head, "", "")
    )
    if found is not None and (groups or USUAL_GROUPS.get(long_head) != found[0][1:]):
        return None
    head = long_head
    for long, short in _SIZES:
        head = re.sub(rf"([-_]){long}(?=[-_]|$)", rf"\1{short}", head)
    head = re.sub(r"patch(\d+).*$", r"\1", head.replace("-p16", "-16").replace("-p32", "-32").replace("-p14", "-14"))
    for one in (head, long_head, re.sub(r"(\d)bn$", r"\1-bn", head)):
        entry = zoo.find(one)
        if entry is not None:
            return entry.name
        if one.startswith("seresnet") and (entry := zoo.find(one.replace("seresnet", "se-resnet"))) is not None:
            return entry.name
    return None


def _claim(file: File, entry: PrintedModel, kind: str, text: str, target: str) -> Claim:
    where = f"{file.path}:{entry.line}: {entry.name}"
    printed = _printed(text, where)
    kind = "macs" if kind == "flops" and printed.quantity == "macs" else kind  # its own unit decides, not the head
    what = "params" if kind == "params" else "macs"
    if not (kind == "flops" and printed.quantity == "flops"):
        try:
            same_quantity(printed, language.parse(what), False)
        except RfcalcError as error:
            error.fix = "write the unit of the column, or none"
            raise error.at(where) from None
    word = {"params": "parameters", "macs": "multiply-adds", "flops": "FLOPs"}[kind]
    setting = language.Setting(target, entry.input or None, True, False)
    return Claim(
        file, entry.line, f"{word} of {entry.name}", target, entry.input or None, what, language.parse(what),
        printed, None, None, "", "match", entry.name, "", setting, counted="?" if kind == "flops" else "",
    )  # fmt: skip


def _printed(text: str, where: str) -> Printed:
    """A printed figure. Of a whole number with zeros at its end (25560000) only the other digits count."""
    try:
        plain = text.replace(",", "").replace("_", "")
        if plain.isdecimal():
            known = len(plain.rstrip("0")) or 1
            return read(text, digits=min(known, len(plain)) if len(plain) - known >= 3 else None)
        return read(text)
    except RfcalcError as error:
        raise error.at(where) from None


def judged(found: Foreign, reports: Reports) -> tuple[list[JudgedClaim], list[RfcalcError]]:
    """The results of a file's claims, and what stopped those that cannot be judged.

    FLOPs are read by the convention that makes most of the file's figures true (one figure of three digits is met by
    several), else as multiply-adds or as twice as many.
    """
    broken = [*found.broken]
    counts: dict[int, dict[str, int]] = {}
    asked = []
    for claim in found.claims:
        try:
            reports(claim.network, claim.input)
            if claim.counted == "?":
                counts[id(claim)] = _counts(claim, reports)
                asked.append(claim)
        except RfcalcError as error:
            broken.append(error.at(claim.where))
    fits = {id(claim): [told for told, value in counts[id(claim)].items() if _holds(claim, value)] for claim in asked}
    told = [name for names in fits.values() for name in names]
    best = max(told, key=told.count, default=MACS)
    results = []
    for claim in found.claims:
        if claim.counted != "?":
            with suppress(RfcalcError):  # told already
                results += judge([claim], reports)
            continue
        if id(claim) not in counts:
            continue
        assert claim.printed is not None
        usual = next((name for name in (best, MACS, TWICE) if name in fits[id(claim)]), best)
        value = Fraction(counts[id(claim)].get(usual, counts[id(claim)][MACS]))
        other = next((f"{name} instead of {usual}" for name in fits[id(claim)]), "")
        verdict = Verdict.MATCH if usual in fits[id(claim)] else Verdict.MISMATCH
        reason = (
            None if verdict is Verdict.MATCH else ClaimExplanation((other,) if other else (), len(counts[id(claim)]))
        )
        results.append(JudgedClaim(replace(claim, counted=usual), value, claim.printed.like(value), verdict, reason))
    return results, broken


MACS, TWICE, MMCV = "multiply-adds", "two FLOPs for each multiply-add", "mmcv's count"
MMENGINE, TRAINED = "mmengine's count", "mmengine's count in training mode"
BIASED = "multiply-adds and the biases of convolutions"
WITHOUT = " without the classifier"  # OpenMMLab's scripts run a model up to its features


def _counts(claim: Claim, reports: Reports) -> dict[str, int]:
    """What each convention counts for a claim's network, the commonest first."""
    report = reports(claim.network, claim.input)
    totals, ops = report.totals, report.totals.ops
    # mmcv: with biases, two operations for each normalised value, one for each activation and each input of a pool
    beside = ("conv_bias_adds", "linear_bias_adds", "norm", "norm", "activation", "pool_inputs", "adaptive_pool_inputs")
    counts = {MACS: totals.macs, TWICE: 2 * totals.macs, MMCV: totals.macs + sum(ops[name] for name in beside)}
    if is_recorded(claim.network):
        return counts  # what a tool counts is told layer by layer
    fvcore = CONVENTIONS["fvcore"]
    whole = fvcore._replace(terms=fvcore.terms | {"attention products": 0})
    counts |= {f"{c.tool}'s count": count(report, c) for c in CONVENTIONS.values() if not unknown(report, c)}
    counts[MMENGINE] = count(report, whole)
    counts[TRAINED] = count(report, whole._replace(terms=whole.terms | {"batch norm": 5}))
    counts[BIASED] = totals.macs + ops["conv_bias_adds"]
    last, biases = classifier(report)
    if last:
        parts = {MACS: last, MMENGINE: last, TRAINED: last, BIASED: last, MMCV: last + biases}
        counts |= {name + WITHOUT: counts[name] - part for name, part in parts.items()}
    return counts


def classifier(report: Report) -> tuple[int, int]:
    """The multiply-adds and the additions of biases of the fully connected layers after which nothing has weights.

    >>> import rfcalc
    >>> classifier(rfcalc.analyze("resnet50")), classifier(rfcalc.analyze("unet", "1x572x572"))
    ((2048000, 1000), (0, 0))
    """
    network = report.network
    before: set[int] = set()  # positions that some layer with weights comes after
    found = [0, 0]
    for position in range(len(report.shapes) - 1, network.arity - 1, -1):
        cost, kind = report.costs[position], network.nodes[position - network.arity].layer.kind
        if kind == "linear" and position not in before:
            found = [found[0] + cost.macs * report.batch, found[1] + cost.linear_bias_adds * report.batch]
        if cost.params or position in before:
            before.update(network.sources[position - network.arity])
    return found[0], found[1]


def _holds(claim: Claim, value: int) -> bool:
    return claim.printed is not None and claim.printed.holds(Fraction(value))


# --- formats ----------------------------------------------------------------------------------------------------------


def _nameless(where: str) -> RfcalcError:
    return RfcalcError(
        "figures without the name of a model", where=where, why="nothing says of which network they are",
        fix="write the name in the column of models, or under Name: in a metafile",
    )  # fmt: skip


def _entries(path: Path) -> Iterator[PrintedModel | RfcalcError]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RfcalcError(f"cannot read: {error.strerror}", where=str(path)) from None
    if len(raw) > LARGEST:
        raise RfcalcError("the file is too large", where=str(path), why=f"the limit is {LARGEST:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RfcalcError("this is not a text in UTF-8", where=str(path)) from None
    ending = path.suffix.lower()
    if ending in (".yml", ".yaml"):
        return _metafile(text, path)
    return _card(text, path) if ending == ".md" else _table(text, path, "\t" if ending == ".tsv" else "")


def _metafile(text: str, path: Path) -> Iterator[PrintedModel | RfcalcError]:
    """OpenMMLab: ``Models``, each with ``Metadata``: ``FLOPs``, ``Parameters``; a unit may stand in the key."""
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("pyyaml", "yaml") from None

    class Texts(yaml.SafeLoader):  # type: ignore[misc]
        """Scalars as they are written: a figure's own digits decide, and 25.60 is no 25.6."""

        yaml_implicit_resolvers: ClassVar = {"<": [("tag:yaml.org,2002:merge", re.compile("^(?:<<)$"))]}

    try:
        data = yaml.load(text, Loader=Texts)
    except yaml.YAMLError as error:
        raise RfcalcError(f"this is not YAML: {' '.join(str(error).split())}", where=str(path)) from None
    models = data.get("Models") if isinstance(data, dict) else data
    if not isinstance(models, list) or (models and not any(isinstance(model, dict) for model in models)):
        raise _NotThis("this is no metafile", where=str(path), fix="its models stand under Models:")
    for number, model in enumerate(models, 1):
        if not isinstance(model, dict):
            yield RfcalcError(
                "this is no model", where=f"{path}: entry {number} of Models", fix="a model has Name: and Metadata:"
            )
            continue
        name = str(model.get("Name") or "").strip()
        found = {}
        about = model.get("Metadata")
        for key, value in about.items() if isinstance(about, dict) else ():
            kind, unit = head(str(key))
            if kind in ("params", "macs", "flops") and value not in EMPTY:
                found[kind] = _with_unit(str(value), unit)
        if not name:
            yield from [_nameless(f"{path}: entry {number} of Models")] if found else []
            continue
        place = re.search(rf"(?m)^\s*-?\s*Name:\s*['\"]?{re.escape(name)}['\"]?\s*$", text)
        yield PrintedModel(text.count("\n", 0, place.start()) + 1 if place else 1, name, **found)


def _card(text: str, path: Path) -> Iterator[PrintedModel]:
    """A model card: "Params (M): 25.6", "GMACs: 4.1", at the image size of training."""
    title = re.search(r"(?m)^#\s*Model card for\s+(\S+)", text) or re.search(r"(?m)^#\s+(\S+)", text)
    name = title[1].strip("`") if title else path.stem
    found: dict[str, str] = {}
    line = 1
    for number, row in enumerate(text.splitlines(), 1):
        said = re.match(
            r"\s*[-*|]?\s*\**([A-Za-z# ]+?(?:\([A-Za-z]+\))?)\**\s*[:|]\s*\**\s*([0-9][0-9.,]*\s*[A-Za-z]*)\s*\|?\s*$",
            row,
        )
        size = re.search(r"(?i)image size\**\s*[:|]\**.*?(\d+)\s*x\s*(\d+)", row)
        if size:
            found.setdefault("input", f"3x{size[1]}x{size[2]}")
        if said is None:
            continue
        kind, unit = head(said[1])
        if kind in ("params", "macs", "flops") and kind not in found:
            found[kind] = _with_unit(said[2].strip(), unit)
            line = number if line == 1 else line
    yield PrintedModel(line, name, **found)


def _table(text: str, path: Path, sign: str) -> Iterator[PrintedModel]:
    """CSV (commas, semicolons) or TSV with heads: model, params, FLOPs (units in heads or cells), perhaps input."""
    first = text.partition("\n")[0]
    sign = max(sign or ",", ",", ";", key=first.count)
    rows = list(csv.reader(StringIO(text), delimiter=sign))
    heads = [head(h) for h in rows[0]] if rows else []
    at: dict[str, int] = {}
    for i, (kind, _) in enumerate(heads):
        if kind:
            at.setdefault(kind, i)
    if "model" not in at or not at.keys() & {"params", "macs", "flops"}:
        raise _NotThis(
            "the heads do not say which column is what",
            where=str(path),
            why=f"they are {', '.join(map(repr, rows[0]))}" if rows else "the file is empty",
            fix="name them model, params, FLOPs (or MACs); units may follow: Params (M)",
        )
    for number, row in enumerate(rows[1:], 2):
        cells = {kind: row[i].strip() for kind, i in at.items() if i < len(row)}
        found = {k: _with_unit(cells[k], heads[at[k]][1]) for k in ("params", "macs", "flops") if _said(cells.get(k))}
        side = cells.get("input", "")
        size = f"3x{side}x{side}" if side.isdecimal() else side if re.fullmatch(r"\d+x\d+x\d+", side) else ""
        yield PrintedModel(number, cells.get("model", ""), input=size, **found)


def _said(cell: str | None) -> bool:
    """Whether a cell prints something: no dash, no "n/a"; a word where a figure belongs is refused by its place."""
    return (cell or "").strip().lower() not in UNSAID


def head(text: str) -> tuple[str, str]:
    """Which figure a head names, and its unit's letter.

    >>> head("Params (M)"), head("GFLOPs"), head("FLOPs (G)"), head("MACs"), head("Top-1")
    (('params', 'M'), ('flops', 'G'), ('flops', 'G'), ('macs', ''), ('', ''))
    """
    inside = re.search(r"[(\[]\s*([A-Za-z]+)\s*[)\]]", text)
    name = re.sub(r"[^a-z]", "", re.sub(r"[(\[].*", "", text).lower())
    kind = next((k for k, names in HEADS.items() if name in names), "")
    unit = _SCALES.get(inside[1].lower().removesuffix("flops").removesuffix("macs") or "", "") if inside else ""
    if not unit and kind in ("macs", "flops") and name[:1] in "gm" and name[1:] in ("macs", "flops", "ops"):
        unit = name[0].upper()
    return kind, unit


def _with_unit(text: str, unit: str) -> str:
    """The figure with the unit of its head, where it has none of its own."""
    text = re.sub(r"^([0-9]+),([0-9]{1,2})(?![0-9,.])", r"\1.\2", text.strip())  # a decimal comma: 4,1
    match = _NUMBER.match(text)
    if match is None:
        return f"{text}{unit}" if text[:1].isdecimal() else text  # 4.1e3 under a head in M is refused
    return f"{match[1]}{match[2] or unit}"
