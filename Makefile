# Thin on purpose: each target sets up what it needs, then calls one command that works by hand too.

ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && exit; \
  done; echo python3)
endif
VENV := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(VENV)/python
# One truth for every platform and Python: no forks, and hashes for all of it.
COMPILE = $(VENV)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header \
  --fork-strategy fewest --python-version 3.11 --no-emit-package winit $(UPGRADE)

# Keras works only where it is told which backend is installed.
export KERAS_BACKEND := jax
# Windows, too, reads and writes text as UTF-8 then.
export PYTHONUTF8 := 1

.NOTPARALLEL:
.PHONY: help book test test-long lint lab course notebooks check-theory mutation bench lighthouse lock clean \
  set-up-book set-up-test starts zoo ledger

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

book: set-up-book ## build the book into _build/html
	@$(RUN) tools/book.py

test: set-up-test ## run the checks of every day: style, types, book, tests, notebooks
	@$(RUN) tools/check.py

test-long: set-up-test ## run the rest: another processor, oldest and newest packages, large models
	@$(RUN) tools/check.py --long

lint: set-up-test ## run the checks of style and types alone
	@$(RUN) tools/check.py style types

lab: set-up-test ## open the notebooks in JupyterLab
	@$(RUN) -m jupyterlab --config=tools/lab.py notebooks

course: set-up-test ## write notebooks for students and for teachers, and a zip of each
	@$(RUN) tools/course.py

notebooks: set-up-test ## re-execute all notebooks in place (or those in ONLY="notebooks/01_...")
	@$(RUN) tools/notebooks.py $(ONLY)

starts: set-up-test ## audit the networks of full size in tests/starts.py (20 min)
	@$(RUN) -m pytest --numprocesses=2 -m slow tests/test_audit_referee.py

zoo: set-up-test ## measure how well-known architectures start (or those in ONLY="VGG16 GPT2")
	@$(RUN) tools/zoo.py $(ONLY)

ledger: set-up-test ## measure every row of chapter 17's ledger (1 min; or those in ONLY="C07 C20")
	@$(RUN) tools/reproduce.py $(ONLY)

check-theory: set-up-test ## compare 6,000 values of the theory with iterated maps (5 min)
	@$(RUN) tools/check_theory.py

mutation: set-up-test ## change the core in 400 places, one at a time: a test must notice (ALL=1: in all)
	@$(RUN) tools/mutation.py $(if $(ALL),--all) $(MODULES)

bench: set-up-test ## time winit beside Keras, JAX and the article's code; train ten unsound starts
	@$(RUN) benchmarks/run.py
	@$(RUN) benchmarks/lab.py
	@$(RUN) benchmarks/training.py

lighthouse: set-up-test book ## measure the pages with Lighthouse, as a phone sees them
	@$(RUN) tools/lighthouse.py

lock: set-up-book ## compile the lock files anew (UPGRADE=--upgrade: with the newest versions)
	@$(COMPILE) --extra test --output-file requirements.txt
	@$(COMPILE) --extra book --constraint requirements.txt --output-file requirements-book.txt

clean: ## remove what was built; .venv stays
	rm -rf _build .hypothesis .pytest_cache .mypy_cache .ruff_cache .coverage coverage build *.egg-info

set-up-book set-up-test: set-up-%:
	@$(PYTHON) tools/bootstrap.py $*
