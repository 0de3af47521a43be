# Everything a newcomer needs; only Python 3.11+ and make must be there. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
SOURCES := contracts services deploy examples tests $(wildcard benchmarks) $(wildcard scripts)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup lock demo test check fmt schemas up down status bench faults clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Make .venv and install the locked dependencies; quick when nothing changed

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv"; $(PYTHON) -m venv .venv; }
	@echo "Installing the locked dependencies (one to three minutes the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## The whole chain on the example cases, then one row per report
	@$(BIN)/meldpunt demo

test: setup ## All tests, on real Kafka and PostgreSQL
	@$(BIN)/python -m pytest

check: setup ## What CI checks: lint, format, types, boundaries, generated files
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate.py all --check

fmt: setup ## Format, and repair what can be repaired automatically
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

schemas: setup ## Generate the JSON Schemas, AsyncAPI and OpenAPI documents from the code
	$(BIN)/python scripts/generate.py all

lock: setup ## Resolve the dependencies of pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --constraint requirements.lock \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements-service.lock

up: setup ## Start servers, services and example partners, and leave them running
	@$(BIN)/meldpunt up --partners

down: setup ## Stop what `make up` started
	@$(BIN)/meldpunt down

status: setup ## What runs, and where
	@$(BIN)/meldpunt status

bench: setup ## The pipeline beside its ceilings
	@$(BIN)/meldpunt bench

faults: setup ## The fault run: kill things and count what is lost, duplicated, late
	@$(BIN)/meldpunt faults

clean: down ## Remove the local data of all stacks (not .venv)
	rm -rf .meldpunt
