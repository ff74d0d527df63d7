"""Run `emonet` and `python` for a shell in forks, without the wait for imports.

    python command_server.py SOCKET WORDS

The server imports the libraries once and forks for every command. A command has the
input, output, folder and environment of the shell that called it. WORDS (a JSON object)
maps words of a command line to replacements, such as a small corpus for a missing one.
"""

import array
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# Without LanceDB: it starts threads on import, which a fork would lose.
_LIBRARIES = ("datasets", "matplotlib.pyplot", "sklearn.metrics", "torch", "transformers.pipelines")
IMPORTED = (*_LIBRARIES, "emonet.studies.report", "emonet.runs.train")
# Passes the command line, the folder, the environment and the three standard streams.
CLIENT = """#!{python} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({socket!r})
    call = json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), os.getcwd(), dict(os.environ)
    streams = array.array("i", [0, 1, 2])
    server.sendmsg([json.dumps(call).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    sys.exit(int(server.recv(8) or 1))
"""


def install_client(folder: Path, address: Path) -> None:
    """Write programs `emonet` and `python` that pass their command line to the server."""
    for name in ("emonet", "python"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, socket=str(address)), "utf-8")
        (folder / name).chmod(0o755)


def serve(address: str, words: dict[str, str]) -> None:
    """Serve commands until killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: the children are not waited for
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                os._exit(_answer(connection, words))
            connection.close()


def _answer(connection: socket.socket, words: dict[str, str]) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = connection.recvmsg(1 << 18, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    command, folder, environment = json.loads(message)
    for target, source in enumerate(array.array("i", files[0][2])):
        os.dup2(source, target)
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        status = _run([words.get(word, word) for word in json.loads(command)])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(str(status).encode())
    return status


def _end_with(connection: socket.socket) -> None:
    """End the command when the shell that called it is killed."""
    if not connection.recv(1):
        os._exit(1)


def _run(command: Sequence[str]) -> int:
    program, *arguments = command
    if program == "emonet":
        from emonet.cli.main import main

        return main(arguments)
    sys.argv = arguments[1:] if arguments[0] == "-m" else arguments
    sys.path.insert(0, "")
    run = runpy.run_module if arguments[0] == "-m" else runpy.run_path
    run(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    for name in IMPORTED:
        import_module(name)
    serve(sys.argv[1], json.loads(sys.argv[2]))
