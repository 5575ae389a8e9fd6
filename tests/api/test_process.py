"""The API as a process: it starts whatever is away, and ends soon when it is told to."""

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.api.stage import ADMIN_KEY, eventually

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@asynccontextmanager
async def running(policy_file, port):
    """``python -m api`` with neither PostgreSQL nor Temporal to be reached."""
    settings = {
        "HOLDFAST_CONFIG": str(policy_file),
        "HOLDFAST_DATABASE_URL": NOWHERE,
        "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
        "HOLDFAST_PORT": str(port),
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api",
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def asked(port, path):
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    try:
        async with httpx.AsyncClient(headers=headers) as client:
            return await client.get(f"http://127.0.0.1:{port}{path}")
    except httpx.ConnectError:
        return None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_starts_with_nothing_else_there_and_ends_when_told(policy_file, how):
    port = free_port()
    async with running(policy_file, port) as process:
        health = await eventually(lambda: asked(port, "/api/system/health"), within=30)
        assert health.status_code == 503
        assert (await asked(port, "/api/system/status")).status_code == 200
        assert (await asked(port, "/docs")).status_code == 200
        started = time.monotonic()
        process.send_signal(how)
        async with asyncio.timeout(5):
            output, _ = await process.communicate()
        assert time.monotonic() - started < 5
    assert b"Traceback" not in output


async def test_it_does_not_wait_for_the_clients_of_the_event_stream(policy_file):
    """They would stay for ever: they are let go, each with an orderly end."""
    port = free_port()
    async with running(policy_file, port) as process:
        await eventually(lambda: asked(port, "/api/system/health"), within=30)
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        url = f"http://127.0.0.1:{port}/api/system/events"
        async with (
            httpx.AsyncClient(headers=headers, timeout=15) as client,
            client.stream("GET", url) as answer,
        ):
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            process.send_signal(signal.SIGTERM)
            assert [each async for each in lines][-1] == ""
            async with asyncio.timeout(5):
                output, _ = await process.communicate()
    assert b"Cancel" not in output
    assert b"Traceback" not in output


async def test_a_broken_policy_file_ends_the_start_with_its_problems(policy_file):
    policy_file.write_text("version: 2\n")
    async with running(policy_file, free_port()) as process:
        output, _ = await process.communicate()
        assert process.returncode == 1
    assert f"{policy_file}:1: version: " in output.decode()
    assert b"Traceback" not in output
