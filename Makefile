# Two commands matter: `make serve` runs the product from a fresh clone, `make test` tests it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Without its bytecode a server compiles itself at every start, which takes as long as the rest of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test check format soak bench clean

help: ## what can be done here
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml sdk/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mbaas needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable sdk
	@touch $@

serve: $(STAMP) ## run the demo app of mbaas.toml: PostgreSQL, schema, server
	@$(BIN)/mbaas serve

test: check ## lint, types, layers and every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## format, lint, types, imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(STAMP) ## let ruff write the format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: $(STAMP) ## the same tests with more seeds and rounds, then what clients rely on without coalescing
	@MBAAS_SOAK=1 $(BIN)/python -m pytest -n 2 --dist loadfile
	@MBAAS_DATABASE__COALESCE=false $(BIN)/python -m pytest -n 2 --dist loadfile tests/contract tests/integration/records

# ROUNDS=1 SECONDS=3 ONLY=get,list: a look; GROWTH=5000000: ours with so many rows beside ours with ROWS
bench: $(VENV)/.bench ## ours beside PocketBase and the raw limits, kept in benchmarks/results
	@$(BIN)/python -m benchmarks $(foreach name,ROWS ROUNDS SECONDS ONLY GROWTH,$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

$(VENV)/.bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@command -v wrk >/dev/null || { test "$$(id -u)" = 0 && apt-get install --quiet --yes wrk; } || { echo "the load generator is missing: apt install wrk"; exit 1; }
	@touch $@

clean: ## remove what was made here, data included
	rm -rf $(VENV) .mbaas .mypy_cache .ruff_cache build dist
