"""Alerts leave as JSON, in Slack's shape or by e-mail, and a refusal is an error."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.alerting import Alert, AlertSender, slack_payload
from flywheel.settings import load_settings

ALERT = Alert("approval", "parts", "a <verdict> is needed", "flywheel gate parts", "http://x/y")


@pytest.fixture
def webhook():
    """Return the address of a server and the bodies that it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response({"/broken": 500, "/moved": 302}.get(self.path, 200))
            self.send_header("Location", "/")
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def test_a_webhook_gets_the_fields(webhook):
    """The default: the alert as it is."""
    address, bodies = webhook
    AlertSender(url=address).send(ALERT)

    assert bodies == [
        {
            "kind": "approval",
            "workload_id": "parts",
            "text": "a <verdict> is needed",
            "next_step": "flywheel gate parts",
            "url": "http://x/y",
        }
    ]


def test_slack_gets_blocks_with_its_markup_escaped(webhook):
    """Text of others must not mention a channel or make a link."""
    address, bodies = webhook
    AlertSender(url=address, format="slack").send(ALERT)
    [body] = bodies

    assert body == slack_payload(ALERT)
    assert [block["type"] for block in body["blocks"]] == ["header", "section"]
    assert "a &lt;verdict&gt; is needed" in body["blocks"][1]["text"]["text"]
    assert len(slack_payload(Alert("k", "w", "x" * 9000))["blocks"][1]["text"]["text"]) <= 3000


def test_a_refused_alert_is_an_error_that_names_only_the_host(webhook):
    """The path of a webhook is its secret."""
    address, _ = webhook
    with pytest.raises(UnavailableError) as refused:
        AlertSender(url=f"{address}/broken").send(ALERT)

    assert "127.0.0.1" in str(refused.value)
    assert "broken" not in str(refused.value)


def test_a_webhook_that_moved_did_not_take_the_alert(webhook):
    """Followed, the redirect would be a GET without the alert, and look like success."""
    address, bodies = webhook
    with pytest.raises(UnavailableError, match="302"):
        AlertSender(url=f"{address}/moved").send(ALERT)

    assert len(bodies) == 1


def test_an_address_that_is_no_web_address_is_refused():
    """Nothing is read from a file."""
    with pytest.raises(ConfigurationError):
        AlertSender(url="file:///etc/passwd").send(ALERT)


def test_mail_has_one_subject_line_and_what_to_do():
    """A line break in a text from outside begins no header."""
    sender = AlertSender(recipients=("ann@example.org", "bo@example.org"), smtp_url="smtp://x")
    message = sender._message(Alert("approval", "parts\nBcc: x@y", "text", "command"))

    assert message["To"] == "ann@example.org, bo@example.org"
    assert message["Subject"] == "[flywheel] parts Bcc: x@y: approval"
    assert "next: command" in message.get_content()


def test_mail_to_a_server_that_is_away_is_an_error():
    """It is sent again later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = AlertSender(recipients=("ann@example.org",), smtp_url=f"smtp://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="mail server"):
        sender.send(ALERT)


def test_nothing_is_sent_where_nothing_is_set():
    """The embedded default."""
    assert not AlertSender().sends
    AlertSender().send(ALERT)


def test_addresses_need_a_mail_server(monkeypatch):
    """The settings say what is missing."""
    monkeypatch.setenv("FLYWHEEL_ALERT_EMAILS", "ann@example.org")
    with pytest.raises(ConfigurationError, match="FLYWHEEL_ALERT_SMTP_URL"):
        load_settings()
