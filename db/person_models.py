"""The tables of people, of ways in, and of this installation; part of `db.models`."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, UniqueConstraint
from sqlmodel import SQLModel

from db.columns import NEVER_REUSE_IDS, UtcDateTime, column, key, reference, where


class Installation(SQLModel, table=True):
    """One row, drawn when the schema was made: tells this database from every other one."""

    __tablename__ = "installations"

    id: str = column(String(32), primary_key=True)


class User(SQLModel, table=True):
    """A person. `email_folded` makes the address unique without regard to case.

    Whoever came by another way in has no password, and no `password_hash`.
    """

    __tablename__ = "users"
    __table_args__ = (NEVER_REUSE_IDS,)

    id: int = key()
    first_name: str = column(String(100))
    last_name: str = column(String(100))
    email: str = column(String(320))
    email_folded: str = column(String(320), unique=True)
    password_hash: str | None = column(String(255))
    created_at: datetime = column(UtcDateTime)


class SignIn(SQLModel, table=True):
    """One sign-in: the family of all tokens that descend from it; ended as a whole."""

    __tablename__ = "sign_ins"
    __table_args__ = (NEVER_REUSE_IDS,)

    id: int = key()
    user_id: int = reference("users.id", index=True)
    created_at: datetime = column(UtcDateTime)
    ended_at: datetime | None = column(UtcDateTime, default=None)


class RefreshToken(SQLModel, table=True):
    """A refresh token by its SHA-256; used once, then only proof of theft."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (NEVER_REUSE_IDS,)

    id: int = key()
    sign_in_id: int = reference("sign_ins.id", index=True)
    token_sha256: bytes = column(LargeBinary(32), unique=True)
    expires_at: datetime = column(UtcDateTime)
    used_at: datetime | None = column(UtcDateTime, default=None)


class ApiKey(SQLModel, table=True):
    """A key by which a service comes in; without `user_id` it is the house's, made by an operator.

    Its text is `<prefix>_<id>_<secret>`; of the secret only the SHA-256 is kept.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("length(secret_sha256) = 32", name="secret_sha256"),
        CheckConstraint("permissions <> ''", name="permitted"),
        Index("ix_api_keys_user_id_id", "user_id", "id"),
        # However many a person has revoked, few are left to be counted.
        Index("ix_api_keys_not_revoked_user_id", "user_id", **where("revoked_at IS NULL")),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    user_id: int | None = reference("users.id", nullable=True)
    name: str = column(String(100))
    # Names with a space between them.
    permissions: str = column(String(100))
    secret_sha256: bytes = column(LargeBinary(32))
    created_at: datetime = column(UtcDateTime)
    expires_at: datetime | None = column(UtcDateTime, default=None)
    revoked_at: datetime | None = column(UtcDateTime, default=None)
    last_used_at: datetime | None = column(UtcDateTime, default=None)


class GoogleIdentity(SQLModel, table=True):
    """Whom a provider of sign-ins calls `sub`: the person who comes in when it vouches for them."""

    __tablename__ = "google_identities"
    __table_args__ = (UniqueConstraint("issuer", "sub"), NEVER_REUSE_IDS)

    id: int = key()
    issuer: str = column(String(255))
    sub: str = column(String(255))
    user_id: int = reference("users.id", index=True)
    created_at: datetime = column(UtcDateTime)
