"""Two applications that do nothing: FastAPI's plain way, and through everything of ours."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel

from config import load_settings
from core.security import AUDIENCE, ISSUER
from dependencies.attempts import RequiredKeyDep
from dependencies.caller import CallerDep
from main import create_app
from routers.route import WalletRoute
from schemas.transactions import TransferIn

PATH = "/nothing"

settings = load_settings()
plain = FastAPI()
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


@plain.patch(PATH)
async def do_nothing_plainly(
    body: PlainBody, caller: Annotated[int, Depends(plain_caller)]
) -> Nothing:
    """Do nothing."""
    return NOTHING


@plain.get("/livez")
async def plain_liveness() -> str:
    """Tell that the process is alive."""
    return "ok"


ours = create_app(settings)
router = APIRouter(route_class=WalletRoute)


@router.patch(PATH)
async def do_nothing(caller: CallerDep, body: TransferIn, pending: RequiredKeyDep) -> Nothing:
    """Do nothing, after every check and with the idempotency of a movement."""
    return NOTHING


ours.router.routes.extend(router.routes)
