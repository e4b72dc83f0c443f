"""QTI 1.2 as Canvas takes it: a zip with a manifest, the assessment, and Canvas' own metadata.

Multiple choice, numerical (exact, or within a tolerance), fill in multiple blanks (for tables). The same seed gives the
same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rfcalc.teaching.exercises.draw import seed_of, text_of
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation, image, svg
from rfcalc.teaching.exercises.formats._html import text as html
from rfcalc.teaching.exercises.formats._xml import Element, document, element
from rfcalc.teaching.exercises.item import ExerciseItem, PictureRecipe, spellings

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
_PACKAGE = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"
_METADATA = "http://www.imsglobal.org/xsd/imsmd_v1p2"
_CANVAS = "http://canvas.instructure.com/xsd/cccv1p0"
_KINDS = {
    "integer": "numerical_question",
    "decimal": "numerical_question",
    "shape": "short_answer_question",
    "choice": "multiple_choice_question",
}


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> bytes:
    """The package."""
    name = text_of(seed_of("qti", paper.heading, *[i.id for i in items]))
    quiz, meta, manifest = f"q{name}", f"m{name}", f"p{name}"
    pictures = {_path(p): p for i in items for p in (i.question.picture, i.question.solution) if p is not None}
    files = {
        "imsmanifest.xml": _manifest(paper.heading, quiz, meta, manifest, list(pictures)),
        f"{quiz}/assessment_meta.xml": _about(paper.heading, quiz, len(items)),
        f"{quiz}/{quiz}.xml": _assessment(items, paper.heading, quiz),
    }
    written = {path: document(root).encode("utf-8") for path, root in files.items()}
    written |= {path: svg(picture) for path, picture in pictures.items()}
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as package:
        for path, text in written.items():
            about = ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            about.compress_type = ZIP_DEFLATED
            about.external_attr = 0o644 << 16
            package.writestr(about, text)
    return made.getvalue()


def _root(tag: str, space: str, schemas: str, *children: Element, **attributes: str) -> Element:
    """A root with its name space and the places of its schemas."""
    made = element(tag, *children, **attributes, xmlns=space)
    made.set("xmlns:xsi", _XSI)
    made.set("xsi:schemaLocation", schemas)
    return made


def _path(picture: PictureRecipe) -> str:
    """Where a picture lies in the package."""
    return f"images/{picture.kind}-{text_of(seed_of('picture', *picture))}.svg"


def _placed(picture: PictureRecipe) -> Element:
    return image(picture, f"$IMS-CC-FILEBASE$/{_path(picture)}")


def _manifest(title: str, quiz: str, meta: str, manifest: str, pictures: Sequence[str]) -> Element:
    named = element("imsmd:general", element("imsmd:title", element("imsmd:string", title)))
    metadata = element(
        "metadata",
        element("schema", "IMS Content"),
        element("schemaversion", "1.1.3"),
        element("imsmd:lom", named),
    )
    asked = element(
        "resource",
        element("file", href=f"{quiz}/{quiz}.xml"),
        element("dependency", identifierref=meta),
        identifier=quiz,
        type="imsqti_xmlv1p2",
    )
    about = element(
        "resource",
        element("file", href=f"{quiz}/assessment_meta.xml"),
        identifier=meta,
        type="associatedcontent/imscc_xmlv1p1/learning-application-resource",
        href=f"{quiz}/assessment_meta.xml",
    )
    more = (
        element("resource", element("file", href=p), identifier=f"f{i}{quiz}", type="webcontent", href=p)
        for i, p in enumerate(pictures)
    )
    schemas = f"{_PACKAGE} http://www.imsglobal.org/xsd/imscp_v1p1.xsd {_METADATA} {_METADATA}p2.xsd"
    parts = (metadata, element("organizations"), element("resources", asked, about, *more))
    made = _root("manifest", _PACKAGE, schemas, *parts, identifier=manifest)
    made.set("xmlns:imsmd", _METADATA)
    return made


def _about(title: str, quiz: str, points: int) -> Element:
    told = {
        "title": title,
        "description": "",
        "shuffle_answers": "false",
        "scoring_policy": "keep_highest",
        "quiz_type": "assignment",
        "points_possible": f"{points:.1f}",
        "allowed_attempts": "1",
        "available": "false",
    }
    schemas = f"{_CANVAS} https://canvas.instructure.com/xsd/cccv1p0.xsd"
    return _root("quiz", _CANVAS, schemas, *(element(tag, text) for tag, text in told.items()), identifier=quiz)


def _assessment(items: Sequence[ExerciseItem], title: str, quiz: str) -> Element:
    found = element(
        "assessment",
        element("qtimetadata", _field("cc_maxattempts", "1")),
        element("section", *map(_item, items), ident="root_section"),
        ident=quiz,
        title=title,
    )
    return _root("questestinterop", _QTI, f"{_QTI} {_QTI}p1.xsd", found)


def _field(label: str, entry: str) -> Element:
    return element("qtimetadatafield", element("fieldlabel", label), element("fieldentry", entry))


def _material(html_text: str) -> Element:
    return element("material", element("mattext", html_text, texttype="text/html"))


class _Parts(NamedTuple):
    """What a kind of question adds to an item: ids of answers, how they are asked for, conditions, feedback."""

    labels: list[str]
    presentation: list[Element]
    conditions: list[Element]
    feedbacks: list[Element]


def _item(item: ExerciseItem) -> Element:
    single = item.single
    name = f"i{text_of(seed_of('item', item.id))}"
    kind = "fill_in_multiple_blanks_question" if single is None else _KINDS[single.kind]
    parts = _PARTS[kind](item, name)
    fields = {
        "question_type": kind,
        "points_possible": "1",
        "original_answer_ids": ",".join(parts.labels),
        "assessment_question_identifierref": f"a{name}",
    }
    asked = _material(body(item, lambda b: f"[{b.name}]", _placed) + conventions(item))
    score = element("decvar", maxvalue="100", minvalue="0", varname="SCORE", vartype="Decimal")
    return element(
        "item",
        element("itemmetadata", element("qtimetadata", *(_field(*field) for field in fields.items()))),
        element("presentation", asked, *parts.presentation),
        element("resprocessing", element("outcomes", score), _shown(element("other"), "general_fb"), *parts.conditions),
        _feedback("general_fb", derivation(item, _placed)),
        *parts.feedbacks,
        ident=name,
        title=item.title,
    )


def _feedback(name: str, html_text: str) -> Element:
    return element("itemfeedback", element("flow_mat", _material(html_text)), ident=name)


def _shown(condition: Element, name: str) -> Element:
    told = element("displayfeedback", feedbacktype="Response", linkrefid=name)
    return element("respcondition", element("conditionvar", condition), told, continue_="Yes")


def _scored(*conditions: Element, share: str = "100", action: str = "Set") -> Element:
    """Points where one of the conditions holds."""
    points = element("setvar", share, action=action, varname="SCORE")
    more = "No" if action == "Set" else "Yes"
    return element("respcondition", element("conditionvar", *conditions), points, continue_=more)


def _equal(value: str, where: str = "response1") -> Element:
    return element("varequal", value, respident=where)


def _choices(item: ExerciseItem, name: str) -> _Parts:
    blank = item.blanks[0]
    labels = [f"{name}{i}" for i in range(len(blank.options))]
    named = [*zip(labels, blank.options, strict=True)]
    shown = (element("response_label", _material(html(o.text)), ident=label) for label, o in named)
    asked = element("response_lid", element("render_choice", *shown), ident="response1", rcardinality="Single")
    conditions = [_shown(_equal(label), f"{label}_fb") for label in labels]
    conditions.append(_scored(_equal(labels[blank.options.index(blank.right)])))
    return _Parts(labels, [asked], conditions, [_feedback(f"{label}_fb", html(o.feedback)) for label, o in named])


def _range(value: str, tolerance: str) -> Element:
    around = Fraction(tolerance or 0)
    low, high = Fraction(value) - around, Fraction(value) + around
    between = element(
        "and",
        element("vargte", _decimal(low), respident="response1"),
        element("varlte", _decimal(high), respident="response1"),
    )
    return element("or", _equal(value), between)


def _decimal(value: Fraction) -> str:
    """A fraction whose denominator is a power of ten, exactly."""
    from decimal import Decimal

    return format(Decimal(value.numerator) / Decimal(value.denominator), "f")


def _typed(label: Element, **how: str) -> Element:
    return element("response_str", element("render_fib", label, **how), ident="response1", rcardinality="Single")


def _numbers(item: ExerciseItem, name: str) -> _Parts:
    blank = item.blanks[0]
    wrong = [*enumerate(o for o in blank.options if not o.right)]
    conditions = [_shown(_equal(o.text), f"{name}{i}_fb") for i, o in wrong]
    conditions.append(_scored(_range(blank.key, blank.tolerance)))
    asked = _typed(element("response_label", ident="answer1"), fibtype="Decimal")
    return _Parts([], [asked], conditions, [_feedback(f"{name}{i}_fb", html(o.feedback)) for i, o in wrong])


def _words(item: ExerciseItem, name: str) -> _Parts:
    asked = _typed(element("response_label", ident="answer1", rshuffle="No"))
    return _Parts([], [asked], [_scored(*map(_equal, spellings(item.blanks[0].key)))], [])


def _blanks(item: ExerciseItem, name: str) -> _Parts:
    parts = _Parts([], [], [], [])
    share = f"{100 / len(item.blanks):.2f}"
    for i, blank in enumerate(item.blanks):
        where = f"response_{blank.name}"
        typed = {f"{name}{i}" + (f"_{j}" if j else ""): text for j, text in enumerate(blank.typed(blank.right))}
        texts = {at: element("mattext", text, texttype="text/plain") for at, text in typed.items()}
        labels = (element("response_label", element("material", text), ident=at) for at, text in texts.items())
        asked = element("material", element("mattext", blank.name))
        parts.labels.extend(typed)
        parts.presentation.append(element("response_lid", asked, element("render_choice", *labels), ident=where))
        parts.conditions.append(_scored(*(_equal(at, where) for at in typed), share=share, action="Add"))
    return parts


_PARTS = {
    "multiple_choice_question": _choices,
    "numerical_question": _numbers,
    "short_answer_question": _words,
    "fill_in_multiple_blanks_question": _blanks,
}
