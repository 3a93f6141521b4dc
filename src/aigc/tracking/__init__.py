"""MLflow, and the only importer of it: the store, the runs, the registry, serving. No out of the pipeline
depends on it.

MLflow reads its switches when it is imported, so they are set here, before any module of this package is.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT",
                      "false")  # a model's requirements are those of requirements.lock

# A call must fail while its caller waits, so that what it logs can be kept and sent later. An asynchronous
# one fails unseen.
os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
# They name a run, an experiment or a model of some other program.
for _name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_ACTIVE_MODEL_ID",
              "MLFLOW_RUN_CONTEXT"):
    os.environ.pop(_name, None)

# MLflow waits four minutes for a dead server (7 retries with a growing pause), and two minutes for each
# answer.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "15", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}  # seconds, retries
FIRST_CALL = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
              "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}  # shows whether a server answers
SET_BY_USER = frozenset(PATIENCE) & frozenset(os.environ)
for _name, _value in PATIENCE.items():
    os.environ.setdefault(_name, _value)
os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")  # a server may ask for an hour
os.environ.setdefault("PGCONNECT_TIMEOUT", "5")

# A server on this machine is never behind a proxy. "*" means that nothing is, and must stand alone.
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
if _direct.strip() != "*":
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(
        filter(None, (_direct, "localhost,127.0.0.1,127.0.0.0/8,::1"))
    )
