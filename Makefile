# Needs Python 3.11 or later, make and a package index. Everything is made in .venv; a second call starts at once.
PYTHON ?= python3
VENV ?= .venv
FUZZ ?= recipe pt hdf5 csv
FUZZ_SECONDS ?= 600

python := $(VENV)/bin/python
pip := $(python) -m pip --quiet --disable-pip-version-check install --constraint constraints.txt
inputs := $(python) pyproject.toml constraints.txt

.PHONY: demo test test-long test-clients test-pollution test-hints try-headers try-flips try-tables test-faults check install bench bench-train cifar10 train-cifar clean

demo: $(VENV)/.base ## prepare the synthetic wine file and show what was made
	$(VENV)/bin/tensorize wine samples/wine-synthetic.csv --onehot quality --split 0.8,0.1,0.1 -o $(VENV)/wine.h5 --force
	$(VENV)/bin/tensorize inspect $(VENV)/wine.h5

test: $(VENV)/.test ## run the tests; TENSORIZE_DATA and TENSORIZE_CORPORA add those on real data
	$(python) -m pytest -n 3 --dist worksteal $(ARGS)

test-long: $(VENV)/.test ## run the tests that take a minute or more each
	$(python) -m pytest -n 2 --dist worksteal -m long $(ARGS)

test-hints: $(VENV)/.test ## follow the command in which each message of the tests ends, and print those that do not work
	mkdir -p build && rm -f build/hints.jsonl
	TENSORIZE_HINTS=$(CURDIR)/build/hints.jsonl $(python) -m pytest -n 3 --dist worksteal $(ARGS)
	$(python) tests/follow.py build/hints.jsonl

test-faults: $(VENV)/.test ## kill, starve and interrupt it, 200 times for each format; writes docs/reliability.md
	TENSORIZE_KILLS=200 TENSORIZE_RELIABILITY=docs/reliability.md $(python) -m pytest tests/faults $(ARGS)

fuzz: $(VENV)/.fuzz ## ten minutes of fuzzing for each reader; FUZZ_SECONDS=60 for less
	for target in $(FUZZ); do $(python) tests/fuzz/fuzz.py $$target $(FUZZ_SECONDS) || exit 1; done

CLIENTS ?= build/clients
test-clients: $(VENV)/.test ## have stock clients read every format; writes the table in docs/files.md; installs what it can, and skips the rest
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends octave r-cran-hdf5r hdf5-tools; true; fi
	test -d $(CLIENTS) || $(PYTHON) -m venv $(CLIENTS)
	while read client; do $(CLIENTS)/bin/python -m pip --quiet --disable-pip-version-check install --constraint constraints.txt $$client \
		|| echo "$$client cannot be had"; done < tests/clients/requirements.txt
	TENSORIZE_CLIENTS=$(CURDIR)/$(CLIENTS)/bin/python TENSORIZE_CLIENTS_PAGE=docs/files.md $(python) -m pytest tests/clients $(ARGS)

test-pollution: $(VENV)/.test ## read 2,680 polluted CSV files whose cells are known, and print the figures
	TENSORIZE_POLLUTED=2680 $(python) -m pytest tests/readers/csv/test_pollution.py -s $(ARGS)

try-headers: $(VENV)/.test ## read 6,000 random tables with and without a header, and print the figures
	TENSORIZE_HEADERS=6000 $(python) -m pytest tests/readers/csv/test_headers.py -s $(ARGS)

FLIPS ?= 5000
try-flips: $(VENV)/.test ## flip bits of Parquet and Arrow files, and cut them, 5,000 times for each way to write one; FLIPS=500 for less
	TENSORIZE_FLIPS=$(FLIPS) $(python) -m pytest tests/readers/test_arrow.py -k flipped $(ARGS)

try-tables: $(VENV)/.test ## try what packages ship, 1,400 files in half an hour, beside pandas; writes docs/first-try.md; TABLES="--share 20" for less
	$(python) tests/tables/first_try.py build/tables --write docs/first-try.md $(TABLES)

check: $(VENV)/.dev ## format, lint, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

install: $(VENV)/.dev ## an environment with every extra

bench: $(VENV)/.bench ## measure beside other tools, for an hour or so; BENCH=--scale\ 0.1 for less
	$(python) benchmarks/bench.py build/bench --write docs/benchmarks.md $(BENCH)

cifar10: $(VENV)/.test ## train LeNet on the CIFAR-10 of TENSORIZE_DATA as the tutorial does, in a minute or two
	$(python) samples/cifar10.py $(TENSORIZE_DATA)/cifar10/cifar10-images.tar.xz

bench-train: $(VENV)/.bench ## the trainer on public data, beside scikit-learn and a DataLoader; DATA=FOLDER of tensorize fetch
	$(python) benchmarks/train.py $(DATA)

train-cifar: $(VENV)/.bench ## resnet on CIFAR-10 in class folders, CIFAR=FOLDER; RESNET="--set width=32 --epochs 3 --precision bfloat16" for a CPU
	mkdir -p build
	$(VENV)/bin/tensorize images $(CIFAR) --dtype uint8 -o build/cifar10.h5 --force
	$(VENV)/bin/tensorize train build/cifar10.h5 --model resnet $(RESNET) -o build/cifar10-model.pt --force
	$(VENV)/bin/tensorize evaluate build/cifar10-model.pt build/cifar10.h5

clean:
	rm -rf $(VENV) build dist *.egg-info

$(python):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tensorize needs Python 3.11 or later, and $(PYTHON) is %d.%d; say make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(inputs)
	$(pip) --editable .
	touch $@

$(VENV)/.test: $(inputs)
	$(pip) --editable '.[test]'
	touch $(VENV)/.base $@

$(VENV)/.fuzz: $(inputs)
	$(pip) --editable '.[fuzz]'
	touch $(VENV)/.base $(VENV)/.test $@

$(VENV)/.bench: $(inputs)
	$(pip) --editable '.[bench]'
	touch $(VENV)/.base $@

$(VENV)/.dev: $(inputs)
	$(pip) --editable '.[fetch,test,dev]'
	touch $(VENV)/.base $(VENV)/.test $@
