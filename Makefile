# Two commands matter: `make run` serves the app, `make test` is the whole gate. `make` lists the rest.
# Needs Python 3.11 or newer and make; everything else goes into .venv.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PORT ?= 8501
PYTHON ?= python3
PYTEST_ARGS ?=
REPLICAS ?= 2
TRAININGS ?= 1
# Two processes, each of which takes whole files in their order: the browser's, the longest, come first.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
VENV := .venv
PY := $(VENV)/bin/python

# A stamp's name holds the hash of the requirements it installed: a fresh one means no pip call at all.
RUN_STAMP := $(VENV)/.run-$(shell cat requirements.txt | cksum | cut -d ' ' -f 1)
RAY_STAMP := $(VENV)/.ray-$(shell cat requirements.txt requirements-ray.txt | cksum | cut -d ' ' -f 1)
DEV_STAMP := $(VENV)/.dev-$(shell cat requirements.txt requirements-dev.txt | cksum | cut -d ' ' -f 1)
CHROMIUM_PATH := $(VENV)/.chromium

.PHONY: help run run-ray test lint format locale bench audit clean setup setup-ray setup-dev venv chromium
.NOTPARALLEL:

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  PORT=8501 (run) · PYTEST_ARGS='-k tokens' (test) · PYTHON=python3 · CHROMIUM=/path/to/chromium"

run: setup ## serve the app on port $PORT (8501)
	@exec $(PY) -m streamlit run app.py --server.port $(PORT)

run-ray: setup-ray ## the same with a Ray cluster of $REPLICAS (2) on this machine
	@exec $(PY) -m core.cluster --port $(PORT) --replicas $(REPLICAS) --trainings $(TRAININGS)

test: setup-dev chromium lint ## lint, types, contracts, translations and every test
	CHROMIUM="$$(cat $(CHROMIUM_PATH))" $(PY) -m pytest $(WORKERS) $(PYTEST_ARGS)

lint: setup-dev ## ruff, mypy, import contracts, translations
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) $(VENV)/bin/lint-imports

format: setup-dev ## rewrite the code in the project's style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

locale: setup-dev ## collect the messages, update and compile the catalogues
	@mkdir -p .build
	$(PY) -m babel.messages.frontend extract -k _ --add-location=file -o .build/taller.pot core pages app.py
	$(PY) -m babel.messages.frontend update --init-missing --no-fuzzy-matching --ignore-obsolete -w 110 -i .build/taller.pot -l en -d core/locale -D taller
	$(PY) -m babel.messages.frontend compile -f --statistics -d core/locale -D taller

bench: setup-dev chromium ## measure against the plain alternatives; writes tests/bench/RESULTS.md
	CHROMIUM="$$(cat $(CHROMIUM_PATH))" $(PY) -m tests.bench.run

audit: setup-dev ## look up known vulnerabilities of everything installed (asks PyPI)
	$(PYTHON) -m venv .build/audit && .build/audit/bin/pip install -q pip-audit==2.10.1
	$(PY) -m pip freeze --exclude-editable | sed 's/+cpu//' > .build/installed.txt
	.build/audit/bin/pip-audit --strict --no-deps --disable-pip -r .build/installed.txt

clean: ## remove caches and build products (the set-up itself: rm -r .venv)
	rm -rf .build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find app.py core pages tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------

setup: venv
	@if [ ! -e $(RUN_STAMP) ]; then \
	  echo "Installing the app's requirements into $(VENV) (once; some minutes)..."; \
	  $(PY) -m pip install -r requirements.txt && rm -f $(VENV)/.run-* && touch $(RUN_STAMP); \
	fi

setup-ray: venv
	@if [ ! -e $(RAY_STAMP) ]; then \
	  echo "Installing the app's requirements and Ray into $(VENV) (once; some minutes)..."; \
	  $(PY) -m pip install -r requirements-ray.txt && rm -f $(VENV)/.ray-* && touch $(RAY_STAMP); \
	fi

setup-dev: venv
	@if [ ! -e $(DEV_STAMP) ]; then \
	  echo "Installing the app's and the tests' requirements into $(VENV) (once; some minutes)..."; \
	  $(PY) -m pip install -r requirements-dev.txt && rm -f $(VENV)/.run-* $(VENV)/.dev-* \
	    && touch $(RUN_STAMP) $(DEV_STAMP); \
	fi

venv:
	@if ! $(PY) -c '' 2>/dev/null; then \
	  command -v "$(PYTHON)" >/dev/null || \
	    { echo "make: no '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12"; exit 1; }; \
	  "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: this app needs Python 3.11 or newer and $(PYTHON) is $$("$(PYTHON)" -V 2>&1)." \
	        "Name another one: make PYTHON=python3.12"; exit 1; }; \
	  "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "make: $(PYTHON) cannot make virtual environments. Install its venv package" \
	        "(Debian, Ubuntu: apt install python3-venv) and try again."; exit 1; }; \
	  rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); \
	fi

# Writes the path of a Chromium for the browser tests, or an empty line; those tests then skip and say why.
# The headless shell is the same browser without its windows: the tests take a sixth less time in it.
chromium: setup-dev
	@find_one() { \
	  for name in "$$CHROMIUM" chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable \
	      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do \
	    if [ -n "$$name" ] && command -v "$$name"; then return 0; fi; \
	  done; \
	  bundled="$$($(PY) -c 'from playwright.sync_api import sync_playwright as s; p = s().start(); print(p.chromium.executable_path); p.stop()' 2>/dev/null)"; \
	  if [ -x "$$bundled" ]; then echo "$$bundled"; else return 1; fi; \
	}; \
	apt_install() { \
	  "$$@" apt-get update -qq && \
	    { "$$@" apt-get install -y -qq chromium-headless-shell || "$$@" apt-get install -y -qq chromium; }; \
	}; \
	if ! find_one > $(CHROMIUM_PATH); then \
	  echo "No Chromium here: installing one for the browser tests..."; \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt_install env DEBIAN_FRONTEND=noninteractive; \
	  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then apt_install sudo -n DEBIAN_FRONTEND=noninteractive; \
	  else $(PY) -m playwright install chromium; fi || true; \
	  find_one > $(CHROMIUM_PATH) || { : > $(CHROMIUM_PATH); \
	    echo "make: no Chromium could be installed: the browser tests will be skipped." \
	      "Install one, or name one: CHROMIUM=/path/to/chromium make test"; }; \
	fi
