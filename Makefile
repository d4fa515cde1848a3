# Two commands are all a newcomer needs: `make serve` and `make test`.

PYTHON  ?= python3
VENV    ?= .venv
ADDRESS ?= localhost
PORT    ?=
# Host name under which others reach the server (ORIGIN=ice.example.org:5006), where that is not localhost.
ORIGIN  ?=
PYTEST_ARGS ?=
VALIDATE_ARGS ?=
# More options for pip, for instance an index that offers torch's CPU build where the usual one has CUDA only.
PIP_ARGS ?=

BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt $(PIP_ARGS)
SERVE_STAMP := $(VENV)/.installed-serve
TEST_STAMP  := $(VENV)/.installed-test
DOCS_STAMP  := $(VENV)/.installed-docs

.DEFAULT_GOAL := help
.PHONY: help serve test test-oldest test-python docs wheel repo-review lint format bench validate clean

help: ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/:/' | awk -F: '{printf "make %-13s%s\n", $$1, $$2}'

$(BIN)/python:
	@echo "Creating the virtual environment $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(SERVE_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing (a few minutes the first time) ..."
	@$(PIP) -e .
	@touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing with the extras docs, gpu and test (a few minutes the first time) ..."
	@$(PIP) -e '.[docs,gpu,test]'
	@touch $@ $(SERVE_STAMP) $(DOCS_STAMP)

$(DOCS_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing with the extra docs ..."
	@$(PIP) -e '.[docs]'
	@touch $@

serve: $(SERVE_STAMP) ## the dashboard on the embedded demo (PORT=5006 ADDRESS=localhost)
	@port="$(PORT)"; \
	if [ -z "$$port" ]; then port=$$($(BIN)/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0 if socket.socket().connect_ex(("127.0.0.1", 5006)) == 0 else 5006)); print(s.getsockname()[1])'); fi; \
	echo "The dashboard will be at http://$(ADDRESS):$$port/app (stop it with Ctrl-C)"; \
	exec $(BIN)/panel serve dashboard/app.py --address $(ADDRESS) --port "$$port" \
		--static-dirs assets=assets --warm $(if $(ORIGIN),--allow-websocket-origin $(ORIGIN))

test: $(TEST_STAMP) ## linter, type checker and all tests (PYTEST_ARGS='-k catalog')
	@status=0; \
	$(BIN)/python -c 'from itslive_core import warm_up; warm_up()' & \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/mypy || status=1; \
	wait $$! || status=1; \
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS) || status=$$?; \
	exit $$status

# What protects a server, and the core. Old versions warn of other things than those that all tests are run with.
OLDEST ?= .venv-oldest
OLDEST_TESTS ?= tests/dashboard/hosting tests/dashboard/control/test_public_places.py tests/support tests/cubes \
	tests/places tests/observations tests/series tests/export tests/inversion/test_inversion.py \
	tests/season/test_season.py tests/jobs/test_jobs.py tests/cli/test_cli.py tests/moving_median

test-oldest: ## security and core on the oldest versions allowed, in an environment of their own
	@test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints-oldest.txt $(PIP_ARGS) \
		-e . 'boto3' 'hypothesis' 'moto[server]' 'psutil' 'pytest' 'pytest-xdist'
	@$(OLDEST)/bin/python -m pytest -n auto --dist loadfile -o filterwarnings=default $(OLDEST_TESTS) $(PYTEST_ARGS)

# Constraints are of Python 3.11; another one takes what of them it can, and the newest of the rest.
PYTHON_TESTS ?= tests
test-python: ## all tests on another Python, in an environment of its own (PYTHON=python3.13 PYTHON_TESTS=tests/inversion)
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \
	home=.venv-$$version && \
	{ test -x $$home/bin/python || $(PYTHON) -m venv $$home; } && \
	$$home/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt $(PIP_ARGS) -e '.[gpu,test]' && \
	$$home/bin/python -m pytest -n auto --dist loadfile $(PYTHON_TESTS) $(PYTEST_ARGS)

docs: $(DOCS_STAMP) ## the pages, into build/docs/html; warnings are errors, nothing is fetched
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs build/docs/html
	@echo "The pages are in build/docs/html/index.html"

wheel: $(DOCS_STAMP) ## sdist and wheel into dist/, the wheel made from the sdist, both checked
	@rm -rf dist
	@$(PIP) build twine check-wheel-contents
	@$(BIN)/python -m build
	@$(BIN)/python -m twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist/*.whl

repo-review: $(DOCS_STAMP) ## what Scientific Python asks of a repository; reasons of what is left out are in pyproject.toml
	@$(PIP) 'sp-repo-review[cli]'
	@$(BIN)/repo-review .

lint: $(TEST_STAMP) ## linter and type checker only
	@$(BIN)/ruff check . && $(BIN)/mypy

format: $(TEST_STAMP) ## mend what the linter can mend
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(TEST_STAMP) ## the benchmarks on a cube and its outline (CUBE=cube.zarr OUTLINE=outline.geojson)
	@[ -n "$(CUBE)" ] && [ -n "$(OUTLINE)" ] || { echo 'name a cube and an outline: make bench CUBE=cube.zarr OUTLINE=outline.geojson'; exit 2; }
	$(BIN)/python benchmarks/glacier.py "$(CUBE)" "$(OUTLINE)"
	$(BIN)/python benchmarks/exactness.py "$(CUBE)"
	$(BIN)/python benchmarks/remote_requests.py
	$(BIN)/python benchmarks/app_latency.py --cube "$(CUBE)" --outlines "$(OUTLINE)"

validate: $(TEST_STAMP) ## write docs/how-we-know-it-is-right.md anew (CUBE=cube.zarr VALIDATE_ARGS='--truths 2'; TICOI_PYTHON=... for TICOI)
	@[ -n "$(CUBE)" ] || { echo 'name a cube: make validate CUBE=cube.zarr'; exit 2; }
	$(BIN)/python -m benchmarks.validation "$(CUBE)" $(VALIDATE_ARGS)

clean: ## remove the environment and every cache in the clone
	rm -rf $(VENV) $(OLDEST) .venv-3.* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
