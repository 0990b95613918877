# Thin on purpose: each line runs something a person could type. `make help` lists the targets.
# Nothing here needs root, a system package or a compiler; everything lands in .venv/ and .raftkv/.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
JOBS   ?= 2
# Six of workload:faults. Where there are no network namespaces each says so (status 4) and counts as skipped.
NAMESPACE_RUNS = register:pause,partition txn:kill,power-cut append:snapshot-install,leader-moves \
	lease:clock-jump,clock-skew watch:disk-full,disk-slow kubernetes:compaction,kill

FULL := .raftkv/jepsen/full
# After a part of the full set: what it found is on the page, and decides at the end. Only a part that could not be run ends it here.
JUDGED = || case $$? in 1|3|4) ;; *) exit 1 ;; esac

.DEFAULT_GOAL := help
.PHONY: help up install dev test check fmt proto golden bench bench-api sim jepsen clean distclean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  ARGS=...  is handed on: make test ARGS='tests/raft -x', make up ARGS='--members 1'"
	@echo "  PYTHON=.. chooses the interpreter for $(VENV) (3.11 or later)"

up: install ## start a local three-member cluster under ./.raftkv, stop it with Ctrl-C
	@exec $(BIN)/python -m raftkv up $(ARGS)

test: dev check ## everything needed to run the tests, then the tests
	$(BIN)/python -m pytest --ignore=tests/tidy $(ARGS)

check: dev ## format, lint, types, layering and sizes; under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/tidy

fmt: dev ## rewrite the sources in the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

proto: dev ## rebuild the embedded descriptors and stubs from proto/
	$(BIN)/python tools/build_pb.py

golden: dev ## rewrite golden files; commit only the differences you can explain
	RAFTKV_GOLDEN=rewrite $(BIN)/python -m pytest tests/raft tests/tidy

bench: dev ## measure beside etcd where it is installed, print one table
	$(BIN)/python -m tests.bench $(ARGS)

bench-api: dev ## measure the API server beside a bare aiohttp echo, print one table
	$(BIN)/python -m tests.bench.api $(ARGS)

sim: dev ## simulated clusters under faults: make sim SEED=7, or COUNT=100
	$(BIN)/python -m jepsen_like.sim $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(ARGS)

jepsen: dev ## the full set: 2000 core and 200 server seeds, every mutant, every workload on real processes; an hour or two
	@mkdir -p $(FULL)
	$(BIN)/jepsen-like sim --core --seeds 1-$(or $(CORE),2000) --virtual 60 --jobs $(JOBS) --json > $(FULL)/core.jsonl $(JUDGED)
	$(BIN)/jepsen-like sim --seeds 1-$(or $(SERVER),200) --virtual 60 --jobs $(JOBS) --json > $(FULL)/server.jsonl $(JUDGED)
	$(BIN)/python -m tests.mutants
	$(BIN)/jepsen-like run --workload all --nemesis kill,pause,partition --time $(or $(TIME),40) --json > $(FULL)/proxies.jsonl $(JUDGED)
	@: > $(FULL)/namespaces.jsonl
	@for pair in $(NAMESPACE_RUNS); do \
		$(BIN)/jepsen-like run --backend NS --workload $${pair%%:*} --nemesis $${pair#*:} --time $(or $(TIME),40) --json >> $(FULL)/namespaces.jsonl $(JUDGED); \
	done
	$(BIN)/jepsen-like summary $(FULL)/*.jsonl --about "$$(date -u +%Y-%m-%d), $$(git describe --always --dirty), $$(nproc) cores, $$($(BIN)/python --version)." --out docs/FULL_RUN.md

clean: ## remove caches and build products; keeps .venv and data
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv and the local cluster's data under .raftkv
	rm -rf $(VENV) .raftkv

# The stamps make a second run cost nothing. A half-made environment has no stamp and is made again.

install: $(VENV)/.installed

dev: $(VENV)/.dev

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("raftkv needs Python 3.11 or later; this is %d.%d. Say: make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments (no ensurepip). Say: make PYTHON=... with one that can, or unpack one with 'uv venv --seed $(VENV) && touch $@'." >&2; exit 1; }
	@echo "making $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	@echo "installing raftkv into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

# `--group` came with pip 25.1; the second protobuf stands in a folder of its own, for tests/tidy/test_pb.py, and may be absent.
$(VENV)/.dev: $(VENV)/.installed
	@echo "installing the development tools into $(VENV)"
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --group dev
	@$(PIP) install --no-deps --upgrade --target $(VENV)/protobuf-3.20.3 protobuf==3.20.3 || echo "protobuf 3.20.3 could not be installed; its test will say so"
	@touch $@
