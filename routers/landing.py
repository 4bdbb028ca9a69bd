"""The page at `/`: for browsers what this service is, for programs where its documentation is.

The page is made when it is first asked for; its examples come from the OpenAPI document.
"""

import asyncio
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dependencies.caller import PUBLIC
from dependencies.services import ServicesDep
from routers.examples import read_sections
from routers.hashed_files import HashedFiles
from routers.route import WalletRoute

router = APIRouter(route_class=WalletRoute, dependencies=[Depends(PUBLIC)], tags=["Service"])

STATIC_PATH: Final = "/static"
TEMPLATES: Final = Path(__file__).parent.parent / "templates"
static_files: Final = HashedFiles(TEMPLATES / "static")

# Nothing runs on the page, and all it loads is a stylesheet and a picture of ours.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Caches keep the page and the JSON apart, and ask before they show either again.
_NEGOTIATED: Final = {"Vary": "Accept", "Cache-Control": "no-cache"}
_CODE: Final = re.compile(r"`([^`]+)`")
_QUALITY: Final = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)


class Welcome(BaseModel):
    """Where to go from here."""

    status: Literal["ok"] = "ok"
    name: str
    docs: str = "/docs"
    redoc: str = "/redoc"
    openapi: str = "/openapi.json"


def wants_page(request: Request) -> bool:
    """Return whether Accept names text/html and likes it no less than JSON."""
    liked = _qualities(",".join(request.headers.getlist("accept")))
    return bool(liked.get("text/html")) and liked["text/html"] >= liked.get("application/json", 0)


def app_of(request: Request) -> FastAPI:
    """Return the application that serves `request`."""
    app: FastAPI = request.app
    return app


@router.get(
    "/",
    response_model=Welcome,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def read_welcome(
    services: ServicesDep,
    app: Annotated[FastAPI, Depends(app_of)],
    page_is_wanted: Annotated[bool, Depends(wants_page)],
) -> Response:
    """Tell that this is a wallet service, and where its documentation is; a page for browsers."""
    if page_is_wanted:
        return HTMLResponse(await _page(app), headers=PAGE_HEADERS | _NEGOTIATED)
    welcome = Welcome(name=services.settings.app_name)
    return JSONResponse(welcome.model_dump(), headers=_NEGOTIATED)


async def _page(app: FastAPI) -> bytes:
    """Return the page, made beside the other requests if nobody asked for it before."""
    if not hasattr(app.state, "landing_page"):
        app.state.landing_page = await asyncio.to_thread(make_page, app)
    page: bytes = app.state.landing_page
    return page


def make_page(app: FastAPI) -> bytes:
    """Return the page, with an example of every call that `app` documents."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["marked"] = _marked
    page = templates.get_template("landing.html").render(
        name=app.title,
        version=app.version,
        openapi=app.openapi_version,
        sections=read_sections(app.openapi()),
        static=lambda name: f"{STATIC_PATH}/{static_files.address(name)}",
    )
    return page.encode()


def _marked(text: str) -> Markup:
    """Show what stands between backticks as code, as the documentation does."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


def _qualities(accept: str) -> dict[str, float]:
    """Read an Accept header: how much each media type it names is liked, 0 to 1.

    Of a type that is named repeatedly the best counts. A quality that is none counts as 0.
    """
    liked: dict[str, float] = {}
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                value = value.strip()
                quality = float(value) if _QUALITY.fullmatch(value) else 0.0
        liked[media_type] = max(quality, liked.get(media_type, 0))
    return liked
