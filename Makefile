# Needs make, git and Python 3.11 or newer; everything else goes into .venv. `make` alone lists the targets.
PYTHON ?= python3
PROJECT ?= .
MINUTES ?= 10
INPUTS ?= 50000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input install
NEEDS_NPX = command -v npx >/dev/null || { \
  echo 'make $@ needs npx: install Node 20 or newer, then call again.' >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test interop inspect opening bench soak crowd fuzz

help:
	@echo 'make demo      see it work, in about 20 s: a session, a run, three red tests, the refusal'
	@echo 'make test      linters, types, import floors and the whole test suite'
	@echo 'make interop   Inspector, conformance suite, an older client against the server; needs npx, the network'
	@echo 'make inspect   the MCP Inspector in your browser, on the project PROJECT=folder; needs npx too'
	@echo 'make opening   records what the server answers first anew, after a change of what it says of itself'
	@echo 'make bench     what a session saves and what the guard costs, measured here; some minutes'
	@echo 'make soak      twelve servers used and killed at random, what they did checked; MINUTES=10'
	@echo 'make crowd     fifty HTTP clients and eight stdio servers on one project, in MINUTES=10'
	@echo 'make fuzz      both doors fed with 50,000 inputs that no client should send; INPUTS=50000'
	@echo 'PYTHON=python3.12 make demo   takes another Python for a new .venv'

demo: $(VENV)/.installed
	@$(BIN)/python -m mcp_e2e demo

test: $(VENV)/.installed-test
	@echo '== ruff check' && $(BIN)/python -m ruff check .
	@echo '== ruff format' && $(BIN)/python -m ruff format --check .
	@echo '== mypy --strict' && $(BIN)/python -m mypy
	@echo '== mypy --strict, Windows' && $(BIN)/python -m mypy --platform win32
	@echo '== mypy --strict, macOS' && $(BIN)/python -m mypy --platform darwin
	@echo '== import floors' && $(BIN)/lint-imports
	@echo '== pytest' && $(BIN)/python -m pytest

interop: $(VENV)/.installed-test
	@$(NEEDS_NPX)
	@$(BIN)/python -m tests.interop.run

inspect: $(VENV)/.installed
	@$(NEEDS_NPX)
	@npx -y -p node@24 -p @modelcontextprotocol/inspector@latest mcp-inspector \
	  '$(abspath $(BIN))/python' -m mcp_e2e serve --project '$(PROJECT)'

opening: $(VENV)/.installed
	@$(BIN)/python -m mcp_e2e.entrypoints.mcp.record

bench: $(VENV)/.installed
	@missed=; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || missed="$$missed $$file"; done; \
	  test -z "$$missed" || { echo "Targets missed:$$missed" >&2; exit 1; }

soak: $(VENV)/.installed
	@$(BIN)/python -m tests.soak.run --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

crowd: $(VENV)/.installed
	@$(BIN)/python -m tests.soak.clients --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/.installed
	@$(BIN)/python -m tests.fuzz.run --inputs $(INPUTS) $(if $(SEED),--seed $(SEED))

# A stamp names the folder it was made in: a copied or moved .venv, or one whose Python is gone, is made anew.
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.made 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.made
endif

$(VENV)/.made:
	@if test ! -e $@ && $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo 'Using the $(VENV) that is there.'; \
	else \
	  command -v '$(PYTHON)' >/dev/null || have='not found'; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "mcp-e2e needs Python 3.11 or newer; $(PYTHON) is $${have:-$$($(PYTHON) --version 2>&1)}." >&2; \
	    echo 'Install one and name it: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }; \
	  echo 'Making $(VENV) ...'; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    echo 'The venv module failed; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }; \
	fi
	@printf '%s\n' '$(CURDIR)' > $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo 'Installing mcp-e2e into $(VENV) (once, about a minute) ...'
	@$(PIP) --editable .
	@$(BIN)/python -m compileall -q mcp_e2e
	@touch $@

$(VENV)/.installed-test: $(VENV)/.made pyproject.toml
	@echo 'Installing mcp-e2e and its test tools into $(VENV) (once, about a minute) ...'
	@$(PIP) --editable '.[test]'
	@$(BIN)/python -m compileall -q mcp_e2e
	@touch $(VENV)/.installed $@
