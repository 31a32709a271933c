"""What an annotator sees: Label Studio's labeling config (XML), made from the workload.

Two columns: what is asked, why and what similar inputs got on the left, the answer on the right.
Nothing that a model or a client wrote is part of the config, and none of it is shown as HTML.
"""

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from flywheel.errors import ConfigurationError
from flywheel.review.label_studio.form_style import FORM_STYLE
from flywheel.review.queues.answer_fields import (
    LABEL,
    PROPOSAL,
    TEXT,
    VERDICT,
    AnswerField,
    answer_fields,
)
from flywheel.review.queues.label_studio_format import CANT_TELL, NEW_CATEGORY
from flywheel.workload.answer_text import EMPTY_LIST, line_heading
from flywheel.workload.model import Workload

__all__ = ["FILTER_FROM", "labeling_config"]

# From this many options on, a field has a filter to type in: more are not read at one look.
FILTER_FROM = 16
# Label Studio takes `u` for itself. Few options have digits, many the letters of their names.
_LETTERS = "abcdefghijklmnopqrstvwxyz"
_DIGITS = "12345678"
_VERDICT_KEYS = {CANT_TELL: "9", NEW_CATEGORY: "0"}
_FILTER_KEY = "/"
_PROSE_ROWS = 12
_PROSE_KEYS = "a draft opens with the pencil; Shift+Enter closes it, Ctrl+Enter submits"


def labeling_config(workload: Workload) -> str:
    """Write the labeling config of a workload.

    Raises:
        ConfigurationError: a label or property cannot be shown by Label Studio.
    """
    fields = answer_fields(workload)
    _check_text(fields)
    root = Element("View", className="flywheel")
    SubElement(root, "Style").text = FORM_STYLE
    # The style puts the question first; here it comes last, for the sake of the Tab key.
    answer = SubElement(root, "View", className="flywheel-answer")
    keys = _Keys()
    keys.reserve_digits(sum(len(f.options) for f in fields if len(f.options) <= len(_DIGITS)))
    for field in fields:
        _field(answer, field, keys, labels=_hints(workload) if field.is_label else {})
    _verdict(answer, any(field.is_label for field in fields))
    for field in fields:
        _filter(answer, field)
    _question(SubElement(root, "View", className="flywheel-question"))
    indent(root)
    return tostring(root, encoding="unicode")


def _question(parent: Element) -> None:
    box = SubElement(parent, "View", className="flywheel-input")
    SubElement(box, "Text", name=TEXT, value=f"${TEXT}", selectionEnabled="false")
    box = SubElement(parent, "View", className="flywheel-aside flywheel-why")
    SubElement(box, "Header", value="Why you see this", size="5")
    SubElement(box, "Text", name="why", value="$why", selectionEnabled="false")
    box = SubElement(parent, "View", className="flywheel-aside flywheel-neighbors")
    panel = SubElement(SubElement(box, "Collapse", open="true"), "Panel")
    panel.set("value", "Similar, answered before")
    SubElement(panel, "Text", name="neighbors", value="$neighbors", selectionEnabled="false")


def _field(parent: Element, field: AnswerField, keys: "_Keys", labels: dict[str, str]) -> None:
    # Of "can't tell" no answer is asked, of a new category everything but the label. The box hides
    # what stands above the control; the control's own words keep what is hidden from being sent.
    hidden = {"visibleWhen": "choice-unselected", "whenTagName": VERDICT}
    if not field.is_label:
        hidden["whenChoiceValue"] = CANT_TELL
    style = f"flywheel-field flywheel-{field.kind}"
    box = SubElement(parent, "View", {"className": style, **hidden})
    details = str(field.schema.get("description") or "")
    needed = field.required and not field.nullable
    optional = "" if needed else " (may be left empty)"
    if field.kind == "text" and not _is_text(field):
        details = f"{details} as JSON".strip()
    hint = _PROSE_KEYS if field.kind == "prose" else field.hint
    words = "; ".join(part for part in (details, hint) if part and field.kind != "number")
    heading = f"{field.title}{optional}" + (f": {words or details}" if words or details else "")
    SubElement(box, "Header", value=heading, size="5")
    common = {"name": field.control, "toName": TEXT, **hidden}
    if needed:
        common |= {"required": "true", "requiredMessage": f"{field.title}: choose or type one."}
    if field.is_searched:
        _tree(box, field, common, labels)
    elif field.kind == "choices":
        _choices(box, field, keys, common, labels)
    elif field.kind == "number":
        SubElement(box, "Number", {**common, **_limits(field)})
    else:
        once = {} if field.kind == "list" else {"maxSubmissions": "1"}
        rows = str(_PROSE_ROWS if field.kind == "prose" else 1)
        SubElement(
            box,
            "TextArea",
            {**common, "rows": rows, **once, "editable": "true"},
            placeholder=_placeholder(field),
        )


def _placeholder(field: AnswerField) -> str:
    if field.kind == "prose":
        return "write the text, then Shift+Enter"
    if field.kind != "list":
        return "type, then Enter"
    parts = line_heading(field.schema.get("items") or {}) or "an item"
    return f"{parts}, then Enter; {EMPTY_LIST} for none"


def _choices(
    box: Element, field: AnswerField, keys: "_Keys", common: dict[str, str], labels: dict[str, str]
) -> None:
    group = SubElement(box, "Choices", {**common, "choice": "single", "layout": "inline"})
    many = len(field.options) > len(_DIGITS)
    for option in field.options:
        choice = SubElement(group, "Choice", value=option)
        key = keys.letter(option) if many else keys.digit()
        if key:
            choice.set("hotkey", key)
        if labels.get(option):
            choice.set("hint", labels[option])


def _tree(box: Element, field: AnswerField, common: dict[str, str], labels: dict[str, str]) -> None:
    # Label Studio draws only the part of it that is in sight; it opens with a field to type in.
    tree = SubElement(
        box,
        "Taxonomy",
        {**common, "maxUsages": "1", "leafsOnly": "true", "minWidth": "420px"},
        placeholder=f"click, then type a part of a {field.title}",
    )
    for option in field.options:
        choice = SubElement(tree, "Choice", value=option)
        if labels.get(option):
            choice.set("hint", labels[option])


def _filter(answer: Element, field: AnswerField) -> None:
    # Label Studio's keys rest while an input has the focus. Last in the form, though shown first,
    # the filter has nothing but the foldable part of the question after it: one Tab leads there,
    # where the keys work again.
    if field.is_searched or len(field.options) < FILTER_FROM:
        return
    box = SubElement(answer, "View", className="flywheel-filter")
    SubElement(
        box,
        "Filter",
        name=f"{field.control}_filter",
        toName=field.control,
        hotkey=_FILTER_KEY,
        minlength="0",
        placeholder=f"{_FILTER_KEY}  part of a {field.title}, then Enter, Tab",
    )


def _verdict(parent: Element, has_labels: bool) -> None:  # noqa: FBT001 - one caller
    box = SubElement(parent, "View", className="flywheel-field flywheel-verdict")
    kinds = [CANT_TELL, NEW_CATEGORY] if has_labels else [CANT_TELL]
    group = SubElement(box, "Choices", name=VERDICT, toName=TEXT, choice="single", layout="inline")
    for kind in kinds:
        SubElement(group, "Choice", value=kind, hotkey=_VERDICT_KEYS[kind])
    if has_labels:
        visibility = {"visibleWhen": "choice-selected", "whenTagName": VERDICT}
        named = SubElement(box, "View", {**visibility, "whenChoiceValue": NEW_CATEGORY})
        SubElement(
            named,
            "TextArea",
            {
                "name": PROPOSAL,
                "toName": TEXT,
                "rows": "1",
                "maxSubmissions": "1",
                "editable": "true",
                "placeholder": "name of the new category, then Enter",
                "required": "true",
                "requiredMessage": "Name the new category.",
            },
        )


class _Keys:
    # One key belongs to one option of the whole form.
    def __init__(self) -> None:
        self._letters = list(_LETTERS)
        self._digits = list(_DIGITS)
        self._spare: list[str] = []

    def reserve_digits(self, count: int) -> None:
        # What the small fields do not need, the large ones may take.
        self._spare = self._digits[count:]

    def digit(self) -> str | None:
        return self._digits.pop(0) if self._digits else None

    def letter(self, name: str) -> str | None:
        for letter in _preferred(name):
            if letter in self._letters:
                self._letters.remove(letter)
                return letter
        for pool in (self._letters, self._spare):
            if pool:
                key = pool.pop(0)
                if key in self._digits:
                    self._digits.remove(key)
                return key
        return None


def _preferred(name: str) -> Iterator[str]:
    words = name.casefold().split()
    yield from (word[0] for word in words)
    yield from (letter for word in words for letter in word[1:])


def _limits(field: AnswerField) -> dict[str, str]:
    limits = {"min": "minimum", "max": "maximum"}
    attributes = {
        key: str(field.schema[name]) for key, name in limits.items() if name in field.schema
    }
    return attributes | ({"step": "1"} if field.schema.get("type") == "integer" else {})


def _is_text(field: AnswerField) -> bool:
    types = field.schema.get("type", "string")
    return "string" in ([types] if isinstance(types, str) else types)


def _hints(workload: Workload) -> dict[str, str]:
    labels = workload.taxonomy.active if workload.taxonomy else ()
    return {label.name: label.description for label in labels}


def _check_text(fields: Iterable[AnswerField]) -> None:
    for field in fields:
        for option in field.options:
            if option.startswith("$"):  # would be looked up among the task's data
                raise ConfigurationError(
                    f"Label Studio cannot show {option!r} of {field.name or LABEL}.",
                    next_step="give it a name that does not begin with $",
                )
        for text in (field.title, str(field.schema.get("description") or ""), *field.options):
            if not all(_is_xml(character) for character in text):
                raise ConfigurationError(
                    f"{text!r} of {field.name or LABEL} holds a character that XML cannot hold.",
                    next_step="take the control character out of the workload file",
                )


def _is_xml(character: str) -> bool:
    code = ord(character)
    return code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF  # noqa: PLR2004 - XML 1.0, section 2.2
