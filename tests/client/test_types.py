"""What a service's type checker makes of the client: installed, and without pydantic's plugin."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import holdfast.client

CODE = """
from datetime import timedelta

from holdfast.client import Backoff, Holdfast, Retry, RetryBudget
from holdfast.integrations.asgi import HoldfastMiddleware
from holdfast.integrations.jobs import job
from holdfast.testing import FakeHoldfast
from starlette.applications import Starlette

holdfast: Holdfast = FakeHoldfast(service="shop")
retry = Retry(backoff=Backoff(initial=timedelta(seconds=1)), budget=RetryBudget())

@holdfast.guard("payments", fallback=None, retry=retry)
def charge(order: str, *, amount: int = 1) -> dict[str, int]:
    return {order: amount}

class Shop:
    @holdfast.guard("payments", ignore=KeyError, failure=lambda paid: not paid)
    async def pay(self, order: str) -> int:
        return len(order)

    @job(holdfast)
    def bill(self, month: int) -> str:
        return str(month)

    @holdfast.retry()
    def ship(self) -> bool:
        return True

async def main() -> None:
    reveal_type(charge)
    reveal_type(await Shop().pay("o-7"))
    reveal_type(Shop().bill(7))
    reveal_type(Shop().ship())
    async with holdfast.breaker("payments") as passage:
        passage.fail("too many requests")
    charge(7)

Starlette().add_middleware(HoldfastMiddleware, holdfast=holdfast, slow_after=timedelta(seconds=2))
"""

TOLD = [
    'note: Revealed type is "def (order: str, *, amount: int =) -> dict[str, int]"',
    'note: Revealed type is "int"',
    'note: Revealed type is "str"',
    'note: Revealed type is "bool"',
    'error: Argument 1 to "charge" has incompatible type "int"; expected "str"  [arg-type]',
]


def test_guarded_functions_keep_their_types(tmp_path):
    """A wrong call of one is found, and nothing else is."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    [packages] = tmp_path.glob("env/lib/python*/site-packages")
    (packages / "holdfast").symlink_to(Path(holdfast.client.__file__).parents[1])
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "service.py").write_text(CODE)
    python = tmp_path / "env" / "bin" / "python"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "service.py"]
    checked = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = [line.split(": ", 1)[1] for line in checked.stdout.splitlines()[:-1]]
    assert told == TOLD
