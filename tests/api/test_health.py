"""Whether Holdfast works: with each part really stopped."""

from api.app import create_app
from tests.api.conftest import dev_server, opened, port_of
from tests.api.stage import client_of, eventually, hanging, staged, stopped


async def health_of(services):
    async with client_of(create_app(services), None) as client:
        answer = await client.get("/health")
    return answer.status_code, answer.json()


async def becomes(services, status, word):
    """Wait for an answer; it is kept for a second."""

    async def look():
        code, health = await health_of(services)
        return health if (code, health["status"]) == (status, word) else None

    return await eventually(look)


def parts(health):
    return {name: health[name]["status"] for name in ("postgres", "temporal", "worker")}


async def test_it_is_healthy_when_all_parts_work(stage, services):
    health = await becomes(services, 200, "healthy")
    assert parts(health) == {"postgres": "up", "temporal": "up", "worker": "up"}
    assert all(0 <= health[name]["latency_ms"] < 2000 for name in parts(health))


async def test_without_a_worker_nothing_is_worked_on(services, client):
    """What the part lacks is told to those with a key alone."""
    health = await becomes(services, 503, "unhealthy")
    assert parts(health) == {"postgres": "up", "temporal": "up", "worker": "down"}
    assert "detail" not in health["worker"]
    told = (await client.get("/status")).json()["health"]["worker"]["detail"]
    assert "no worker" in told


async def test_without_postgresql_it_works_on(settings_apart, server):
    """Reports go straight to Temporal then, and Temporal knows that a worker asks for work."""
    async with opened(settings_apart) as services, staged(services):
        await becomes(services, 200, "healthy")
        with stopped(server):
            health = await becomes(services, 200, "degraded")
            assert parts(health) == {"postgres": "down", "temporal": "up", "worker": "up"}
        await becomes(services, 200, "healthy")


async def test_a_postgresql_that_hangs_is_away_within_two_seconds(settings_apart, server):
    """A machine that died takes connections and says nothing."""
    async with opened(settings_apart) as services, staged(services):
        await becomes(services, 200, "healthy")
        with hanging(server):
            health = await becomes(services, 200, "degraded")
            assert parts(health) == {"postgres": "down", "temporal": "up", "worker": "up"}
            assert health["worker"]["latency_ms"] < 2500


async def test_without_temporal_nothing_is_worked_on(settings):
    async with dev_server() as env:
        settings = settings.model_copy(update={"temporal_port": port_of(env)})
        async with opened(settings) as services:
            async with staged(services):
                await becomes(services, 200, "healthy")
            await env.shutdown()
            health = await becomes(services, 503, "unhealthy")
            assert parts(health)["temporal"] == "down"
            assert parts(health)["postgres"] == "up"


async def test_a_flood_of_questions_is_one_question(client):
    """Load balancers ask often: the answer is kept for a second."""
    answers = {(await client.get("/health")).json()["checked_at"] for _ in range(50)}
    assert len(answers) <= 2
