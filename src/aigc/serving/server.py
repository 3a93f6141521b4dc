"""Starts `aigc serve`: takes the port, loads the model, serves it, and ends when what it accepted is done."""

import logging
import signal
import socket
import sys

import uvicorn

from aigc import methods
from aigc.core import process, runtime
from aigc.core.errors import AigcError, ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import lookup, source_pictures
from aigc.serving import app
from aigc.serving.drawer import Drawer
from aigc.serving.waiting import Queue

LOCAL = ("127.0.0.1", "::1", "localhost")
MEBIBYTE = 1 << 20


def serve(name: str, switches: RuntimeConfig, host: str, port: int, most: int, most_waiting: int,
          kept_mebibytes: int, quiet: bool) -> int:
    """Serve a model until SIGTERM or Ctrl-C. Returns 0 when every accepted request has its answer.

    name: a method, or as `lookup.named`. port: 0 = any that is free. most: pictures of one order. Raises
    AigcError where the port cannot be had, or there is no such model, or it is damaged.
    """
    for option, value, least, last in (("--port", port, 0, 65535), ("--max-n", most, 1, 10_000),
                                       ("--queue", most_waiting, 1, 10_000),
                                       ("--cache", kept_mebibytes, 0, 1 << 20)):
        if not least <= value <= last:
            raise ConfigError(f"{option} must be between {least} and {last}, found {value}")
    with _listening(host, port) as listening:
        drawer = _open(name, switches, kept_mebibytes * MEBIBYTE)
        queue = Queue(most_waiting, _drawing_threads(drawer))
        _start_logging(quiet)
        options = uvicorn.Config(app.create(drawer, queue, most), log_config=None, access_log=False)
        server = uvicorn.Server(options)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, server.handle_exit)
        address, port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"serving {name} on http://{shown}:{port}\n  /docs explains it; Ctrl-C ends it", flush=True)
        if host not in LOCAL:
            print(f"warning: --host {host}: everybody who reaches this machine can ask for pictures",
                  file=sys.stderr)
        try:
            server.run([listening])
        except KeyboardInterrupt:  # uvicorn raises the signal again when it has ended
            pass
        finally:
            queue.close()
    print("ended; every accepted request has its answer" if not server.force_exit else "ended at once")
    return 0


def _open(name: str, switches: RuntimeConfig, kept_bytes: int) -> Drawer:
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    with lookup.any_trained(name) as folder:
        generator, card = methods.load(folder, device)
    fit = source_pictures.fit_of() if generator.translates else ""
    return Drawer(generator, card, device, switches, kept_bytes, fit)


def _drawing_threads(drawer: Drawer) -> int:
    """How many draw at once. Each has `runtime.threads` threads of torch's own, on which bytes depend."""
    if drawer.device.torch_device.type != "cpu":
        return 1
    return max(1, process.cores() // drawer.switches.threads)


def _listening(host: str, port: int) -> socket.socket:
    """A socket on which clients may connect, from now on. Raises AigcError where the port cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError, UnicodeError) as error:
        raise AigcError(f"--host {host} --port {port}: no such address ({error}); name another") from None
    listening = socket.socket(family, kind, protocol)
    try:
        # A server that has just ended does not count.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        raise AigcError(f"--port {port}: cannot be had ({error.args[-1]}); name another") from None
    return listening


def _start_logging(quiet: bool) -> None:
    """A line a request on stderr, unless quiet; what goes wrong in any case."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING, force=True)
    app.log.setLevel(logging.WARNING if quiet else logging.INFO)
