# `make demo` shows what it does, `make test` checks that it works, `make docs` builds the documentation. Each sets up .venv itself.
SHELL := bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
DEMO ?= out/demo

.PHONY: demo test docs clean

$(VENV)/.lean: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.lean constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,stats,cluster,dicom,service,docs,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.lean
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@

# Analyzes a synthetic study, or a study of your own: make demo STUDY=folder-or-zip
demo: $(VENV)/.lean
	$(BIN)/python scripts/demo.py $(DEMO) $(STUDY)

test: $(VENV)/.dev
	source $(BIN)/activate && scripts/check

# Builds the documentation site into out/site; open out/site/index.html.
docs: $(VENV)/.docs
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) out build dist
