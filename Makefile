# `make run` starts callnet, `make test` tests it; `make` alone lists the rest.

# The Python to use: 3.11 or newer.
PYTHON ?= python3
# The address that `make run` listens on.
HOST ?= 127.0.0.1
# The version that `make release` makes.
VERSION ?=
# The proofs that `make acceptance` runs, all by default; further options for its runner.
NAME ?=
OPTIONS ?=

# Debian packages that the tests need besides the lock file; `make acceptance` needs more.
TEST_PACKAGES = chromium chromium-headless-shell coturn esbuild firefox-esr fonts-noto-color-emoji fonts-wqy-zenhei haproxy libnginx-mod-stream mariadb-client-core mariadb-server-core nginx-light node-typescript nodejs postgresql promtool redis-server valkey-server systemd zbar-tools
ACCEPTANCE_PACKAGES = $(TEST_PACKAGES) $(DEB_PACKAGES) certbot curl faketime iproute2 make mmdebstrap nftables npm ntfy openssl passt pebble podman podman-compose procps tayga uidmap
# Build dependencies of the Debian package.
DEB_PACKAGES = debhelper dpkg-dev git python3-venv

VENV = .venv
BIN = $(VENV)/bin
FROM_WHEELS = -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes
THE_PROJECT = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable clients/python --editable .
# A virtual environment made by another Python is recreated.
MADE_BY := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
RUNTIME = $(VENV)/runtime-on-$(MADE_BY)
INSTALLED = $(VENV)/installed-on-$(MADE_BY)
DEVELOPMENT = $(VENV)/development-on-$(MADE_BY)
SUPPLY_CHAIN = build/supply-chain/on-$(MADE_BY)
MANUAL = build/manual/on-$(MADE_BY)

.PHONY: help run test test-unit test-slow screens schemas bundles types manual lint format bench acceptance lock sbom licences audit deb version dist release clean

help:
	@echo 'make run          start callnet on this machine (HOST=0.0.0.0: for everyone who can reach it)'
	@echo 'make test         run the tests of callnet; as root, install what they need first'
	@echo 'make test-unit    run the tests that need only Python'
	@echo 'make test-slow    run the tests of the tools, which build packages and the manual'
	@echo 'make screens      test the layout of the pages, and take their pictures, in four languages, into docs/screens'
	@echo 'make schemas      update the protocol reference and the schemas in docs/ from the structs'
	@echo 'make manual       build the manual from docs/: build/manual/html/index.html; a warning is an error'
	@echo 'make bundles      after a change of a page: update its script and style sheet from the sources'
	@echo 'make types        update the types of the JavaScript client from its comments'
	@echo 'make lint         check format, style, types, language, translations, the oldest supported browser, and vendored files'
	@echo 'make format       fix style and format the sources'
	@echo 'make bench        measure speed and memory'
	@echo 'make acceptance   prove whole scenarios from end to end (make acceptance calls: one proof)'
	@echo 'make deb          build the Debian package of the last commit; as root, install what that needs first'
	@echo 'make dist         build wheel and sdist of the last commit into dist/, reproducibly'
	@echo 'make release      make the commit, the tag and the files of a release: make release VERSION=1.0.0'
	@echo 'make version      print the version of this tree'
	@echo 'make lock         update the lock files from pyproject.toml'
	@echo 'make sbom         list all third-party components: build/sbom.json (CycloneDX)'
	@echo 'make licences     check the licences of all locked packages, and update docs/licences.md'
	@echo 'make audit        look for known vulnerabilities in the locked packages; fails if it cannot check them all'
	@echo 'make clean        remove everything that these targets create'
	@echo 'PYTHON=python3.13 after any target selects the Python, 3.11 or newer.'

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "callnet needs Python 3.11 or newer: make PYTHON=…")'
	@echo 'Setting up $(VENV) with Python $(MADE_BY), once. This takes half a minute, longer on a slow line.'
	@echo '  making the environment …'
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "  downloading and installing $$(grep -c '^[a-z]' requirements.lock) libraries …"
	@$(BIN)/python $(FROM_WHEELS) --requirement requirements.lock
	@echo '  installing what builds callnet …'
	@$(BIN)/python $(FROM_WHEELS) --requirement requirements-build.lock
	@touch $@

# An installation fixes the version, so install again after a checkout, a commit or a tag.
$(INSTALLED): $(RUNTIME) $(wildcard .git/logs/HEAD .git/refs/tags)
	@echo 'Installing callnet in $(VENV) …'
	@$(THE_PROJECT)
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements-dev.lock | $(INSTALLED)
	@$(BIN)/python $(FROM_WHEELS) --requirement requirements-dev.lock
	@touch $@

# The supply-chain tools, apart from everything else: nothing else needs their dependencies.
$(SUPPLY_CHAIN): requirements-supply-chain.lock
	@$(PYTHON) -m venv --clear build/supply-chain
	@build/supply-chain/bin/python $(FROM_WHEELS) --requirement requirements-supply-chain.lock
	@touch $@

# Sphinx, and the dependencies of callnet: the manual is made from its structs and docstrings, too.
$(MANUAL): requirements-manual.lock
	@$(PYTHON) -m venv --clear build/manual
	@build/manual/bin/python $(FROM_WHEELS) --requirement requirements-manual.lock
	@touch $@

run: $(INSTALLED)
ifneq ($(HOST),127.0.0.1)
	@tools/settings-for '$(HOST)' >$(VENV)/run.toml
	@CALLNET_CONFIG=$(VENV)/run.toml exec $(BIN)/twistd --nodaemon --pidfile= callnet
else
	@exec $(BIN)/twistd --nodaemon --pidfile= callnet
endif

test-unit: $(DEVELOPMENT)
	@tools/test-lanes $(BIN)/python '0 --jobs=2 tests.unit tests.rules tests.contract'

# Lanes of about equal length. What waits for the clock has the processor first. Pages, which use it all the time, share
# what is left alike: one that gets none is too late for whoever waits for it. What only computes fills the gaps.
modules = $(subst /,.,$(basename $(wildcard $(1))))
of_browser = $(addprefix tests.browser.test_,$(1))
FIRST = $(call modules,tests/integration/test_[a-j]*.py) $(call of_browser,in_call invite verification)
WAITS = tests.servers tests.cluster tests.integration.test_setup_command $(call of_browser,connection goodbye phone_away phone_people phone_person relay repairs)
SECOND = $(filter-out $(FIRST) $(WAITS),$(call modules,tests/integration/test_*.py)) tests.examples $(call of_browser,dashboard)
LOOKS = $(call of_browser,guest_screens kiosk_screens native phone_screens screens)
BROWSER = $(filter-out $(FIRST) $(SECOND) $(WAITS) $(LOOKS),$(call modules,tests/browser/test_*.py))
PHONE = $(filter $(call of_browser,auto% call_w% kiosk languages look page% phone phone_d% phone_p% t%),$(BROWSER))
test: test-packages $(DEVELOPMENT)
	@tools/test-lanes $(BIN)/python '0 $(FIRST)' '0 $(SECOND)' '0 $(WAITS)' \
		'4 $(filter-out $(PHONE),$(BROWSER))' '4 $(PHONE)' '3 $(LOOKS)' '19 --jobs=2 tests.unit tests.rules tests.contract'

test-slow: test-packages $(DEVELOPMENT) $(SUPPLY_CHAIN) $(MANUAL)
	@tools/test-lanes $(BIN)/python '0 tests.tools'

.PHONY: test-packages acceptance-packages
test-packages:
	@tools/debian-packages $(TEST_PACKAGES)

screens: test-packages $(DEVELOPMENT) $(MANUAL)
	@CALLNET_SCREENS='$(CURDIR)/docs/screens' $(BIN)/python -m twisted.trial tests.browser.test_screens.ScreenTests.test_states tests.browser.test_phone_screens.PhoneScreenTests.test_scenes tests.browser.test_guest_screens tests.browser.test_kiosk_screens tests.browser.test_dashboard.DashboardUnderLoadTests tests.tools.test_manual_screens

schemas: $(INSTALLED)
	@$(BIN)/python -m tools.handbook.reference
	@$(BIN)/callnet schema asyncapi >docs/asyncapi.json
	@$(BIN)/callnet schema openapi >docs/openapi.json
	@$(BIN)/callnet schema room >docs/room.json

manual: $(MANUAL)
	@build/manual/bin/python -m sphinx --quiet --fail-on-warning --nitpicky --fresh-env --doctree-dir build/manual/doctrees docs build/manual/html
	@echo build/manual/html/index.html

bundles:
	@tools/bundles --write

types:
	@tools/client-types --write

lint: $(DEVELOPMENT)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@tools/check-scripts
	@$(BIN)/python tools/check_words.py callnet/static callnet/dashboard
	@$(BIN)/python tools/check-vendored callnet/static/vendor tests/browser/vendor
	@$(BIN)/python tools/check_language.py README.md CONTRIBUTING.md SECURITY.md CODE_OF_CONDUCT.md callnet docs etc tests harness acceptance bench tools examples changes twisted

format: $(DEVELOPMENT)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(DEVELOPMENT)
	@$(BIN)/python -m bench

# The words after `make acceptance` are names of proofs.
ifeq (acceptance,$(firstword $(MAKECMDGOALS)))
NAME := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS)) $(NAME)
.PHONY: $(NAME)
$(filter-out acceptance,$(MAKECMDGOALS)): acceptance
	@:
endif
acceptance: acceptance-packages $(DEVELOPMENT)
	@$(BIN)/python -m acceptance $(NAME) $(OPTIONS)

acceptance-packages:
	@tools/debian-packages $(ACCEPTANCE_PACKAGES)

.PHONY: deb-packages
deb: deb-packages
	@tools/build-deb

deb-packages:
	@tools/debian-packages $(DEB_PACKAGES)

version: $(RUNTIME)
	@$(BIN)/hatchling version

dist: $(DEVELOPMENT)
	@$(BIN)/python -m tools.release dist

# A proof has this name, too.
ifneq (acceptance,$(firstword $(MAKECMDGOALS)))
release: $(DEVELOPMENT)
	@$(BIN)/python -m tools.release release '$(VERSION)'
endif

# uv, which writes the lock files, is not locked itself: any version will do.
LOCK = UV_CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/uv pip compile --quiet --upgrade --universal \
	--python-version 3.11 --only-binary :all: --generate-hashes
lock:
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(LOCK) pyproject.toml clients/python/pyproject.toml --output-file requirements.lock
	@$(LOCK) --group build --constraint requirements.lock --output-file requirements-build.lock
	@$(LOCK) pyproject.toml --group dev --constraint requirements.lock --constraint requirements-build.lock \
		--output-file requirements-dev.lock
	@$(LOCK) --group supply-chain --constraint requirements-dev.lock --output-file requirements-supply-chain.lock
	@$(LOCK) pyproject.toml --group manual --constraint requirements-dev.lock --output-file requirements-manual.lock

# Third-party components: the list, the licences, the known vulnerabilities.
WHAT_OTHERS_MADE = $(BIN)/python -m tools.supply_chain
sbom: $(DEVELOPMENT) $(SUPPLY_CHAIN) $(MANUAL)
	@$(WHAT_OTHERS_MADE) sbom

licences: $(DEVELOPMENT) $(SUPPLY_CHAIN) $(MANUAL)
	@$(WHAT_OTHERS_MADE) licences

audit: $(DEVELOPMENT) $(SUPPLY_CHAIN)
	@$(WHAT_OTHERS_MADE) audit

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis twisted/plugins/dropin.cache
	find callnet clients tests bench acceptance examples twisted -name __pycache__ -prune -exec rm -rf {} +
