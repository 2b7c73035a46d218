# `make demo` restores a photograph, `make test` runs the tests; both need nothing but Python >= 3.11.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PNP = $(BIN)/pnp
PIP = $(BIN)/python -m pip --disable-pip-version-check
# What pip says is of interest only if it fails.
install = $(PIP) install --editable '$(1)' > $(VENV)/install.log 2>&1 || { cat $(VENV)/install.log; exit 1; }

# Test files that `make quick` leaves out.
SLOW = train packaging typing files looking_up fuzz kernel_networks figures paper_tables bad_inputs \
	boundaries memory new again plugins small_images docs compare compare_command batch site

# Where `make release-check` installs the wheel, and options of pip for it, such as an index.
RELEASE = out/release
RELEASE_PIP =
RELEASED = .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python

.PHONY: demo test quick long gallery weights docs release-check clean

demo: $(VENV)/installed
	$(PNP) demo -o out/demo

test: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2

# Less than a minute: without what trains networks, builds packages, type-checks, or runs long.
quick: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q -n 2 $(SLOW:%=--ignore tests/test_%.py)

long: $(VENV)/tested
	$(BIN)/python -m pytest -q -m long

# Draws the README's gallery, in a minute.
gallery: $(VENV)/installed
	$(BIN)/python benchmarks/gallery.py

# Writes what pnp/weights/manifest.yaml says into the headers of the weights, and their pages.
weights: $(VENV)/installed
	$(BIN)/python benchmarks/weights_page.py
	$(BIN)/python benchmarks/results_page.py

# Builds the site into site/; the first time it runs the examples, in a minute or two.
# The variables silence advertisements for other site generators.
docs: $(VENV)/documented
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict
	@echo "built site/index.html"

# Builds the wheel, installs it in an empty environment, and runs what a user runs first.
release-check:
	rm -rf $(RELEASE) build
	$(PYTHON) -m pip --disable-pip-version-check wheel --quiet --no-deps -w $(RELEASE) .
	$(PYTHON) -m venv $(RELEASE)/.venv
	cd $(RELEASE) && $(RELEASED) -m pip --disable-pip-version-check install --quiet $(RELEASE_PIP) *.whl
	cd $(RELEASE) && $(RELEASED) -m pnp --version && $(RELEASED) -m pnp demo -o demo
	cd $(RELEASE) && $(RELEASED) -m pnp check denoise dpir usrnet-small spectral-usrnet

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pnp needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "setting up $(VENV): PyTorch with its CUDA libraries is 6 GB, this takes some minutes"
	$(PYTHON) -m venv $(VENV)
	@$(call install,.)
	touch $@

$(VENV)/tested: $(VENV)/installed
	@$(call install,.[test])
	touch $@

$(VENV)/documented: $(VENV)/installed
	@$(call install,.[docs])
	touch $@

clean:
	rm -rf $(VENV) build site dist out *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
