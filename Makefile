# Everything that a newcomer needs is `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
READY_BENCH := $(VENV)/.ready-bench
SEEDS := 0 1 2 3 4
PARTS := 1 2 3 4
# Modules of tests side by side, the slow ones first: half of them wait for clocks. Four at the most, for memory.
AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
# Lengths and logits that suit who is learnt from: trainer/LOG.md.
BETWEEN := --set steps=8000
AGAIN := --set steps=1500 --set rate=0.002
STRICT := --protocol between-patients-strict --final
# What is learnt besides DS1 goes on from its weights, and half of these is kept: docs/decisions/0018.
ON := --set steps=1500 --set rate=0.0015 --set base_share=0.5 --set s_logit=0.3
WITHIN := --set dropout=0.1 --set smoothing=0.02 --set temper=0.15 --set second_lead=0.3 --set vary=0

.PHONY: help demo test check format bench train clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("ecg-monitor needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# torch by itself first: so pip can take a CPU build where one is at hand.
$(READY): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch>=2.9,<2.14"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(READY_DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

$(READY_BENCH): $(READY_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,bench]"
	@touch $@

demo: $(READY) ## set everything up and show a live patient
	$(BIN)/ecg-monitor --source replay:demo

test: $(READY_DEV) check ## every test, after every check
	$(BIN)/python -m pytest $(AT_ONCE)

check: $(READY_DEV) ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY_DEV) ## lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_BENCH) ## accuracy and speed beside the peers (five hours)
	$(BIN)/python -m bench.accuracy_rpeaks
	$(BIN)/python -m bench.rpeaks_speed
	for seed in $(SEEDS); do $(BIN)/ecg-train fit --final $(BETWEEN) --set seed=$$seed --out runs/first-$$seed || exit 1; done
	for seed in $(SEEDS); do $(BIN)/ecg-train fit --final --from runs/first-$$seed/weights.safetensors $(AGAIN) --set seed=$$seed --out runs/ds1-$$seed || exit 1; done
	$(BIN)/python -m bench.accuracy_beats $(foreach seed,$(SEEDS),runs/ds1-$(seed))
	for seed in $(SEEDS); do $(BIN)/python -m bench.fibrillation_beats --weights runs/ds1-$$seed/weights.safetensors || exit 1; done
	$(BIN)/python -m bench.fibrillation_beats
	$(BIN)/python -m bench.composed_rhythms $(foreach seed,$(SEEDS),runs/ds1-$(seed)/weights.safetensors)
	$(BIN)/python -m bench.composed_features
	$(BIN)/ecg-train fit $(STRICT) $(BETWEEN) --out runs/strict-first
	$(BIN)/ecg-train fit $(STRICT) --from runs/strict-first/weights.safetensors $(AGAIN) --out runs/strict-0
	for part in $(PARTS); do $(BIN)/ecg-train fit --protocol svdb-$$part --from runs/strict-0/weights.safetensors $(ON) --out runs/svdb-$$part || exit 1; done
	$(BIN)/python -m bench.accuracy_beats --parts $(foreach part,$(PARTS),runs/svdb-$(part))
	$(BIN)/ecg-train fit --protocol within-patients $(WITHIN) --set steps=4000 --out runs/within-first
	$(BIN)/ecg-train fit --protocol within-patients --from runs/within-first/weights.safetensors $(WITHIN) $(AGAIN) --out runs/within
	$(BIN)/ecg-train evaluate --protocol within-patients --weights runs/within/weights.safetensors
	$(BIN)/ecg-train fit --protocol within-patients-rebalanced $(WITHIN) --set steps=3000 --out runs/rebalanced-first
	$(BIN)/ecg-train fit --protocol within-patients-rebalanced --from runs/rebalanced-first/weights.safetensors $(WITHIN) $(AGAIN) --out runs/rebalanced
	$(BIN)/ecg-train evaluate --protocol within-patients-rebalanced --weights runs/rebalanced/weights.safetensors
	$(BIN)/python -m bench.beats_speed
	$(BIN)/python -m bench.accuracy_alarms
	$(BIN)/python -m bench.alert_latency
	$(BIN)/python -m bench.faults

train: $(READY) ## weights such as ship, anew, by the recipe of now (forty minutes; by a CPU without bfloat16 twice that)
	$(BIN)/ecg-train qrs --out runs/qrs.safetensors
	$(BIN)/ecg-train fit $(STRICT) $(BETWEEN) --out runs/strict-first
	$(BIN)/ecg-train fit $(STRICT) --from runs/strict-first/weights.safetensors $(AGAIN) --out runs/strict-0
	$(BIN)/ecg-train fit --protocol everything --from runs/strict-0/weights.safetensors $(ON) --out runs/everything

clean: ## what was made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache runs
