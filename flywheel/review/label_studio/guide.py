"""The annotator's guide: a Markdown template, filled from the workload, as safe HTML."""

from pathlib import Path
from string import Template

from markdown_it import MarkdownIt

from flywheel.errors import ConfigurationError
from flywheel.io.markdown import escape_markdown
from flywheel.review.queues.answer_fields import answer_fields
from flywheel.workload.model import GenerationTask, Workload
from flywheel.workload.text_rules import describe_rules

__all__ = ["annotator_guide"]

_NAME = Path("label_studio") / "annotator_guide.md"


def annotator_guide(workload: Workload, template: Path | None = None) -> str:
    """Write the guide as the HTML that Label Studio shows before the first item.

    Args:
        workload: What is annotated.
        template: Markdown with ``$workload``, ``$description`` and ``$labels``; default: that of
            the checkout, or of the folder where we are.

    Raises:
        ConfigurationError: The template is not there, or names what it cannot be given.
    """
    template = template or _template()
    try:
        text = Template(template.read_text()).substitute(
            workload=escape_markdown(workload.id),
            description=escape_markdown(workload.description or workload.id),
            labels="\n\n".join(
                part for part in (_labels(workload), _lines(workload), _rules(workload)) if part
            ),
        )
    except (OSError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"The annotator's guide {template} cannot be used: {error}",
            next_step="run from a checkout of the project; the names that the guide may hold are "
            "$workload, $description and $labels",
        ) from error
    # What the workload's file says is text: no HTML passes, and no link comes out of a label.
    return str(MarkdownIt("commonmark", {"html": False}).render(text)).strip()


def _template() -> Path:
    checkout = Path(__file__).parents[3] / _NAME
    return checkout if checkout.is_file() else _NAME


def _labels(workload: Workload) -> str:
    if workload.taxonomy is None:
        return ""
    lines = [
        f"- **{escape_markdown(label.name)}**"
        + (f": {escape_markdown(label.description)}" * bool(label.description))
        for label in workload.taxonomy.active
    ]
    hint = "Choose **new category** when none of these fits."
    return "\n".join(["## The categories", hint, "", *lines])


def _lines(workload: Workload) -> str:
    # How a group of fields is written, and a list of them: nothing on the form says it in full.
    fields = [field for field in answer_fields(workload) if field.kind in ("list", "group")]
    if not fields:
        return ""
    lines = [
        f"- **{escape_markdown(field.title)}**: {escape_markdown(field.hint)}" for field in fields
    ]
    hint = (
        r"A bar stands between the parts of a line; those in brackets may be left out. Write `\|` for "
        "a bar that belongs to a text, and `-` alone for a list without items."
    )
    return "\n".join(["## Answers of several parts", hint, "", *lines])


def _rules(workload: Workload) -> str:
    if not isinstance(workload.task, GenerationTask):
        return ""
    hint = (
        "Edit the draft until you would send it as it stands, and change nothing else. Without a "
        "draft, write the text."
    )
    rules = [f"- {escape_markdown(line)}" for line in describe_rules(workload.task.rules)]
    return "\n".join(["## The text", hint, "", *rules])
