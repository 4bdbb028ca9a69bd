"""The pages of the service itself: is it alive, is it ready, and its documentation."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from core.outbox import standing
from db.schema import SchemaOutdated, check_schema
from dependencies.caller import PUBLIC
from dependencies.services import Services, ServicesDep
from routers.route import WalletRoute

router = APIRouter(route_class=WalletRoute, dependencies=[Depends(PUBLIC)], tags=["Service"])

ASSETS_PATH = "/assets"
# ReDoc's bundle shows a picture from its maker's site, and either bundle may do so in its next
# release; this makes browsers load nothing that is not ours. The pages start by an inline script.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
    )
}
State = Literal["up", "down"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests can be served, and the state of each part. Redis may be down: then the
    service is slower, but just as correct.
    """

    status: Literal["ready", "unavailable"]
    database: State | Literal["outdated"]
    redis: State
    outbox_age_seconds: Annotated[
        int | None, Field(description="How long the oldest receipt waits; null if none does.")
    ]


@router.get("/livez")
async def read_liveness() -> Alive:
    """Tell that the process is alive; asks nothing of the database."""
    return Alive()


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready"}},
)
async def read_readiness(services: ServicesDep) -> Response:
    """Tell whether the service can do its work: 200 if so, else 503."""
    readiness = await _readiness(services)
    ready = readiness.status == "ready"
    return JSONResponse(
        readiness.model_dump(),
        status_code=200 if ready else 503,
        headers=None if ready else {"Retry-After": "1"},
    )


async def read_swagger_ui(request: Request) -> HTMLResponse:
    """Show the API in Swagger UI, from assets of our own."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title} · Swagger UI",
        swagger_js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS_PATH}/favicon.png",
        swagger_ui_parameters={
            "persistAuthorization": True,
            "displayRequestDuration": True,
            "tryItOutEnabled": True,
        },
    )
    page.headers.update(PAGE_HEADERS)
    return page


async def read_redoc(request: Request) -> HTMLResponse:
    """Show the API in ReDoc, from assets of our own and without anybody's fonts."""
    page = get_redoc_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title} · ReDoc",
        redoc_js_url=f"{ASSETS_PATH}/redoc.standalone.js",
        redoc_favicon_url=f"{ASSETS_PATH}/favicon.png",
        with_google_fonts=False,
    )
    page.headers.update(PAGE_HEADERS)
    return page


async def read_openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())


def documentation_assets() -> StaticFiles:
    """Serve Swagger UI and ReDoc from the `fastapi-offline` wheel, which ships nothing else."""
    # Found without importing it: importing would make an application of its own.
    spec = find_spec("fastapi_offline")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("fastapi-offline is missing: `pip install -r requirements.txt`.")
    return StaticFiles(directory=Path(spec.submodule_search_locations[0]) / "static")


async def _readiness(services: Services) -> Readiness:
    database: State | Literal["outdated"] = "up"
    oldest: datetime | None = None
    try:
        await check_schema(services.database)
        async with services.database.reading() as session:
            oldest = (await standing(session)).oldest
    except SchemaOutdated:
        database = "outdated"
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not up
        database = "down"
    ready = database == "up" and not services.draining.is_set()
    return Readiness(
        status="ready" if ready else "unavailable",
        database=database,
        redis="up" if await services.redis.ping() else "down",
        outbox_age_seconds=int((datetime.now(UTC) - oldest).total_seconds()) if oldest else None,
    )
