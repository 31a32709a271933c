"""One small record of each log format: somebody asked about a hum, the model said noise."""

import json
from typing import Any

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "it hums"}]}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1772366400,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "noise"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
CHAT = {
    "messages": [
        {"role": "system", "content": "sort"},
        {"role": "user", "content": "it hums"},
        {"role": "assistant", "content": "noise"},
    ]
}
_RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1772366410,
    "status": "completed",
    "output": [
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "noise"}],
        },
    ],
}
_CHUNKS = [
    {"id": "c", "object": "chat.completion.chunk", "created": 1772366400,
     "choices": [{"index": 0, "delta": {"role": "assistant", "content": "noi"}}]},
    {"id": "c", "object": "chat.completion.chunk",
     "choices": [{"index": 0, "delta": {"content": "se"}, "finish_reason": "stop"}]},
]  # fmt: skip
_TOOL_CHUNKS = [
    {"object": "chat.completion.chunk", "created": 1772366400, "choices": [{"delta": {"tool_calls": [
        {"index": 0, "id": "x", "function": {"name": "sort", "arguments": '{"label": '}}]}}]},
    {"object": "chat.completion.chunk", "choices": [{"delta": {"tool_calls": [
        {"index": 0, "function": {"arguments": '"noise"}'}}]}}]},
]  # fmt: skip
_STREAM = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in _CHUNKS) + "data: [DONE]\n"
_SPAN = {
    "name": "chat",
    "start_time_unix_nano": 1772366400000000000,
    "attributes": {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": json.dumps(REQUEST),
        "mlflow.spanOutputs": json.dumps(COMPLETION),
    },
}

# Format, with what is special about it -> record, requests of a batch.
RECORDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai": (
        {"timestamp": 1772366400, "workload_id": "reports", "client_id": "c",
         "request": REQUEST, "response": COMPLETION}, {}),
    "openai response as text": ({"request": REQUEST, "response": json.dumps(COMPLETION)}, {}),
    "openai answer as text": ({"timestamp": 1772366400, "request": REQUEST, "response": "noise"}, {}),
    "openai chunks": ({"request": REQUEST, "response": _CHUNKS}, {}),
    "openai tool chunks": ({"request": REQUEST, "response": _TOOL_CHUNKS}, {}),
    "openai stream": ({"request": REQUEST, "response": _STREAM}, {}),
    "openai responses": (
        {"request": {"model": "m", "instructions": "sort", "input": "it hums"},
         "response": _RESPONSES}, {}),
    "openai responses with parts": (
        {"request": {"input": [{"role": "user", "content": [{"type": "input_text",
                                                            "text": "it hums"}]}]},
         "response": _RESPONSES}, {}),
    "openai responses stream": (
        {"request": REQUEST, "response": [{"type": "response.created"},
                                          {"type": "response.completed", "response": _RESPONSES}]}, {}),
    "openai completion": (
        {"request": {"prompt": "it hums"},
         "response": {"object": "text_completion", "created": 1772366400,
                      "choices": [{"text": "noise"}]}}, {}),
    "responses": ({**_RESPONSES, "input": "it hums"}, {}),
    "chat": (CHAT, {}),
    "batch": (
        {"id": "b", "custom_id": "t-1", "error": None,
         "response": {"status_code": 200, "body": COMPLETION}}, {"t-1": REQUEST}),
    "batch of responses": (
        {"custom_id": "t-1", "response": {"status_code": 200, "body": _RESPONSES}},
        {"t-1": {"input": "it hums"}}),
    "litellm": (
        {"id": "x", "call_type": "acompletion", "status": "success", "startTime": 1772366400.1,
         "endTime": 1772366401.3, "messages": REQUEST["messages"], "response": COMPLETION,
         "metadata": {"user_api_key_alias": "web"}}, {}),
    "litellm spend log": (
        {"request_id": "x", "call_type": "acompletion", "startTime": "2026-03-01T12:00:00Z",
         "messages": json.dumps(REQUEST["messages"]), "response": json.dumps(COMPLETION)}, {}),
    "openpipe": (
        {"requestedAt": "2026-03-01T12:00:00Z", "reqPayload": REQUEST, "respPayload": COMPLETION,
         "statusCode": 200, "tags": {"client_id": "web"}}, {}),
    "openpipe snake": (
        {"requested_at": 1772366400000, "req_payload": json.dumps(REQUEST),
         "resp_payload": COMPLETION}, {}),
    "tensorzero": (
        {"id": "0195e8f6-7a00-7000-8000-000000000000", "function_name": "sort", "variant_name": "v",
         "episode_id": "e", "processing_time_ms": 120,
         "input": {"system": "sort", "messages": [
             {"role": "user", "content": [{"type": "text", "text": "it hums"}]}]},
         "output": [{"type": "text", "text": "noise"}]}, {}),
    "tensorzero json": (
        {"inference_id": "0195e8f6-7a00-7000-8000-000000000000", "function_name": "sort",
         "timestamp": "2026-03-01T12:00:00Z",
         "input": json.dumps({"messages": [{"role": "user", "content": [
             {"type": "text", "value": "it hums"}]}]}),
         "output": json.dumps({"raw": '{"label": "noise"}', "parsed": {"label": "noise"}})}, {}),
    "tensorzero tool": (
        {"id": "x", "function_name": "sort", "timestamp": 1772366400,
         "input": {"messages": [{"role": "user", "content": "it hums"}]},
         "output": [{"type": "tool_call", "name": "sort", "arguments": {"label": "noise"}}]}, {}),
    "langfuse": (
        {"id": "o", "traceId": "t", "type": "GENERATION", "name": "sort", "model": "m",
         "startTime": "2026-03-01T12:00:00.000Z", "input": REQUEST["messages"],
         "output": {"role": "assistant", "content": "noise"}, "latency": 0.8}, {}),
    "langfuse trace": (
        {"id": "t", "timestamp": "2026-03-01T12:00:00.000Z", "userId": "u", "sessionId": "s",
         "input": "it hums", "output": {"label": "noise"}}, {}),
    "mlflow": (
        {"info": {"trace_id": "tr-1", "request_time": "2026-03-01T12:00:00Z", "state": "OK",
                  "execution_duration_ms": 12,
                  "trace_metadata": {"mlflow.trace.user": "u", "mlflow.trace.session": "s"}},
         "data": {"spans": [{"name": "root", "attributes": {}}, _SPAN]}}, {}),
    "mlflow of 2": (
        {"info": {"request_id": "tr-2", "timestamp_ms": 1772366400000, "status": "OK"},
         "data": {"request": json.dumps(REQUEST), "response": json.dumps(COMPLETION)}}, {}),
}  # fmt: skip
