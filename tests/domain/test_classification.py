"""Which category an error has, and who decided it."""

import pytest

from holdfast.domain.built_in_rules import BUILT_IN_RULES
from holdfast.domain.classification import SEVERITIES, classify
from holdfast.domain.report import Report
from holdfast.domain.rule import Match, Rule
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES


def reported(error_type="Error", message="it failed", **fields):
    return Report(service="channels", error_type=error_type, message=message, **fields)


def decided(report, *, rules=(), severities=None):
    return classify(report, rules=rules, severities=severities or {})


REALISTIC = [
    # Error type, message, context, and the category that a person would give it.
    ("RtmpConnectionRefused", "channel news is off the air", {}, "rtmp_connection"),
    (
        "ConnectionRefusedError",
        "rtmp://live.example/app: connection refused",
        {},
        "rtmp_connection",
    ),
    ("Error", "Connection refused by rtmp://127.0.0.1:1935/live", {}, "rtmp_connection"),
    ("OSError", "Cannot open rtmps://a.example/x: Input/output error", {}, "rtmp_connection"),
    ("av.error.ConnectionResetError", "RTMP handshake: reset by peer", {}, "rtmp_connection"),
    ("StreamProcessDied", "the publisher exited with code 1", {}, "stream_failure"),
    ("NoFrames", "no frame for 5 s", {}, "stream_failure"),
    ("subprocess.CalledProcessError", "Command '['ffmpeg']' returned 1", {}, "stream_failure"),
    ("RuntimeError", "ffmpeg died with signal 9", {}, "stream_failure"),
    ("RuntimeError", "could not start stream 17", {}, "stream_failure"),
    ("EncoderError", "bad macroblock", {}, "stream_failure"),
    ("Error", "HLS playlist has not changed for 12 s", {}, "stream_failure"),
    ("h2.exceptions.StreamClosedError", "HTTP/2 stream 5 was closed", {}, "network"),
    ("httpx.StreamClosed", "attempted to read", {}, "network"),
    ("tornado.iostream.StreamClosedError", "Stream is closed", {}, "network"),
    ("ConnectionRefusedError", "[Errno 111] Connection refused", {}, "network"),
    ("ConnectionResetError", "[Errno 104] Connection reset by peer", {}, "network"),
    ("BrokenPipeError", "[Errno 32] Broken pipe", {}, "network"),
    ("socket.gaierror", "[Errno -2] Name or service not known", {}, "network"),
    ("httpx.ConnectError", "All connection attempts failed", {}, "network"),
    ("httpx.RemoteProtocolError", "Server disconnected without a response", {}, "network"),
    ("aiohttp.client_exceptions.ClientConnectorError", "Cannot connect", {}, "network"),
    ("aiohttp.client_exceptions.ServerDisconnectedError", "gone", {}, "network"),
    ("requests.exceptions.ConnectionError", "Max retries exceeded", {}, "network"),
    ("OSError", "[Errno 113] No route to host", {}, "network"),
    ("ssl.SSLError", "[SSL: WRONG_VERSION_NUMBER] wrong version number", {}, "network"),
    ("TimeoutError", "it took too long", {}, "timeout"),
    ("asyncio.exceptions.TimeoutError", "wait_for", {}, "timeout"),
    ("asyncio.TimeoutError", "wait_for", {}, "timeout"),
    ("httpx.ReadTimeout", "read", {}, "timeout"),
    ("requests.exceptions.ConnectTimeout", "connect", {}, "timeout"),
    ("subprocess.TimeoutExpired", "Command '['ls']'", {}, "timeout"),
    ("grpc.aio.AioRpcError", "StatusCode.DEADLINE_EXCEEDED", {}, "timeout"),
    ("HTTPError", "gateway", {"status": 504}, "timeout"),
    ("psycopg.OperationalError", "connection failed: Connection refused", {}, "database"),
    ("psycopg2.errors.UniqueViolation", "duplicate key value", {}, "database"),
    ("sqlalchemy.exc.InterfaceError", "connection is closed", {}, "database"),
    ("asyncpg.exceptions.DeadlockDetectedError", "deadlock detected", {}, "database"),
    ("sqlite3.OperationalError", "no such table: channels", {}, "database"),
    ("pymongo.errors.ServerSelectionTimeoutError", "No servers found", {}, "database"),
    ("Error", "could not reach the database", {}, "database"),
    ("FileNotFoundError", "[Errno 2] No such file: 'a.mp4'", {}, "storage"),
    ("OSError", "[Errno 30] Read-only file system", {}, "storage"),
    ("botocore.errorfactory.NoSuchBucket", "The bucket does not exist", {}, "storage"),
    ("boto3.exceptions.S3UploadFailedError", "Failed to upload", {}, "storage"),
    ("stripe.error.CardError", "declined", {}, "external_service"),
    ("requests.exceptions.HTTPError", "503 Server Error: for url", {}, "external_service"),
    ("HTTPStatusError", "busy", {"status_code": 503}, "external_service"),
    ("HTTPStatusError", "busy", {"http_status": "429"}, "external_service"),
    ("json.decoder.JSONDecodeError", "Expecting value: line 1", {}, "external_service"),
    ("openai.RateLimitError", "slow down", {}, "external_service"),
    ("grpc.aio.AioRpcError", "StatusCode.UNAVAILABLE", {}, "external_service"),
    ("HTTPStatusError", "oops", {"status": 500}, "api"),
    ("httpx.HTTPStatusError", "Client error '404 Not Found'", {}, "api"),
    ("starlette.exceptions.HTTPException", "500 Server Error", {}, "api"),
    ("jwt.exceptions.ExpiredSignatureError", "Signature has expired", {}, "authentication"),
    ("botocore.exceptions.NoCredentialsError", "Unable to locate", {}, "authentication"),
    ("smtplib.SMTPAuthenticationError", "(535, b'no')", {}, "authentication"),
    ("HTTPError", "who are you", {"status": 401}, "authentication"),
    ("PermissionError", "[Errno 13] Permission denied", {}, "authorization"),
    ("HTTPError", "no", {"status": 403}, "authorization"),
    ("google.api_core.exceptions.PermissionDenied", "no", {}, "authorization"),
    ("pydantic_core._pydantic_core.ValidationError", "1 validation error", {}, "validation"),
    ("ValueError", "invalid literal for int()", {}, "unknown"),
    ("HTTPError", "unprocessable", {"status": 422}, "validation"),
    ("ssl.SSLCertVerificationError", "certificate verify failed", {}, "configuration"),
    ("pydantic_settings.exceptions.SettingsError", "bad", {}, "configuration"),
    ("RuntimeError", "environment variable API_URL is not set", {}, "configuration"),
    ("yaml.scanner.ScannerError", "mapping values are not allowed", {}, "configuration"),
    ("MemoryError", "no memory", {}, "resource_exhaustion"),
    ("torch.cuda.OutOfMemoryError", "CUDA", {}, "resource_exhaustion"),
    ("OSError", "[Errno 28] No space left on device", {}, "resource_exhaustion"),
    ("OSError", "[Errno 24] Too many open files", {}, "resource_exhaustion"),
    ("RuntimeError", "can't start new thread", {}, "resource_exhaustion"),
    ("redis.exceptions.ConnectionError", "Error 111 connecting to :6379", {}, "dependency"),
    ("pika.exceptions.StreamLostError", "transport indicated EOF", {}, "dependency"),
    ("ModuleNotFoundError", "No module named 'x'", {}, "dependency"),
    ("RuntimeError", "upstream recommender is unavailable", {}, "dependency"),
    # Mistakes of a program have no category of their own: somebody should look.
    ("TypeError", "'NoneType' object is not iterable", {}, "unknown"),
    ("KeyError", "'title'", {}, "unknown"),
    ("ZeroDivisionError", "division by zero", {}, "unknown"),
    ("AssertionError", "left != right", {}, "unknown"),
]


@pytest.mark.parametrize(("error_type", "message", "context", "category"), REALISTIC)
def test_built_in_rules_decide_as_a_person_would(error_type, message, context, category):
    """Nobody has to write a rule before the common errors are told apart."""
    assert decided(reported(error_type, message, context=context)).category == category


def test_every_built_in_category_is_reachable():
    """A category that no error can have would be a promise that nothing keeps."""
    assert {each[3] for each in REALISTIC} == set(SEVERITIES)


def test_every_built_in_category_has_a_strategy():
    """What can be decided can be acted upon."""
    assert STRATEGIES.keys() == SEVERITIES.keys()


def test_built_in_rules_lead_to_built_in_categories():
    """A rule for a category that nobody declared would leave it without severity or strategy."""
    assert {rule.category for rule in BUILT_IN_RULES} <= SEVERITIES.keys()


def test_built_in_rules_have_names_of_their_own():
    """The reason names the rule; two of one name would leave open which decided."""
    names = [rule.name for rule in BUILT_IN_RULES]
    assert len(names) == len(set(names))


RULE = Rule(
    name="ours", match=Match(error_type=("TimeoutError",)), category="billing", severity="critical"
)


def test_a_rule_of_the_policy_file_wins_over_the_reporter():
    """Whoever runs the system knows better than the code that reports."""
    report = reported("TimeoutError", category="network", severity="low")
    decision = decided(report, rules=[RULE])
    assert (decision.category, decision.severity) == ("billing", Severity.CRITICAL)
    assert decision.reason == "rule 'ours' of the policy file"


def test_the_first_rule_that_fits_wins():
    """Order is the only precedence among rules: what stands first is read first."""
    later = RULE.model_copy(update={"name": "later", "category": "api"})
    assert decided(reported("TimeoutError"), rules=[RULE, later]).category == "billing"


def test_the_reporter_wins_over_built_in_rules():
    """A service that says what its error is has its reasons."""
    decision = decided(reported("TimeoutError", category="storage"))
    assert (decision.category, decision.reason) == ("storage", "the reporter said so")


def test_built_in_rules_come_last_and_are_named():
    """A person must be able to see why an error was taken for what it was."""
    decision = decided(reported("TimeoutError"))
    assert (decision.category, decision.reason) == ("timeout", "built-in rule 'timeout types'")


def test_what_fits_no_rule_is_unknown():
    """An unknown error is still an incident."""
    decision = decided(reported("Oops"))
    assert (decision.category, decision.reason) == ("unknown", "no rule fits")


@pytest.mark.parametrize(
    ("rule_says", "reporter_says", "policy_says", "expected"),
    [
        ("critical", "low", "low", "critical"),
        (None, "critical", "low", "critical"),
        (None, None, "critical", "critical"),
        (None, None, None, "medium"),
    ],
)
def test_severity_is_the_rules_then_the_reporters_then_the_categorys(
    rule_says, reporter_says, policy_says, expected
):
    """The severity follows the same order of authority as the category."""
    rule = Rule(name="x", match=Match(), category="network", severity=rule_says)
    severities = {"network": Severity(policy_says)} if policy_says else {}
    decision = decided(reported(severity=reporter_says), rules=[rule], severities=severities)
    assert decision.severity == expected


def test_a_category_of_ones_own_is_medium_until_its_severity_is_given():
    """A category may be used before anybody has weighed it."""
    assert decided(reported(category="billing")).severity is Severity.MEDIUM
