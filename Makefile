# Every command a developer or CI needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := identity PKaKey/engine PKaKey/signers PKaKey/events PKaKey/server PeSequel KoolFlows ddt
LOCK := PKaKey/requirements.txt PeSequel/requirements.txt KoolFlows/requirements.txt ddt/requirements.txt requirements-build.txt
SOURCES := $(PACKAGES) QueWall deploy e2e bench tests conftest.py

.DEFAULT_GOAL := help
.PHONY: help setup up down test stack-test swarm-test check workflows format bench lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# The stamp is newer than what it was made from, or the environment is set up again.
$(VENV)/.installed: $(LOCK) $(addsuffix /pyproject.toml,$(PACKAGES)) bin/set-up
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh bin/set-up $(PACKAGES)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing what the checks and tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.installed ## Set up the environment and start nothing

up: $(VENV)/.installed ## Set up the environment when needed, then start the platform
	@$(BIN)/ddt up

down: ## Stop the platform; no process is left
	@test ! -x $(BIN)/ddt || $(BIN)/ddt down

test: $(VENV)/.installed-dev ## Run the tests (a real PostgreSQL, Valkey, Traefik and Chromium)
	@sh bin/test-programs
	@# As many at once as there are cores; each worker has a database of its own.
	@$(BIN)/python -m pytest identity PKaKey PeSequel ddt QueWall tests -n auto $(PYTEST_ARGS)
	@$(BIN)/python -m pytest KoolFlows --ds=koolflows.config.settings_test -n auto $(PYTEST_ARGS)
	@# The platform's own tests break its parts in turn, so a file keeps its order: two platforms, a file at a time.
	@$(BIN)/python -m pytest e2e --ignore=e2e/stack --ignore=e2e/swarm -p no:randomly -n 2 --dist loadfile $(PYTEST_ARGS)

stack-test: $(VENV)/.installed-dev ## Run docker-compose.yml on a real Docker engine, with local images, and test it
	@sh bin/test-programs
	@bin/stack-test $(PYTEST_ARGS)

swarm-test: $(VENV)/.installed-dev ## Deploy deploy/swarm's stack on a real Docker engine, with local images, and test it
	@sh bin/test-programs
	@bin/swarm-test $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## Lint, format, types, import contracts, migrations
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy $(addsuffix /src,$(filter-out KoolFlows,$(PACKAGES))) deploy e2e bench tests conftest.py
	@$(BIN)/mypy --config-file KoolFlows/pyproject.toml KoolFlows/src
	@$(BIN)/lint-imports --no-cache
	@DJANGO_SETTINGS_MODULE=pkakey.config.settings_test $(BIN)/python -m django makemigrations --check --dry-run
	@DJANGO_SETTINGS_MODULE=koolflows.config.settings_test $(BIN)/python -m django makemigrations --check --dry-run

workflows: $(VENV)/.installed-dev ## Lint the forge's workflows with zizmor and actionlint
	@$(BIN)/zizmor --quiet --offline --no-progress --persona pedantic .github
	@sh bin/actionlint

format: $(VENV)/.installed-dev ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.installed-dev ## Measure a running platform through its gateway
	@$(BIN)/python -m bench

lock: $(VENV)/.installed-dev ## Lock the requirement files again, with hashes and without addresses
	@sh bin/lock

clean: ## Remove the environment and the caches, not the platform's state
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache artifacts
