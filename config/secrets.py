"""Owns the secrets: the values behind the references that the policy file holds in their place."""

import re
from collections.abc import Mapping
from pathlib import Path

from holdfast.domain.action import SECRET_IN_TEXT
from holdfast.errors import ConfigurationError

_FILE = "file:"
# A shorter value would be found inside ordinary words, and hiding it would only garble them.
_SHORTEST_HIDDEN = 6
HIDDEN = "[secret]"


class Secrets:
    """Gives the values behind secret references, and hides what it gave from texts for people.

    Args:
        environment: What ``${NAME}`` is looked up in; the composition root passes the process's.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._given: set[str] = set()

    def resolve(self, reference: str) -> str:
        """Give the secret behind ``${NAME}`` or ``file:/path``.

        A file is read each time, so that a changed secret needs no restart; async code calls
        this in a thread, since a mounted file may be slow. Its last line break is not part of it.

        Raises:
            ConfigurationError: If it is missing, empty or cannot be read; the message names it.
        """
        if reference.startswith(_FILE):
            value = _read(reference.removeprefix(_FILE))
        else:
            value = self.fill(reference)
        if not value:
            raise ConfigurationError(f"the secret {reference} is empty")
        return self._remembered(value)

    def fill(self, text: str) -> str:
        """Put the environment's values in the place of every ``${NAME}`` in a text.

        Raises:
            ConfigurationError: If a variable is not set; the message names it.
        """

        def value_of(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in self.environment:
                raise ConfigurationError(f"the environment variable {name} is not set; set it")
            return self._remembered(self.environment[name])

        return SECRET_IN_TEXT.sub(value_of, text)

    def hidden(self, text: str) -> str:
        """The text with every value given out so far replaced by ``[secret]``.

        Services echo what they are sent, and programs print their environment.
        """
        # The longest first: a secret may hold another one.
        for value in sorted(self._given, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def _remembered(self, value: str) -> str:
        if len(value) >= _SHORTEST_HIDDEN:
            self._given.add(value)
        return value


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigurationError(f"the secret {_FILE}{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the secret {_FILE}{path} is not UTF-8 text") from error
