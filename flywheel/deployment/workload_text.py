"""Write a new workload file: every key with its default and what it means.

Keys, defaults and meanings come from the model itself, so that the file cannot fall behind it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from flywheel.deployment.prompt_text import prompt_text
from flywheel.errors import ConfigurationError
from flywheel.evaluate.paired import cases_for_margin
from flywheel.workload.generation import GenerationTask, TextRules
from flywheel.workload.model import GateRules, Workload, parse_workload
from flywheel.workload.taxonomy_change import fresh_label_id

__all__ = ["DISCORDANCE", "golden_size", "workload_text"]

# Share of answers that exactly one of two equally good models has right, before any was measured.
DISCORDANCE = 0.1

_HEAD = """\
# One narrow task on the platform. Every key is checked: a typo is refused with what is allowed.
# Keys that are left out take the value shown here.

id: {id}
owner: {owner} # a person or team: answers for the budget, may not approve their own cycles
description: {description}
timezone: UTC # of the calendar that opens cycles
seed: 0 # every random choice starts here

"""
_CLASSIFICATION = """\
task:
  type: classification # or extraction, to a JSON schema with a `label_field`

"""
_EXTRACTION = """\
task:
  type: extraction # or classification, over labels alone
  label_field: label # takes its allowed values from the taxonomy
  schema:
    type: object
    additionalProperties: false
    required: [label, priority]
    properties:
      label: {type: string}
      priority: {type: string, enum: [low, high]}

"""
_GENERATION = """\
task:
  type: generation # people edit the text; or classification, or extraction
"""
_RULE_EXAMPLES = {
    "citations": r"{format: '\[[A-Z]+-[0-9]+\]', minimum: 1}",
    "disclaimer": "This is not legal advice.",
    "forbidden": "[guarantee, 100 %]",
    "terms": r"{find: 'tariff \w+', allowed: [tariff basic, tariff plus]}",
    "escalation": "{phrase: '[ESCALATE]', when: 'lawyer|injur'}",
    "length": "{unit: words, minimum: 20, maximum: 120}",
}
_TAXONOMY = """\
# Ids never change and are never used again; names may. A later label says in which version it was
# `added`; a label that goes is kept with `retired`, and `merged_into` or `split_into` where it has
# heirs. `flywheel taxonomy add | rename | merge | split | retire {id} …` does it right and raises
# the version; an edit by hand that would drop judgments is refused.
taxonomy:
  version: 1
  labels:
"""
_RELEASE = """
# Between approval and champion; null: the promoted release answers everybody at once. `release: {}`
# lets it answer copies in a shadow for a week, then 10 % and 50 % of the subjects for a week each,
# where applications ask through `flywheel gateway`; a release that is worse is rolled back by itself.
release: null
"""
_GROUPS = (
    "daily",
    "review",
    "drift",
    "trigger",
    "gates",
    "few_shot",
    "training",
    "limits",
    "escalation",
)
_PRIVACY = """
# Attributes whose accuracy the model card compares: columns of an answer such as client_id, or paths
# in its request such as metadata.region.
groups: []

# Mask e-mail addresses, IBANs, cards, telephone numbers, national ids, IP addresses and secrets in
# what is kept of calls and feedback, before it is written anywhere: `privacy: {region: DE}`, with the
# country of telephone numbers and national ids; `mask_answers: true` also in what the gateway answers;
# `names: {model: en_core_web_md}` names too, by a spaCy model of yours (the extra presidio).
privacy: null

# Who else may answer, cheapest first, where the champion is unsure: a base without an adapter or an
# OpenAI-compatible endpoint, asked through `flywheel gateway` as `escalation` says.
tiers: []

# A model as judge, an OpenAI-compatible endpoint or a local base: it says which answers look wrong,
# and people are asked about those first. Its word counts in the weekly figure once `flywheel judge
# calibrate` has shown that it agrees with people: `judge: {source: {name: big, url: https://HOST/v1,
# model: NAME, key_variable: JUDGE_KEY}, rubric: what makes an answer correct}`.
judge: null
"""
# Texts are longer than labels.
_LONGER: dict[tuple[str, str], dict[str, Any]] = {
    ("generation", "limits"): {"answer_tokens": 512},
    ("generation", "training"): {"maximum_tokens": 1024},
}
_SCALARS = {
    "input": "last_user: a call's last message · conversation: its turns; the oldest are left out above limits.input_characters",
    "base_model": "tiny · smollm2 · a folder · a hub name",
    "cadence": "monthly · quarterly · yearly",
    "minimum_examples": "no training with fewer accepted examples, the seed counted",
}


def workload_text(
    workload_id: str,
    *,
    owner: str,
    labels: Sequence[str] = ("first label", "second label"),
    task: str = "classification",
    description: str = "",
    discordance: float = DISCORDANCE,
    base_model: str | None = None,
) -> str:
    """Return a commented workload file that loads as it is.

    Args:
        workload_id: such as ``support_tickets``.
        owner: person or team that answers for it.
        labels: names of the taxonomy's labels.
        task: ``classification``, ``extraction`` or ``generation``; the last has no labels.
        description: what the workload does.
        discordance: share of answers that differ between two models, for the golden set's size; a
            gate report says what it was.
        base_model: what adapters are trained on; None: the default.

    Raises:
        ConfigurationError: there is no such task, or the file would not load.
    """
    head = _HEAD.format(
        id=workload_id, owner=_scalar(owner), description=_scalar(description or "what it does")
    )
    if task not in _TASKS:
        raise ConfigurationError(
            f"There is no task {task!r}.", next_step=f"choose one of: {', '.join(_TASKS)}"
        )
    body = _TASKS[task]()
    body += prompt_text(task, base_model or str(Workload.model_fields["base_model"].default))
    text = head + body
    if task != "generation":
        text += _TAXONOMY.replace("{id}", workload_id) + _labels(labels) + "\n"
    for key, meaning in _SCALARS.items():
        value = Workload.model_fields[key].default
        if key == "base_model" and base_model is not None:
            value = base_model
        text += f"{key}: {_scalar(value)} # {meaning}\n"
    text += f"golden_size: {golden_size(discordance)} # {_golden_comment(discordance)}\n"
    for group in _GROUPS:
        text += "\n" + _group(group, _LONGER.get((task, group), {}))
    text += _PRIVACY
    text += _RELEASE
    parse_workload(yaml.safe_load(text), source=f"the new file of {workload_id}")
    return text


def _generation() -> str:
    # Every key with its default, and every rule as it would be written.
    lines = [_GENERATION.rstrip()]
    for key, field in GenerationTask.model_fields.items():
        if key == "rules":
            lines.append(
                "  rules: # what every text must keep, checked by code; null: no such rule"
            )
        elif key != "type":
            lines.append(f"  {key}: {_scalar(field.default)} # {field.description}")
    for key, field in TextRules.model_fields.items():
        value = list(field.default) if isinstance(field.default, tuple) else field.default
        example = _RULE_EXAMPLES[key]
        lines.append(f"    {key}: {_scalar(value)} # {field.description}, such as {example}")
    return "\n".join(lines) + "\n\n"


_TASKS: dict[str, Callable[[], str]] = {
    "classification": lambda: _CLASSIFICATION,
    "extraction": lambda: _EXTRACTION,
    "generation": _generation,
}


def golden_size(discordance: float, rules: GateRules | None = None) -> int:
    """Return how many golden cases let an equal candidate pass with the power asked for.

    The holdout comes on top of them and makes up for what the gate's other checks cost, and for the
    part of the significance that is left to a second look.

    Args:
        discordance: share of answers that differ between two models.
        rules: margin, significance and power; None: the defaults.
    """
    rules = rules or GateRules()
    if rules.margin == 0:
        raise ConfigurationError(
            "No number of cases shows that an equal candidate is within a margin of 0.",
            next_step="set gates.margin above 0",
        )
    needed = cases_for_margin(
        discordance,
        rules.margin,
        significance=rules.significance,
        power=rules.power,
    )
    assert needed is not None  # a margin of 0 alone has none
    return max(10, math.ceil(needed / 10) * 10)


def _golden_comment(discordance: float) -> str:
    rules = GateRules()
    return (
        f"cases that are never trained on; so many let an equal candidate pass a margin of {rules.margin:g} with a "
        f"chance of {rules.power:g}, at one-sided {rules.significance / 2:g}, where "
        f"{discordance:.0%} of the answers differ between two models"
    )


def _labels(names: Sequence[str]) -> str:
    seen_keys: set[str] = set()
    text = ""
    for name in names:
        label_id = fresh_label_id(name, seen_keys)
        seen_keys.add(label_id)
        entry = yaml.safe_dump(
            {"id": label_id, "name": name},
            default_flow_style=True,
            sort_keys=False,
            width=10_000,
            allow_unicode=True,
        )
        text += f"    - {entry.strip()}\n"
    return text


def _group(name: str, changes: Mapping[str, Any]) -> str:
    model = Workload.model_fields[name].default
    assert isinstance(model, BaseModel)
    lines = [f"{name}: # {(type(model).__doc__ or '').strip()}"]
    for key, field in type(model).model_fields.items():
        value = changes.get(key, getattr(model, key))
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        assert value is not PydanticUndefined
        comment = f" # {field.description}" if field.description else ""
        lines.append(f"  {key}: {_scalar(value)}{comment}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return str(text).removesuffix("\n...\n").strip()
