# Kapelle's commands. Each does its own set-up; nothing but Python 3.11 to 3.13 (with venv) and make has to be there.
#
# Those that begin with docker- do the same in a container, for which Docker alone is needed.
#
#   PYTHON=python3.12 make demo      another interpreter
#   PIP_ARGS="..." make test         options for pip, such as the index that has the CPU build of torch
#   PYTEST_ARGS="-k score" make test options for pytest
#   KAPELLE_DATA=DIR make test       also the tests that need data packs
#   SHARDS=DIR make acceptance       also the figures on held-out music, from shards of `kapelle data prepare`
#   make download-data DATASETS="groove maestro"   others than the default; `kapelle data list` names them
#   make train RECIPE=genre-small DATA=midi SET="training.steps=2000"
#   make generate MODEL=runs/genre-small/bundle COUNT=8 OPTIONS="--bars 32"
#   make serve PORT=8080             another port; BIND=0.0.0.0 lets other machines in, SERVE="--processes 2" says more
#   make docker-train GPU=1          on the first GPU

PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=
JOBS ?= 2

# What is trained from what, and what composes. The folder RUN holds the shards, the run and the bundle.
RECIPE ?= remi-lstm
DATA ?= data
DATASETS ?= classical-music-midi
RUN ?= runs/$(RECIPE)
SET ?=
MODEL ?=
COUNT ?= 4
OPTIONS ?=
BIND ?= 127.0.0.1
PORT ?=
SERVE ?=

# A set of tools, and the stamp that says it is installed for the present pyproject.toml and constraints.txt. Training adds to the
# first set. In a container all is there from the beginning: KAPELLE_BIN says where, and nothing has to be made ready.
PLAY := $(or $(KAPELLE_BIN),.venv/bin)
PLAY_READY := $(if $(KAPELLE_BIN),,.venv/.installed)
DATA_READY := $(if $(KAPELLE_BIN),,.venv/.installed-data)
TRAIN_READY := $(if $(KAPELLE_BIN),,.venv/.installed-train)
WORK := .venv-test/bin
WORK_READY := .venv-test/.installed

PIP_INSTALL = -m pip --disable-pip-version-check install --quiet $(PIP_ARGS)

# Scripts of benchmarks/ that need nothing, and those that read held-out music.
SPEED := decoding lstm_decoding sine_render engraving startup
HELD_OUT_MODEL ?= $(firstword $(wildcard src/kapelle/weights/genre src/kapelle/weights/genre-small))
RESULTS := benchmarks/results

RIGHT_PYTHON = import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	"Kapelle needs Python 3.11, 3.12 or 3.13, and %s is %d.%d; name another: PYTHON=python3.12 make ..." % (sys.executable, *sys.version_info[:2]))

.DEFAULT_GOAL := help
.PHONY: help demo download-data train generate serve tensorboard test lint format bench acceptance docs clean
.DELETE_ON_ERROR:

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 27

demo: $(PLAY_READY) ## compose 16 bars of jazz: a MIDI file, its sound and its picture
	@mkdir -p demo
	@$(PLAY)/kapelle compose --genre jazz --bars 16 --seed 7 -o demo/jazz-7.mid --wav --plot --force

download-data: $(DATA_READY) ## fetch DATASETS into DATA; what is there already is left as it is
	@set -e; for name in $(DATASETS); do $(PLAY)/kapelle data fetch $$name -o $(DATA) --yes; done

train: $(TRAIN_READY) ## train RECIPE on the MIDI files in DATA, or go on training: shards, run and bundle in RUN
	@$(PLAY)/kapelle fit $(RECIPE) $(DATA) $(SET) -o $(RUN)/bundle --work $(RUN) --force

generate: $(PLAY_READY) ## compose COUNT pieces with MODEL into out/, with their sounds and pictures
	@mkdir -p out
	@$(PLAY)/kapelle compose $(if $(MODEL),--model $(MODEL)) --count $(COUNT) -o out --wav --plot $(OPTIONS)
	@$(PLAY)/python examples/listening_page.py out

serve: $(PLAY_READY) ## open the studio: a page to compose, hear, keep and take away, at PORT or the next free one from 8000 on
	@$(PLAY)/kapelle serve --host $(BIND) $(if $(PORT),--port $(PORT)) $(SERVE)

tensorboard: $(TRAIN_READY) ## serve the curves of all that is in runs/, at port 6006
	@$(PLAY)/tensorboard --logdir runs --host $(BIND) --port 6006

test: $(WORK_READY) ## run all tests
	@OMP_NUM_THREADS=1 $(WORK)/python -m pytest -n $(JOBS) --dist loadfile --max-worker-restart 0 -rs $(PYTEST_ARGS)

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
	@set -e; for name in remi-lstm chopin band-hybrid band-composer band-jamming; do echo "== acceptance, $$name"; $(WORK)/python benchmarks/acceptance.py --model $$name; done
	@echo "== acceptance, ensemble"; $(WORK)/python benchmarks/acceptance.py --model ensemble --share 0.25
	@echo "== training, in full"; KAPELLE_FULL=1 OMP_NUM_THREADS=1 $(WORK)/python -m pytest -n $(JOBS) tests/training
	@$(WORK)/python benchmarks/_page.py

clean: ## remove what these commands made: environments, the demo, caches
	rm -rf .venv .venv-test demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- in containers ------------------------------------------------------------------------------------------------------------
# What is written belongs to you: the program runs as you, in a container that sees data/, runs/ and out/ alone.

MY_USER = $(or $(SUDO_UID),$(shell id -u))
MY_GROUP = $(or $(SUDO_GID),$(shell id -g))
COMPOSE ?= KAPELLE_UID=$(patsubst 0,1000,$(MY_USER)) KAPELLE_GID=$(patsubst 0,1000,$(MY_GROUP)) docker compose
TRAINER = $(if $(GPU),training-gpu,training)
GIVEN = $(foreach name,DATASETS RECIPE DATA RUN SET MODEL COUNT OPTIONS SERVE,$(if $(filter command environment,$(origin $(name))),$(name)='$($(name))'))

.PHONY: build folders docker-download-data docker-train docker-generate docker-serve docker-tensorboard docker-shell

build: ## make the images: kapelle:app composes, kapelle:train trains
	@$(COMPOSE) build app
	@$(COMPOSE) --profile training --profile gpu build $(TRAINER)

folders:
	@mkdir -p data runs out $(HOME)/.kaggle

docker-download-data: folders ## download-data in a container
	@$(COMPOSE) run --rm app make download-data $(GIVEN)

docker-train: folders ## train in a container; GPU=1: on the first GPU
	@$(COMPOSE) run --rm $(TRAINER) make train $(GIVEN)

docker-generate: folders ## generate in a container
	@$(COMPOSE) run --rm app make generate $(GIVEN)

docker-serve: folders ## open the studio in a container
	@$(COMPOSE) run --rm --service-ports app make serve $(GIVEN)

docker-tensorboard: folders ## tensorboard from a container
	@$(COMPOSE) run --rm --service-ports tensorboard make tensorboard

docker-shell: folders ## a shell in a container, where `kapelle` is
	@$(COMPOSE) run --rm app bash

$(PLAY_READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing Kapelle into .venv, about a minute ..."
	@$(PYTHON) -m venv .venv
	@$(PLAY)/python $(PIP_INSTALL) -c constraints.txt -e .
	@touch $@

$(DATA_READY): $(PLAY_READY)
	@$(PLAY)/python $(PIP_INSTALL) -c constraints.txt -e ".[data]"
	@touch $@

$(TRAIN_READY): $(PLAY_READY)
	@echo "Adding what training needs to .venv, some minutes ..."
	@$(PLAY)/python $(PIP_INSTALL) -c constraints.txt -e ".[train,data]"
	@touch $@

$(WORK_READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(RIGHT_PYTHON)'
	@echo "Installing Kapelle with what its tests need into .venv-test, some minutes ..."
	@$(PYTHON) -m venv .venv-test
	@$(WORK)/python $(PIP_INSTALL) "pip>=25.1"
	@$(WORK)/python $(PIP_INSTALL) -c constraints.txt -e ".[train,fluidsynth,data,audio]" --group dev
	@touch $@
