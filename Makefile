# Every target sets up what it needs: a virtual environment in .venv of this checkout.
PYTHON ?= python3
TIMES ?= 20
BIN := .venv/bin
STUBS := proto/lagkeeper/v1

.PHONY: setup demo docs check-links diagrams bench test test-scenarios test-differential test-clients test-checker fidelity style types stubs check-stubs lint-proto clean help

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

setup: .venv/.installed  ## the virtual environment with everything in it, and bytecode
	@$(BIN)/python -m compileall -q nodes client orchestrator loadtests proto

demo: setup  ## the main job: an ensemble with a slow link, clients that expire, the stale reads
	$(BIN)/python -m loadtests.demo

test: setup  ## every test; a file's tests share an ensemble, so they stay together
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-scenarios: setup  ## the catalogue of scenarios, each TIMES times on processes and in virtual time
	$(BIN)/python -m orchestrator scenario run --all --on both --times $(TIMES)

test-differential: setup  ## the same scripts on a real Apache ZooKeeper (java and its package needed)
	$(BIN)/python -m pytest tests/differential

test-clients: setup  ## clients of other makers (java, npm and zookeeper-bin, as far as here), hostile bytes
	HOSTILE_FRAMES=10000 $(BIN)/python -m pytest tests/foreign_clients tests/wire/test_hostile.py

test-checker: setup  ## the checker: 1,000 sound histories of chaos, 1,000 with an anomaly planted
	$(BIN)/python -m tests.checker.campaign 1000 --chaos 3

fidelity: setup  ## write docs/fidelity.md's table of meant differences
	$(BIN)/python -m tests.differential.meant

bench: setup  ## the same work on Apache ZooKeeper (java and its package needed) and here, as ratios
	$(BIN)/python -m loadtests.bench --rounds 5 --out bench.json

docs: setup  ## the documentation, to docs/_build/html; fails on a broken link
	$(BIN)/python docs/_ext/check_links.py
	$(BIN)/python docs/_ext/concept_pictures.py --check
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

check-links: setup  ## links that lead out into the world (needs a way there)
	$(BIN)/python -m sphinx -q -E -b linkcheck docs docs/_build/links

diagrams: setup  ## draw docs/images/concepts
	$(BIN)/python docs/_ext/concept_pictures.py

style: setup  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy --strict
	$(BIN)/mypy

stubs: setup  ## generate the gRPC stubs from proto/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
	  --python_out=proto --grpc_python_out=proto \
	  --mypy_out=quiet:proto --mypy_grpc_out=quiet:proto \
	  $(STUBS)/client.proto $(STUBS)/peer.proto $(STUBS)/admin.proto $(STUBS)/orchestrator.proto

check-stubs: stubs  ## fail unless the committed stubs are what proto/ generates
	git diff --exit-code -- proto
	@test -z "$$(git ls-files --others --exclude-standard proto)" || { echo "stubs not committed"; exit 1; }

lint-proto:  ## buf lint
	cd proto && npx --yes @bufbuild/buf lint

clean:  ## remove what the targets above made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
