"""Decide who may use the server, and what a browser may do with its answers."""

import base64
import hmac
import ipaddress
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

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


LOGIN = "/login"
_COOKIE = "emonet-login"
_LONGEST_FORM = 4096  # bytes


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
    needs none. `gradio_client.Client(url, auth=...)` posts them to `/login` instead and
    then sends the cookie that it gets.
    """

    def __init__(self, app: ASGIApp, login: str):
        self.app, self._credentials = app, base64.b64encode(login.encode("utf-8"))
        # The same in all workers, and after a restart. Only this login yields it.
        self._token = hmac.digest(login.encode("utf-8"), b"emonet login", "sha256").hex().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == HEALTH or self._allows(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == LOGIN:
            await self._log_in(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            challenge = {"www-authenticate": 'Basic realm="emonet", charset="UTF-8"'}
            refusal = JSONResponse({"detail": "Name and password, please."}, 401, challenge)
            await refusal(scope, receive, send)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a form with `username` and `password` with the cookie."""
        body, more = bytearray(), True
        while more and len(body) <= _LONGEST_FORM:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        form = dict(parse_qsl(body[: _LONGEST_FORM + 1].decode("utf-8", "replace"), max_num_fields=10))
        login = f"{form.get('username', '')}:{form.get('password', '')}".encode()
        if more or not secrets.compare_digest(base64.b64encode(login), self._credentials):
            await JSONResponse({"detail": "Incorrect name or password."}, 401)(scope, receive, send)
            return
        answer = JSONResponse({"success": True})
        secure = scope.get("scheme") == "https"
        answer.set_cookie(_COOKIE, self._token.decode(), secure=secure, httponly=True, samesite="strict")
        await answer(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"basic" and secrets.compare_digest(credentials.strip(), self._credentials):
            return True
        cookies = (cookie.strip().partition(b"=") for cookie in headers.get(b"cookie", b"").split(b";"))
        return any(
            name == _COOKIE.encode() and secrets.compare_digest(token, self._token)
            for name, _, token in cookies
        )


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
