"""Repetitions of unknown count: closed forms from the structure, against the unrolled network."""

from __future__ import annotations

import pytest
import sympy
from symbolic_walks import closed

import rfcalc
from rfcalc import Conv, Network, RfcalcError, Shape, repeat, symbolic
from rfcalc.core.size import prod, walking_with
from rfcalc.formulas.algebra import SympyAlgebra
from rfcalc.formulas.chain import account
from rfcalc.formulas.sums import total
from rfcalc.formulas.symbols import Declared, SymbolError
from rfcalc.formulas.writing import show

CHAINS = (
    "conv3-8 xN",
    "conv3-C xN",
    "conv3-C nobias relu xN",
    "conv3-4 > conv3-C xN > conv1-5",
    "(conv3-C x2 > maxpool2) xN",
    "(conv3-C relu xM > maxpool2) xN",
    "conv3-C p0 xN",
    "conv3-C/2 xN",
    "conv3-(C*2**i)/2 bn relu xN:i",
    "conv3-C d(2**i) relu xN:i",
    "conv2-C d(2**i) xN:i",
    "conv3-(C*(i + 1)) xN:i",
    "((conv3-C bn relu conv3-C bn) + identity relu) xN",
    "((conv1-C relu conv3-C relu conv1-(4*C)) + conv1-(4*C) > relu) xN > globalavgpool > flatten > fc10",
    "(identity | conv3-4) xN",
    "maxpool2 xN",
    "conv3-C~g relu xN",
    "conv1-4 > (conv3-C~g relu > conv1-C) xN",
    "stem[conv7-C/2] > body[conv3-C bn relu xN] > avgpool2",
    "up2 xN",
    "conv3-8 > (conv1-C xN | conv3-C) > relu",
    "relu > maxpool2 xN > dropout",
    "conv3-8 > (relu conv1-C xN | relu conv3-C xN | conv1-4) > relu",
    "conv3-8 > (relu conv1-C xN | identity) > relu",
    "conv3-8 > (conv1-C xN | relu)",
    "conv3-8 > (dropout leaky_relu conv3-8) xN",
    "conv3-8 > leaky_relu > ((leaky_relu > conv3-8 bn) + identity leaky_relu) xN",
)


@pytest.mark.parametrize("text", CHAINS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_closed_forms_are_the_unrolled_network(text: str, count: int) -> None:
    values = {"N": count, "M": 3, "C": 4, "B": 1, "H": 48, "W": 64}
    plain = text.replace("xN", f"x{count}").replace("xM", "x3").replace("C", "4")
    first = 4 if "C" in text else 3
    if "p0" in text:
        values |= {"H": 31, "W": 40}
    closed(text, values, plain, (first, values["H"], values["W"]), input="4xHxW" if first == 4 else "3xHxW")


def test_the_laws_of_repetition() -> None:
    """n stacked k×k see 1 + n(k − 1) and cost n k² C²; doubling dilations see 1 + (k − 1)(2ⁿ − 1)."""
    stack = symbolic("convK-C nobias xN", assume="K odd")
    assert show(stack.last.field["size"][0]) == "N(K − 1) + 1"
    assert show(stack.totals["weights"]) == "NK²C²"
    assert show(stack.totals["macs"]) == "NK²C²HW"
    dilated = symbolic("conv3-C d(2**i) nobias xN:i")
    assert show(dilated.last.field["size"][0]) == "2·2^N − 1"
    blocks = symbolic("(conv3-C x2 > maxpool2) xN")
    assert show(blocks.last.field["size"][0]) == "5·2^N − 4"
    residual = symbolic("((conv3-C relu conv3-C) + identity > relu) xN")
    assert show(residual.last.field["size"][0]) == "4N + 1"
    assert "H divisible by 2^N" in blocks.assumptions


def test_a_million_copies_are_not_unrolled() -> None:
    found = symbolic("conv3-8 x1000000")
    assert found.last.field["size"] == (2_000_001, 2_000_001)
    assert show(found.totals["params"]) == "72C + 583,999,424"
    assert found.put(C=8)["params"] == 584_000_000
    assert found.put(C=3)["params"] == 3 * 8 * 9 + 8 + 999_999 * (8 * 8 * 9 + 8)


def test_nothing_is_unrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repetition of unknown count never lays out its copies, and its cost does not grow with a known one."""
    from rfcalc.core.expr import Repeat

    def refuse(self: Repeat) -> None:
        raise AssertionError("unrolled")

    monkeypatch.setattr(Repeat, "copies", refuse)
    symbolic("conv3-C relu xN > maxpool2")
    with pytest.raises(AssertionError, match="unrolled"):  # the control
        symbolic("conv3-C relu x3")


def test_in_python_a_count_may_be_a_formula() -> None:
    n, c = sympy.symbols("n C", integer=True, positive=True)
    with walking_with(SympyAlgebra()):
        found = account(repeat(Conv(c, 3, padding=1, bias=False), n), (c, 32, 32))
    assert show(found.cost.weights) == "9nC²"
    assert show(found.span.size[0]) == "2n + 1"
    assert prod(found.dims) == 1024 * c


@pytest.mark.parametrize(
    ("text", "known", "missing"),
    [
        ("conv3-C/S xN", {"weights": "9NC²"}, "the size ⌊(h′ − 1)/S⌋ + 1 has no closed form"),
        ("conv2-C d(2**i) xN:i", {"weights": "4NC²"}, "equal on both sides changes from copy to copy"),
        ("conv3-C d(i**i) xN:i", {"weights": "9NC²"}, "receptive field"),
        ("up2 conv3-C xN", {"weights": "9NC²"}, "receptive field"),
    ],
)
def test_what_has_no_closed_form_is_said_with_what_is_known(text: str, known: dict[str, str], missing: str) -> None:
    found = symbolic(text)
    assert {name: show(found.totals[name]) for name in known} == known
    assert any(missing in told for told in found.unknown)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(a=conv3-C > conv3-C > @a + identity) xN > @a", "@a|'a'|names nothing"),
        ("(globalavgpool > flatten) xN", "axes"),
        ("side(conv3-C xN) > conv3-C", "side"),
    ],
)
def test_what_cannot_be_followed_is_refused(text: str, words: str) -> None:
    with pytest.raises(RfcalcError, match=words):
        symbolic(text)


def test_sums_are_the_sums() -> None:
    n, c = sympy.symbols("n C", integer=True, positive=True)
    j = sympy.Symbol("i", integer=True, nonnegative=True)
    for term in (c, j, j * j + c, j**3, 2**j, 3 * 2**j * j + c, 4**j * c - j, 6**j, j**5):
        formula = total(term, j, n)
        for count in (1, 2, 5):
            want = sum(term.subs(j, k) for k in range(count))
            assert sympy.expand(formula.subs(n, count) - want) == 0, (term, count)


def test_shape_of_python_networks_with_symbols() -> None:
    c = sympy.Symbol("C", integer=True, positive=True)
    report = rfcalc.analyze(Network(Conv(c, 3, padding=1)), Shape(c, 8, 8))
    assert show(report.totals.params) == "9C² + C"
    with pytest.raises(SymbolError, match="does not fit"):
        Declared("K", 2, 1).behind(4)
