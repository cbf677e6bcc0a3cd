# Each command sets itself up; nothing but python3 (3.11 or newer) is needed.

VENV := .venv
PYTHON := $(VENV)/bin/python
# Python compiles what it imports, once, and keeps it; compiling all of it beforehand would take half a minute.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(PYTHON) -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt

# Node.js is one of the test tools; what npm installs is started by the first `node` of the PATH.
NPM := PATH="$(abspath $(VENV))/bin:$$PATH" npm --prefix tests/front
NODE_MODULES := tests/front/node_modules/.package-lock.json

.PHONY: demo test test-all notebooks lint lint-python lint-front docs dist bench mutants nano clean checked

demo: $(VENV)/.runtime  ## speak a dialogue with the embedded checkpoint: demo.wav, its words, subtitles, spectrogram
	$(PYTHON) -m dia2 generate demo.wav --seed 1 --words demo.words.json --subtitles demo.srt --spectrogram \
	  --input '[S1] Hello there. How are you today? <break time="0.4s"/> [S2] Not too bad, thank you. And you?'

# Half of what most notebooks take is their kernel's start, so `make test` runs those that go through most of the code.
test: export NOTEBOOKS := $(addprefix notebooks/,00_quickstart.ipynb 06_voice_cloning.ipynb \
  08_debug_a_bad_run.ipynb 10_dia_encoder_decoder.ipynb 12_which_layer_knows_the_speaker.ipynb \
  13_the_head_that_reads_the_text.ipynb 14_turning_the_voice.ipynb) docs/first-run.ipynb
test: checked  ## everything that is quick enough to run before each commit
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not slow" -p no:nbval

test-all: checked $(VENV)/.whisper-base $(VENV)/.engines $(VENV)/.clusters  ## the same and what takes longer
	DIA2_HOSTILE_SHARE=1 $(PYTHON) -m pytest -n 2

checked:  # one core would wait while the other installs, or lints
	@$(MAKE) --no-print-directory --jobs 2 $(VENV)/.dev $(VENV)/.system
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target lint notebooks $(VENV)/.browser $(VENV)/.speech $(VENV)/.fakecuda

NOTEBOOKS ?= notebooks docs
notebooks: $(VENV)/.dev  ## run the notebooks and compare what they print; save.py saves them anew
	OMP_NUM_THREADS=1 DIA2_EXPLORER_PAGE=0 $(PYTHON) -m pytest -n 2 --dist loadfile --nbval -p no:cacheprovider $(NOTEBOOKS)

lint:  ## the style and the types of all code, of the explorer's front end too
	@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs 2 --output-sync=target) lint-python lint-front

lint-python: $(VENV)/.dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

lint-front: $(NODE_MODULES)
	@$(NPM) run --silent lint

docs: $(VENV)/.docs  ## the site, into build/site; LINKS=1 also asks the network about links to elsewhere
	$(PYTHON) -m sphinx --fail-on-warning --keep-going --nitpicky --fresh-env --quiet -c docs . build/site
	$(PYTHON) docs/images/make.py explorer build/site/docs/run.html
	$(PYTHON) docs/check_site.py build/site
	$(if $(LINKS),$(PYTHON) -m sphinx --keep-going --quiet -b linkcheck -c docs . build/links)

dist: $(VENV)/.dev  ## sdist and wheel, into dist; their metadata is checked
	$(PYTHON) -m build --no-isolation
	$(PYTHON) -m twine check --strict dist/*

bench: $(VENV)/.dev  ## what a frame costs and what looking costs; each benchmark tells its options by --help
	$(PYTHON) benchmarks/frame.py --shape nano --frames 50 --variants float32 float32+one float32+late
	$(PYTHON) benchmarks/trace_overhead.py --shape nano --frames 500

mutants: $(VENV)/.dev  ## change an operator, see whether a test notices: ARGS="draws --sample 0"; an hour and more
	$(PIP) --editable '.[mutants]'
	$(PYTHON) -m tests.support.mutants $(ARGS)

nano: $(VENV)/.dev  ## train the embedded checkpoint anew, into .train/nano: hours; goes on where it was stopped
	$(PYTHON) -m training.recipe .train/nano

clean:
	rm -rf $(VENV) tests/front/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info */*/*.egg-info dist demo.*

# The pip that Python brings can be years old, and takes twice as long.
$(VENV)/bin/python:
	python3 -c 'import sys; sys.exit("dia2 needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	python3 -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing the runtime into $(VENV): a minute or two"
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt examples/csm_adapter/pyproject.toml | $(VENV)/bin/python
	@echo "installing the runtime and the test tools into $(VENV): two minutes or three"
	$(PIP) --editable '.[whisper,parquet,sweeps,serve,notebooks,analysis,training,dev]' --editable examples/csm_adapter
	touch $@ $(VENV)/.runtime

$(VENV)/.clusters: pyproject.toml constraints.txt | $(VENV)/.dev
	-$(PIP) --editable '.[clusters]' && touch $@

$(NODE_MODULES): tests/front/package.json tests/front/package-lock.json | $(VENV)/.dev
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=silent || { echo "The front end cannot be checked: npm could not \
	install what tests/front/package-lock.json names. Is its registry within reach? npm --prefix tests/front ci says more." >&2; exit 1; }
	@touch $@

$(VENV)/.system: tests/support/chromium.sh tests/support/flite.sh | $(VENV)/bin/python
	sh tests/support/chromium.sh
	sh tests/support/flite.sh
	touch $@

$(VENV)/.browser: $(VENV)/.system | $(VENV)/.dev
	sh tests/support/chromium.sh $(PYTHON)
	touch $@

$(VENV)/.fakecuda: tests/support/fakecuda/build.py $(wildcard tests/support/fakecuda/src/*) | $(VENV)/.dev
	-$(PYTHON) -m tests.support.fakecuda && touch $@

$(VENV)/.engines: tests/support/engines.sh | $(VENV)/bin/python
	sh tests/support/engines.sh
	touch $@

$(VENV)/.speech: tests/support/whisper_weights.py | $(VENV)/.dev
	-$(PYTHON) -m tests.support.whisper_weights tiny.en && touch $@

$(VENV)/.whisper-base: tests/support/whisper_weights.py | $(VENV)/.dev
	-$(PYTHON) -m tests.support.whisper_weights base && touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing the runtime and Sphinx into $(VENV): two minutes or three"
	$(PIP) --editable '.[docs]'
	touch $@ $(VENV)/.runtime
