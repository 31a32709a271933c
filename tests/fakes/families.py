"""Small random models of the families of open models, and tokenizers with their chat templates.

The templates are those of the families, shortened to what decides over token ids; the tokenizers
are byte-level BPEs trained on a few texts, with each family's own control tokens.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_TEXTS = ("the seal leaks oil on machine 4", "Report: the paint peels off", "Part: weld is cracked")
_CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN = _CHATML.removesuffix("{% endif %}") + (
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
_LLAMA = (
    "{{- bos_token }}{%- if not date_string is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}'
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' }}"
    "{{- system + '<|eot_id|>' }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + "
    "'<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
_MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}"
    "{%- set messages = messages[1:] %}{%- endif %}{{- bos_token }}{%- for m in messages %}"
    "{%- if m['role'] == 'user' %}{%- if loop.last and system is defined %}"
    "{{- '[INST] ' + system + '\n\n' + m['content'] + '[/INST]' }}{%- else %}"
    "{{- '[INST] ' + m['content'] + '[/INST]' }}{%- endif %}{%- else %}"
    "{{- ' ' + m['content'] + eos_token }}{%- endif %}{%- endfor %}"
)
_PHI = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '<|im_sep|>' + m['content'] + "
    "'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
_GEMMA = (
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set prefix = messages[0]['content'] + '\n\n' -%}{%- set messages = messages[1:] -%}"
    "{%- else -%}{%- set prefix = '' -%}{%- endif -%}{%- for m in messages -%}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + "
    "(prefix if loop.first else '') }}{{ m['content'] | trim }}{{ '<end_of_turn>\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
_SMALL = {
    "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One family: its config's class and fields, its template and the tokens of its tokenizer."""

    name: str
    config: str
    template: str
    eos: str
    controls: tuple[str, ...] = ()
    bos: str | None = None
    pad: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


_IM = ("<|im_start|>", "<|im_end|>")
_SLIDING = {"sliding_window": 24}
FAMILIES = {
    one.name: one
    for one in (
        Family(
            "llama", "LlamaConfig", _LLAMA, "<|eot_id|>", bos="<|begin_of_text|>",
            controls=("<|start_header_id|>", "<|end_header_id|>"),
            fields={"tie_word_embeddings": True},
        ),
        Family(
            "qwen3", "Qwen3Config", _QWEN, "<|im_end|>", (*_IM, "<think>", "</think>"),
            pad="<|endoftext|>", fields={"head_dim": 32, "tie_word_embeddings": True},
        ),
        Family(
            "mistral", "MistralConfig", _MISTRAL, "</s>", ("[INST]", "[/INST]"), bos="<s>",
            fields=_SLIDING,
        ),
        Family(
            "phi", "Phi3Config", _PHI, "<|endoftext|>", (*_IM, "<|im_sep|>"),
            fields={"pad_token_id": 0, "num_key_value_heads": 2},
        ),
        Family(
            "gemma3", "Gemma3TextConfig", _GEMMA, "<eos>", ("<start_of_turn>", "<end_of_turn>"),
            bos="<bos>", pad="<pad>",
            fields={
                **_SLIDING, "head_dim": 16, "tie_word_embeddings": True, "query_pre_attn_scalar": 16,
                "layer_types": ["sliding_attention", "full_attention"],
            },
        ),
        Family(
            "gemma2", "Gemma2Config", _GEMMA, "<eos>", ("<start_of_turn>", "<end_of_turn>"),
            bos="<bos>", pad="<pad>",
            fields={
                **_SLIDING, "head_dim": 16, "tie_word_embeddings": True, "query_pre_attn_scalar": 16,
                "attn_logit_softcapping": 50.0, "final_logit_softcapping": 5.0,
            },
        ),
        Family(
            "smollm", "LlamaConfig", _CHATML, "<|im_end|>", _IM, pad="<|im_end|>",
            fields={"tie_word_embeddings": True},
        ),
    )
}  # fmt: skip


def family_tokenizer(name: str) -> Any:
    """Return a family's tokenizer, the caller's own: a byte-level BPE with its control tokens."""
    return deepcopy(_trained_tokenizer(name))


@cache
def _trained_tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    named = (family.pad, family.bos, family.eos, *family.controls)
    special = list(dict.fromkeys(token for token in named if token))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXTS, trainer)
    if family.bos:
        start = (family.bos, tokenizer.token_to_id(family.bos))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[start]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=family.bos, eos_token=family.eos, pad_token=family.pad
    )
    fast.chat_template = family.template
    return fast


def save_family(name: str, folder: Path) -> Path:
    """Write a small random model of a family into a folder, as one that was downloaded."""
    import torch
    import transformers

    family, tokenizer = FAMILIES[name], family_tokenizer(name)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = getattr(transformers, family.config)(
        vocab_size=len(tokenizer), **{**_SMALL, **ids, **family.fields}
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():  # far enough apart for answers to differ
        model.get_input_embeddings().weight.mul_(20)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
