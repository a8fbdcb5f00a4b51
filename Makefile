# Tiebreak: one verb per wish. `make demo` and `make test` need nothing but Python 3.11+.
PYTHON ?= python3
DEMO_PORT ?= 8000
PYTEST_ARGS ?=
LANGUAGES ?=

VENV := .venv
RUN := $(VENV)/bin/python
DEFINITION := pyproject.toml requirements.lock
# Installed for running, and for developing (which includes running).
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: help demo test fast lint bench docs translations lock clean
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY) ## start the site with a demo campaign (DEMO_PORT=8000)
	@DEMO_PORT=$(DEMO_PORT) exec $(RUN) -m config.demo

# Most tests run side by side, browsers two at a time; races and killed workers want the machine to
# themselves.
SIDE_BY_SIDE := -n auto --maxprocesses 4
ALONE := integration or e2e or concurrent

test: $(READY_DEV) ## run the tests on a private database (PYTEST_ARGS="-k name")
ifeq ($(strip $(PYTEST_ARGS)),)
	$(RUN) -m pytest $(SIDE_BY_SIDE) -m "not (slow or $(ALONE))"
	$(RUN) -m pytest $(SIDE_BY_SIDE) -m "slow and not ($(ALONE))"
	$(RUN) -m pytest -n 2 -m "e2e and not (concurrent or integration)"
	$(RUN) -m pytest -m "concurrent and not integration"
else
	$(RUN) -m pytest $(PYTEST_ARGS)
endif

fast: $(READY_DEV) ## run the tests that take a minute: before each commit
	$(RUN) -m pytest $(SIDE_BY_SIDE) -m "not (slow or $(ALONE))"

lint: $(READY_DEV) ## style, types and the direction of imports
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

bench: $(READY_DEV) ## measure (slow); results go to benchmarks/
	$(RUN) -m benchmarks

docs: $(READY_DEV) ## check that the documentation matches the code
	$(RUN) -m pytest tests/docs

translations: $(READY_DEV) ## collect what annotators read for locale/ (LANGUAGES="fr": a new one)
	$(RUN) -m config.translations $(LANGUAGES)

lock: $(READY_DEV) ## write requirements.lock from what is installed
	$(RUN) -m config.lock

clean: ## remove the environment and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Tiebreak needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): $(DEFINITION) | $(RUN)
	@echo "Installing into $(VENV) (the first time takes a few minutes) ..."
	$(INSTALL) -e '.[encoder]'
	@touch $@

$(READY_DEV): $(DEFINITION) | $(RUN)
	@echo "Installing into $(VENV) (the first time takes a few minutes) ..."
	$(INSTALL) -e '.[encoder,dev]'
	@touch $(READY) $@
