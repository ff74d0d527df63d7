"""Decide who may use the server, and what a browser may do with its answers."""

import base64
import ipaddress
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import EmoNetError
from .limits import HEALTH

logger = logging.getLogger("emonet.serving")

# Nothing is loaded from, sent to or shown by another host. Gradio needs `unsafe-eval` (it
# compiles the functions of `js=` and its templates in the browser) and `unsafe-inline`
# (its configuration is a script of the page).
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'none'",
}


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        login: `NAME:PASSWORD`, required on every path but the health check; None lets
            everyone in.
        host: The address that the server is bound to.
        frames: Origins whose pages may show the page in a frame.

    Raises:
        EmoNetError: If the login lacks a name or a password.
    """

    login: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    frames: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name, _, password = (self.login or "").partition(":")
        if self.login is not None and not (name and password):
            raise EmoNetError("--auth needs NAME:PASSWORD, and neither may be empty.")

    @property
    def open(self) -> bool:
        """Whether anyone who reaches the server over a network may use it."""
        return self.login is None and not _is_loopback(self.host)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer, which bind the browser to this server."""
        policy = {**_POLICY, "frame-ancestors": " ".join(self.frames) or "'none'"}
        headers = {
            "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }
        return headers if self.frames else {**headers, "x-frame-options": "DENY"}

    def warn(self) -> None:
        """Log a warning if the server is open."""
        if self.open:
            logger.warning(
                "Anyone who reaches the server at %s may use it: "
                "give --auth NAME:PASSWORD, or a proxy with a login.",
                self.host,
            )

    def around(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application in its login and headers."""
        return SecurityHeaders(app if self.login is None else RequireLogin(app, self.login), self.headers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RequireLogin:
    """Answer 401 without the name and password (HTTP Basic authentication, RFC 7617).

    A browser asks for them itself and sends them with every request, so page, endpoint
    and documentation share one login. The health check, which only says what is running,
    needs none.
    """

    def __init__(self, app: ASGIApp, login: str):
        self.app, self._credentials = app, base64.b64encode(login.encode("utf-8"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH or self._allows(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            challenge = {"www-authenticate": 'Basic realm="emonet", charset="UTF-8"'}
            refusal = JSONResponse({"detail": "Name and password, please."}, 401, challenge)
            await refusal(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, credentials = authorization.partition(b" ")
        return scheme.lower() == b"basic" and secrets.compare_digest(credentials.strip(), self._credentials)


class SecurityHeaders:
    """Set headers on every answer of an ASGI application."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]):
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)
