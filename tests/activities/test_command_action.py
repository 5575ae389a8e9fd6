import asyncio
import sys
import time
from datetime import timedelta

import psutil
import pytest

from activities.actions.command import CommandActions
from activities.actions.outcome import NotDone
from holdfast.domain.action import CommandAction
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import eventually

MINUTE = timedelta(minutes=1)
SOON = timedelta(seconds=1)
PRINT_ARGUMENTS = "import sys; print(sys.argv[1:])"
# A child of the command that outlives it, unless the whole group is killed.
LEAVES_A_CHILD = 'sleep 600 & echo "$!" > "$0"; wait'


@pytest.fixture
def perform(make_policy, secrets):
    async def perform(argv, *arguments, within=MINUTE, **command):
        policy = make_policy(commands={"fix": {"argv": argv} | command})
        actions = CommandActions(lambda: policy, secrets)
        action = CommandAction(kind="command", command="fix", arguments=arguments)
        return await actions.perform(action, key="incident-1:1:1", within=within)

    return perform


def is_gone(pid):
    """Whether a process is dead; its parent may not have noticed."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_command_that_ends_with_zero_is_done(perform):
    """Both outputs are kept apart."""
    done = await perform(["sh", "-c", "echo fixed; echo careful >&2"])
    assert done.summary.startswith("command 'fix' ended well after ")
    assert done.detail["exit_code"] == 0
    assert done.detail["stdout"] == "fixed\n"
    assert done.detail["stderr"] == "careful\n"


async def test_any_other_code_is_a_failure_with_the_last_words(perform):
    """Programs say why they fail in their last line."""
    with pytest.raises(NotDone) as caught:
        await perform(["sh", "-c", "echo trying; echo no such channel >&2; exit 3"])
    assert str(caught.value) == "command 'fix' ended with code 3: no such channel"
    assert caught.value.detail["exit_code"] == 3


async def test_a_command_ended_by_a_signal_is_a_failure(perform):
    """The signal is named."""
    with pytest.raises(NotDone, match="was ended by SIGTERM"):
        await perform(["sh", "-c", "kill -TERM $$"])


async def test_only_listed_commands_run(make_policy, secrets):
    """An action that was pinned before a reload took its command away runs nothing."""
    actions = CommandActions(make_policy, secrets)
    action = CommandAction(kind="command", command="reboot")
    with pytest.raises(ConfigurationError, match="allows no command 'reboot'"):
        await actions.perform(action, key="k", within=MINUTE)


async def test_arguments_are_passed_as_they_are(perform):
    """There is no shell that could read more into them."""
    arguments = ["a b", "$(touch x)", "; ls", "*", "'"]
    done = await perform([sys.executable, "-c", PRINT_ARGUMENTS], *arguments)
    assert done.detail["stdout"] == f"{arguments}\n"
    assert done.detail["arguments"] == arguments


async def test_the_environment_is_the_commands_own(perform, secrets):
    """It holds PATH, what the policy gives, and the idempotency key; nothing of the worker's."""
    done = await perform(["env"], environment={"KEY": "<${SERVICE_KEY}>"})
    assert sorted(str(done.detail["stdout"]).splitlines()) == [
        "HOLDFAST_IDEMPOTENCY_KEY=incident-1:1:1",
        "KEY=<key-of-the-service>",
        f"PATH={secrets.environment['PATH']}",
    ]


async def test_standard_input_is_empty(perform):
    """A command that asks a question gets no answer and does not wait for one."""
    done = await perform(["cat"])
    assert done.detail["stdout"] == ""


async def test_it_runs_in_its_directory(perform, tmp_path):
    """``directory`` is where relative paths begin."""
    done = await perform(["pwd"], directory=str(tmp_path))
    assert done.detail["stdout"] == f"{tmp_path.resolve()}\n"


@pytest.mark.parametrize("to", ["", ">&2"])
async def test_a_flood_is_kept_in_bounds(perform, to):
    """Whatever a command prints, its last 4 kB are kept and the worker's memory stays."""
    before = psutil.Process().memory_info().rss
    with pytest.raises(NotDone) as caught:
        await perform(["sh", "-c", f"exec yes flood {to}"], within=SOON)
    assert psutil.Process().memory_info().rss - before < 30_000_000
    kept = str(caught.value.detail["stderr" if to else "stdout"])
    assert len(kept) == 4096
    assert "flood\nflood\n" in kept


async def test_the_last_output_before_the_end_is_kept(perform):
    """The end of a long output, to the last byte."""
    done = await perform([sys.executable, "-c", "print('x' * 1_000_000, 'the end')"])
    assert str(done.detail["stdout"]).endswith("xxx the end\n")


async def test_output_that_is_no_text_is_made_legible(perform):
    """NUL and broken UTF-8 would be refused by the database."""
    done = await perform(["printf", r"a\000b\377c"])
    assert done.detail["stdout"] == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


async def test_a_timeout_kills_the_whole_group(perform, tmp_path):
    """Grandchildren do not live on."""
    pid = tmp_path / "pid"
    with pytest.raises(NotDone, match=r"was killed after 1 s"):
        await perform(["sh", "-c", LEAVES_A_CHILD, str(pid)], timeout="1s")
    await eventually(lambda: is_gone(int(pid.read_text())))


async def test_cancelling_kills_the_whole_group(perform, tmp_path):
    """Nothing runs on once nobody wants it any more."""
    pid = tmp_path / "pid"
    running = asyncio.create_task(perform(["sh", "-c", LEAVES_A_CHILD, str(pid)]))
    await eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: is_gone(int(pid.read_text())))


async def test_cancelling_while_it_starts_kills_the_whole_group(perform, tmp_path):
    """A command may have children before its start is known to have gone well."""
    pid = tmp_path / "pid"
    starting = asyncio.create_task(perform(["sh", "-c", LEAVES_A_CHILD, str(pid)]))
    while not (pid.exists() and pid.read_text().endswith("\n")):
        await asyncio.sleep(0)
        # The command runs on while nobody here notices that it has started.
        time.sleep(0.05)  # noqa: ASYNC251
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await eventually(lambda: is_gone(int(pid.read_text())))


async def test_a_daemon_that_keeps_the_pipes_does_not_hold_up_its_command(perform):
    """A restart often leaves a process behind on purpose: the command's own end counts."""
    done = await perform(["sh", "-c", "sleep 60 & echo $!"])
    daemon = psutil.Process(int(str(done.detail["stdout"])))
    alive = daemon.status() != psutil.STATUS_ZOMBIE
    daemon.kill()
    assert alive


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/"]])
async def test_a_command_that_cannot_be_started_is_a_failure(perform, argv):
    """A typo in the policy file is not the worker's trouble."""
    with pytest.raises(NotDone, match="cannot be started"):
        await perform(argv)
