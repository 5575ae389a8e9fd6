"""Owns the running version's name."""

from importlib.metadata import PackageNotFoundError, version


def running_version() -> str:
    """The installed version; ``checkout`` where the source runs without being installed."""
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "checkout"
