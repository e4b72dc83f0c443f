"""Whatever is fed to the readers, they answer with a network or one clear error: no traceback, no hang, no flood."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tomllib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcalc import RfcalcError, spec, zoo
from rfcalc.core.expr import LAYERS
from rfcalc.core.size import is_number
from rfcalc.notation import parse, write

SLOWEST = 5.0  # seconds for one short text
MANY = settings(max_examples=150, deadline=None)
FILES = sorted((Path(__file__).parent.parent / "docs" / "examples").glob("*.toml"))
EXAMPLES = [p for p in FILES if "items" not in tomllib.loads(p.read_text(encoding="utf-8"))]  # lessons are no networks
VALID = [write(zoo.build(name)) for name in ("vgg16", "vgg11-lrn")] + [
    "inputs: a=3x8x8, b=?; @a > (conv3-8 d(2**i) p(2**i) relu) x4:i | {@b, @a} concat axis1 > side(fc3) > r=fc3 ~w",
    *[kind.spelling.example for kind in LAYERS.values() if kind.spelling],
]
PIECES = st.sampled_from(
    [
        *"><|+*(){}[],;=~@#\"':.-/x0123456789 \n\t\\?_→×²é\x00",
        *("x2", "x9:i", "2**", "(i", "series(", "side(", "conv", "conv3-64", "maxpool2", "relu", "name:", "input:"),
        *("d(2**i)", "99999999", "table(0;1)", 'op"', "1e400"),
    ]
)


def settle(read, text: str) -> None:
    """Read a text; anything but a result or an RfcalcError is a failure, and so is a long time."""
    start = process_time()
    try:
        found = read(text)
        if hasattr(found, "expr") and is_number(found.expr.count) and found.expr.count < 20_000:
            network = found.network()
            assert parse(write(network)).network() == network
    except RfcalcError as error:
        message = str(error)
        assert message
        assert len(message) < 2000, message
    assert process_time() - start < SLOWEST, text[:200]


@st.composite
def mutated(draw: st.DrawFn, sources: list[str]) -> str:
    """A valid text with a few characters or stretches removed, doubled, swapped, replaced."""
    text = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 6))):
        i = draw(st.integers(0, len(text)))
        j = min(len(text), i + draw(st.integers(0, 12)))
        way = draw(st.integers(0, 3))
        piece = draw(PIECES)
        text = [text[:i] + piece + text[i:], text[:i] + text[j:], text[:j] + text[i:], text[:i] + piece + text[j:]][way]
    return text


@MANY
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60)))
def test_notation_from_pieces(text: str) -> None:
    settle(parse, text)


@MANY
@given(mutated(VALID))
def test_notation_mutated(text: str) -> None:
    settle(parse, text)


SPECS = [path.read_text(encoding="utf-8") for path in EXAMPLES] + [
    'layers = [{kind = "conv", out_channels = 8, kernel = [3, 3], '
    'padding = [[1, 1], [0, 2]], repeat = 2, index = "i"}]\n'
    'outputs = ["conv2"]\n[inputs]\ninput = [3, 8, 8]\n',
]


@MANY
@given(mutated(SPECS))
def test_toml_mutated(text: str) -> None:
    settle(lambda t: spec.loads(t, "toml"), text)


JSONS = [spec.write(spec.loads(text).network, "json") for text in SPECS]


@MANY
@given(mutated(JSONS))
def test_json_mutated(text: str) -> None:
    settle(lambda t: spec.loads(t, "json"), text)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["relu", "(i)"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "name",
        "input",
        "inputs",
        "outputs",
        "layers",
        "repeat",
        "index",
        "kernel",
        "padding",
        "out_channels",
        "stride",
        "mode",
        "p",
        "dims",
        "table",
        "parts",
        "axes",
        "function",
        "with",
        "order",
        "size",
        "factor",
        "over",
        "operator",
        "heads",
        "window",
        "shift",
    ]
)


@MANY
@given(
    st.sampled_from(LAYERS.names()),
    st.dictionaries(FIELDS, VALUES, max_size=5),
    st.dictionaries(FIELDS, VALUES, max_size=3),
)
def test_json_of_the_wrong_types(kind: str, table: dict, top: dict) -> None:
    text = (
        json.dumps({**top, "layers": [{"kind": kind, **table}]}, allow_nan=False, default=str)
        if _finite([table, top])
        else "{}"
    )
    settle(lambda t: spec.loads(t, "json"), text)


def _finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or abs(value) < float("inf")


BOMBS = {
    "repetition": "conv3-64 x1000000000",
    "nested repetition": "(((relu x1000) x1000) x1000) x1000",
    "long": "relu " * 5_000_000,
    "brackets": "(" * 1_000_000,
    "braces": "{" * 1_000_000,
    "open series": "series(" * 100_000,
    "names": "a=" * 500_000 + "relu",
    "expression": "conv3-8 d(" + "(" * 200 + "i" + ")" * 200 + ") x2:i",
    "power": "conv3-8 d(9**9**9**9) x2",
    "index": "conv3-8 d(2**i) x100000:i",
    "nested index": "(conv3-8 d(2**(i*j)) x60:i) x60:j",
    "digits": "conv3-" + "9" * 100_000,
    "one word": "c" * 1_000_000,
    "one option": "conv3-8 p" + "1x" * 300_000,
    "quotes": '"' + "a" * 1_000_000,
    "spaces": " " * 10_000_000 + "relu)",
    "comments": "#\n" * 1_000_000,
    "header": "name: " + "a" * 1_000_000,
    "labels": '"' + "\\" * 999_999,
    "plus": "relu" + " + relu" * 100_000,
    "backtracking": "conv" + "((" * 3000 + "a" + "))" * 2999,
    "commas": "relu" + "," * 500_000,
    "wide": "x9" * 300_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bounded(name: str) -> None:
    """In a process of its own, with a limit on memory and time."""
    code = (
        "import sys; from rfcalc import RfcalcError; from rfcalc.notation import parse\n"
        "try:\n parse(sys.stdin.read()); print('read')\nexcept RfcalcError as e:\n"
        " assert len(str(e)) < 2000; print('refused')"
    )
    limit = 1_500_000_000
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=BOMBS[name],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.strip() == ("read" if name in ("plus",) else "refused")


SPEC_BOMBS = {
    "nested lists": ("layers = " + "[" * 100_000, "toml"),
    "nested tables": ("{" * 0 + '{"layers":' * 50_000, "json"),
    "blocks in blocks": (
        'layers = "b9"\n'
        + "".join(f'[blocks.b{i}]\nlayers = "b{i - 1} b{i - 1} b{i - 1} b{i - 1}"\n' for i in range(1, 10))
        + '[blocks.b0]\nlayers = "relu x100"',
        "toml",
    ),
    "doubling blocks": (
        'layers = "b25"\n[blocks.b0]\nlayers = "relu"\n'
        + "".join(f'[blocks.b{i}]\nlayers = "b{i - 1} > b{i - 1}"\n' for i in range(1, 26)),
        "toml",
    ),
    "powers of a parameter": (
        'layers = "b(50)"\n[blocks.b]\nparameters = ["n"]\nlayers = "conv3-8 d(2**(n*n*n))"',
        "toml",
    ),
    "digits": ('layers = [{kind = "conv", out_channels = 1' + "0" * 4000 + ", kernel = 1}]", "toml"),
    "many keys": ("\n".join(f"a{i} = 1" for i in range(50_000)), "toml"),
}


@pytest.mark.parametrize("name", SPEC_BOMBS)
def test_spec_bombs_are_bounded(name: str) -> None:
    text, form = SPEC_BOMBS[name]
    start = process_time()
    with pytest.raises(RfcalcError):
        spec.loads(text, form)
    assert process_time() - start < 15
