"""`aigc serve`: a trained model behind HTTP."""

import argparse

from aigc.commands import options
from aigc.workspace.root import PathOrName

EXAMPLES = """\
examples:
  aigc serve aigc@champion                     the promoted model, on http://127.0.0.1:8000
  aigc serve dcgan --port 8080                 the model in models/dcgan
  curl localhost:8000/generate -d '{"n": 4, "class": "7", "seed": 1}'
  curl localhost:8000/generate -d '{"seed": 1}' -H 'Accept: image/png' -o one.png

paths:
  POST /generate   {n, class, seed, and the model's settings of sampling: guidance, steps, temperature ...}
                   answers JSON with PNG pictures in base64; with `Accept: image/png` one PNG file, with
                   `Accept: application/zip` a ZIP of them. A model that translates takes {sources, class}
  GET /model       the model's card, and what can be asked of it
  GET /healthz     whether it answers
  GET /metrics     for Prometheus (needs `pip install -e .[serve]`)
  GET /docs        all this as a page to try it on; /openapi.json for programs
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve", help="a trained model over HTTP: pictures for programs",
        description="Serve a trained model over HTTP. Its pictures are those of `aigc generate`, byte\n"
                    "for byte, in the arithmetic of params.yaml. SIGTERM or Ctrl-C ends it when every\n"
                    "accepted request has its answer.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    serve.add_argument("model", type=PathOrName, metavar="MODEL",
                       help="NAME@ALIAS of MLflow's registry, a method, a model's folder, an MLflow run id, "
                            "models:/… or runs:/…")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="0 = any that is free (default 8000)")
    serve.add_argument("--max-n", type=int, default=256, metavar="N",
                       help="pictures of one request (default 256)")
    serve.add_argument("--queue", type=int, default=64, metavar="N",
                       help="requests in work or waiting; more are answered with 429 (default 64)")
    serve.add_argument("--cache", type=int, default=64, metavar="MIB",
                       help="of pictures that are kept for who asks for them again (default 64)")
    serve.add_argument("--quiet", action="store_true", help="no line on stderr for each request")
    serve.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    switches = options.capped_arithmetic()
    from aigc.serving import server

    return server.serve(arguments.model, switches, arguments.host, arguments.port, arguments.max_n,
                        arguments.queue, arguments.cache, arguments.quiet)
