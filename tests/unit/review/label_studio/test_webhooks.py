"""The receiver lets in who knows the secret, keeps a hint before it says so, and stays small."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.patience import Patience
from flywheel.io.rate_limit import RateLimit
from flywheel.review.label_studio.provisioning import HEADER
from flywheel.review.label_studio.webhooks import Receiver, receiving
from flywheel.review.label_studio.writing import writing
from flywheel.state import State
from tests.fakes.strategies import json_values, raw_bytes

WORD = "a secret"
HUNDRED_MB = 100_000_000


class Inbox:
    """Keep hints in a list, or fail as long as somebody says so."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, str]] = []
        self.away = False

    def put(self, hints) -> None:
        """Take hints."""
        if self.away:
            raise UnavailableError("the database is away", next_step="wait")
        self.hints += hints


@dataclass
class DirectWriter:
    """Keep hints at once, without a thread."""

    hints: list[tuple[str, str]]

    def keep(self, hint: tuple[str, str], *, seconds: float) -> bool:
        """Take a hint."""
        self.hints.append(hint)
        return seconds > 0


@contextmanager
def _running(inbox: Inbox, limit: RateLimit | None = None):
    with writing(inbox.put) as writer:
        receiver = Receiver(WORD, writer, lambda: {"parts"}, limit)
        with receiving(receiver, "127.0.0.1", 0) as port:
            yield port


def _post(port: int, body: bytes = b"{}", *, path="/label-studio/parts", word: str | None = WORD):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {} if word is None else {HEADER: word}
    connection.request("POST", path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def _health(port: int) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_a_hint_is_kept_before_it_is_answered():
    """With the secret, the workload and what happened are in the inbox when the answer comes."""
    inbox = Inbox()
    with _running(inbox) as port:
        assert _post(port, b'{"action": "ANNOTATION_CREATED", "project": {"id": 1}}') == 200
        assert inbox.hints == [("parts", "ANNOTATION_CREATED")]


@pytest.mark.parametrize("word", [None, "", "a secreT", "a secret x", "a  secret", "ä" * 9])
def test_without_the_secret_nothing_is_kept(word):
    """A forged call is refused, whatever it brings."""
    inbox = Inbox()
    with _running(inbox) as port:
        forged = word if word is None else word.encode("utf-8").decode("latin-1")
        assert _post(port, b'{"action": "ANNOTATION_CREATED"}', word=forged) == 401
    assert inbox.hints == []


def test_blanks_around_the_secret_are_not_part_of_it():
    """HTTP drops them on the way."""
    receiver = Receiver(f" {WORD} ", DirectWriter([]), lambda: {"parts"})
    assert receiver.before_body("/label-studio/parts", WORD, "2") is None


def test_a_body_that_breaks_off_is_no_hint():
    """The caller hangs up in the middle of it."""
    inbox = Inbox()
    with _running(inbox) as port:
        with socket.create_connection(("127.0.0.1", port), 10) as caller:
            head = f"POST /label-studio/parts HTTP/1.1\r\nHost: x\r\n{HEADER}: {WORD}\r\n"
            caller.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert _post(port, word="forged") == 401
        patience = Patience(10)
        while len(_health(port)[1]["answers"]) < 2 and not patience.is_over:
            time.sleep(0.05)
        assert _health(port)[1]["answers"] == {"400": 1, "401": 1}
    assert inbox.hints == []


@pytest.mark.parametrize(
    "path", ["/", "/label-studio/", "/label-studio/other", "/label-studio/parts/../x", "/parts"]
)
def test_a_call_names_a_workload_that_there_is(path):
    """Another path is refused and makes no row."""
    inbox = Inbox()
    with _running(inbox) as port:
        assert _post(port, path=path) == 404
    assert inbox.hints == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"not json", b'{"action": 7}', b'{"action": "DROP"}', b"[" * 100_000]
)
def test_a_body_is_no_truth(body):
    """Whatever it says, the hint is that something changed."""
    inbox = Inbox()
    with _running(inbox) as port:
        assert _post(port, body) == 200
    assert inbox.hints == [("parts", "OTHER")]


@given(
    path=st.sampled_from(("/label-studio/parts", "/label-studio/")) | st.text(max_size=30),
    word=st.sampled_from((WORD, "", None)) | st.text(max_size=10),
    length=st.sampled_from(("2", "-1", "", None, "9" * 5_000, "²")) | st.text(max_size=10),
)
def test_any_head_is_answered(path, word, length):
    """Only a call with the secret, a workload and a length is let in; no other raises."""
    receiver = Receiver(WORD, DirectWriter([]), lambda: {"parts"})
    status = receiver.before_body(path, word, length)
    assert (status is None) <= (word == WORD and path.startswith("/label-studio/parts"))


@settings(max_examples=50)
@given(body=raw_bytes | json_values.map(lambda value: json.dumps({"action": value}).encode()))
def test_any_body_is_a_hint_of_the_workload(body):
    """A body of any bytes leaves one hint, of an action that Label Studio has or of another."""
    writer = DirectWriter([])
    assert Receiver(WORD, writer, lambda: {"parts"}).take("/label-studio/parts", body) == 200
    assert writer.hints == [("parts", "OTHER")]


def test_a_body_of_100_mb_is_refused_by_its_head():
    """The answer comes before the body does."""
    inbox = Inbox()
    with _running(inbox) as port, socket.create_connection(("127.0.0.1", port), 10) as caller:
        head = f"POST /label-studio/parts HTTP/1.1\r\nHost: x\r\n{HEADER}: {WORD}\r\n"
        caller.sendall(f"{head}Content-Length: {HUNDRED_MB}\r\n\r\n".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 413")
    assert inbox.hints == []


def test_a_body_without_a_length_is_refused():
    """A stream without an end is not begun."""
    inbox = Inbox()
    with _running(inbox) as port, socket.create_connection(("127.0.0.1", port), 10) as caller:
        head = f"POST /label-studio/parts HTTP/1.1\r\nHost: x\r\n{HEADER}: {WORD}\r\n"
        caller.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 411")


def test_too_many_calls_are_refused_and_the_rest_is_kept():
    """The bucket's content is taken, the next calls are not, and the forged ones take nothing."""
    inbox = Inbox()
    with _running(inbox, RateLimit(0.0, 3)) as port:
        assert [_post(port, word="forged") for _ in range(5)] == [401] * 5
        assert [_post(port) for _ in range(5)] == [200, 200, 200, 429, 429]
        status, said = _health(port)
    assert status == 200
    assert said["answers"] == {"200": 3, "401": 5, "429": 2}


def test_callers_who_say_nothing_do_not_stop_the_others():
    """Two hundred open connections without a word leave room for a genuine call."""
    inbox = Inbox()
    with _running(inbox) as port:
        silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
        assert _post(port) == 200
        for each in silent:
            each.close()


def test_a_hint_that_was_answered_is_kept_when_the_receiver_stops():
    """Calls go on while it ends: as many are kept as were answered with 200."""
    kept: list[int] = []
    with writing(lambda hints: kept.append(len(hints)) or time.sleep(0.02)) as writer:
        receiver = Receiver(WORD, writer, lambda: {"parts"}, RateLimit(1e9, 1_000))
        stop, answers = threading.Event(), []

        def call(port: int) -> None:
            while not stop.is_set():
                with suppress(OSError, http.client.HTTPException):
                    answers.append(_post(port))

        with receiving(receiver, "127.0.0.1", 0) as port:
            threads = [threading.Thread(target=call, args=(port,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(0.4)
        stop.set()
        for thread in threads:
            thread.join()
    assert answers.count(200) >= 1
    assert answers.count(200) == receiver.answers[200]
    assert set(answers) == {200}


def test_an_inbox_that_is_away_is_told_and_the_hint_kept_later():
    """The answer comes within a second; what waits is written when the database is back."""
    inbox = Inbox()
    inbox.away = True
    with _running(inbox) as port:
        patience = Patience(5)
        assert _post(port) == 503
        assert not patience.is_over
        assert _health(port)[0] == 503
        inbox.away = False
        patience = Patience(20)
        while not inbox.hints and not patience.is_over:
            time.sleep(0.05)
        assert inbox.hints == [("parts", "OTHER")]
        assert _health(port) == (200, {"status": "ok", "answers": {"503": 1}})


def test_many_calls_at_once_are_all_answered():
    """Forty threads call; each has its answer, and the inbox says it at least once."""
    inbox = Inbox()
    answers: list[int] = []
    with _running(inbox) as port:
        threads = [threading.Thread(target=lambda: answers.append(_post(port))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 1
    assert set(inbox.hints) == {("parts", "OTHER")}


def test_two_receivers_of_one_event_ask_one_question(tmp_path):
    """Each keeps its hint in the state that they share; one reading of the source answers both."""
    clock, url = ManualClock(datetime(2026, 11, 2, tzinfo=UTC)), f"sqlite:///{tmp_path / 's.db'}"
    states = [State.open(url, clock) for _ in range(2)]
    with _running(states[0].inbox) as first, _running(states[1].inbox) as second:
        body = json.dumps({"action": "ANNOTATION_CREATED"}).encode()
        assert [_post(port, body) for port in (first, second)] == [200, 200]
    [(workload, hints)] = states[0].inbox.pending().items()
    assert (workload, hints.actions) == ("parts", {"ANNOTATION_CREATED"})
    states[1].inbox.finish(workload, hints.newest)
    assert states[0].inbox.pending() == {}
    for state in states:
        state.close()


def test_a_taken_port_is_told():
    """The second receiver on one port says what to do."""
    with (
        _running(Inbox()) as port,
        writing(lambda _: None) as writer,
        pytest.raises(ConfigurationError, match=str(port)),
        receiving(Receiver(WORD, writer, set), "127.0.0.1", port),
    ):
        pass


def test_a_bucket_fills_again():
    """What was taken comes back with time, up to what it holds."""
    now = [0.0]
    limit = RateLimit(2.0, 2, lambda: now[0])
    assert [limit.allows() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [limit.allows() for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert [limit.allows() for _ in range(3)] == [True, True, False]
