"""`open_judge`: the model of a workload that judges, asked through the code that asks a tier.

Each answer is a question of its own, so that what one input says reaches no other verdict.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, DataError, FlywheelError, HttpError
from flywheel.gateway.arms import Arm
from flywheel.gateway.openai_endpoint import OpenAiEndpoint
from flywheel.io.retry import RetryPolicy, retried
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.usecases.answering import ReleaseClient
from flywheel.workload.judge_question import CORRECT, judge_digest, judge_workload

if TYPE_CHECKING:
    from flywheel.gateway.openai_endpoint import TierAnswer
    from flywheel.ports.model_server import Answer
    from flywheel.wiring import Platform
    from flywheel.workload.judge import JudgeRules
    from flywheel.workload.model import Workload

__all__ = ["Judge", "Opinion", "judge_rules", "open_judge", "standing_digest"]

# What an endpoint answers about one question: too long, not to be answered by its rules.
_REFUSED_QUESTION = frozenset({400, 413, 422})
_PATIENCE_SECONDS = 1.0
# Nobody waits for a judge, and an endpoint's limit of calls is shared with others.
_QUESTIONS_AT_ONCE = 8
_PASSING = RetryPolicy(attempts=3, pause=0.5)
_TOO_MANY, _SERVER_ERROR = 429, 500


@dataclass(frozen=True)
class Opinion:
    """What the judge said of one answer; ``approved`` is None where it said neither."""

    approved: bool | None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Judge:
    """A judge that can be asked; ``digest`` names prompt, rubric and model."""

    digest: str
    rules: "JudgeRules"
    ask_all: "Callable[[Sequence[str]], list[Opinion | FlywheelError]]"

    def ask(self, questions: Sequence[str]) -> "list[Opinion | FlywheelError]":
        """Return an opinion for each question, or why there is none yet.

        A question that the endpoint refuses while it answers others has an opinion that says
        neither: it would be refused again. Where it refuses all of them, the fault is not theirs.
        """
        given = self.ask_all(questions)
        if any(isinstance(one, Opinion) for one in given):
            return [Opinion(None) if _is_refused(one) else one for one in given]
        return given


def judge_rules(workload: "Workload") -> "JudgeRules":
    """Return the judge of a workload; ConfigurationError where it names none."""
    if workload.judge is None:
        raise ConfigurationError(
            f"{workload.id} names no judge.",
            next_step="add `judge:` to its file, see docs/how-to/judges.md",
        )
    return workload.judge


def standing_digest(platform: "Platform", workload: "Workload") -> str:
    """Return the digest of the judge as the file states it now.

    Raises:
        ConfigurationError: the workload names no judge.
        NotFoundError: its local base was not built.
    """
    rules = judge_rules(workload)
    base = None
    if rules.source.base_model is not None:
        base = platform.base(judge_workload(workload, rules)).digest
    return judge_digest(workload, rules, base)


@contextmanager
def open_judge(platform: "Platform", workload: "Workload") -> "Iterator[Judge]":
    """Open the judge of a workload for the block.

    Raises:
        ConfigurationError: the workload names no judge.
        NotFoundError: its local base was not built.
    """
    rules, digest = judge_rules(workload), standing_digest(platform, workload)
    asked = judge_workload(workload, rules)
    if rules.source.url is None:
        yield Judge(digest, rules, _base_asker(platform, asked))
        return
    endpoint = OpenAiEndpoint(rules.source, asked)
    try:
        yield Judge(digest, rules, lambda questions: _ask_endpoint(endpoint, questions))
    finally:
        endpoint.close()


def _ask_endpoint(
    endpoint: OpenAiEndpoint, questions: Sequence[str]
) -> "list[Opinion | FlywheelError]":
    given: list[Opinion | FlywheelError] = []
    for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
        some = questions[start : start + _QUESTIONS_AT_ONCE]
        futures = [endpoint.calls.submit(_ask_patiently, endpoint, text) for text in some]
        now_given = [_opinion_or_error(future.result) for future in futures]
        given += now_given
        if not any(isinstance(one, Opinion) for one in now_given):
            # It answers nobody: the rest is not tried.
            return given + now_given[-1:] * (len(questions) - len(given))
    return given


def _ask_patiently(endpoint: OpenAiEndpoint, text: str) -> "TierAnswer":
    return retried(lambda: endpoint.ask(text, {}), _PASSING, _may_pass)


def _may_pass(error: BaseException) -> bool:
    # No answer at all is not tried again: its time-out was the patience.
    if not isinstance(error, HttpError) or error.status is None:
        return False
    return error.status == _TOO_MANY or error.status >= _SERVER_ERROR


def _base_asker(
    platform: "Platform", asked: "Workload"
) -> "Callable[[Sequence[str]], list[Opinion | FlywheelError]]":
    client = ReleaseClient.of(platform, asked, patience_seconds=_PATIENCE_SECONDS)
    arm = Arm("escalation", BASE_RELEASE)

    def ask(text: str) -> "Answer":
        (answer,) = client.ask(arm, [text]).answers
        return answer

    def ask_all(questions: Sequence[str]) -> "list[Opinion | FlywheelError]":
        return [_opinion_or_error(lambda text=text: ask(text)) for text in questions]  # type: ignore[misc]

    return ask_all


def _opinion_or_error(
    ask: "Callable[[], TierAnswer | Answer]",
) -> "Opinion | FlywheelError":
    try:
        answer = ask()
    except FlywheelError as error:
        return error
    approved = None if answer.output is None else answer.output == CORRECT
    return Opinion(approved, answer.prompt_tokens, answer.completion_tokens)


def _is_refused(given: "Opinion | FlywheelError") -> bool:
    if isinstance(given, HttpError):
        return given.status in _REFUSED_QUESTION
    return isinstance(given, DataError)
