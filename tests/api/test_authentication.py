"""Who may ask what: every route, every role, and what a key ring does when PostgreSQL is away."""

import httpx
import pytest

from api.app import PREFIX, create_app
from api.documentation import needed_roles
from holdfast.domain.role import Role, allows
from tests.api.conftest import opened
from tests.api.stage import ADMIN_KEY, BASE_URL, client_of, eventually, issue

# Every route with its role: one that is missing here was added without a thought for who may.
ROLES = {
    ("GET", "/health"): None,
    ("GET", "/status"): Role.VIEWER,
    ("POST", "/errors"): Role.REPORTER,
    ("GET", "/errors/active"): Role.VIEWER,
    ("GET", "/errors/{incident_id}"): Role.VIEWER,
    ("POST", "/errors/{incident_id}/acknowledge"): Role.RESPONDER,
    ("POST", "/errors/{incident_id}/resolve"): Role.RESPONDER,
    ("GET", "/escalations/active"): Role.VIEWER,
    ("POST", "/escalations/{incident_id}/acknowledge"): Role.RESPONDER,
    ("GET", "/recovery/stats"): Role.VIEWER,
    ("POST", "/recovery/restart/{service}"): Role.OPERATOR,
    ("POST", "/recovery/restore/{service}"): Role.OPERATOR,
    ("GET", "/circuit-breakers"): Role.VIEWER,
    ("GET", "/circuit-breakers/{service}"): Role.VIEWER,
    ("POST", "/outcomes"): Role.REPORTER,
    ("POST", "/circuit-breakers/{service}/mode"): Role.OPERATOR,
    ("POST", "/circuit-breakers/{service}/lease"): Role.REPORTER,
    ("GET", "/events"): Role.REPORTER,
    ("GET", "/features"): Role.REPORTER,
    ("GET", "/degraded-services"): Role.VIEWER,
    ("GET", "/audit"): Role.VIEWER,
    ("GET", "/config"): Role.VIEWER,
    ("POST", "/errors/{incident_id}/unacknowledge"): Role.RESPONDER,
    ("POST", "/errors/{incident_id}/snooze"): Role.RESPONDER,
    ("POST", "/errors/{incident_id}/reassign"): Role.RESPONDER,
    ("POST", "/errors/{incident_id}/escalate"): Role.RESPONDER,
    ("POST", "/errors/{incident_id}/note"): Role.RESPONDER,
    ("GET", "/escalations/{incident_id}"): Role.VIEWER,
    ("POST", "/escalations/simulate"): Role.VIEWER,
    ("GET", "/oncall"): Role.VIEWER,
    ("GET", "/silences"): Role.VIEWER,
    ("POST", "/silences"): Role.RESPONDER,
    ("GET", "/silences/{silence_id}"): Role.VIEWER,
    ("POST", "/silences/{silence_id}/end"): Role.RESPONDER,
    ("POST", "/config/reload"): Role.OPERATOR,
    ("GET", "/keys"): Role.ADMIN,
    ("POST", "/keys"): Role.ADMIN,
    ("DELETE", "/keys/{key_id}"): Role.ADMIN,
}
SIGNED = {
    "/slack/interactions",
    "/slack/commands",
    "/twilio/messages",
    "/twilio/status",
    "/pagerduty/webhooks",
    "/sentry/webhooks",
    "/act/{token}",
}
OUTSIDE = {("POST", "/alertmanager/webhooks"): Role.REPORTER}
REFUSED = {401, 403}


def path_of(template):
    if template == "/events":  # whose answer would have no end
        return "/events?service=no%20name"
    return template.format(
        incident_id="nothing", service="nobody", key_id="none", silence_id="nothing"
    )


def test_every_route_has_a_role_and_none_was_forgotten(app):
    found = {
        (method, path.removeprefix(PREFIX)): role
        for (method, path), role in needed_roles(app).items()
        if path.startswith(PREFIX)
    }
    assert found == ROLES


def test_what_needs_no_key_is_what_proves_itself_by_a_signature(app):
    """Vendors' requests, and the links in mails; Alertmanager has no signature, but sends a key."""
    others = {way: role for way, role in needed_roles(app).items() if not way[1].startswith(PREFIX)}
    assert {path for (_, path), role in others.items() if role is None} == SIGNED
    assert {way: role for way, role in others.items() if role} == OUTSIDE


async def test_every_route_lets_in_who_has_its_role_and_nobody_else(app, services):
    """Each role asks each route, with a request that changes nothing."""
    for role in Role:
        async with client_of(app, await issue(services, role)) as client:
            for (method, path), needed in ROLES.items():
                answer = await client.request(method, path_of(path))
                may = needed is None or allows([role], needed)
                assert (answer.status_code in REFUSED) is not may, (role, method, path)
                if not may:
                    assert answer.status_code == 403
                    assert f"needs the role {needed}" in answer.json()["detail"]


@pytest.mark.parametrize("key", [None, "hf_nobody-has-this"])
async def test_without_a_good_key_only_health_answers(app, key):
    async with client_of(app, key) as client:
        for (method, path), needed in ROLES.items():
            answer = await client.request(method, path_of(path))
            if needed is None:
                assert answer.status_code not in REFUSED
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.json()["type"] == "urn:holdfast:problem:unauthenticated"


@pytest.mark.parametrize("header", ["hf_bare", "Basic aGY6aGY=", "Bearer", "bearer  "])
async def test_another_form_of_authorization_is_no_key(app, header):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        answer = await client.get("/status", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_a_key_is_made_used_and_revoked(app, client):
    """Its secret is shown once; what happened to it is on the record."""
    made = await client.post("/keys", json={"name": "ada", "roles": ["viewer"]})
    assert made.status_code == 201
    secret, key_id = made.json()["secret"], made.json()["id"]
    assert secret.startswith("hf_")
    async with client_of(app, secret) as ada:
        assert (await ada.get("/config")).status_code == 200
        listed = (await client.get("/keys")).json()["items"]
        assert [each["name"] for each in listed] == ["admin", "ada"]
        assert secret not in (await client.get("/keys")).text
        revoked = await client.delete(f"/keys/{key_id}")
        assert revoked.status_code == 200
        assert revoked.json()["revoked_at"]
        assert (await ada.get("/config")).status_code == 401
    await client.delete(f"/keys/{key_id}")
    entries = (await client.get("/audit", params={"order": "oldest"})).json()["items"]
    assert [(each["event"], each["actor"]) for each in entries] == [
        ("key.created", "admin"),
        ("key.revoked", "admin"),
    ]


async def test_a_key_that_cannot_be_made_says_why(client):
    wrong = [
        ({"name": "ada", "roles": []}, 422, "roles"),
        ({"name": "ada", "roles": ["king"]}, 422, "roles.0"),
        ({"name": "two words", "roles": ["viewer"]}, 422, "name"),
        ({"name": "holdfast", "roles": ["viewer"]}, 422, "name"),
        ({"name": "ada", "roles": ["viewer"], "role": "admin"}, 422, "role"),
    ]
    for body, status, field in wrong:
        answer = await client.post("/keys", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
    taken = await client.post("/keys", json={"name": "admin", "roles": ["viewer"]})
    assert taken.status_code == 409
    assert (await client.delete("/keys/none")).status_code == 404


async def test_the_settings_key_cannot_be_revoked_here(client):
    """It would come back with the next start, which nobody would expect."""
    [admin] = (await client.get("/keys")).json()["items"]
    answer = await client.delete(f"/keys/{admin['id']}")
    assert answer.status_code == 409
    assert "HOLDFAST_ADMIN_KEY" in answer.json()["detail"]


async def test_other_processes_hear_of_a_key_at_once(settings, client):
    """By NOTIFY: long before their keys would be read again."""
    async with opened(settings) as other, client_of(create_app(other)) as at_other:
        assert await eventually(lambda: hears(other))
        made = (await client.post("/keys", json={"name": "ada", "roles": ["viewer"]})).json()
        at_other.headers["Authorization"] = f"Bearer {made['secret']}"

        async def answers(status):
            return (await at_other.get("/config")).status_code == status

        await eventually(lambda: answers(200), within=5)
        await client.delete(f"/keys/{made['id']}")
        await eventually(lambda: answers(401), within=5)


async def hears(services):
    return services.presence.is_hearing


async def test_keys_stay_good_while_postgresql_is_away(settings_apart, server):
    async with opened(settings_apart) as services:
        viewer = await issue(services, Role.VIEWER)
        server.stop()
        async with client_of(create_app(services), viewer) as client:
            assert (await client.get("/config")).status_code == 200
        async with client_of(create_app(services), "hf_nobody-has-this") as client:
            assert (await client.get("/config")).status_code == 401


async def test_the_admins_key_is_good_before_postgresql_was_ever_there(settings_apart, server):
    """Other keys are not refused for good then: a reporter would throw its reports away."""
    server.stop()
    async with opened(settings_apart) as services:
        app = create_app(services)
        async with client_of(app) as client, client_of(app, "hf_somebody") as somebody:
            assert (await client.get("/config")).status_code == 200
            unknown = await somebody.get("/config")
            assert unknown.status_code == 503
            assert "Retry-After" in unknown.headers
            server.start()

            async def refused():
                return (await somebody.get("/config")).status_code == 401

            await eventually(refused)
            listed = (await client.get("/keys")).json()["items"]
            assert [each["name"] for each in listed] == ["admin"]


async def test_without_an_admin_key_nobody_is_let_in_by_chance(settings):
    keyless = settings.model_copy(update={"admin_key": None})
    async with opened(keyless) as services, client_of(create_app(services), ADMIN_KEY) as client:
        assert (await client.get("/config")).status_code == 401
