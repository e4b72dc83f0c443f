"""Exercises: every pattern, many seeds: keys by a third road, one right option, conventions stated, nothing drifts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from exercise_keys import Keys

from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.exercises import bank, patterns, subject
from rfcalc.teaching.exercises.draw import Draw, seed_of
from rfcalc.teaching.exercises.item import (
    FAMILIES,
    FORMS,
    LEVELS,
    VERSION,
    AnswerSlot,
    Blank,
    ExerciseItem,
    ExerciseTable,
    Text,
    from_dict,
)
from rfcalc.teaching.exercises.recount import KeyMismatch
from rfcalc.teaching.exercises.variants import NAMES, ParameterChange, changed

SEEDS = 5
PATTERNS = patterns.patterns()
# What has to be said about a figure wherever it is asked for.
NEEDED = {
    "output_shape": "rounded down",
    "side": "rounded down",
    "receptive_field": "padding counted",
    "stride": "input pixels",
    "weights": "biases",
    "biases": "bias",
    "params": "running statistics are not",
    "buffers": "running means",
    "macs": "biases",
    "flops": "2 FLOPs",
    "values": "in place",
    "bytes": "bytes each",
    "peak_bytes": "weights are not counted",
}


@cache
def keys(target: str, shape: str) -> Keys:
    return Keys(target, shape)


def made(pattern: patterns.QuestionPattern, seeds: range) -> list[ExerciseItem]:
    found = [bank._item(pattern, seed_of("test", pattern.name, seed), None) for seed in seeds]
    assert all(found), f"{pattern.name} makes nothing of some seeds"
    return [item for item in found if item is not None]


def independent(blank: Blank) -> str:
    """The figure that the blank's key is about, by the third road."""
    ask = blank.ask
    assert ask is not None
    return str(keys(ask.target, ask.input).figure(ask.figure, ask.at, ask.batch, DTYPES[ask.dtype]))


def check_blank(item: ExerciseItem, blank: Blank) -> None:
    texts = [o.text for o in blank.options]
    assert len(set(texts)) == len(texts), "options are distinct"
    assert [o.text for o in blank.options if o.right] == [blank.key], "exactly one is right, and it is the key"
    assert all(o.feedback for o in blank.options)
    assert not re.search(r"\d,\d{3}", blank.key), "no thousands separator in a key"
    if blank.kind == "integer":
        assert str(int(blank.key)) == blank.key and all(str(int(t)) == t for t in texts)
    elif blank.kind == "decimal":
        key, around = Fraction(blank.key), Fraction(blank.tolerance)
        assert all(abs(Fraction(t) - key) > around for t in texts if t != blank.key), "tolerance lets nothing wrong in"
    elif blank.kind == "shape":
        assert re.fullmatch(r"\d+(x\d+)*", blank.key)
    else:
        assert blank.kind == "choice" and len(texts) >= 2
    if (item.form == "one-layer" and blank.ask) or (item.form == "table" and blank.ask):
        assert independent(blank) == blank.key


def changed_figure(item: ExerciseItem, blank: Blank, node: str, parameter: str, to: int) -> str | None:
    """The figure of the item's network with another setting, by the third road; None where it cannot be."""
    ask = blank.ask
    assert ask is not None
    from rfcalc.notation import write

    network = subject.network_of(ask.target)
    name = {v: k for k, v in NAMES.items()}[parameter]
    try:
        target = write(changed(network, ParameterChange(node or network.nodes[0].name, name), to).expr)
        return str(keys(target, ask.input).figure(ask.figure, ask.at, ask.batch, DTYPES[ask.dtype]))
    except (RfcalcError, AssertionError):
        return None


def paragraphs(item: ExerciseItem) -> str:
    return "\n".join(b.text for b in item.body if isinstance(b, Text))


def check_setting(item: ExerciseItem) -> None:
    """Every option is evaluated: only the key gives the number."""
    blank = item.blanks[0]
    if blank.ask is None:
        return
    found = re.search(r"Which value of `\?`, the ([\w ()]+?)(?: of `([^`]+)`)?, makes .* (\S+)\?", paragraphs(item))
    assert found, paragraphs(item)
    for option in blank.options:
        value = changed_figure(item, blank, found[2] or "", found[1], int(option.text))
        assert (value == found[3]) is option.right


def check_compare(item: ExerciseItem) -> None:
    blank = item.blanks[0]
    found = re.search(r"in design B, the ([\w ()]+?)(?: of `([^`]+)`)? is (\d+) instead of (\d+)", paragraphs(item))
    if blank.ask is None:
        return
    a = independent(blank)
    each = re.fullmatch(r"A and B: (\S+) each", blank.key)
    both = re.match(r"A: (\S+), B: ([^\s;]+)", blank.key)
    assert (each and each[1] == a) or (both and both[1] == a)
    if found:
        b = changed_figure(item, blank, found[2] or "", found[1], int(found[3]))
        assert (each and b == a) or (both and both[2] == b)
    if both and ";" in blank.key:
        first, second = int(both[1]), int(both[2])
        more = "A" if first > second else "B"
        assert blank.key.endswith(f"; {more} has {abs(first - second)} more")


def check_error(item: ExerciseItem) -> None:
    """The first row that is not what follows from the layers is the key."""
    blank = item.blanks[0]
    assert blank.ask is not None
    grid = next(b for b in item.body if isinstance(b, ExerciseTable))
    wrong = []
    for row in grid.rows[1:]:
        named = blank._replace(ask=blank.ask._replace(at=str(row[0])))
        if independent(named) != row[-1]:
            wrong.append(row[0])
    assert wrong and wrong[0] == blank.key
    assert f"it is {independent(blank)}." in item.question.derivation[0]


def check_summary(item: ExerciseItem) -> None:
    blank = item.blanks[0]
    if blank.ask is None:
        return
    found = re.search(r"summary says (\S+) .* it is (\S+)\. Which", paragraphs(item))
    assert found and found[2] == independent(blank) and found[1] != found[2]


def check_statement(item: ExerciseItem) -> None:
    """Both figures of the witness by the third road; the truth against a list that people wrote."""
    ask = item.blanks[0].ask
    assert ask is not None
    shown = [line.rpartition(" ")[2] for line in item.question.derivation[1:3]]
    targets = [re.fullmatch(r"rfcalc table '(.*)' --input (\S+)", line) for line in item.question.derivation[3:5]]
    assert independent(item.blanks[0]) == shown[0]
    assert all(targets)
    text = paragraphs(item)
    known = [truth for phrase, truth in TRUTHS if re.search(phrase, text)]
    assert known, f"nobody has said whether this is true: {text}"
    assert item.blanks[0].key == ("true" if known[0] else "false"), text


TRUTHS = [
    (r"A pooling layer has no parameters: it has none to update in training, and passes the gradients on", True),
    (r"Padding .* makes the receptive field of its units larger", False),
    (r"Padding .* leaves the size of its units' receptive fields", True),
    (r"Giving the last of .* enlarges", False),
    (r"The stride of the last .* does not matter", True),
    (r"Giving the first of two .* enlarges", True),
    (r"The stride of the first .* does not change", False),
    (r"With a .* max pooling between .* sees more", True),
    (r"max pooling between .* so it does not change", False),
    (r"pooling after a convolution adds parameters", False),
    (r"pooling after a convolution adds no parameters", True),
    (r"so leaving one out between two convolutions", False),
    (r"and still a network with one", True),
    (r"can turn \d+ channels into", True),
    (r"1×1 convolution after a 3×3 convolution enlarges", False),
    (r"reduces the height and width", False),
    (r"The number of filters .* follows from the channels", False),
    (r"has the same number of parameters", False),
    (r"same number of filters has more parameters", True),
    (r"the sum is that of the wider path", None),
    (r"receptive fields of the paths add too", False),
    (r"can be wider than that of either path", True),
    (r"doubles the activations", False),
    (r"activations of a convolution four times", True),
    (r"multiply-adds of a convolution four times", True),
    (r"leaves the parameters of a convolution", True),
    (r"parameters of a convolution four times", False),
    (r"holds more than half of the parameters", True),
    (r"more than half of the activations", False),
    (r"second convolution holds more than a tenth of the parameters", False),
    (r"holds more than a tenth of all its activations", True),
    (r"bias of a .* directly before batch normalisation adds parameters", True),
    (r"Leaving out the bias .* changes nothing", False),
    (r"is an error: such a network cannot be run", False),
    (r"may have units whose receptive field is larger", True),
    (r"between two convolutions changes the receptive field", False),
    (r"between two convolutions leaves the receptive field", True),
    (r"with dilation \d has more parameters", False),
    (r"has as many parameters with dilation", True),
    (r"with dilation \d sees farther", True),
    (r"in a row see as much as one", True),
    (r"in a row have fewer parameters", True),
    (r"in a row have more parameters", False),
]


def check(item: ExerciseItem) -> None:
    """What holds for every item."""
    assert item.family in FAMILIES and item.form in FORMS and item.difficulty in LEVELS
    assert item.title and item.body and item.blanks and item.question.derivation and item.question.conventions
    assert item.family in item.question.tags and item.form in item.question.tags
    slots = [
        c.blank
        for b in item.body
        if isinstance(b, ExerciseTable)
        for row in b.rows
        for c in row
        if isinstance(c, AnswerSlot)
    ]
    names = [b.name for b in item.blanks]
    assert len(set(names)) == len(names) and (slots == names if slots else len(names) == 1)
    for block in item.body:
        if isinstance(block, ExerciseTable):
            assert all(len(row) == len(block.header) for row in block.rows)
    for blank in item.blanks:
        check_blank(item, blank)
        if blank.ask is not None:
            assert NEEDED[blank.ask.figure] in item.question.conventions, blank.ask.figure
    more = {"setting": check_setting, "compare": check_compare, "error": check_error, "summary": check_summary}
    if item.form in more:
        more[item.form](item)
    if item.form == "statement" and "the sum is that of the wider path" not in paragraphs(item):
        check_statement(item)
    assert from_dict(json.loads(json.dumps(item.to_dict()))) == item
    assert bank.item(item.id) == item, "an id makes its item again"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_pattern_of(family: str) -> None:
    for pattern in patterns.patterns(family):
        for item in made(pattern, range(SEEDS)):
            try:
                check(item)
            except Exception as error:
                raise AssertionError(f"{item.id}: {error}") from error


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", FAMILIES)
def test_every_pattern_of_many(family: str) -> None:
    for pattern in patterns.patterns(family):
        for item in made(pattern, range(100, 100 + 12 * SEEDS)):
            check(item)


def test_paths_with_the_same_centre_and_without() -> None:
    """The statement about two paths is true where centres agree, and false where they do not: the witness decides."""
    pattern = patterns.pattern_of("concepts.two-paths.statement")
    said = set()
    for item in made(pattern, range(40)):
        text = paragraphs(item)
        if "the sum is that of the wider path" in text:
            assert item.blanks[0].key == ("false" if "different centres" in text else "true")
            said.add(item.blanks[0].key)
    assert said == {"true", "false"}


def test_every_pattern_has_levels_and_many_numbers() -> None:
    assert len(PATTERNS) > 150
    for family in FAMILIES:
        levels = {level for p in PATTERNS if p.family == family for level in p.levels}
        assert levels >= {2, 3}
    assert {p.form for p in PATTERNS} == set(FORMS)


def test_every_file_of_families_is_loaded() -> None:
    folder = Path(patterns.__file__).parent / "families"
    listed = {file for names in patterns.FILES.values() for file in names}
    assert {p.stem for p in folder.glob("*.py")} - {"__init__"} == listed
    assert len(PATTERNS) == 261


# --- the same paper ------------------------------------------------------------------------------------------------


def test_one_seed_gives_one_paper_and_each_student_another() -> None:
    first = bank.exercises(8, 7, family="receptive-field", difficulty=2)
    assert first == bank.exercises(8, "7", family="receptive-field", difficulty=2)
    ada, bob = (bank.exercises(8, 7, family="receptive-field", difficulty=2, student=s) for s in ("ada", "bob"))
    assert {i.id for i in ada}.isdisjoint({i.id for i in bob}) and first != ada
    assert all(i.difficulty == 2 and i.family == "receptive-field" for i in first)


def test_a_paper_is_the_beginning_of_a_longer_one() -> None:
    assert bank.exercises(12, 3)[:5] == bank.exercises(5, 3)


def test_no_question_stands_twice_while_there_are_others() -> None:
    found = bank.exercises(120, "twice")
    assert len({(i.pattern, i.body, i.blanks[0].key) for i in found}) == len(found)


def test_where_all_questions_are_asked_it_is_said_how_many_there_are() -> None:
    with pytest.raises(RfcalcError, match=r"only \d+ different exercises like these, 40 are asked for") as error:
        bank.exercises(40, "r0", family="concepts", difficulty=3)
    count = int(re.findall(r"\d+", str(error.value))[0])
    found = bank.exercises(count, "r0", family="concepts", difficulty=3)
    assert len({(i.pattern, i.body, i.blanks[0].key) for i in found}) == count >= 5


PINNED = """
import hashlib, json
from rfcalc.teaching.exercises.bank import exercises
found = [i.to_dict() for i in exercises(60, 7, student="Ada")]
print(hashlib.blake2b(json.dumps([(i["id"], i["body"], [a["key"] for a in i["answers"]]) for i in found],
      sort_keys=True).encode(), digest_size=8).hexdigest())
"""


def test_papers_stay_the_same_in_every_process() -> None:
    """If this digest changes, papers that were handed out change: raise VERSION in exercises/item.py."""
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", PINNED], capture_output=True, text=True, check=True, env=_environment(hash_seed)
        )
        assert done.stdout.strip() == "a5e65af6c3bc3307"


def _environment(hash_seed: str) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONHASHSEED": hash_seed}


def test_draws_are_even_and_in_range() -> None:
    draw = Draw(1)
    found = [draw.between(2, 11, 3) for _ in range(4000)]
    assert set(found) == {2, 5, 8, 11} and all(850 < found.count(v) < 1150 for v in set(found))
    assert sorted(draw.shuffled(range(9))) == list(range(9))


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"family": "receptive"}, "did you mean receptive-field"),
        ({"form": "tables"}, "did you mean table"),
        ({"difficulty": 4}, "no difficulty 4"),
        ({"count": 0}, "0 items"),
        ({"count": 10**9}, "items cannot be made"),
        ({"family": "concepts", "form": "table"}, "no exercises concepts table"),
    ],
)
def test_what_cannot_be_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RfcalcError, match=re.escape(said)):
        bank.exercises(**{"count": 1, **given})


@pytest.mark.parametrize("identity", ["", "x", "a.v1-b", "output-size.window-on-square.one-layer.v5-iiiiiiiiiiiii"])
def test_what_is_no_id(identity: str) -> None:
    with pytest.raises(RfcalcError):
        bank.item(identity)


def test_an_id_of_another_version_is_refused() -> None:
    with pytest.raises(RfcalcError, match="version 99"):
        bank.item(bank.exercises(1, 1)[0].id.replace(f".v{VERSION}-", ".v99-"))


def test_a_key_that_the_second_road_does_not_confirm_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from rfcalc.teaching.exercises import recount

    monkeypatch.setattr(recount, "_placed", lambda layer, n, i: n)
    subject.second_of.cache_clear()
    try:
        with pytest.raises(KeyMismatch, match="by the rules"):
            made(patterns.pattern_of("output-size.volume.one-layer"), range(3))
    finally:
        subject.second_of.cache_clear()


def test_the_checks_see_a_wrong_key() -> None:
    """The control of this file: a key that is changed is noticed, in every form that has one figure."""
    for name in ("output-size.chain.error", "parameters.network.table", "operations.convolution.setting"):
        (item,) = made(patterns.pattern_of(name), range(1))
        check(item)
        blank = item.blanks[0]
        wrong = next(o for o in blank.options if not o.right)
        options = tuple(o._replace(right=o is wrong) for o in blank.options)
        spoiled = from_dict(item.to_dict())
        question = spoiled.question.__class__(
            spoiled.title,
            spoiled.body,
            (blank._replace(key=wrong.text, options=options), *item.blanks[1:]),
            spoiled.question.conventions,
            spoiled.question.derivation,
            spoiled.question.tags,
        )
        bad = ExerciseItem(
            item.id, item.pattern, item.family, item.form, item.difficulty, item.seed, item.version, question
        )
        with pytest.raises(AssertionError):
            check(bad)


@pytest.mark.parametrize("pattern", ["memory.one-map.one-layer", "memory.strided.one-layer", "memory.zoo.one-layer"])
def test_whatever_a_key_is_computed_with_stands_in_the_text(pattern: str) -> None:
    """A batch that multiplies the key, and an input that counts in a sum, are told with every item."""
    several = 0
    for item in made(patterns.pattern_of(pattern), range(60)):
        ask = item.blanks[0].ask
        told = " ".join([item.question.conventions, *(b.text for b in item.body if hasattr(b, "text"))])
        if ask.batch > 1:
            several += 1
            assert f"batch of {ask.batch}" in told
        if "one-map" not in pattern:
            assert "the input counts too" in told
    assert several or pattern == "memory.zoo.one-layer"


def test_the_smallest_input_does_not_show_itself() -> None:
    for item in made(patterns.pattern_of("output-size.least-input.setting"), range(20)):
        key = item.single.key
        shown = " ".join(
            c for block in item.body if hasattr(block, "rows") for row in block.rows for c in map(str, row)
        )
        assert f"x{key}x{key}" not in shown


def test_a_seed_gives_the_same_questions_whatever_was_loaded_before() -> None:
    """Files of a family may be loaded because another family borrows from them."""
    told = "from rfcalc.teaching.exercises import patterns as p; print([x.name for x in p.patterns()])"
    before = (
        "",
        "import rfcalc.teaching.exercises.families.sizes_more, rfcalc.teaching.exercises.families.concepts_more; ",
        "from rfcalc.teaching.exercises.patterns import patterns; patterns('design'); ",
    )
    orders = {
        subprocess.run([sys.executable, "-c", first + told], capture_output=True, text=True, check=True).stdout
        for first in before
    }
    assert len(orders) == 1
