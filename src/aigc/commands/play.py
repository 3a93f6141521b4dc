"""`aigc play`: try trained models in a browser."""

import argparse
import importlib.util
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName

LARGEST_PORT = 65535
# No word to the makers of a library: who plays, with what, on which version.
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    play = commands.add_parser(
        "play", help="try trained models in a browser",
        description="Serve a page on 127.0.0.1 on which a person tries trained models: choose model, "
                    "class, seed and the settings of sampling, see pictures, their nearest training pictures "
                    "and the audit's verdict, walk between two pictures, put in a picture of one's own, save "
                    "what `aigc generate` would write. Nothing leaves the machine. Ctrl-C ends it. Needs the "
                    "extra `play`: pip install -e .[play].")
    play.add_argument("models", nargs="*", metavar="MODEL", type=PathOrName,
                      help=f"a method that was trained, {options.MODEL_HELP} (default: all of models/)")
    play.add_argument("--port", type=int, default=7860, help="port on 127.0.0.1 (default 7860)")
    play.add_argument("--open", action="store_true", help="open the page in the browser")
    play.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core.errors import ConfigError

    if not 1 <= arguments.port <= LARGEST_PORT:
        raise ConfigError(f"--port {arguments.port}: a port is between 1 and {LARGEST_PORT}")
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError("aigc play needs gradio; pip install -e .[play]")
    switches = options.capped_arithmetic()
    from aigc.playground import model

    with ExitStack() as stack:
        offered = model.trained(stack, arguments.models)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigc-play-"))).resolve()
        for name in [name for name in os.environ if name.startswith("GRADIO_")]:
            del os.environ[name]  # such as GRADIO_SHARE, which puts the page on the internet
        os.environ.update(QUIET, GRADIO_TEMP_DIR=str(folder))
        from aigc.playground import server

        return server.serve(model.Playground(offered, switches), folder, arguments.port, arguments.open)
