"""Owns the way from a vendor to Holdfast: the address that vendors know leads to this machine."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

_PATIENCE = 10.0


@dataclass(frozen=True)
class Callbacks:
    """Posts to Holdfast as a vendor does.

    Attributes:
        url: Holdfast's API on this machine.
        public_url: The address that vendors were told; the same where there is no other.
    """

    url: str
    public_url: str

    def address(self, path: str) -> str:
        """The public address of a path, which some vendors sign."""
        return f"{self.public_url}{path}"

    def here(self, public: str) -> str:
        """Where a public address leads on this machine."""
        return f"{self.url}{public.removeprefix(self.public_url)}"

    async def post(
        self, public: str, body: bytes, *, headers: Mapping[str, str], within: float = _PATIENCE
    ) -> httpx.Response:
        """Post to a public address.

        Raises:
            httpx.HTTPError: If there is no answer in so many seconds.
        """
        async with httpx.AsyncClient(timeout=within, trust_env=False) as http:
            return await http.post(self.here(public), content=body, headers=headers)
