"""Log formats of others, read into calls: `read_call` names the format and what a record lacks.

A reader never guesses: what a record cannot give (a request, an answer, a time that can be
understood) is an `EventError` in the words of its own format.
"""

from flywheel.events.foreign.answers import Answer, AnswerReader
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.formats import FORMATS, is_log_table, read_call
from flywheel.events.foreign.json_text import read_json
from flywheel.events.foreign.moments import read_moment
from flywheel.events.foreign.subjects import find_subject, hash_subject, hide_subject

__all__ = [
    "FORMATS",
    "Answer",
    "AnswerReader",
    "ForeignCall",
    "find_subject",
    "hash_subject",
    "hide_subject",
    "is_log_table",
    "read_call",
    "read_json",
    "read_moment",
]
