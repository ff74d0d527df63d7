"""Who may use the server, and what a browser may do with its answers."""

import base64
import ipaddress
import logging
import secrets
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import EmoNetError

logger = logging.getLogger("emonet.serving")

HEALTH = "/v1/health"


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        login: `NAME:PASSWORD` that every path but the health check asks for; None lets
            everyone in.
        host: The address that the server is bound to.
        frames: Origins whose pages may show this one in a frame.

    Raises:
        EmoNetError: for a login without a name or a password.
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

    def warn(self) -> None:
        """Say so in the log."""
        if self.open:
            logger.warning(
                "Anyone who reaches the server at %s may use it: give --auth NAME:PASSWORD, or a proxy with a login.",
                self.host,
            )

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application with its login and its headers."""
        return SecurityHeaders(app if self.login is None else RequireLogin(app, self.login), self.frames)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RequireLogin:
    """Around an ASGI application: 401 without the name and password, by HTTP Basic
    authentication (RFC 7617).

    A browser asks for them itself and sends them with every request of the page, and so
    page, endpoint and documentation have one login. The health check, which tells what is
    running and no more, answers without.
    """

    def __init__(self, app: ASGIApp, login: str):
        self.app, self._wanted = app, base64.b64encode(login.encode("utf-8"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI calls it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH or self._may(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            asked = {"www-authenticate": 'Basic realm="emonet", charset="UTF-8"'}
            await JSONResponse({"detail": "Name and password, please."}, 401, asked)(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, credentials = given.partition(b" ")
        return scheme.lower() == b"basic" and secrets.compare_digest(credentials.strip(), self._wanted)


class SecurityHeaders:
    """Around an ASGI application: what a browser must not do with any answer.

    Nothing is loaded from, sent to or shown by another host. Gradio needs `unsafe-eval`
    (it compiles the functions of `js=` and its templates in the browser) and
    `unsafe-inline` (its configuration is a script of the page).
    """

    def __init__(self, app: ASGIApp, frames: tuple[str, ...] = ()):
        policy = {
            "default-src": "'none'",
            "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data:",
            "font-src": "'self' data:",
            "connect-src": "'self'",
            "manifest-src": "'self'",
            "base-uri": "'self'",
            "form-action": "'none'",
            "frame-ancestors": " ".join(frames) or "'none'",
        }
        self.app = app
        self.headers = {
            "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }
        if not frames:
            self.headers["x-frame-options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI calls it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)
