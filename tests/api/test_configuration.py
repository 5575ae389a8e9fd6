"""The policy file: shown without secrets, reloaded everywhere, kept when the next one is broken."""

from api.app import create_app
from holdfast.domain.role import Role
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, issue


def edit(policy_file):
    policy_file.write_text(policy_file.read_text() + "resolve_after_quiet: 2h\n")


async def test_the_active_policy_is_shown(client, service, policy_file):
    shown = (await client.get("/config")).json()
    assert shown["policy"]["services"][service]["description"] == "live channels"
    assert shown["path"] == str(policy_file)
    assert len(shown["hash"]) == 12


async def test_a_reload_puts_the_difference_on_the_record(app, client, services, policy_file):
    edit(policy_file)
    async with client_of(app, await issue(services, Role.OPERATOR, "ada")) as ada:
        reloaded = await ada.post("/config/reload")
    assert reloaded.status_code == 200
    [change] = reloaded.json()["changes"]
    assert change == {"path": "resolve_after_quiet", "old": "PT4H", "new": "PT2H"}
    assert (await client.get("/config")).json()["hash"] == reloaded.json()["hash"]
    [entry] = (await client.get("/audit", params={"event": "config.reloaded"})).json()["items"]
    assert entry["actor"] == "ada"
    assert entry["detail"] == {"hash": reloaded.json()["hash"], "changes": [change]}


async def test_a_broken_file_changes_nothing_and_every_problem_is_named(client, policy_file):
    before = (await client.get("/config")).json()
    policy_file.write_text("version: 1\nservicez: {}\nresolve_after_quiet: 5\n")
    answer = await client.post("/config/reload")
    assert answer.status_code == 422
    problems = answer.json()["errors"]
    assert [each["field"] for each in problems] == ["servicez", "resolve_after_quiet"]
    assert f"{policy_file}:2: " in problems[0]["message"]
    assert (await client.get("/config")).json() == before
    assert (await client.get("/audit")).json()["items"] == []


async def test_a_missing_file_is_a_problem_too(client, policy_file):
    policy_file.unlink()
    answer = await client.post("/config/reload")
    assert answer.status_code == 422
    assert str(policy_file) in answer.json()["errors"][0]["message"]


async def test_all_processes_follow(settings, client, policy_file):
    """One request reaches them by NOTIFY, and their heartbeats tell."""
    async with opened(settings) as other:

        async def hears():
            return other.presence.is_hearing

        await eventually(hears)
        edit(policy_file)
        reloaded = (await client.post("/config/reload")).json()

        async def followed():
            return other.holder.current.hash == reloaded["hash"]

        await eventually(followed, within=5)

        async def agree():
            return (await client.get("/status")).json()["policy"]["differs"] is False

        await eventually(agree)


async def test_who_was_out_of_reach_follows_later(settings_apart, server, policy_file):
    """NOTIFY is lost by who is not connected: the log is read after every connection."""
    async with opened(settings_apart) as other:
        edit(policy_file)
        server.stop()
        server.start()
        async with opened(settings_apart) as asked, client_of(create_app(asked)) as client:
            assert (await client.post("/config/reload")).status_code == 200

            async def followed():
                return other.holder.current.hash == asked.holder.current.hash

            await eventually(followed)


async def test_without_the_record_nothing_is_reloaded(settings_apart, server, policy_file):
    """A change that could be told to nobody, and is on no record, is not made."""
    async with opened(settings_apart) as services, client_of(create_app(services)) as client:
        before = services.holder.current.hash
        edit(policy_file)
        server.stop()
        assert (await client.post("/config/reload")).status_code == 503
        assert services.holder.current.hash == before
