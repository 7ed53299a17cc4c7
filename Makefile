# `make` lists what there is to do. Every target that needs .venv makes or refreshes it first.

VENV   := .venv/bin
PYTEST := $(VENV)/python -m pytest
SHELL  := /bin/sh
# How many functional tests run at a time: most of them wait most of the time.
WORKERS := 6
# Tests start thousands of Python programs, which are to be compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# And none is to look among all that is installed for development whether it extends pydantic.
export PYDANTIC_DISABLE_PLUGINS := __all__

.DEFAULT_GOAL := help
.PHONY: help demo bench test functional timed check lint types fast kernel lab containers drills golden simulate soak release lock clean setup-demo setup-bench setup-test setup-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup-demo ## the whole gateway pair on this machine, with a takeover, in one go (needs root or user namespaces)
	@$(VENV)/vgw demo

bench: setup-bench ## the pair beside other people's recipes, measured and drawn (an hour; BENCH='--quick' for two minutes)
	@$(VENV)/vgw bench $(BENCH)

test: setup-test ## lint, types and all tests but the drills, in two lanes; says why a tier could not run
	@failed=; \
	for step in lint types functional timed; do \
		$(MAKE) --no-print-directory $$step || failed="$$failed $$step"; \
	done; \
	[ -z "$$failed" ] || { echo "make test: failed, the messages are above:$$failed"; false; }

functional: setup-test ## the first lane: all tests but the drills, side by side (WORKERS=6)
	@$(PYTEST) --lane functional --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder -m 'not drills' tests

timed: setup-test ## the second lane: what did not hold its times beside the others, alone
	@$(PYTEST) --lane timed -m 'not drills' tests

check: lint types fast ## the inner loop: lint, types, unit, golden, architecture (no root, seconds)

fast: setup-check ## the tests of `make check`, and how much of the product they reach
	@$(PYTEST) -q --numprocesses auto --dist loadscope -m 'unit or golden or architecture' --cov=appliance --cov-report= tests
	@$(VENV)/python -m tests.covered

lint: setup-check ## ruff: rules and format
	@$(VENV)/ruff check --quiet --output-format concise
	@$(VENV)/ruff format --check --quiet --output-format concise || \
		{ echo "to mend the format: $(VENV)/ruff format"; exit 1; }

types: setup-check ## mypy, strict
	@$(VENV)/mypy

kernel: setup-test ## drivers against the kernel, in network namespaces of their own
	@$(PYTEST) -m kernel tests

lab: setup-test ## the pair under faults, with live flows (minutes)
	@$(PYTEST) -m lab tests

containers: setup-test ## the pair in containers, by an engine that answers or a private one (minutes)
	@$(PYTEST) -m containers tests

# Two runs: the pair of the container tests is up until theirs ends, and only one fits on an engine.
drills: setup-test ## every drill of the lab, on both engines (a quarter of an hour)
	@failed=; \
	$(PYTEST) -m repeated --times 10 tests || failed=yes; \
	$(PYTEST) -m drills tests || failed=yes; \
	[ -z "$$failed" ]

golden: setup-check ## rewrite the expected outputs, and the design's list of packages, and show what changed
	@$(PYTEST) -q -m 'golden or architecture' --update tests || true
	@git --no-pager diff --stat --patch -- tests/golden docs/design.md
	@git status --short -- tests/golden

simulate: setup-check ## 50,000 simulated minutes of a pair, each with its faults (HISTORIES=50000 SEED=0)
	@$(VENV)/python -m vgw_lab.simulation --histories $(or $(HISTORIES),50000) --seed $(or $(SEED),0)

soak: setup-test ## 1,000 faults at random in labs of its own, hours (FAULTS=1000 SEED=N MINUTES=600 ENGINE=namespaces)
	@$(VENV)/vgw lab --engine $(or $(ENGINE),namespaces) soak --faults $(or $(FAULTS),1000) \
		--minutes $(or $(MINUTES),600) $(if $(SEED),--seed $(SEED))

release: ## refuse what is not ready, run all tests, build wheel and image in dist/ (VERSION=X.Y.Z; TAG=1: and tag it)
	@setup/release.sh check "$(VERSION)"
	@$(MAKE) --no-print-directory test
	@setup/release.sh build "$(VERSION)"
	@[ -z "$(TAG)" ] || setup/release.sh tag "$(VERSION)"

lock: ## pin the Python packages again, with hashes (UPGRADE=1 for new versions)
	@PYTHON=$(or $(PYTHON),python3) UPGRADE=$(UPGRADE) setup/lock.sh

clean: ## remove what set-up and tests left in this directory
	rm -rf .venv .venv-lock .coverage build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find appliance vgw_lab tests -name __pycache__ -prune -exec rm -rf {} +

setup-demo setup-bench setup-test setup-check:
	@setup/setup.sh $(@:setup-%=%)
