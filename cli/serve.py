"""`emonet serve`: serve a demo page and a JSON API."""

import argparse
import os
from dataclasses import fields

from ..errors import EmoNetError
from .arguments import Commands, add_dtype_argument, add_model_argument, integer, network, number

_DEMO = "pip install 'emonet[demo]'"


def add_commands(commands: Commands) -> None:
    """Add `serve`."""
    serve = commands.add_parser("serve", help="serve a demo page and a JSON API")
    add_model_argument(serve)
    add_dtype_argument(serve)
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to accept other machines")
    serve.add_argument("--port", default=7860, type=integer(0, 65535))
    serve.add_argument(
        "--workers",
        default=1,
        type=integer(1),
        help="number of processes, each with its own model; one serves the page",
    )
    serve.add_argument("--no-page", action="store_true", help="serve only the JSON API")
    serve.add_argument(
        "--max-body",
        type=integer(1),
        metavar="BYTES",
        help="maximum size of a request or an upload (default: 2 MiB)",
    )
    serve.add_argument(
        "--max-turns",
        type=integer(1),
        metavar="N",
        help="maximum turns in a script or a request (default: 5000)",
    )
    serve.add_argument(
        "--max-seconds",
        type=number(1e-3, 1e6),
        metavar="S",
        help="time limit of a JSON request (default: 60)",
    )
    serve.add_argument(
        "--max-requests",
        type=integer(1),
        metavar="N",
        help="maximum concurrent requests per worker (default: 1024)",
    )
    serve.add_argument(
        "--max-per-address",
        type=integer(1),
        metavar="N",
        help="maximum concurrent requests per address (default: a quarter of all)",
    )
    serve.add_argument(
        "--max-silence",
        type=number(1, 1e6),
        metavar="S",
        help="replace a worker that hangs this long (default: 30)",
    )
    serve.add_argument(
        "--grace",
        type=number(0, 1e6),
        metavar="S",
        help="time for running requests to finish on shutdown (default: 60)",
    )
    serve.add_argument(
        "--proxy",
        action="append",
        type=network,
        metavar="ADDRESS",
        help="trusted proxy or network whose X-Forwarded-For gives the client; may be repeated",
    )
    serve.add_argument(
        "--auth",
        metavar="NAME:PASSWORD",
        help="require this login (default: $EMONET_AUTH, which other users of the machine cannot see)",
    )
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> None:
    try:
        from ..serving.limits import Limits
        from ..serving.server import GRACE, SILENCE, serve
    except ModuleNotFoundError as error:
        raise EmoNetError(f"emonet serve needs {error.name}: {_DEMO}.") from error
    values = {field.name: getattr(arguments, f"max_{field.name}", None) for field in fields(Limits)}
    limits = Limits(**{name: value for name, value in values.items() if value is not None})
    login = os.environ.get("EMONET_AUTH") or None if arguments.auth is None else arguments.auth
    serve(
        arguments.model,
        arguments.host,
        arguments.port,
        arguments.workers,
        limits,
        page=not arguments.no_page,
        login=login,
        grace=GRACE if arguments.grace is None else arguments.grace,
        silence=arguments.max_silence or SILENCE,
        proxies=arguments.proxy or (),
        dtype=arguments.dtype,
    )
