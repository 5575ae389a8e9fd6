import pytest

from config.secrets import Secrets
from holdfast.errors import ConfigurationError


def test_an_environment_reference_gives_its_value():
    """``${NAME}`` is looked up in the environment that was passed in."""
    assert Secrets({"TOKEN": "value-of-token"}).resolve("${TOKEN}") == "value-of-token"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_reference_gives_the_file_without_its_last_line_break(tmp_path, ending):
    """A secret file usually ends with a line break that is not part of the secret."""
    path = tmp_path / "token"
    path.write_bytes(f"value-of-token{ending}".encode())
    assert Secrets({}).resolve(f"file:{path}") == "value-of-token"


def test_a_changed_file_is_read_anew(tmp_path):
    """A rotated secret needs no restart."""
    path = tmp_path / "token"
    path.write_text("the old one")
    secrets = Secrets({})
    secrets.resolve(f"file:{path}")
    path.write_text("the new one")
    assert secrets.resolve(f"file:{path}") == "the new one"


def test_names_are_filled_into_a_text():
    """Headers hold secrets among other words."""
    assert Secrets({"A": "1", "B": "2"}).fill("Bearer ${A}-${B} {x}") == "Bearer 1-2 {x}"


def test_a_value_is_not_filled_in_again():
    """A secret may hold what looks like a reference."""
    assert Secrets({"A": "${B}", "B": "2"}).fill("${A}") == "${B}"


@pytest.mark.parametrize(
    ("reference", "named"), [("${MISSING}", "MISSING"), ("file:/no/such/file", "/no/such/file")]
)
def test_a_missing_secret_is_named(reference, named):
    """Whoever reads the message knows what to set."""
    with pytest.raises(ConfigurationError, match=named):
        Secrets({}).resolve(reference)


def test_an_empty_secret_is_refused():
    """An empty secret would sign with nothing or send an empty token."""
    with pytest.raises(ConfigurationError, match="EMPTY"):
        Secrets({"EMPTY": ""}).resolve("${EMPTY}")


def test_given_secrets_are_hidden_from_texts():
    """What was given out is found and replaced, the longest first."""
    secrets = Secrets({"SHORT": "hunter2", "LONG": "hunter2-and-more"})
    secrets.fill("${SHORT} ${LONG}")
    assert secrets.hidden("echo: hunter2-and-more, hunter2!") == "echo: [secret], [secret]!"
