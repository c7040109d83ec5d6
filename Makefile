# Two commands: `make demo` shows what it does, `make test` checks that it works. Both set up .venv themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= out/demo

.PHONY: demo test clean

$(VENV)/.lean: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.lean constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,stats,dev]'
	@touch $@

# Analyzes a synthetic study, or a study of your own: make demo STUDY=folder-or-zip
demo: $(VENV)/.lean
	$(BIN)/python scripts/demo.py $(DEMO) $(STUDY)

test: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

clean:
	rm -rf $(VENV) out build dist
