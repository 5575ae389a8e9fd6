"""Owns what the person at the terminal sees once the system is up."""

from datetime import timedelta

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from standalone.system import System


def show(console: Console, system: System, *, took: timedelta) -> None:
    """Print the addresses, the key when it is new, and a first command to try."""
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("Holdfast", system.api_url)
    addresses.add_row("API reference", f"{system.api_url}/docs")
    addresses.add_row("Temporal UI", system.temporal_ui_url)
    addresses.add_row("Data and logs", str(system.home.path))
    if system.admin_key_is_new:
        addresses.add_row("Admin key", system.admin_key)
    addresses.add_row("Admin key in", _where_the_key_is(system))
    title = f"Holdfast is ready after {took.total_seconds():.1f} s"
    console.print(Panel(addresses, title=title, title_align="left", expand=False))
    console.print("Report a first error:\n")
    # Plain and unwrapped, so that it can be copied as it stands.
    print(first_report(system), flush=True)  # noqa: T201  # see above
    console.print("\nCtrl-C stops everything; the data stays.")


def first_report(system: System) -> str:
    """A command for a shell that reports an error to this system."""
    key = f'$(cat "{system.home.admin_key}")' if _keeps_key(system) else "$HOLDFAST_ADMIN_KEY"
    return (
        f"curl -sS {system.api_url}/api/system/errors \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        '  -d \'{"service": "channels", "error_type": "RtmpConnectionError", '
        '"message": "handshake timed out", "context": {"channel": "news"}}\''
    )


def _where_the_key_is(system: System) -> str:
    return str(system.home.admin_key) if _keeps_key(system) else "HOLDFAST_ADMIN_KEY, as set"


def _keeps_key(system: System) -> bool:
    return system.settings.admin_key is None
