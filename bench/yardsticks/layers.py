"""The wallet with one more route, which does nothing: what all its layers cost by themselves."""

from fastapi import APIRouter

from bench.yardsticks import NO_OP_PATH
from bench.yardsticks.no_op import NOTHING, Nothing
from config import load_settings
from dependencies.attempts import RequiredKeyDep
from dependencies.caller import CallerDep
from main import create_app
from routers.route import WalletRoute
from schemas.transactions import TransferIn

app = create_app(load_settings())
router = APIRouter(route_class=WalletRoute)


@router.patch(NO_OP_PATH)
async def do_nothing(caller: CallerDep, body: TransferIn, pending: RequiredKeyDep) -> Nothing:
    """Do nothing, after every check and with the idempotency of a movement."""
    return NOTHING


app.router.routes.extend(router.routes)
