"""A release is asked with the prompt that it was trained on, whatever the file says now."""

import pytest

from flywheel.release.pinned_prompt import PinnedPrompts
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.chat_prompt import ChatPrompt


class Recorder:
    """A model server that notes with which prompt it is asked."""

    def __init__(self) -> None:
        self.prompts = []

    def answer(self, release, codec, inputs, *, shots=()):  # noqa: ARG002 - the port's signature
        """Note the prompt."""
        self.prompts.append(codec.workload.prompt)
        return []


@pytest.mark.parametrize("prompt", ["{input}\nKind: ", ChatPrompt(system="Sort.")])
def test_a_release_keeps_its_prompt(world, prompt):
    """An edit of the prompt, form or text, reaches the base and not what was trained before."""
    release = "r-pinned"
    world.judged(release)
    edited = world.workload.model_copy(update={"prompt": prompt})
    codec = AnswerCodec(edited, {one.id: one.name for one in edited.taxonomy.labels})
    server = Recorder()
    pinned = PinnedPrompts(server, lambda: world.state)
    for name in ("base", release, "nobody"):
        pinned.answer(name, codec, ["x"])
    assert server.prompts == [prompt, world.workload.prompt, prompt]
