from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from activities.actions.http import HttpActions
from activities.actions.outcome import NotDone
from activities.outbound import address
from holdfast.domain.action import HttpAction
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import answers, drops

MINUTE = timedelta(minutes=1)
SOON = timedelta(milliseconds=500)


@pytest.fixture
def actions(http, secrets):
    return HttpActions(http, secrets)


async def perform(actions, url, *, within=MINUTE, **fields):
    action = HttpAction.model_validate({"url": url} | fields)
    return await actions.perform(action, key="incident-1:1:1", within=within)


async def test_an_action_is_sent_with_its_body_headers_and_idempotency_key(actions, service):
    """The service gets everything that the policy says, and the run's id."""
    service.expect("PUT /restart", answers(204))
    await perform(
        actions,
        f"{service.url}/restart?channel=7",
        method="PUT",
        body={"channel": "7", "hard": True},
        headers={"Authorization": "Bearer ${SERVICE_KEY}"},
    )
    request = service.request
    assert request.path == "/restart?channel=7"
    assert request.json == {"channel": "7", "hard": True}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer key-of-the-service"
    assert request.headers["Idempotency-Key"] == "incident-1:1:1"


async def test_a_header_may_hold_more_than_ascii(http, service, secrets):
    """httpx alone would refuse it."""
    secrets.environment["SERVICE_KEY"] = "schlüssel"
    service.expect("POST /restart", answers())
    await perform(
        HttpActions(http, secrets), f"{service.url}/restart", headers={"X": "${SERVICE_KEY}"}
    )
    assert service.request.headers["X"] == "schlüssel"


async def test_a_header_of_the_policy_replaces_ours_whatever_its_case(actions, service):
    """One Content-Type, never two."""
    service.expect("POST /restart", answers())
    await perform(
        actions,
        f"{service.url}/restart",
        body=[1],
        headers={"content-type": "application/vnd.api+json"},
    )
    assert service.request.headers.getall("Content-Type") == ["application/vnd.api+json"]


async def test_without_a_body_nothing_is_sent(actions, service):
    """``body: null`` sends none, not the four letters."""
    service.expect("POST /restart", answers())
    await perform(actions, f"{service.url}/restart")
    assert service.request.body == b""
    assert "Content-Type" not in service.request.headers


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("${SIGNING}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("${PLAIN_SIGNING}", "a plain secret, ünicode".encode()),
    ],
)
@pytest.mark.parametrize("body", [{"name": "Zürich"}, None])
async def test_a_signed_action_verifies(actions, service, reference, key, body):
    """``whsec_`` secrets are base64, others are taken as they stand; an empty body signs too."""
    service.expect("POST /restart", answers())
    await perform(actions, f"{service.url}/restart", body=body, secret=reference)
    request = service.request
    assert request.headers["webhook-id"] == "incident-1:1:1"
    Webhook(key).verify(request.body, dict(request.headers), json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(request.body + b" ", dict(request.headers), json_parse=False)


async def test_an_expected_answer_is_told(actions, service):
    """The summary says what was seen, the detail keeps the answer."""
    service.expect("POST /restart", answers(202, "restarting"))
    done = await perform(actions, f"{service.url}/restart?token=hidden", expect=[200, 202])
    assert done.summary.startswith(f"http POST {service.url}/restart answered 202 in ")
    assert done.detail["status"] == 202
    assert done.detail["response"] == "restarting"
    assert "hidden" not in str(done)


async def test_an_unexpected_status_is_a_failure_with_an_excerpt(actions, service):
    """The reason names what was asked and what came, but no part of the URL that may be secret."""
    service.expect("POST /restart", answers(500, "the encoder\nis stuck"))
    with pytest.raises(NotDone) as caught:
        await perform(actions, f"{service.url}/restart?token=query-token")
    assert str(caught.value) == (
        f"http POST {service.url}/restart answered 500, expected 2xx: the encoder is stuck"
    )
    assert caught.value.detail["response"] == "the encoder\nis stuck"
    assert "query-token" not in str(caught.value.detail)


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example:8443/restart?token=x",
        "https://user:p@ss@media.example:8443/restart",
        "https://media.example:8443/restart#key",
    ],
)
def test_an_address_for_people_holds_no_secret(url):
    """Neither user and password nor query and fragment."""
    assert address(url) == "https://media.example:8443/restart"


async def test_a_redirect_is_not_followed(actions, service):
    """Following one would carry signed content and secrets elsewhere."""
    service.expect("POST /restart", answers(307, headers={"Location": "/elsewhere"}))
    with pytest.raises(NotDone, match="answered 307"):
        await perform(actions, f"{service.url}/restart")


async def test_a_huge_answer_is_kept_in_bounds(actions, service):
    """Two kilobytes say enough, and what stores refuse is replaced."""
    service.expect("POST /restart", answers(200, b"\x00" + b"x" * 5_000_000))
    done = await perform(actions, f"{service.url}/restart")
    assert done.detail["response"] == "\N{REPLACEMENT CHARACTER}" + "x" * 2047


async def test_a_service_that_hangs_is_given_up(actions, service):
    """The shorter of both timeouts counts."""
    service.expect("POST /restart", service.hangs)
    with pytest.raises(NotDone, match=r"no answer within 0\.5 s"):
        await perform(actions, f"{service.url}/restart", within=SOON)


async def test_a_service_that_drips_its_answer_is_given_up(actions, service):
    """The timeout is for the whole exchange, not for each read."""
    service.expect("POST /restart", service.drips)
    with pytest.raises(NotDone, match=r"no answer within 0\.5 s"):
        await perform(actions, f"{service.url}/restart", timeout="500ms")


async def test_a_dropped_connection_is_a_failure(actions, service):
    """The service may have done it or not; the strategy decides what is next."""
    service.expect("POST /restart", drops)
    with pytest.raises(NotDone, match=f"http POST {service.url}/restart: "):
        await perform(actions, f"{service.url}/restart")


async def test_a_refused_connection_is_told_in_plain_words(actions, closed_url):
    """Not as "All connection attempts failed"."""
    with pytest.raises(NotDone, match="Connection refused"):
        await perform(actions, f"{closed_url}/restart")


async def test_an_impossible_url_is_a_failure(actions):
    """A template may make one from a report."""
    with pytest.raises(NotDone, match="the URL cannot be used"):
        await perform(actions, "http://host:notaport/restart")


async def test_a_missing_secret_is_named_and_nothing_is_sent(actions, service):
    """A request without its secret would only be refused."""
    with pytest.raises(ConfigurationError, match="ABSENT"):
        await perform(actions, f"{service.url}/restart", headers={"X": "${ABSENT}"})


async def test_a_secret_that_no_header_can_hold_stays_out_of_the_reason(http, service, secrets):
    """h11's own message would quote it."""
    secrets.environment["SERVICE_KEY"] = "two\nlines"
    with pytest.raises(NotDone, match=r"a header holds what HTTP does not allow$"):
        await perform(
            HttpActions(http, secrets), f"{service.url}/restart", headers={"X": "${SERVICE_KEY}"}
        )
