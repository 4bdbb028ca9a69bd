"""An application that does nothing, in FastAPI's plain way: it reads a token and a body."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel

from bench.yardsticks import NO_OP_PATH
from config import load_settings
from core.security import AUDIENCE, ISSUER

settings = load_settings()
app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="token")


class PlainBody(BaseModel):
    """What a transfer says."""

    amount: float
    currency: str
    to_account_id: int


class Nothing(BaseModel):
    """What a transfer answers."""

    wallet_id: int
    amount: float
    current_balance: float
    transaction_id: int


NOTHING = Nothing(wallet_id=1, amount=1, current_balance=2, transaction_id=3)


def plain_caller(token: Annotated[str, Depends(bearer)]) -> int:
    """Authenticate as FastAPI's documentation does."""
    secret = settings.secret_key.get_secret_value()
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    except JWTError:
        raise HTTPException(401) from None
    return int(claims["sub"])


@app.patch(NO_OP_PATH)
async def do_nothing_plainly(
    body: PlainBody, caller: Annotated[int, Depends(plain_caller)]
) -> Nothing:
    """Do nothing."""
    return NOTHING


@app.get("/livez")
async def plain_liveness() -> str:
    """Tell that the process is alive."""
    return "ok"
