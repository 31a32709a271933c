"""Rows as other platforms really export them: every key that their code writes, with texts of ours.

The shapes were taken from the platforms' own code, fixtures and export files: ClickHouse's
JSONEachRow writes JSON columns as texts, batch exports are camelCase and blob exports snake_case,
spend logs leave `messages` empty and hold the request beside it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.foreign_records import COMPLETION, REQUEST

MESSAGES = [{"role": "system", "content": "sort"}, *REQUEST["messages"]]
ANSWERED = {**COMPLETION, "model": "gpt-4o-mini", "system_fingerprint": None}
_UUID = "0195e8f6-7a00-7000-8000-00000000000b"


@dataclass(frozen=True)
class ExportedRow:
    """A row, and what the reader must find in it; ``answer`` None: a call that failed."""

    record: dict[str, Any]
    format: str
    answer: str | None = "noise"
    at: str = "2026-03-01T12:00:00"
    subject: str | None = None
    conversation: str | None = None
    client: str | None = None
    identity: str | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    error: str | None = None
    request: dict[str, Any] = field(default_factory=dict)


def _litellm(**changes: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-9", "trace_id": "tr-1", "call_type": "acompletion", "stream": False,
        "cache_hit": None, "status": "success", "custom_llm_provider": "openai",
        "response_cost": 0.0002, "total_tokens": 9, "prompt_tokens": 7, "completion_tokens": 2,
        "startTime": 1772366400.0, "endTime": 1772366401.5, "completionStartTime": 1772366401.5,
        "response_time": 1.5, "model": "gpt-4o-mini", "model_id": "", "model_group": "mini",
        "api_base": "https://api.openai.com", "request_tags": [], "end_user": "kim@example.com",
        "metadata": {
            "user_api_key_hash": "88dc", "user_api_key_alias": "web-shop",
            "user_api_key_team_alias": None, "user_api_key_user_id": "developer-1",
            "user_api_key_end_user_id": None, "spend_logs_metadata": None,
            "requester_metadata": None,
        },
        "messages": MESSAGES, "response": ANSWERED, "model_parameters": {"temperature": 0},
        "hidden_params": {"model_id": None, "cache_key": None}, "error_str": None,
        "error_information": {"error_code": "", "error_class": "", "llm_provider": "",
                              "traceback": "", "error_message": ""},
    } | changes  # fmt: skip


def _spend(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "chatcmpl-9", "call_type": "acompletion", "api_key": "88dc",
        "spend": 0.0002, "total_tokens": 9, "prompt_tokens": 7, "completion_tokens": 2,
        "startTime": "2026-03-01T12:00:00.000Z", "endTime": "2026-03-01T12:00:01.500Z",
        "completionStartTime": "2026-03-01T12:00:01.500Z", "model": "gpt-4o-mini",
        "model_id": "", "model_group": "mini", "custom_llm_provider": "openai", "api_base": "",
        "user": "developer-1", "team_id": "", "end_user": "kim@example.com", "cache_hit": "None",
        "cache_key": "Cache OFF", "request_tags": "[]", "session_id": "s-1",
        "requester_ip_address": None, "mcp_namespaced_tool_name": None, "agent_id": None,
        "metadata": json.dumps({"user_api_key_alias": "web-shop", "status": None,
                                "error_information": None}),
        "messages": "{}", "status": "success",
        "proxy_server_request": json.dumps({"model": "mini", "messages": MESSAGES}),
        "response": json.dumps(ANSWERED),
    } | changes  # fmt: skip


def _tensorzero(**changes: Any) -> dict[str, Any]:
    return {
        "id": _UUID, "function_name": "sort", "variant_name": "gpt_4o_mini",
        "episode_id": "0195e8f6-7a00-7000-8000-00000000000e",
        "input": json.dumps({"system": {"company": "Acme"}, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "it hums"}]}]}),
        "output": json.dumps([{"type": "text", "text": "noise"}]),
        "tool_params": "", "inference_params": '{"chat_completion":{"temperature":0}}',
        "processing_time_ms": 1500, "ttft_ms": None, "tags": {"user_id": "kim@example.com"},
        "extra_body": "[]", "timestamp": "2026-03-01 12:00:00", "snapshot_hash": None,
    } | changes  # fmt: skip


def _observation(**changes: Any) -> dict[str, Any]:
    return {
        "id": "obs-1", "traceId": "trace-1", "projectId": "p", "environment": "default",
        "type": "GENERATION", "startTime": "2026-03-01T12:00:00.000Z",
        "endTime": "2026-03-01T12:00:01.500Z", "name": "sort", "level": "DEFAULT",
        "statusMessage": None, "version": None, "input": MESSAGES,
        "output": {"role": "assistant", "content": "noise"}, "modelParameters": {"temperature": 0},
        "model": "gpt-4o-mini", "internalModelId": None, "promptId": None, "latency": 1.5,
        "usageDetails": {"input": 7, "output": 2, "total": 9}, "costDetails": {},
        "traceName": "ticket", "traceTags": [], "userId": "kim@example.com", "scores": {},
        "comments": [], "parentObservationId": None, "timeToFirstToken": None,
    } | changes  # fmt: skip


def _blob(**changes: Any) -> dict[str, Any]:
    return {
        "id": "obs-1", "trace_id": "trace-1", "project_id": "p", "environment": "default",
        "type": "GENERATION", "start_time": "2026-03-01 12:00:00.000000",
        "end_time": "2026-03-01 12:00:01.500000", "name": "sort", "level": "DEFAULT",
        "status_message": None, "input": json.dumps(MESSAGES),
        "output": json.dumps({"role": "assistant", "content": "noise"}),
        "provided_model_name": "gpt-4o-mini", "model_parameters": '{"temperature":0}',
        "usage_details": {"input": 7, "output": 2}, "user_id": "kim@example.com",
        "session_id": "s-1", "trace_name": "ticket", "latency": 1.5,
    } | changes  # fmt: skip


_PERSON = "kim@example.com"
_MLFLOW_TRACE = {
    "info": {
        "trace_id": "tr-1", "request_time": "2026-03-01T12:00:00.000Z", "state": "OK",
        "trace_location": {"type": "MLFLOW_EXPERIMENT"}, "execution_duration_ms": 1500,
        "trace_metadata": {"mlflow.trace.session": "s-1", "mlflow.trace.user": _PERSON,
                           "mlflow.traceInputs": '{"q": "it hums"}', "mlflow.user": "root"},
        "tags": {"mlflow.traceName": "agent"}, "request_preview": '{"q": "it hums"}',
    },
    "data": {"spans": [
        {"span_id": "6F8w=", "parent_span_id": None, "name": "agent",
         "attributes": {"mlflow.spanType": '"UNKNOWN"', "mlflow.spanInputs": '{"q": "it hums"}'}},
        {"span_id": "rG3J=", "parent_span_id": "6F8w=", "name": "call",
         "attributes": {"mlflow.spanType": '"CHAT_MODEL"',
                        "mlflow.spanInputs": json.dumps({"messages": MESSAGES, "model": "m"}),
                        "mlflow.spanOutputs": json.dumps(ANSWERED)}}]},
}  # fmt: skip
_MLFLOW_FAILED = {
    "info": _MLFLOW_TRACE["info"] | {"state": "ERROR"},
    "data": {"spans": [
        {"span_id": "6F8w=", "parent_span_id": None, "name": "call",
         "status": {"code": "STATUS_CODE_ERROR", "message": "RuntimeError: rate limit"},
         "attributes": {"mlflow.spanType": '"CHAT_MODEL"',
                        "mlflow.spanInputs": json.dumps({"messages": MESSAGES})}}]},
}  # fmt: skip

ROWS: dict[str, ExportedRow] = {
    "litellm payload": ExportedRow(
        _litellm(), "litellm", subject=_PERSON, client="web-shop", identity="chatcmpl-1",
        latency_ms=1500.0, prompt_tokens=7, request={"temperature": 0}),
    "litellm payload whose response has no id": ExportedRow(
        _litellm(response={"choices": [{"message": {"content": "noise"}}]}), "litellm",
        subject=_PERSON, client="web-shop", identity="chatcmpl-9", latency_ms=1500.0),
    "litellm payload of the Responses interface": ExportedRow(
        _litellm(call_type="aresponses", messages="it hums",
                 response={"id": "resp_1", "object": "response", "status": "completed",
                           "output": [{"type": "message", "content": [
                               {"type": "output_text", "text": "noise"}]}]}),
        "litellm", subject=_PERSON, client="web-shop", identity="resp_1", latency_ms=1500.0),
    "litellm payload of Anthropic's interface": ExportedRow(
        _litellm(call_type="anthropic_messages",
                 response={"id": "msg_1", "type": "message", "role": "assistant",
                           "stop_reason": "end_turn", "usage": {"input_tokens": 7},
                           "content": [{"type": "text", "text": "noise"}]}),
        "litellm", subject=_PERSON, client="web-shop", identity="msg_1", latency_ms=1500.0,
        prompt_tokens=7),
    "litellm payload that failed": ExportedRow(
        _litellm(status="failure", response=None, error_information={
            "error_code": "429", "error_class": "RateLimitError", "llm_provider": "openai",
            "traceback": "...", "error_message": "Rate limit reached"}),
        "litellm", answer=None, subject=_PERSON, client="web-shop", latency_ms=1500.0,
        error="Rate limit reached"),
    "litellm spend log": ExportedRow(
        _spend(), "litellm", subject=_PERSON, client="web-shop", conversation="s-1",
        identity="chatcmpl-1", latency_ms=1500.0, prompt_tokens=7),
    "litellm spend log without an end user": ExportedRow(
        _spend(end_user=""), "litellm", subject=None, client="web-shop", conversation="s-1",
        identity="chatcmpl-1", latency_ms=1500.0, prompt_tokens=7),
    "litellm spend log that failed": ExportedRow(
        _spend(status="failure", response="{}", metadata=json.dumps(
            {"error_information": {"error_message": "Rate limit reached"}})),
        "litellm", answer=None, subject=_PERSON, conversation="s-1", latency_ms=1500.0,
        error="Rate limit reached"),
    "openpipe log": ExportedRow(
        {"input": {"model": "openpipe:sort", "messages": MESSAGES, "temperature": 0},
         "output": ANSWERED | {"created": 1772366400000},
         "tags": {"prompt_id": "sort", "user_id": _PERSON, "$sdk": "python"}},
        "openpipe", subject=_PERSON, identity="chatcmpl-1", prompt_tokens=7,
        request={"temperature": 0}),
    "openpipe log that failed": ExportedRow(
        {"input": {"model": "openpipe:sort", "messages": MESSAGES},
         "output": {"error": {"message": "Rate limit reached", "code": 429}}, "tags": {}},
        "openpipe", answer=None, at="", error="Rate limit reached"),
    "openpipe data set entry": ExportedRow(
        {"messages": [*MESSAGES, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "", "type": "function",
             "function": {"name": "sort", "arguments": '{"label": "noise"}'}}]}],
         "tools": [{"type": "function", "function": {"name": "sort"}}],
         "tool_choice": {"type": "function", "function": {"name": "sort"}}, "split": "TRAIN"},
        "chat", at="", request={"tools": [{"type": "function", "function": {"name": "sort"}}]}),
    "tensorzero chat row": ExportedRow(
        _tensorzero(), "tensorzero", subject=_PERSON, client="sort", identity=_UUID,
        conversation="0195e8f6-7a00-7000-8000-00000000000e", latency_ms=1500.0),
    "tensorzero chat row with a thought": ExportedRow(
        _tensorzero(output=json.dumps([{"type": "thought", "text": "it may be the fan"},
                                       {"type": "text", "text": "noise"}])),
        "tensorzero", subject=_PERSON, client="sort", identity=_UUID,
        conversation="0195e8f6-7a00-7000-8000-00000000000e", latency_ms=1500.0),
    "tensorzero json row": ExportedRow(
        _tensorzero(output=json.dumps({"raw": '{"label": "noise"}', "parsed": {"label": "noise"}}),
                    output_schema='{"type":"object"}', auxiliary_content="[]"),
        "tensorzero", subject=_PERSON, client="sort", identity=_UUID,
        conversation="0195e8f6-7a00-7000-8000-00000000000e", latency_ms=1500.0),
    "tensorzero row of its PostgreSQL tables": ExportedRow(
        {key: value for key, value in _tensorzero().items() if key != "timestamp"}
        | {"created_at": "2026-03-01T12:00:00+00:00"},
        "tensorzero", subject=_PERSON, client="sort", identity=_UUID,
        conversation="0195e8f6-7a00-7000-8000-00000000000e", latency_ms=1500.0),
    "tensorzero inference with a demonstration": ExportedRow(
        {"type": "chat", "function_name": "sort", "variant_name": "v", "inference_id": _UUID,
         "episode_id": "e-1", "timestamp": "2026-03-01T12:00:00Z", "tags": {},
         "input": {"messages": [{"role": "user", "content": [
             {"type": "template", "name": "user", "arguments": {"text": "it hums"}}]}]},
         "output": [{"type": "text", "text": "crack"}],
         "dispreferred_outputs": [[{"type": "text", "text": "noise"}]]},
        "tensorzero", client="sort", identity=_UUID, conversation="e-1"),
    "langfuse observation": ExportedRow(
        _observation(), "langfuse", subject=_PERSON, client="sort", identity="obs-1",
        latency_ms=1500.0, prompt_tokens=7, request={"temperature": 0}),
    "langfuse observation of the blob storage": ExportedRow(
        _blob(), "langfuse", subject=_PERSON, client="sort", identity="obs-1", conversation="s-1",
        latency_ms=1500.0, prompt_tokens=7, request={"temperature": 0}),
    "langfuse observation that failed": ExportedRow(
        _observation(level="ERROR", statusMessage="Rate limit reached", output=None),
        "langfuse", answer=None, subject=_PERSON, client="sort", latency_ms=1500.0,
        error="Rate limit reached"),
    "langfuse trace": ExportedRow(
        {"id": "trace-1", "timestamp": "2026-03-01T12:00:00.000Z", "name": "ticket",
         "userId": _PERSON, "sessionId": "s-1", "release": None, "version": None,
         "environment": "default", "tags": [], "bookmarked": False, "public": False,
         "input": "it hums", "output": {"label": "noise"}, "metadata": {}, "scores": {},
         "helpfulness": None, "comments": []},
        "langfuse", subject=_PERSON, client="ticket", identity="trace-1", conversation="s-1"),
    "mlflow trace": ExportedRow(
        _MLFLOW_TRACE, "mlflow", subject=_PERSON, client="agent", identity="chatcmpl-1",
        conversation="s-1", latency_ms=1500.0, prompt_tokens=7),
    "mlflow trace that failed": ExportedRow(
        _MLFLOW_FAILED, "mlflow", answer=None, subject=_PERSON, client="agent",
        conversation="s-1", latency_ms=1500.0, error="RuntimeError: rate limit"),
    "mlflow row of search_traces": ExportedRow(
        {"trace_id": "tr-1", "trace": json.dumps(_MLFLOW_TRACE), "client_request_id": None,
         "state": "OK", "request_time": 1772366400000, "execution_duration": 1500,
         "request": {"q": "it hums"}, "response": ANSWERED, "tags": {}, "spans": [],
         "assessments": []},
        "mlflow", subject=_PERSON, client="agent", identity="chatcmpl-1", conversation="s-1",
        latency_ms=1500.0, prompt_tokens=7),
    "nvidia record": ExportedRow(
        {"timestamp": 1772366400, "workload_id": "agent.tool_router", "client_id": "my_demo_app",
         "request": {"model": "gpt", "messages": MESSAGES, "temperature": 0.3, "max_tokens": 9},
         "response": ANSWERED},
        "openai", client="my_demo_app", identity="chatcmpl-1", prompt_tokens=7,
        request={"max_tokens": 9}),
}  # fmt: skip

# Rows that are no call of a model, or lack its texts, and the words that say so.
NOT_TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "litellm spend log without texts": (
        _spend(proxy_server_request="{}", response="{}"), "store_prompts_in_spend_logs"),
    "litellm texts that were redacted": (
        _litellm(messages=[{"role": "user", "content": "redacted-by-litellm"}]),
        "redacted by LiteLLM"),
    "litellm texts that were cut": (
        _spend(proxy_server_request=json.dumps({"messages": [
            {"role": "user", "content": "it h... (litellm_truncated 900 chars) ...ms"}]})),
        "MAX_STRING_LENGTH_PROMPT_IN_DB"),
    "litellm request that was cut": (
        _spend(proxy_server_request='{"litellm_truncated": true}'),
        "MAX_STRING_LENGTH_PROMPT_IN_DB"),
    "litellm embedding": (_litellm(call_type="aembedding"), "of type aembedding"),
    "tensorzero metric": (
        {"id": _UUID, "target_id": _UUID, "metric_name": "accuracy", "value": True, "tags": {},
         "timestamp": "2026-03-01 12:00:00"}, "TensorZero feedback"),
    "tensorzero demonstration": (
        {"id": _UUID, "inference_id": _UUID, "value": '[{"type":"text","text":"noise"}]',
         "tags": {}, "timestamp": "2026-03-01 12:00:00"}, "TensorZero feedback"),
    "tensorzero model inference": (
        {"id": _UUID, "inference_id": _UUID, "raw_request": "{}", "raw_response": "{}",
         "model_name": "m", "input_messages": "[]", "output": "[]"}, "ModelInference"),
    "tensorzero data point": (
        {"dataset_name": "d", "function_name": "sort", "id": _UUID, "episode_id": None,
         "input": '{"messages":[]}', "output": None}, "without output"),
    "langfuse score": (
        {"id": "s", "traceId": "t", "name": "helpful", "value": 1, "dataType": "NUMERIC",
         "source": "API", "timestamp": "2026-03-01T12:00:00Z"}, "Langfuse score"),
    "langfuse span of the blob storage": (_blob(type="SPAN"), "of type SPAN"),
}  # fmt: skip
