"""QTI 1.2 as Canvas takes it: a zip with a manifest, the assessment, and Canvas' own metadata.

Multiple choice, numerical (exact, or within a tolerance), fill in multiple blanks (for tables). The same seed gives the
same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rfcalc.teaching.exercises.draw import seed_of, text_of
from rfcalc.teaching.exercises.formats import Paper
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation
from rfcalc.teaching.exercises.formats._html import text as html
from rfcalc.teaching.exercises.item import Blank, Item

_QTI = (
    '<questestinterop xmlns="http://www.imsglobal.org/xsd/ims_qtiasiv1p2" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://www.imsglobal.org/xsd/ims_qtiasiv1p2 '
    'http://www.imsglobal.org/xsd/ims_qtiasiv1p2p1.xsd">'
)
_MANIFEST = (
    '<manifest identifier="{manifest}" xmlns="http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1" '
    'xmlns:imsmd="http://www.imsglobal.org/xsd/imsmd_v1p2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1 '
    "http://www.imsglobal.org/xsd/imscp_v1p1.xsd http://www.imsglobal.org/xsd/imsmd_v1p2 "
    'http://www.imsglobal.org/xsd/imsmd_v1p2p2.xsd">\n'
    "<metadata><schema>IMS Content</schema><schemaversion>1.1.3</schemaversion><imsmd:lom><imsmd:general><imsmd:title>"
    "<imsmd:string>{title}</imsmd:string></imsmd:title></imsmd:general></imsmd:lom></metadata>\n<organizations/>\n"
    '<resources>\n<resource identifier="{quiz}" type="imsqti_xmlv1p2"><file href="{quiz}/{quiz}.xml"/>'
    '<dependency identifierref="{meta}"/></resource>\n'
    '<resource identifier="{meta}" type="associatedcontent/imscc_xmlv1p1/learning-application-resource" '
    'href="{quiz}/assessment_meta.xml"><file href="{quiz}/assessment_meta.xml"/></resource>\n</resources>\n</manifest>'
)
_META = (
    '<quiz identifier="{quiz}" xmlns="http://canvas.instructure.com/xsd/cccv1p0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://canvas.instructure.com/xsd/cccv1p0 https://canvas.instructure.com/xsd/cccv1p0.xsd">\n'
    "<title>{title}</title>\n<description></description>\n"
    "<shuffle_answers>false</shuffle_answers>\n<scoring_policy>keep_highest</scoring_policy>\n"
    "<quiz_type>assignment</quiz_type>\n<points_possible>{points:.1f}</points_possible>\n"
    "<allowed_attempts>1</allowed_attempts>\n<available>false</available>\n</quiz>"
)
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


def render(items: Sequence[Item], paper: Paper) -> bytes:
    """The package."""
    name = text_of(seed_of("qti", paper.heading, *[i.id for i in items]))
    quiz, meta, manifest = f"q{name}", f"m{name}", f"p{name}"
    title = escape(paper.heading)
    questions = "\n".join(_item(item) for item in items)
    assessment = (
        f'{_XML}{_QTI}\n<assessment ident="{quiz}" title="{_attribute(paper.heading)}">\n<qtimetadata>'
        + _field("cc_maxattempts", "1")
        + f'</qtimetadata>\n<section ident="root_section">\n{questions}\n</section>\n</assessment>\n</questestinterop>'
    )
    files = {
        "imsmanifest.xml": _XML + _MANIFEST.format(manifest=manifest, quiz=quiz, meta=meta, title=title),
        f"{quiz}/assessment_meta.xml": _XML + _META.format(quiz=quiz, title=title, points=len(items)),
        f"{quiz}/{quiz}.xml": assessment,
    }
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as package:
        for path, text in files.items():
            about = ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            about.compress_type = ZIP_DEFLATED
            about.external_attr = 0o644 << 16
            package.writestr(about, text.encode("utf-8"))
    return made.getvalue()


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _field(label: str, entry: str) -> str:
    return (
        f"<qtimetadatafield><fieldlabel>{label}</fieldlabel><fieldentry>{escape(entry)}</fieldentry></qtimetadatafield>"
    )


def _material(html_text: str) -> str:
    return f'<material><mattext texttype="text/html">{escape(html_text)}</mattext></material>'


def _item(item: Item) -> str:
    single = item.single
    name = f"i{text_of(seed_of('item', item.id))}"
    kind = "fill_in_multiple_blanks_question" if single is None else _KINDS[single.kind]
    labels, presentation, conditions, feedbacks = _PARTS[kind](item, name)
    metadata = (
        _field("question_type", kind)
        + _field("points_possible", "1")
        + _field("original_answer_ids", ",".join(labels))
        + _field("assessment_question_identifierref", f"a{name}")
    )
    asked = _material(body(item, lambda b: f"[{b.name}]") + conventions(item))
    general = _feedback("general_fb", derivation(item))
    return (
        f'<item ident="{name}" title="{_attribute(item.title)}">\n<itemmetadata><qtimetadata>{metadata}</qtimetadata>'
        f"</itemmetadata>\n<presentation>{asked}{presentation}</presentation>\n<resprocessing><outcomes>"
        f'<decvar maxvalue="100" minvalue="0" varname="SCORE" vartype="Decimal"/></outcomes>\n{_GENERAL}{conditions}'
        f"</resprocessing>\n{general}{feedbacks}</item>"
    )


_KINDS = {
    "integer": "numerical_question",
    "decimal": "numerical_question",
    "shape": "short_answer_question",
    "choice": "multiple_choice_question",
}
_GENERAL = (
    '<respcondition continue="Yes"><conditionvar><other/></conditionvar>'
    '<displayfeedback feedbacktype="Response" linkrefid="general_fb"/></respcondition>\n'
)
_Parts = tuple[list[str], str, str, str]


def _feedback(name: str, html_text: str) -> str:
    return f'<itemfeedback ident="{name}"><flow_mat>{_material(html_text)}</flow_mat></itemfeedback>\n'


def _shown(condition: str, name: str) -> str:
    return (
        f'<respcondition continue="Yes"><conditionvar>{condition}</conditionvar>'
        f'<displayfeedback feedbacktype="Response" linkrefid="{name}"/></respcondition>\n'
    )


def _scored(condition: str, share: str = "100", action: str = "Set") -> str:
    more = "No" if action == "Set" else "Yes"
    return (
        f'<respcondition continue="{more}"><conditionvar>{condition}</conditionvar>'
        f'<setvar action="{action}" varname="SCORE">{share}</setvar></respcondition>\n'
    )


def _equal(value: str, where: str = "response1") -> str:
    return f'<varequal respident="{where}">{escape(value)}</varequal>'


def _choices(item: Item, name: str) -> _Parts:
    blank = item.blanks[0]
    labels = [f"{name}{i}" for i in range(len(blank.options))]
    shown = "".join(
        f'<response_label ident="{label}">{_material(html(o.text))}</response_label>'
        for label, o in zip(labels, blank.options, strict=True)
    )
    presentation = (
        f'<response_lid ident="response1" rcardinality="Single"><render_choice>{shown}</render_choice></response_lid>'
    )
    conditions = "".join(_shown(_equal(label), f"{label}_fb") for label in labels)
    conditions += _scored(_equal(labels[blank.options.index(blank.right)]))
    feedbacks = "".join(
        _feedback(f"{label}_fb", html(o.feedback)) for label, o in zip(labels, blank.options, strict=True)
    )
    return labels, presentation, conditions, feedbacks


def _range(value: str, tolerance: str) -> str:
    from fractions import Fraction

    around = Fraction(tolerance or 0)
    low, high = Fraction(value) - around, Fraction(value) + around
    return (
        f"<or>{_equal(value)}<and>"
        f'<vargte respident="response1">{_decimal(low)}</vargte>'
        f'<varlte respident="response1">{_decimal(high)}</varlte></and></or>'
    )


def _decimal(value: object) -> str:
    """A fraction whose denominator is a power of ten, exactly."""
    from decimal import Decimal
    from fractions import Fraction

    found = Fraction(str(value))
    return format(Decimal(found.numerator) / Decimal(found.denominator), "f")


def _numbers(item: Item, name: str) -> _Parts:
    blank = item.blanks[0]
    presentation = (
        '<response_str ident="response1" rcardinality="Single"><render_fib fibtype="Decimal">'
        '<response_label ident="answer1"/></render_fib></response_str>'
    )
    wrong = [o for o in blank.options if not o.right]
    conditions = "".join(_shown(_equal(o.text), f"{name}{i}_fb") for i, o in enumerate(wrong))
    conditions += _scored(_range(blank.key, blank.tolerance))
    feedbacks = "".join(_feedback(f"{name}{i}_fb", html(o.feedback)) for i, o in enumerate(wrong))
    return [], presentation, conditions, feedbacks


def _words(item: Item, name: str) -> _Parts:
    blank = item.blanks[0]
    presentation = (
        '<response_str ident="response1" rcardinality="Single"><render_fib>'
        '<response_label ident="answer1" rshuffle="No"/></render_fib></response_str>'
    )
    return [], presentation, _scored(_equal(blank.key)), ""


def _blanks(item: Item, name: str) -> _Parts:
    labels, presentation, conditions = [], "", ""
    share = f"{100 / len(item.blanks):.2f}"
    for i, blank in enumerate(item.blanks):
        where, label = f"response_{blank.name}", f"{name}{i}"
        labels.append(label)
        presentation += (
            f'<response_lid ident="{where}">{_named(blank)}<render_choice><response_label ident="{label}">'
            f'<material><mattext texttype="text/plain">{escape(blank.key)}</mattext></material></response_label>'
            "</render_choice></response_lid>"
        )
        conditions += _scored(_equal(label, where), share, "Add")
    return labels, presentation, conditions, ""


def _named(blank: Blank) -> str:
    return f"<material><mattext>{escape(blank.name)}</mattext></material>"


_PARTS = {
    "multiple_choice_question": _choices,
    "numerical_question": _numbers,
    "short_answer_question": _words,
    "fill_in_multiple_blanks_question": _blanks,
}
