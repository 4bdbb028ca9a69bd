"""Shapes of signing in with Google."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import FieldError, InvalidRequest
from schemas.strict import StrictModel

# Who somebody is, only Google says. Whoever sends one of these expects to be believed.
_NOT_ONES_OWN_TO_SAY: Final = ("email", "email_verified", "id_token", "sub", "user_id")


class FromGoogle(BaseModel):
    """What Google sends the browser back with.

    It may send more than we know of: RFC 6749 (4.1.2) has us ignore that.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    code: Annotated[str, Field(max_length=2048, examples=["test"])] = ""
    state: Annotated[str, Field(max_length=512)] = ""
    error: Annotated[str, Field(max_length=2048)] = ""

    @model_validator(mode="before")
    @classmethod
    def _claims_nothing(cls, sent: Any) -> Any:
        """Raise InvalidRequest for whoever says who they are."""
        claimed = [name for name in _NOT_ONES_OWN_TO_SAY if name in sent]
        if claimed:
            raise InvalidRequest(
                [FieldError(name, "must not be sent: Google says who it is") for name in claimed]
            )
        return sent


class LinkIn(StrictModel):
    """The link token of a 409 `link_confirmation_required`."""

    link_token: Annotated[str, Field(min_length=1, max_length=2048)]


class Linked(BaseModel):
    """The Google account signs in the caller from now on."""

    linked: Literal[True] = True
