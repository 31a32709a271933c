"""An answer on the desk, beside what people say."""

import json

from flywheel.desk.answers import answer_fields
from tests.fakes.replies import draft, reply


def test_a_text_shows_what_people_changed():
    """Words of the model that went and words that came are marked, in the order of the text."""
    [field] = answer_fields(json.dumps(draft(4)), json.dumps(reply(4)))
    removed = "".join(change.text for change in field.changes if change.kind == "removed")
    added = "".join(change.text for change in field.changes if change.kind == "added")
    assert "sad" in removed
    assert "sorry" in added
    assert not field.is_right


def test_labels_and_equal_texts_show_no_changes():
    """Of a label it is enough to see both."""
    for output, expected in (("seal", "paint"), (reply(1), reply(1))):
        [field] = answer_fields(json.dumps(output), json.dumps(expected))
        assert field.changes == ()
