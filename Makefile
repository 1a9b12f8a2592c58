# ArgusLab. Needs Python 3.11 to 3.13 and make; everything else comes from the lock files, hashes checked.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --require-hashes
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.PHONY: help up demo test check format bench lock clean
help: ## Show the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

up: $(BIN)/.runtime ## Watch the fleet: fleet.yaml, or what this machine has, or a simulated one
	@$(BIN)/arguslab up

demo: $(BIN)/.runtime ## Watch a simulated fleet with weeks of simulated history
	@$(BIN)/arguslab demo

test: $(BIN)/.dev ## Every test; no network, no key, no GPU
	@$(BIN)/pytest -q

check: $(BIN)/.dev ## Lint, types, SQL format
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/sqlfmt --check --quiet dbt_project

format: $(BIN)/.dev ## Format Python and SQL
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/sqlfmt --quiet dbt_project

bench: $(BIN)/.dev ## Measure the bars side by side; writes bench-report.md
	@$(BIN)/python -m tests.bench

lock: $(BIN)/.runtime ## Resolve the newest allowed versions into the two lock files
	@$(COMPILE) pyproject.toml --group build --output-file requirements.lock
	@$(COMPILE) --group dev --constraint requirements.lock --output-file tests/requirements.lock

clean: ## Remove the environment and caches; the home and fleet.yaml stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/.uv: requirements.lock
	@test -n "$(PYTHON)" || { echo "ArgusLab needs Python 3.11, 3.12 or 3.13 on the PATH (or: make PYTHON=/path/to/python3.12)"; exit 1; }
	@test -x $(BIN)/python || { echo "Creating .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@awk '/^[^ #]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@touch $@

$(BIN)/.runtime: $(BIN)/.uv pyproject.toml
	@echo "Installing the locked packages"
	@$(UV) -r requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/.dev: $(BIN)/.runtime tests/requirements.lock
	@$(UV) -r tests/requirements.lock
	@touch $@
