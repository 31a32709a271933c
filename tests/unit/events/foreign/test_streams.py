"""Chunks of a streamed answer, from the text of its events."""

import json

import pytest

from flywheel.events.foreign.streams import assemble, chunks_of_text


def _chunk(text):
    choice = {"index": 0, "delta": {"content": text}}
    return {"object": "chat.completion.chunk", "choices": [choice]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_with_line_separators_is_read_whole(end):
    """U+2028 and U+0085 end no line of an event stream, and JSON need not escape them."""
    texts = ["it\u2028hums", " and\x85 rattles"]
    stream = end.join(f"data: {json.dumps(_chunk(t), ensure_ascii=False)}{end}" for t in texts)

    answer = assemble(chunks_of_text(stream + "data: [DONE]" + end))

    assert answer["choices"][0]["message"]["content"] == "".join(texts)
