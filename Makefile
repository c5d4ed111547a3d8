# `make help` lists the targets. Written for GNU make 3.81, which macOS has.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
HOST ?= 127.0.0.1
PORT ?= 8000
# Where it is set, as in many containers, every process of ours compiles all modules again: 8 s of each one of pytest.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
PROOFS_VENV := .venv-proofs
CORES := $$(getconf _NPROCESSORS_ONLN)
# One more process than cores: tests wait for locks, processes, streams and browsers.
PYTEST := $(BIN)/python -m pytest --numprocesses $$(($(CORES) + 1)) --maxprocesses 4
# Python compiles what it imports, on all cores; pip would compile everything, on one, which takes 15 s.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile
# Print pip's lines, so that a long install shows its progress, without those about packages that are installed.
NEWS := while read -r line; do case "$$line" in *"already satisfied"*) ;; *) printf '  %s\n' "$$line" ;; esac; done

.PHONY: help run test test-site test-all setup lint format messages seed bench bench-lists bench-live bench-pages bench-peers bench-secrets bench-threads bench-lines bench-events bench-client bench-migrations scale bench-upkeep year measure accessibility screenshots requirements schema examples fuzz faults model proofs nightly clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile

run: $(VENV)/run.stamp ## set up, migrate, serve (HOST=127.0.0.1 PORT=8000)
	@exec $(BIN)/python manage.py serve --host $(HOST) --port $(PORT)

test: setup ## set up and run the suite in process without its slow tests, on all cores (ARGS="-k word" goes on to pytest, "-n 0" is one process)
	@exec $(PYTEST) -m "not site and not slow" $(ARGS)

test-site: setup ## what needs a server, a browser or pip in a process of its own, without its slow tests
	@exec $(PYTEST) -m "site and not slow" browser pastetrader/tests $(ARGS)

test-all: setup ## both, and the slow tests of each
	@exec $(PYTEST) $(ARGS)

setup: $(VENV)/dev.stamp ## make .venv with everything the product and its tests need
	@:

lint: setup ## ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

format: setup ## let ruff tidy the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

messages: setup ## update the Korean catalogues of the apps from the sources, and compile them (needs gettext)
	@$(BIN)/python manage.py messages

seed: setup ## fill an empty ledger with 100,000 generated runs (ARGS="--runs 1000 --reset")
	@$(BIN)/python manage.py seed_ledger $(ARGS)

bench: bench-events bench-client ## what recording costs: facts and lines a second, and a call of the reporter

bench-lists: setup ## time, queries and indexes of every list and filter, over what `make seed` made
	@$(BIN)/python -m benches.lists $(ARGS)

bench-pages: setup ## what the admin's pages cost in Chromium, over a seeded ledger of their own (ARGS="--runs 20000")
	@$(BIN)/python -m benches.pages $(ARGS)

bench-peers: setup ## runs recorded by this ledger, bare views and others, in one harness (HARNESS=its folder PEERS=where it is set up)
	@HARNESS="$(HARNESS)" PEERS="$(PEERS)" $(BIN)/python -m benches.other_ledgers $(ARGS)

bench-secrets: setup ## 10,000 log lines with and without masking, in a database of its own
	@$(BIN)/python -m benches.secrets $(ARGS)

bench-threads: setup ## requests handed over to threads, by ours and by a ThreadPoolExecutor: waits and processor time
	@$(BIN)/python -m benches.request_threads

bench-lines: setup ## the validation of 500 log lines, by one function and by the serializer of each, and their rows
	@$(BIN)/python -m benches.line_validation $(ARGS)

bench-events: setup ## POST events/ against the least SQL that stores as much: runs and log lines a second (ARGS="--profile lines")
	@$(BIN)/python -m benches.events $(ARGS)

bench-client: setup ## microseconds that a call of the reporter costs a thread of the engine (ARGS="--rate 2000")
	@$(BIN)/python -m benches.client $(ARGS)

bench-migrations: setup ## how long each migration blocks clients of a ledger of 1,000,000 runs (ARGS="--runs 20000")
	@$(BIN)/python -m benches.migrations $(ARGS)

scale: setup ## p50 and p95 of lists and pages on 20,000, 1,000,000 and 10,000,000 runs, and their growth (ARGS="--sizes 20000,100000"); takes an hour or two, and 40 GB; ARGS=--seed only seeds
	@$(BIN)/python -m benches.scale $(ARGS)

bench-live: setup ## what 200 open streams of a run cost those who write 1,000 lines/s to it, in a database of its own
	@$(BIN)/python -m benches.live $(ARGS)

bench-upkeep: setup ## what a dropped partition of 10,000,000 lines and 100,000 deleted runs cost eight writers (ARGS="--lines 300000")
	@$(BIN)/python -m benches.upkeep $(ARGS)

year: setup ## a year and more of reports and upkeep with a moved clock: sizes and p50 must stay (ARGS="--runs 100"; needs faketime)
	@$(BIN)/python -m benches.moved_clock benches.year_of_use $(ARGS)

measure: setup ## how the code reads: openings of docstrings, names, comments, sizes, types, private API; functions of a request (ARGS="--list")
	@$(BIN)/python -m benches.measure $(ARGS)
	@$(BIN)/python -m benches.call_counts $(filter --list,$(ARGS))

schema: setup ## write schema.yaml, the API as OpenAPI 3.1
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file schema.yaml

examples: setup ## record the examples of the schema again
	@RECORD_EXAMPLES=1 $(BIN)/python -m pytest -q executions/tests/api/test_schema.py -k examples_are
	@$(MAKE) schema

fuzz: setup ## every check of schemathesis against a live server, 1,000 examples an operation (ARGS="-n 50")
	@$(BIN)/python -m fuzz --max-examples 1000 $(ARGS)

faults: setup ## break a real server, its database and its clients, with three seeds, and compare what is stored (ARGS="--seed 1")
	@$(BIN)/python -m faults $(ARGS)

model: setup ## sequences of verbs against a model of the ledger, 200 of them; for a scheduler, every night
	@PROOFS=1 $(BIN)/python -m pytest -q -n 0 executions/tests/states/test_model_based.py $(ARGS)

proofs: setup $(PROOFS_VENV)/stamp ## the whole suite with its long forms, and a real dbt; for a scheduler, every night
	@PROOFS=1 DBT_OL="$(CURDIR)/$(PROOFS_VENV)/bin/dbt-ol" $(PYTEST) $(ARGS)

nightly: ## .ci/run, with all tests in process on a stock PostgreSQL too, and ten times as many requests of the fuzzer; for a scheduler, every night
	@NIGHTLY=1 .ci/run

screenshots: setup ## take the screenshots in docs/screenshots again (ARGS="monitor run"); ARGS="--all /tmp/pages" every page, to look at
	@$(BIN)/python -m browser.screenshots $(ARGS)

accessibility: setup ## every page by axe-core, light and dark, wide and on a phone, in English and Korean (ARGS="monitor run")
	@$(BIN)/python -m browser.a11y_report $(ARGS)

# Hashes make pip refuse files that were published later. A constraints file must not name extras; the other files
# keep them, because pip looks for the hashes of requirements with their extras.
requirements: setup ## compile the .in files again, with the newest releases and their hashes
	@CUSTOM_COMPILE_COMMAND="make requirements" sh -ec 'extras=--strip-extras; \
	  for name in requirements requirements-otel requirements-dev requirements-proofs; do \
	  $(BIN)/pip-compile --quiet --upgrade $$extras --generate-hashes --allow-unsafe --no-emit-options --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --output-file $$name.txt $$name.in; extras=--no-strip-extras; done'

clean: ## remove .venv and caches; the data in .local stays
	@rm -rf $(VENV) $(PROOFS_VENV) .coverage .hypothesis .schemathesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/run.stamp: requirements.txt $(VENV)/venv.stamp
	@echo "Installing what the product runs on ..."
	@rm -f $@; { $(PIP) -r requirements.txt && touch $@; } | $(NEWS); test -e $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	@echo "Installing what the tests and tools need ..."
	@rm -f $@; { $(PIP) -r requirements.txt -r requirements-dev.txt && touch $@; } | $(NEWS); test -e $@

# dbt needs other versions than the product of some packages that both use.
$(PROOFS_VENV)/stamp: requirements-proofs.txt $(VENV)/venv.stamp
	@echo "Installing dbt, which a proof runs, into $(PROOFS_VENV) ..."
	@rm -rf $(PROOFS_VENV) && $(BIN)/python -m venv $(PROOFS_VENV)
	@{ $(PROOFS_VENV)/bin/python -m pip install --disable-pip-version-check --progress-bar off -r requirements-proofs.txt \
	  && touch $@; } | $(NEWS); test -e $@

# A candidate is tried by running it: pyenv leaves names that exist and refuse to run.
$(VENV)/venv.stamp:
	@set -f; candidates="$$PYTHON python3.14 python3.13 python3.12 python3"; set +f; \
	for python in $$candidates $$HOME/.pyenv/versions/*/bin/python3 /usr/local/bin/python3* /opt/homebrew/bin/python3*; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$python ..."; \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $@ && exit 0; \
	  fi; \
	done; \
	echo "Python 3.12 or newer with its venv module is missing: install it, or name one with PYTHON=/path/to/python3 make ..." >&2; \
	exit 1
