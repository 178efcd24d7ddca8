# One word per task; `make help` lists them. Needs CPython >= 3.11 and the package registries, nothing else
# (the Node.js of `make interop` comes with the development lock).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 3

.PHONY: help run test check fix interop bench bench-store matrix laws-deep availability bench-reliability faults-deep chaos nodes-deep refresh-deep soak lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: $(VENV)/.runtime ## install what is needed and start the gateway on 127.0.0.1:3000
	$(BIN)/aiclient2api serve $(ARGS)

test: $(VENV)/.dev ## the whole test suite, or what ARGS names; laws and faults run without the coverage that would slow them down
ifeq ($(ARGS),)
	$(BIN)/python -m tests.again -n $(JOBS) -m "not interop" --ignore=tests/laws --ignore=tests/faults --cov --cov-report=
	$(BIN)/python -m coverage report --skip-covered --fail-under=90 --include='src/aiclient2api/protocols/*,src/aiclient2api/ir/*,src/aiclient2api/wire/*,src/aiclient2api/accounts/*,src/aiclient2api/gateway/*,src/aiclient2api/routing/*,src/aiclient2api/providers/*,src/aiclient2api/server/*,src/aiclient2api/net/*,src/aiclient2api/store/*'
	$(BIN)/python -m tests.again -n $(JOBS) -m "not interop" tests/laws tests/faults
else
	$(BIN)/python -m pytest -n $(JOBS) -m "not interop" $(ARGS)
endif

check: $(VENV)/.dev ## style, types, layers, dependencies, layout, documentation
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python tools/check_layout.py
	$(BIN)/python tools/check_denied.py

fix: $(VENV)/.dev ## format and repair what can be repaired
	$(BIN)/ruff format src tests tools
	$(BIN)/ruff check --fix src tests tools

interop: $(VENV)/.dev ## clients and upstreams that were not written here (Node.js, third-party mocks)
	@for name in nginx haproxy redis-server; do command -v $$name >/dev/null || test -x /usr/sbin/$$name || apt-get install -y --no-install-recommends $$name >/dev/null 2>&1 || echo "$$name cannot be installed here: its comparison is skipped"; done
	$(BIN)/python -m tests.interop.nodejs
	$(BIN)/python -m tests.again -n $(JOBS) -m interop tests/interop tests/store $(ARGS)

bench: $(VENV)/.dev ## timings; ARGS="unary --of direct,ours,nginx,ferrogw,vllm-router --rounds 5" compares
	$(BIN)/python -m bench $(ARGS)

matrix: $(VENV)/.dev ## observe again what survives between the protocols: docs/conversion-matrix.*
	$(BIN)/python -m tests.laws.matrix

laws-deep: $(VENV)/.dev ## 100,000 examples of every law, resumable; ARGS=--estimate tells how long it takes, ARGS='--minutes 40' stops then
	$(BIN)/python -m tests.laws.deep $(ARGS)

availability: $(VENV)/.dev ## simulate months of outages, write docs/reports/availability.md
	$(BIN)/python -m bench.availability $(ARGS)

bench-reliability: $(VENV)/.dev ## what failover, cancels, overload and stopping cost → docs/reports/reliability.md
	$(BIN)/python -m bench.reliability $(ARGS)

bench-store: $(VENV)/.dev ## the store paused, killed, failed over, read-only, full, under 200 streams → docs/reports/store.md
	$(BIN)/python -m bench.store $(ARGS)

faults-deep: $(VENV)/.dev ## a million faulted streams, in shards that can be resumed → docs/reports/faults.md
	$(BIN)/python -m tests.faults.deep $(ARGS)

chaos: $(VENV)/.dev ## accounts that die, an outage, a rolling restart: 20 minutes → docs/reports/chaos.md
	$(BIN)/python -m tests.chaos.run $(ARGS)

nodes-deep: $(VENV)/.dev ## two nodes with two workers each, a hundred kills, rolling restarts → docs/reports/nodes.md
	$(BIN)/python -m tests.workers.deep $(ARGS)

refresh-deep: $(VENV)/.dev ## 100,000 schedules of token refresh on three nodes, resumable → docs/reports/refresh.md
	$(BIN)/python -m tests.credentials.deep $(ARGS)

soak: $(VENV)/.dev ## 500 streams for half an hour; what grows? → docs/reports/soak.md
	$(BIN)/python -m tests.chaos.soak $(ARGS)

lock: ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements/runtime.in -o requirements/runtime.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links -c requirements/runtime.lock requirements/dev.in -o requirements/dev.lock

clean: ## forget the environment and every build product
	rm -rf $(VENV) dist build .coverage* tests/interop/node_modules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime
