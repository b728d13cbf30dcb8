# The commands of the project. They only need python3 with venv: each installs the
# packages it uses into .venv when it first needs them.

PYTHON ?= python3
PORT ?= 8080
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

bin = .venv/bin

help:
	@echo 'make serve   serve events on port $(PORT) (PORT=8081 ARGS="--data hi")'
	@echo 'make quick   the tests that run in memory, for between (ARGS="-k channel -x")'
	@echo 'make lint    style and types'
	@echo 'make test    all tests, with pytest and with trial (ARGS="-k channel" for pytest)'
	@echo 'make check   lint, types, docs, installs, the other Pythons, the oldest Twisted'
	@echo 'make docs    the documentation, in docs/_build/html'
	@echo 'make bench   the figures, in an hour (ARGS="--quick", ARGS="fanout storm")'
	@echo 'make news    CHANGELOG.md out of newsfragments/'
	@echo 'make dist    the files of a release, in dist/'
	@echo 'make clean   remove all that these commands made'

# No shell around the daemon: make passes signals only to its own child.
serve: .venv/.serve
	@echo 'For another port: make serve PORT=8081'
	$(bin)/twistd -n --pidfile= sse --port $(PORT) $(ARGS)

test: .venv/.test
	.ci/provide
	$(bin)/python .ci/test.py $(ARGS)

quick: .venv/.test
	$(bin)/python -m pytest -q --in-memory $(ARGS)

lint: .venv/.check
	$(bin)/python .ci/check.py ruff mypy

check: .venv/.check
	$(bin)/python .ci/check.py $(ARGS)

docs: .venv/.docs
	$(bin)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: .venv/.bench
	$(bin)/python benchmarks/run.py $(ARGS)

news: .venv/.check
	$(bin)/towncrier build --yes

dist: .venv/.check
	$(bin)/python -m build --outdir dist
	$(bin)/twine check --strict dist/*

clean:
	rm -rf .venv .bench .datastar .go node_modules build dist docs/_build htmlcov *.egg-info .coverage .coverage.* \
	    _trial_temp* .hypothesis .mypy_cache .pytest_cache .ruff_cache twistd.pid twistd.log* \
	    twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is one set of extras, installed editable.
.venv/.serve: extras =
.venv/.test: extras = [test,docs]
.venv/.docs: extras = [test,docs]
.venv/.check: extras = [test,docs,dev]
.venv/.bench: extras = [test,bench]

.venv/.%: setup.py pyproject.toml | $(bin)/pip
	$(bin)/pip install --quiet --editable '.$(extras)'
	@touch $@

$(bin)/pip:
	$(PYTHON) -m venv .venv

.PHONY: help serve test quick lint check docs bench news dist clean
.DELETE_ON_ERROR:
