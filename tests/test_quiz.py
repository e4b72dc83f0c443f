"""`rfcalc exercise` and `rfcalc quiz`: what is typed, what is written, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.exercises import bank
from rfcalc.teaching.exercises.item import AnswerOption, Blank
from rfcalc.teaching.exercises.marking import mark
from rfcalc.teaching.exercises.quiz import run as ask_items

RIGHT = AnswerOption("3211264", True, "Right.")
NUMBER = Blank("answer", "integer", "parameters", "3211264", (RIGHT, AnswerOption("1605632", False, "Half of it.")))
SHAPE = Blank("answer", "shape", "output", "64x224x112", (AnswerOption("64x224x112", True, "Right."),))
PERCENT = Blank("answer", "decimal", "share", "74.3", (AnswerOption("74.3", True, "Right."),), "%", "0.1")
CHOICE = Blank(
    "answer",
    "choice",
    "which",
    "conv1_1",
    (
        AnswerOption("`conv1`", False, "No."),
        AnswerOption("conv1_1", True, "Right."),
        AnswerOption("b", False, "Named so."),
    ),
)


@pytest.mark.parametrize(
    ("blank", "typed", "right"),
    [
        (NUMBER, "3211264", True),
        (NUMBER, " 3,211,264 ", True),
        (NUMBER, "3_211_264", True),
        (NUMBER, "3.2M", True),
        (NUMBER, "3.21 M", True),
        (NUMBER, "3M", True),
        (NUMBER, "3.3M", False),
        (NUMBER, "1605632", False),
        (NUMBER, "-3211264", False),
        (NUMBER, "3211265", False),
        (SHAPE, "64x224x112", True),
        (SHAPE, "64 × 224 × 112", True),
        (SHAPE, "(64, 224, 112)", True),
        (SHAPE, "224x112x64", True),
        (SHAPE, "64x112x224", False),
        (PERCENT, "74.3", True),
        (PERCENT, "74.36 %", True),
        (PERCENT, "74", False),
        (PERCENT, "75", False),
        (CHOICE, "conv1_1", True),
        (CHOICE, "conv1", False),
        (CHOICE, "(c)", False),
        (CHOICE, "b", False),  # the option that is called b, not the second one
    ],
)
def test_what_people_type(blank: Blank, typed: str, right: bool) -> None:
    assert mark(blank, typed).right is right


def test_feedback_is_the_misconceptions() -> None:
    assert mark(NUMBER, "1605632").said == "Half of it."
    assert mark(NUMBER, "3.2M").said == "Right, rounded; exactly it is 3211264."
    assert "channels last" in mark(SHAPE, "224x112x64").said


@pytest.mark.parametrize(("blank", "typed"), [(NUMBER, "many"), (SHAPE, "64xabc"), (CHOICE, "z"), (NUMBER, "1/0")])
def test_what_cannot_be_read(blank: Blank, typed: str) -> None:
    with pytest.raises(RfcalcError):
        mark(blank, typed)


def typed(lines: list[str | None]) -> tuple[list[str], list[str]]:
    """Run a quiz of three items on these lines: what is told, what was asked."""
    told: list[str] = []
    prompts: list[str] = []
    waiting = iter(lines)

    def ask(prompt: str) -> str | None:
        prompts.append(prompt)
        return next(waiting, None)

    ask_items(bank.exercises(3, 5, difficulty=1, form="one-layer"), ask, told.append)
    return told, prompts


def test_right_answers_score() -> None:
    keys: list[str | None] = [i.blanks[0].key for i in bank.exercises(3, 5, difficulty=1, form="one-layer")]
    told, _ = typed(keys)
    assert told[-1] == "3 of 3 right, 100 %"


def test_an_empty_line_shows_the_answer_and_the_end_stops() -> None:
    told, prompts = typed(["", "nonsense ?", None])
    assert told[-1] == "0 of 1 right, 0 %" and len(prompts) == 3
    assert any(line.startswith("  It is ") for line in told)
    assert typed(["q"])[0][-1] == "0 of 0 right"


def cli(*arguments: str, given: str = "", encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from rfcalc.cli import main; main(sys.argv[1:])", *arguments],
        input=given,
        capture_output=True,
        text=True,
        encoding=encoding,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )


def test_a_quiz_works_in_a_pipe() -> None:
    items = bank.exercises(2, 4, difficulty=1, form="one-layer")
    given = "\n".join(i.blanks[0].key for i in items) + "\n"
    done = cli("quiz", "--seed", "4", "-n", "2", "--difficulty", "1", "--form", "one-layer", given=given)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("2 of 2 right, 100 %\n")


def test_a_quiz_in_ascii_and_at_the_end_of_the_input() -> None:
    done = cli("quiz", "--seed", "4", "-n", "3", encoding="ascii")
    assert (done.returncode, done.stderr) == (0, "") and "0 of 0 right" in done.stdout


def test_exercise_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exercise", "-n", "2", "--seed", "7"]) == 0
    printed = capsys.readouterr().out
    target = tmp_path / "paper.md"
    assert run(["exercise", "-n", "2", "--seed", "7", "-o", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == printed and printed.startswith("# Exercises, seed 7\n")
    assert [p.name for p in tmp_path.iterdir()] == ["paper.md"]


def test_an_id_shows_its_exercise(capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = bank.exercises(1, 9)
    assert run(["exercise", "--id", item.id, "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [json.loads(json.dumps(item.to_dict()))]


def test_packages_and_folders(tmp_path: Path) -> None:
    assert run(["exercise", "-n", "2", "-f", "qti", "-o", str(tmp_path / "a.zip")]) == 0
    assert (tmp_path / "a.zip").read_bytes()[:2] == b"PK"
    assert run(["exercise", "-n", "2", "-f", "prairielearn", "-o", str(tmp_path / "course")]) == 0
    assert len(list((tmp_path / "course" / "questions").iterdir())) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"a.zip", "course"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--family", "sizes"], "unknown family"),
        (["--format", "moodel"], "did you mean moodle"),
        (["--format", "qti"], "--output NAME"),
        (["--format", "prairielearn"], "a folder"),
        (["--difficulty", "9"], "no difficulty 9"),
        (["-n", "0"], "0 items"),
        (["--id", "nonsense"], "not an exercise's id"),
        (["-o", "/nowhere/at/all.md"], "no folder"),
        (["-f", "qti", "-o", "/nowhere/at/all.zip"], "no folder"),
    ],
)
def test_what_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exercise", *arguments]) == 2
    found = capsys.readouterr()
    assert said in found.err and found.out == ""


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "course").mkdir()
    assert run(["exercise", "-n", "1", "-f", "prairielearn", "-o", str(tmp_path / "course")]) == 2
    assert "already" in capsys.readouterr().err and not list((tmp_path / "course").iterdir())


def test_a_student_of_odd_characters(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("markdown", "html", "latex", "moodle", "gift"):
        assert run(["exercise", "-n", "1", "--student", "<x> \x00 ]]> {~} $ % \u202e", "-f", form]) == 0
        assert "\x00" not in capsys.readouterr().out


def test_a_bank_is_rendered_in_other_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "bank.json"
    assert run(["exercise", "-n", "4", "--seed", "7", "-f", "json", "-o", str(target)]) == 0
    for form in ("gift", "markdown", "json"):
        assert run(["exercise", "-n", "4", "--seed", "7", "-f", form]) == 0
        direct = capsys.readouterr().out
        assert run(["exercise", "--bank", str(target), "-f", form]) == 0
        assert capsys.readouterr().out == direct


def _edited(change: str) -> str:
    bank_text = json.dumps(bank.document(bank.exercises(1, 7, form="one-layer", difficulty=1), {}))
    item = json.loads(bank_text)
    exec(change, {"d": item, "i": item["items"][0] if item["items"] else None})
    return json.dumps(item)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "no bank"),
        ('{"schema": "rfcalc/exercises/1", "items": []}', "empty"),
        ("del i['title']", "not whole"),
        ("i['body'] = 3", "not whole"),
        ("i['id'] = '../../etc.a.b.v1-0000000000000'", "no id"),
        ("i['pattern'] = '../../x'", "no id"),
        ("i['answers'][0]['options'] = [dict(o, right=True) for o in i['answers'][0]['options'] * 2]", "right option"),
        ("i['answers'][0]['name'] = 'x\"><script>'", "answer"),
        ("i['answers'] = []", "no answer"),
        ("i['answers'] = i['answers'] * 2", "without a place"),
        ("i['difficulty'] = 7", "no family"),
    ],
)
def test_a_bank_that_was_broken_by_hand(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "bank.json"
    target.write_text(text if text[0] in "[{" else _edited(text), encoding="utf-8")
    assert run(["exercise", "--bank", str(target)]) == 2
    assert said in capsys.readouterr().err
    target.write_bytes(b"\xff\xfe")
    assert run(["exercise", "--bank", str(target)]) == 2
    assert "UTF-8" in capsys.readouterr().err
    assert run(["exercise", "--bank", str(tmp_path / "none.json")]) == 2
