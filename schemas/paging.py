"""Which part of a list is asked for."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from core.slices import Slice
from schemas.strict import AsWholeNumber, StrictModel


class PageQuery(StrictModel):
    """A page of a list."""

    # Query parameters are text, so numbers and times are read from text here.
    model_config = ConfigDict(strict=False)

    limit: Annotated[int, Field(ge=1, le=100), AsWholeNumber] = 10
    offset: Annotated[int, Field(ge=0, le=1_000_000), AsWholeNumber] = 0
    # Absent or text: a query has no way to say null.
    cursor: Annotated[
        str | SkipJsonSchema[None],
        Field(max_length=100, description="The `next_cursor` of the previous page."),
    ] = None

    @property
    def part(self) -> Slice:
        """Say the same to the core."""
        return Slice(limit=self.limit, offset=self.offset, cursor=self.cursor)
