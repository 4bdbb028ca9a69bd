"""Files whose address tells their content, so that browsers may keep them for ever."""

import os
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOREVER: Final = "public, max-age=31536000, immutable"
_HASH_CHARACTERS: Final = 12


class HashedFiles(StaticFiles):
    """Serves the files of a folder, `page.css` as `page.0123456789ab.css`, and nothing else.

    The folder is read when this is made: another content is another address after a restart.
    """

    def __init__(self, folder: Path):
        super().__init__(directory=folder)
        self._names = {_hashed(file): file.name for file in folder.iterdir() if file.is_file()}
        self._addresses = {name: address for address, name in self._names.items()}

    def address(self, name: str) -> str:
        """Return the name under which a file is served. Raises KeyError if there is none."""
        return self._addresses[name]

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find a file by its address alone."""
        if path not in self._names:
            return "", None
        return super().lookup_path(self._names[path])

    def file_response(
        self,
        full_path: PathLike[str] | str,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file that never changes."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = FOREVER
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _hashed(file: Path) -> str:
    digest = sha256(file.read_bytes()).hexdigest()[:_HASH_CHARACTERS]
    return f"{file.stem}.{digest}{file.suffix}"
