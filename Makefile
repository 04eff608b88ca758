# Kapelle's commands. Each does its own set-up; nothing but Python 3.11 to 3.13 (with venv) and make has to be there.
#
#   PYTHON=python3.12 make demo      another interpreter
#   PIP_ARGS="..." make test         options for pip, such as the index that has the CPU build of torch
#   PYTEST_ARGS="-k score" make test options for pytest
#   KAPELLE_DATA=DIR make test       also the tests that need data packs
#   SHARDS=DIR make acceptance       also the figures on held-out music, from shards of `kapelle data prepare`

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

# Scripts of benchmarks/ that need nothing, and those that read held-out music.
SPEED := decoding sine_render startup
HELD_OUT_MODEL ?= $(firstword $(wildcard src/kapelle/weights/genre src/kapelle/weights/genre-small))
RESULTS := benchmarks/results

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
	@OMP_NUM_THREADS=1 $(WORK)/python -m pytest -n $(JOBS) --dist loadfile -rs $(PYTEST_ARGS)

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

bench: $(WORK_READY) ## measure speed, memory and size: figures beside their goals
	@set -e; for name in $(SPEED); do echo "== $$name"; $(WORK)/python benchmarks/$$name.py; done

acceptance: $(WORK_READY) ## the full counts and figures behind every promise, written to benchmarks/results/
	@mkdir -p $(RESULTS)
	@set -e; for name in $(SPEED); do echo "== $$name"; \
		$(WORK)/python benchmarks/$$name.py --json > $(RESULTS)/$$name.part; mv $(RESULTS)/$$name.part $(RESULTS)/$$name.json; done
ifdef SHARDS
	@echo "== held_out"; $(WORK)/python benchmarks/held_out.py $(SHARDS) $(HELD_OUT_MODEL) --json $(RESULTS)/held_out.json
	@echo "== human_degeneracy"; $(WORK)/python benchmarks/human_degeneracy.py $(SHARDS) --json $(RESULTS)/human_degeneracy.json
else
	@echo "== held_out, human_degeneracy: left out; SHARDS=DIR names the shards that the model was trained from"
endif
	@echo "== acceptance"; $(WORK)/python benchmarks/acceptance.py
	@echo "== training, in full"; KAPELLE_FULL=1 OMP_NUM_THREADS=1 $(WORK)/python -m pytest -n $(JOBS) tests/training
	@$(WORK)/python benchmarks/_page.py

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
	@$(WORK)/python $(PIP_INSTALL) -c constraints.txt -e ".[train,fluidsynth,pdf,data]" --group dev
	@touch $@
