"""Finds out whether ports are free before anything is started on them."""

import asyncio
import socket
from dataclasses import dataclass

from holdfast.errors import ConfigurationError

# A system that was killed a moment ago may still be letting go of its ports.
PATIENCE_ATTEMPTS = 10
PATIENCE_PAUSE = 0.1


@dataclass(frozen=True)
class Port:
    """A port that a part will listen on, and the setting that moves it elsewhere."""

    part: str
    host: str
    number: int
    setting: str

    def is_free(self) -> bool:
        """True when this process could listen there now."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without this, connections that a previous run left in TIME_WAIT look like a listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.number))
            except OSError:
                return False
        return True


async def require_free(ports: list[Port]) -> None:
    """Refuse to start when a port is taken.

    Raises:
        ConfigurationError: Naming the first taken port and the setting that changes it.
    """
    for port in ports:
        for _ in range(PATIENCE_ATTEMPTS):
            if port.is_free():
                break
            await asyncio.sleep(PATIENCE_PAUSE)
        else:
            raise ConfigurationError(
                f"port {port.number} on {port.host} is taken, and the {port.part} needs one: "
                f"free it, or set {port.setting} to another port"
            )


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Different ports that nobody listens on at the moment, for tests and demonstrations."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
