# Every target makes its own virtual environment when there is none or when what it is made from has changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.compiled
COMPILED := $(addprefix maskproxy/audit/, moment.py plain.py template.py) maskproxy/recorder/lines.py \
	$(addprefix maskproxy/proxy/, journal.py link.py pump.py recorder_client.py) \
	$(addprefix maskproxy/session/, batch.py fast_path.py postgres.py rows.py state.py) \
	$(addprefix maskproxy/session/kernel/, ops.py texts.py digests.py tokens.py numbers.py dates.py decimals.py)
TELL := ls $(COMPILED:.py=.*.so) >/dev/null 2>&1 || \
	echo "no C compiler or no Python.h: the hot path runs interpreted, slower and with the same answers"
UV := .cache/uv/bin/uv
COMPILE := $(UV) pip compile -q pyproject.toml --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make constraints"

.PHONY: demo test lint types layers interpreted noninterference bench constraints clean

demo: $(READY)
	@$(BIN)/maskproxy demo $(ARGS)

# Files are spread over two processes; a test that needs a server and was skipped counts as failed.
test: lint types layers interpreted
	MASKPROXY_REQUIRE_SERVERS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

# The compiled modules once more as plain Python: a copy of the tree without what the compiler made.
interpreted: $(READY)
	rm -rf build/interpreted
	mkdir -p build/interpreted
	cp -R pyproject.toml maskproxy rules tests build/interpreted/
	find build/interpreted -name '*.so' -delete
	cd build/interpreted && ../../$(BIN)/python -m pytest tests/session tests/audit tests/proxy/test_journal.py \
		tests/proxy/test_connection.py tests/recorder/test_lines.py tests/recorder/test_client.py -m "not server"

# The long run: 5,000 generated queries and 1,000 by sqlsmith for each pair of twins, and every key word everywhere.
# SEED=… starts elsewhere, COUNT=… says how many are generated.
noninterference: $(READY)
	MASKPROXY_REQUIRE_SERVERS=1 MASKPROXY_GENERATED=$${COUNT:-5000} MASKPROXY_SEED=$${SEED:-1000} MASKPROXY_KEYWORDS=1 \
		$(BIN)/python -m pytest tests/noninterference tests/core/sql/test_keywords.py $(ARGS)

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

# constraints.txt pins all there is; constraints-dev.txt is what this Makefile installs, a subset of it.
constraints: $(UV)
	$(COMPILE) --extra all --extra dev -o constraints.txt
	$(COMPILE) --extra fast --extra dev -c constraints.txt --no-annotate -o constraints-dev.txt

clean:
	rm -rf build $(VENV) .cache/uv $(COMPILED:.py=.*.so)

# pip refuses a local directory in a hashed list, hence two steps. Debian may lack ensurepip (python3-venv): then
# the pip of the system fills the environment, else the one in Debian's package of wheels, unpacked without installing.
$(INSTALLED): constraints-dev.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "maskproxy needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@echo "installing into $(VENV)"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV) && pip="$(BIN)/python -m pip"; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(VENV) && pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	elif wheels=$$($(PYTHON) tests/support/debian.py python3-pip-whl); then \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		pip="$(BIN)/python $$(echo $$wheels/usr/share/python-wheels/pip-*.whl)/pip"; \
	else \
		echo "this Python can make no virtual environment: apt-get install python3-venv"; exit 1; \
	fi && \
	$$pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r constraints-dev.txt && \
	$$pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(TELL)
	@touch $(INSTALLED) $(READY)

# A compiled module would hide a newer source, also where the compiler has gone.
$(READY): $(INSTALLED) $(COMPILED) $(wildcard maskproxy/*/*.pxd maskproxy/*/*/*.pxd)
	@rm -rf build $(COMPILED:.py=.*.so)
	@$(BIN)/python setup.py -q build_ext --inplace
	@$(TELL)
	@touch $@

$(UV):
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install -q --disable-pip-version-check uv==0.13.9
