"""`check_chat`: whether a base model's own chat template can write a workload's turns."""

from flywheel.artifacts.base_folder import BaseModel
from flywheel.workload.model import Workload
from flywheel.workload.prompt import prompt_ids, render_prompt

__all__ = ["check_chat"]


def check_chat(workload: Workload, base: BaseModel) -> None:
    """Render the workload's prompt once.

    Raises:
        ConfigurationError: the template lacks, refuses or repeats a turn; the key is named.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    prompt = render_prompt(workload, "a text", (), base.codec(workload), tokenizer=tokenizer)
    prompt_ids(tokenizer, [prompt])
