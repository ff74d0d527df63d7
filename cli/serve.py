"""The `emonet serve` command."""

import argparse
import os
from dataclasses import fields
from typing import Any

from ..errors import EmoNetError
from .arguments import integer, network, number

_DEMO = "pip install 'emonet[demo]'"


def add_commands(commands: Any) -> None:
    """Add `serve`."""
    serve = commands.add_parser("serve", help="a page to try a model on, and the same as JSON over HTTP")
    serve.add_argument("--model", required=True, help="run folder or Hub id")
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines too")
    serve.add_argument("--port", default=7860, type=integer(0, 65535))
    serve.add_argument(
        "--workers",
        default=1,
        type=integer(1),
        help="processes with a model of their own; the page is in one",
    )
    serve.add_argument("--no-page", action="store_true", help="JSON alone")
    serve.add_argument(
        "--max-body", type=integer(1), metavar="BYTES", help="of a request or an upload (default: 2 MiB)"
    )
    serve.add_argument(
        "--max-turns", type=integer(1), metavar="N", help="of a script or a request (default: 5000)"
    )
    serve.add_argument(
        "--max-seconds", type=number(1e-3, 1e6), metavar="S", help="for a JSON request (default: 60)"
    )
    serve.add_argument(
        "--max-requests",
        type=integer(1),
        metavar="N",
        help="requests under way for each worker (default: 1024)",
    )
    serve.add_argument(
        "--max-per-address",
        type=integer(1),
        metavar="N",
        help="requests under way of one address (default: a quarter of all)",
    )
    serve.add_argument(
        "--max-silence",
        type=number(1, 1e6),
        metavar="S",
        help="a worker that hangs for so long is replaced (default: 30)",
    )
    serve.add_argument(
        "--grace",
        type=number(0, 1e6),
        metavar="S",
        help="for requests under way when told to stop (default: 60)",
    )
    serve.add_argument(
        "--proxy",
        action="append",
        type=network,
        metavar="ADDRESS",
        help="a proxy in front (or a network), whose X-Forwarded-For names the address; may be repeated",
    )
    serve.add_argument(
        "--auth",
        metavar="NAME:PASSWORD",
        help="ask for them (default: $EMONET_AUTH, which no other user of the machine sees)",
    )
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> None:
    try:
        from ..serving.limits import Limits
        from ..serving.server import GRACE, SILENCE, serve
    except ModuleNotFoundError as error:
        raise EmoNetError(f"emonet serve needs {error.name}: {_DEMO}.") from error
    given = vars(arguments)
    chosen = {
        field.name: given[f"max_{field.name}"]
        for field in fields(Limits)
        if given.get(f"max_{field.name}") is not None
    }
    login = os.environ.get("EMONET_AUTH") or None if arguments.auth is None else arguments.auth
    serve(
        arguments.model,
        arguments.host,
        arguments.port,
        arguments.workers,
        Limits(**chosen),
        page=not arguments.no_page,
        login=login,
        grace=GRACE if arguments.grace is None else arguments.grace,
        silence=arguments.max_silence or SILENCE,
        proxies=arguments.proxy or (),
    )
