"""`read_mlflow`: traces of MLflow 2 and 3, as JSON or as rows of `mlflow.search_traces`."""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import chat_request_of, chat_response_of
from flywheel.events.foreign.json_text import (
    describe,
    dict_at,
    list_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["is_mlflow", "read_mlflow"]

_MODEL_SPANS = ("CHAT_MODEL", "LLM")


def is_mlflow(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a trace of MLflow, or a row that holds one."""
    if isinstance(record.get("info"), (dict, str)) and "data" in record:
        return True
    return "trace_id" in record and {"info", "data"} <= dict_at(record, "trace").keys()


def read_mlflow(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a trace of MLflow: the first span that called a model, or the trace's own request."""
    trace = record if "info" in record else dict_at(record, "trace")
    info, data = dict_at(trace, "info"), dict_at(trace, "data")
    span = _model_span(list_at(data, "spans"))
    attributes = dict_at(span, "attributes")
    inputs = nested_json(attributes.get("mlflow.spanInputs", data.get("request")))
    answered = nested_json(attributes.get("mlflow.spanOutputs", data.get("response")))
    if not isinstance(inputs, dict) or not {"messages", "input", "prompt"} & inputs.keys():
        raise EventError(
            Reason.NOT_A_CALL, f"an MLflow trace without a chat: its input is {describe(inputs)}"
        )
    failed = (text_at(info, "state") or text_at(info, "status")) == "ERROR"
    response, error = chat_response_of(answered, failed=failed)
    if failed and error is None:
        error = text_at(span, "status", "message") or "the trace ended with an error"
    metadata = dict_at(info, "trace_metadata") or dict_at(info, "request_metadata")
    trace_id = text_at(info, "trace_id") or text_at(info, "request_id")
    if response is not None and not text_at(response, "id"):
        response = {"id": trace_id} | {key: response[key] for key in response if key != "id"}
    return ForeignCall(
        format="mlflow",
        request=chat_request_of(inputs),
        response=response,
        error=error,
        times=(
            info.get("request_time"),
            info.get("timestamp_ms"),
            span.get("start_time_unix_nano", span.get("start_time")),
        ),
        model=text_at(response, "model") or text_at(inputs, "model"),
        client_id=text_at(info, "tags", "mlflow.traceName"),
        trace_id=trace_id,
        conversation_id=text_at(metadata, "mlflow.trace.session"),
        subject=text_at(metadata, "mlflow.trace.user"),
        latency_ms=milliseconds(
            number_at(info, "execution_duration_ms") or number_at(info, "execution_time_ms")
        ),
    )


def _model_span(spans: list[Any]) -> JsonObject:
    objects = [span for span in spans if isinstance(span, dict)]
    for span in objects:
        kind = dict_at(span, "attributes").get("mlflow.spanType")
        if isinstance(kind, str) and kind.strip('"') in _MODEL_SPANS:
            return span
    roots = (span for span in objects if not (span.get("parent_span_id") or span.get("parent_id")))
    return next(roots, {})
