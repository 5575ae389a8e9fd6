"""Everything in detail, as far as it can be reached."""

from datetime import UTC, datetime, timedelta

from api.app import create_app
from holdfast.domain.notification import FailureKind
from storage.channel_health import ChannelHealth, Failure
from tests.api.conftest import opened
from tests.api.stage import POLICY, client_of, eventually, staged


async def test_it_counts_what_there_is(stage, client, service):
    report = {"service": service, "error_type": "Broken", "message": "it broke"}
    await client.post("/errors", json=report)

    async def told():
        status = (await client.get("/status")).json()
        kinds = sorted(each["kind"] for each in status["record"]["processes"])
        done = status["record"]["intake"]["rows"] == 0 and kinds == ["api", "worker"]
        return status if done and status["record"]["incidents"]["total"] else None

    status = await eventually(told)
    assert status["record"]["incidents"]["by_service"] == {service: 1}
    assert status["policy"] == {
        "hash": status["process"]["policy_hash"],
        "services": 2,
        "problems": [],
        "differs": False,
    }
    assert status["keys"]["active"] == 1
    assert status["record_problem"] is None


async def test_it_names_secrets_that_are_missing(settings, policy_file):
    hook = 'hook: {kind: webhook, url: "http://127.0.0.1:1/", secrets: ["${NOT_SET_ANYWHERE}"]}'
    policy_file.write_text(POLICY.replace("channels:\n", f"channels:\n  {hook}\n"))
    async with opened(settings) as services, client_of(create_app(services)) as client:
        [problem] = (await client.get("/status")).json()["policy"]["problems"]
    assert problem["path"] == "channels.hook.secrets.0"
    assert "NOT_SET_ANYWHERE" in problem["problem"]


async def test_a_broken_channel_shows_with_its_reason_and_since_when(services, client):
    """Those of the present policy file alone, as the workers found them."""
    broke = datetime(2026, 3, 1, 3, tzinfo=UTC)
    failure = Failure(FailureKind.CONFIGURATION, "the token is revoked")
    health = ChannelHealth(services.engine)
    for key in ("channels.pager", "channels.gone"):
        await health.note(key, failure=failure, at=broke)
        await health.note(key, failure=failure, at=broke + timedelta(minutes=10))
    assert (await client.get("/status")).json()["channels"] == [
        {
            "name": "pager",
            "kind": "email",
            "ok": False,
            "failure": "configuration",
            "reason": "the token is revoked",
            "since": "2026-03-01T03:00:00Z",
            "checked_at": "2026-03-01T03:10:00Z",
        }
    ]


async def test_calendars_show_likewise_and_schedules_without_one_do_not(settings, policy_file):
    policy_file.write_text(
        f"{POLICY}\n"
        "people: {ada: {contacts: [{channel: pager, to: ada@example.com}]}}\n"
        "schedules:\n"
        "  turns: {layers: [{people: [ada], starts_on: 2026-01-05}]}\n"
        "  feed: {calendar: 'http://127.0.0.1:1/feed.ics'}\n"
        "  new: {calendar: 'http://127.0.0.1:1/new.ics'}\n"
    )
    async with opened(settings) as services, client_of(create_app(services)) as client:
        at = datetime(2026, 3, 1, 3, tzinfo=UTC)
        await ChannelHealth(services.engine).note("schedules.feed", failure=None, at=at)
        shown = (await client.get("/status")).json()["calendars"]
    assert [(each["name"], each["ok"], each["since"]) for each in shown] == [
        ("feed", True, "2026-03-01T03:00:00Z"),
        ("new", None, None),
    ]


async def test_processes_that_follow_different_policies_show(settings, policy_file, client):
    """One process was started after an edit that nobody asked the others to follow."""
    policy_file.write_text(policy_file.read_text() + "resolve_after_quiet: 2h\n")
    async with opened(settings):

        async def differs():
            return (await client.get("/status")).json()["policy"]["differs"]

        await eventually(differs)


async def test_it_answers_while_postgresql_is_away(settings_apart, server):
    async with opened(settings_apart) as services, staged(services):
        server.stop()
        async with client_of(create_app(services)) as client:
            answer = await client.get("/status")
        server.start()
    assert answer.status_code == 200
    assert answer.json()["record"] is None
    assert "PostgreSQL" in answer.json()["record_problem"]
    assert answer.json()["policy"]["differs"] is None
    assert [each["ok"] for each in answer.json()["channels"]] == [None]
