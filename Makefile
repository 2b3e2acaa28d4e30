# Two commands matter: `make run` and `make test`. Everything they need they install themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Start-ups are what tests do most; some machines ask Python to keep no bytecode, which makes each 0.4 s longer.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 2

.PHONY: help run test test-full lint conformance bench lock setup setup-dev system-packages clean

help:             ## show this help
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

# --- set-up ------------------------------------------------------------------------------------
$(VENV)/.runtime: requirements.lock pyproject.toml
	@./deploy/venv.sh $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	@./deploy/venv.sh $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.runtime

setup: $(VENV)/.runtime     ## install what the product needs (PyPI alone)

setup-dev: $(VENV)/.dev     ## install what developers need too

system-packages:            ## install the real upstream servers that tests use (Debian, npm), if root
	@./tests/servers/install.sh

lock:                       ## pin all dependencies again, with hashes and without addresses
	uv pip compile pyproject.toml --python-version 3.13 --universal --generate-hashes --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --extra dev --python-version 3.13 --universal --generate-hashes --no-header -q -o requirements-dev.lock

# --- what a person does --------------------------------------------------------------------------
run: setup                  ## harvest the sample and serve it on http://127.0.0.1:8000
	@$(BIN)/satudata demo --host $(HOST) --port $(PORT) --workers $(WORKERS)

test: setup-dev system-packages lint   ## pass every test
	$(BIN)/python -m pytest -m "not full" -n 2 --dist loadfile --no-loadscope-reorder

test-full: setup-dev system-packages   ## the tests that need CKAN with a real Solr (Maven Central)
	./tests/servers/install.sh full
	$(BIN)/python -m pytest -m full

lint: setup-dev             ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

conformance: setup-dev      ## OGC's official Features suite against the server (Maven Central)
	$(BIN)/python -m tests.conformance.run

bench: setup-dev system-packages   ## speed and memory, our server beside its peers
	$(BIN)/python -m benchmarks.run

clean:                      ## remove what set-up and tests made; keeps ./data
	rm -rf $(VENV) .tools build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
