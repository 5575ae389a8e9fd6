"""Owns the list as the API gives it: a page of it, and where the next one begins."""

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item")


class Listing(BaseModel, Generic[Item]):
    """Some of a list."""

    items: list[Item] = Field(description="The page.")
    cursor: str | None = Field(
        None, description="Asks for what follows; none on the last page.", examples=["WyIyMDI2LT"]
    )
