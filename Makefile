# Everything a checkout can do. Needs make and Python 3.11 or later; each target installs the rest
# into .venv, from the hash-locked files in requirements/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help up demo test check fmt bench lock clean installed-run installed-dev

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

up: installed-run ## run the whole system on this machine, until Ctrl-C
	@$(BIN)/python -m standalone

demo: installed-run ## see an outage from report to recovery, with real processes
	@$(BIN)/python -m examples.demo

# Tests wait for other processes half of their time, so that three at once suit two cores. Those of
# one file stay together: they share what they start.
JOBS ?= 3

test: installed-dev ## run the tests (ARGS="tests/domain -k breaker" for some of them)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: installed-dev ## formatting, lint, types and import contracts, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fmt: installed-dev ## format, and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: installed-dev ## measure, beside peers
	@$(BIN)/python -m benchmarks

# Keeps what is locked where it can; UPGRADE=--upgrade takes the newest of everything.
COMPILE = $(BIN)/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url

lock: installed-dev ## write requirements/ anew from pyproject.toml
	$(COMPILE) pyproject.toml --extra server --extra standalone -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra server --extra standalone --extra openfeature --group dev \
		-c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra server -c requirements/run.txt -o requirements/server.txt
	echo uv | $(COMPILE) --no-annotate - -o requirements/uv.txt

clean: ## remove what was installed and cached here; the data in .holdfast stays
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

installed-run installed-dev: installed-%:
	@requirements/install.sh "$(PYTHON)" "$(VENV)" $*
