# `make demo` crops, learns a word and films the guidance scale, offline, on any machine.
# `make studio` opens the page in the browser. `make test` runs the tests, `make check` the linters.
# Each makes its own .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
DECLARED := setup.cfg pyproject.toml constraints.txt

.PHONY: demo studio test check format schema docs pictures clean help
.NOTPARALLEL:

demo: .venv/.installed
	$(BIN)/pseudoword run experiments/storybook.yaml

# Everything in the browser. Ctrl-C ends it.
studio: .venv/.installed
	@$(BIN)/pseudoword studio

test: .venv/.installed-test
	$(BIN)/python -m pytest $(ARGS)

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/sphinx-build -qW --keep-going -c docs . build/docs

format: .venv/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What editors know about experiment files; a test keeps it current.
schema: .venv/.installed
	$(BIN)/python -m studio.schema > experiments/schema.json

# The pages of docs/ as a site; `make check` builds them as well, and refuses links that lead nowhere.
docs: .venv/.installed-dev
	$(BIN)/sphinx-build -qW --keep-going -c docs . build/docs
	@echo build/docs/docs/index.html

# The README's pictures, from what `make demo` left, and the studio's tabs, for which chromium is needed.
pictures: demo .venv/.installed-test
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .import_linter_cache

help:
	@echo "make demo | studio | test | check | format | schema | docs | pictures | clean"

# A stamp is newer than what it was made from, so the second call is quick.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.venv/.installed: $(DECLARED) | $(BIN)/python
	$(INSTALL) .
	@touch $@

.venv/.installed-%: $(DECLARED) | $(BIN)/python
	$(INSTALL) '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("the versions in constraints.txt need Python 3.11 or newer: \
	make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
