# Kapelle's commands. Each does its own set-up; nothing but Python 3.11 to 3.13 (with venv) and make has to be there.
#
#   PYTHON=python3.12 make demo      another interpreter
#   PIP_ARGS="..." make test         options for pip, such as the index that has the CPU build of torch
#   PYTEST_ARGS="-k score" make test options for pytest
#   KAPELLE_DATA=DIR make test       also the tests that need data packs

PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=
JOBS ?= 2

# A set of tools, and the stamp that says it is installed for the present pyproject.toml and constraints.txt.
PLAY := .venv/bin
PLAY_READY := .venv/.installed
WORK := .venv-test/bin
WORK_READY := .venv-test/.installed

PIP_INSTALL = -m pip --disable-pip-version-check install --quiet $(PIP_ARGS)
BENCHMARKS := $(filter-out benchmarks/acceptance.py,$(wildcard benchmarks/[a-z]*.py))
RIGHT_PYTHON = import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	"Kapelle needs Python 3.11, 3.12 or 3.13, and %s is %d.%d; name another: PYTHON=python3.12 make ..." % (sys.executable, *sys.version_info[:2]))

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench acceptance docs clean
.DELETE_ON_ERROR:

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(PLAY_READY) ## compose 16 bars of jazz: a MIDI file, its sound and its picture
	@mkdir -p demo
	@$(PLAY)/kapelle compose --genre jazz --bars 16 --seed 7 -o demo/jazz-7.mid --wav --plot --force

test: $(WORK_READY) ## run all tests
	@OMP_NUM_THREADS=1 $(WORK)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

lint: $(WORK_READY) ## style, types, and who imports whom
	@$(WORK)/ruff check .
	@$(WORK)/ruff format --check .
	@$(WORK)/mypy
	@$(WORK)/lint-imports

format: $(WORK_READY) ## put the code in its common form
	@$(WORK)/ruff check --fix .
	@$(WORK)/ruff format .

docs: $(WORK_READY) ## follow every link, run every command and snippet of the docs
	@$(WORK)/python -m pytest tests/test_docs.py tests/test_examples.py $(PYTEST_ARGS)

bench: $(WORK_READY) ## measure: every script of benchmarks/, its figures beside the goals
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(WORK)/python $$script; done

acceptance: $(WORK_READY) ## the full counts behind every promise, written to benchmarks/results/ (an hour)
	@mkdir -p benchmarks/results
	@set -e; for script in $(BENCHMARKS); do \
		name=benchmarks/results/$$(basename $$script .py).json; echo "== $$script -> $$name"; \
		$(WORK)/python $$script --json > $$name.part; mv $$name.part $$name; done
	@$(WORK)/python benchmarks/acceptance.py

clean: ## remove what these commands made: environments, the demo, caches
	rm -rf .venv .venv-test demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PLAY_READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing Kapelle into .venv, about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(PLAY)/python $(PIP_INSTALL) -c constraints.txt -e .
	@touch $@

$(WORK_READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing Kapelle with what its tests need into .venv-test, some minutes ..."
	@$(PYTHON) -m venv .venv-test
	@$(WORK)/python $(PIP_INSTALL) "pip>=25.1"
	@$(WORK)/python $(PIP_INSTALL) -c constraints.txt -e ".[train,fluidsynth]" --group dev
	@touch $@
