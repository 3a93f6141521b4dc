# repro  run the stages that changed       test  the fast tests      test-all  fast and slow tests
# ui     MLflow's UI on this project       lint  ruff and mypy       bench     most scripts of benchmarks/
# Each target first sets up .venv from the lock files. Required: python3 (3.11 or newer), git and make.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONPATH := src

ifeq ($(wildcard requirements.lock),)
$(error no requirements.lock in $(CURDIR); run make in the project's root, or make -C ROOT)
endif

.PHONY: repro test test-all ui lint bench clean
.DELETE_ON_ERROR:

repro: $(VENV)/runtime
	python -m aigc mend
	python -m aigc repro
	python -m aigc record
	python -m aigc sync
	python -m aigc runs

ui: $(VENV)/runtime
	python -m aigc ui

test: $(VENV)/dev
	pytest -n 2 --dist worksteal -m "not slow"

test-all: $(VENV)/dev
	pytest -n 2 --dist worksteal

lint: $(VENV)/dev
	ruff check
	mypy
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml

bench: $(VENV)/dev
	python benchmarks/pipeline.py
	python benchmarks/linear.py
	$(VENV)/bin/pip install --quiet --no-deps pytorch-fid clean-fid  # frechet.py compares with these
	python benchmarks/frechet.py
	python benchmarks/metrics.py
	python benchmarks/arithmetic.py
	python benchmarks/training.py
	python benchmarks/ingest.py
	python benchmarks/sizes.py

clean:
	rm -rf .checkpoints .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/runtime: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: $(PYTHON) is older than 3.11; name another with make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/team: $(VENV)/runtime requirements-team.lock
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements-team.lock
	@touch $@

$(VENV)/dev: $(VENV)/team requirements-dev.lock
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
