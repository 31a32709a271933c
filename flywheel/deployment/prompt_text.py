"""`prompt_text`: the prompt of a new workload file, a chat where the base model has a template."""

from pathlib import Path

from flywheel.artifacts.base_folder import writes_chats

__all__ = ["prompt_text"]

_TEXT = """\
# Plain text that contains {{input}} once. A base model with a chat template reads turns as well:
# `prompt: {{system: "…", user: "{{input}}"}}`.
prompt: |-
  {{input}}
  {cue}:

"""
_CHAT = """\
# Turns, which the base model's own chat template writes; `user` contains {{input}} once. Worked
# examples may follow: `examples: [{{input: "…", output: …}}]`. A base model without a template, such
# as tiny, takes one text instead: `prompt: "{{input}}\\n{cue}:"`.
prompt:
  system: {system}
  user: "{{input}}"

"""
_CUES = {"classification": "Label", "extraction": "Answer", "generation": "Text"}
_SYSTEMS = {
    "classification": "Choose the label that fits the text.",
    "extraction": "Answer with the JSON object that fits the text.",
    "generation": "Write the reply.",
}


def prompt_text(task: str, base_model: str) -> str:
    """Return the commented prompt of a new file; ``task`` is the name of a task."""
    form = _CHAT if _reads_chats(base_model) else _TEXT
    return form.format(cue=_CUES[task], system=_SYSTEMS[task])


def _reads_chats(base_model: str) -> bool:
    """Return whether a base model has a chat template, as far as its name or folder says.

    A hub is not asked: most models there that are tuned further have one, and
    `flywheel base build` says where one has not.
    """
    if base_model == "tiny":
        return False
    folder = Path(base_model)
    if not folder.is_dir():
        return True
    return writes_chats(folder)
