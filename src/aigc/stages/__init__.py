"""The DAG: one stage of dvc.yaml is one file here, which reads deps, calls the rooms and writes outs."""

import sys

if any(argument.startswith(f"{__name__}.") for argument in sys.orig_argv[1:3]):
    sys.exit(f"error: a stage is run by `python -m {__name__} NAME [METHOD]`, as dvc.yaml does")
