"""`aigc ui`: MLflow's UI on this project's store, opened on the comparison of methods."""

import argparse
import signal


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ui = commands.add_parser(
        "ui",
        help="start MLflow's UI on this project's store",
        description="Start MLflow's UI on this project's store and print the address of a view that "
        "shows method, fid, is and the main params. Ctrl-C ends it.",
    )
    ui.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default 5000)")
    ui.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.tracking import server

    # MLflow's server has a session of its own: what ends us must reach it as Ctrl-C does.
    for end in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(end) is not signal.SIG_IGN:
            signal.signal(end, signal.default_int_handler)
    return server.serve(arguments.port)
