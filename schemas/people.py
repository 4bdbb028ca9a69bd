"""Shapes of signing up, signing in and people."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from core.people import masked_email
from core.security import is_common_password
from db.models import User
from schemas.strict import Email, PersonName, StrictModel


def _uncommon(password: str) -> str:
    if is_common_password(password):
        raise PydanticCustomError(
            "common_password", "is one of the most common passwords; choose another"
        )
    return password


class SignUp(StrictModel):
    """Who signs up."""

    first_name: PersonName
    last_name: Annotated[PersonName, Field(examples=["Doe"])]
    email: Email
    password: Annotated[
        str,
        Field(min_length=8, max_length=128, examples=["securepass123"]),
        AfterValidator(_uncommon),
    ]


class SignInForm(StrictModel):
    """Sign-in, as OAuth 2.0's password grant writes it; what it does not need is ignored."""

    username: Annotated[str, Field(min_length=1, max_length=254, examples=["jane@example.com"])]
    password: Annotated[str, Field(min_length=1, max_length=128, examples=["securepass123"])]
    # Absent or text: a form has no way to say null.
    grant_type: Literal["password"] | SkipJsonSchema[None] = None
    scope: Annotated[str, Field(max_length=1000)] = ""
    client_id: Annotated[str, Field(max_length=1000)] = ""
    client_secret: Annotated[str, Field(max_length=1000)] = ""


class RefreshIn(StrictModel):
    """The refresh token to use up."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class Tokens(BaseModel):
    """A signed-in person's tokens."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a type, not a token
    expires_in: Annotated[int, Field(description="Seconds until the access token expires.")]
    refresh_token: str


class Person(BaseModel):
    """A person; the email is masked for everybody else."""

    id: int
    first_name: str
    last_name: str
    email: Annotated[str, Field(examples=["jane@example.com"])]

    @classmethod
    def of(cls, user: User) -> "Person":
        """Show a person to themselves."""
        return cls(
            id=user.id, first_name=user.first_name, last_name=user.last_name, email=user.email
        )

    @classmethod
    def masked(cls, user: User) -> "Person":
        """Show a person to others."""
        return cls.of(user).model_copy(update={"email": masked_email(user.email)})
