# `make demo` and `make test` create what they need. The first run downloads, the second starts at once.
#
#   make demo [INPUT=video|folder|webcam index] [ARGS="--model mine.yaml"]
#                                                 camera, node and recorder over ROS 2; see out/demo/report.md
#   make test [TRAIN=0] [TENSORRT=0] [JOBS=4]     lint, types, tests (TRAIN=0: without torch, a big download;
#                                                 TENSORRT=0: without tensorrt_rtx, another one)
#                                                 OPENVINO=0: without openvino
#                                                 EXTRAS=1: also the tests that need Chromium, Rerun or Ray
#   make test-all                                 the same with the tests that are marked slow, as CI runs them
#   make docs                                     the documentation site, out/docs/html/index.html
#   make lint | types | clean
#
# PYTHON=python3.12 names another interpreter. With a ROS 2 from apt sourced, that one is used, else ROS's wheels:
# of Jazzy, or with ROS_WHEELS=kilted those of Kilted.

SHELL := /bin/bash
PYTHON ?= python3
TRAIN ?= 1
TENSORRT ?= 1
OPENVINO ?= 1
SLOW ?= 0
EXTRAS ?= 0
JOBS ?= auto
ROS_WHEELS ?= jazzy
INPUT ?=
ARGS ?=

# The rclpy of apt and the rclpy of pip must not meet in one process: each has its own environment.
VENV := .venv$(if $(ROS_DISTRO),-$(ROS_DISTRO),$(if $(filter-out jazzy,$(ROS_WHEELS)),-$(ROS_WHEELS)-wheels))
OLD_VENV := .venv-numpy1
# Where OpenVINO is installed, auto is decided by a measurement: all other tests go without it.
OPENVINO_VENV := .venv-openvino
# Sphinx wants another docutils than colcon.
DOCS_VENV := .venv-docs
comma := ,
RUN_EXTRAS := cpu,bags,view$(if $(ROS_DISTRO),,$(comma)ros$(if $(filter-out jazzy,$(ROS_WHEELS)),-$(ROS_WHEELS)))
# The message types of these distros are compiled for NumPy 1.
ROS_NUMPY := $(if $(filter humble iron jazzy kilted,$(ROS_DISTRO)),"numpy<2")
PIP_INSTALL = -m pip install -qq --disable-pip-version-check

# Builds engines without a GPU, on x86-64 alone; bounded in time, as its tests are skipped without it.
RTX := tensorrt_rtx>=1.7,<2
RTX_S := 600
WANT_RTX := $(if $(filter 0,$(TENSORRT)),,$(filter x86_64,$(shell uname -m)))
FULL := $(VENV)/.test $(if $(filter 0,$(TRAIN)),,$(VENV)/.train) $(if $(WANT_RTX),$(VENV)/.rtx) \
	$(if $(filter 1,$(EXTRAS)),$(VENV)/.extras)

# A file's tests stay together: they share fixtures. More processes than eight gain nothing and cost memory.
IN_PARALLEL := --numprocesses=$(JOBS) --maxprocesses=8 --dist=loadfile --no-loadscope-reorder \
	$(if $(filter 0,$(SLOW)),-m "not slow",--hypothesis-profile=thorough)

.PHONY: demo test lint types docs test-numpy1 test-openvino test-main test-all clean system
.DELETE_ON_ERROR:

demo: $(VENV)/.run
	$(VENV)/bin/recon3d demo $(if $(INPUT),--input "$(INPUT)") $(ARGS)

# What installs goes one after the other; pytest's count of all tests comes at the very end.
test: $(FULL) $(DOCS_VENV)/.docs
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint types docs
	@if "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
		$(MAKE) --no-print-directory test-numpy1; \
	else echo "no NumPy 1.26 for $$("$(PYTHON)" -V): its half of the tests is left out"; fi
	$(if $(filter 0,$(OPENVINO)),,@$(MAKE) --no-print-directory test-openvino)
	@$(MAKE) --no-print-directory test-main

test-all:
	@$(MAKE) --no-print-directory test SLOW=1

lint: $(VENV)/.test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(FULL)
	$(VENV)/bin/mypy

# A link that leads nowhere, and any other warning, is an error.
docs: $(DOCS_VENV)/.docs
	$(DOCS_VENV)/bin/sphinx-build -q -W --keep-going -c docs -d out/docs/doctrees . out/docs/html

# NumPy 1.26 and the oldest libraries that setup.py allows, without ROS and torch: their tests are skipped here.
# What knows no NumPy (the plan of the rooms, the pages, packaging, how nvcc compiles, how pytest ends) runs in the
# other half alone.
NO_NUMPY := $(addprefix test/,cuda/test_build.py test_conftest.py test_docs.py test_layers.py test_mirror.py test_package.py)
test-numpy1: $(OLD_VENV)/.test
	$(OLD_VENV)/bin/python -m pytest $(IN_PARALLEL) -q -r fE $(addprefix --ignore=,$(NO_NUMPY))

OPENVINO_TESTS := $(addprefix test/,backends/test_openvino.py backends/test_openvino_integer.py serving/test_sizes.py \
	serving/test_choice.py evaluation/test_inference_ratios.py)
test-openvino: $(OPENVINO_VENV)/.test
	$(OPENVINO_VENV)/bin/python -m pytest $(IN_PARALLEL) -q -r fE $(OPENVINO_TESTS)

# The long soak judges memory, and the doctor the rates of topics, which a busy machine moves: CI runs these alone.
ALONE := $(if $(RECON3D_SOAK_FRAMES),test/ros/bench/test_soak.py test/ros/doctor/test_doctor.py)
test-main: $(FULL)
	$(if $(ALONE),$(VENV)/bin/python -m pytest -q $(ALONE))
	env -u RECON3D_SOAK_FRAMES $(VENV)/bin/python -m pytest $(IN_PARALLEL) $(ALONE:%=--ignore=%)

clean:
	rm -rf .venv .venv-* out build install log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

system:
	@bash scripts/system_packages.sh "$(PYTHON)"

%/bin/python: | system
	"$(PYTHON)" -m venv "$*"
	"$@" $(PIP_INSTALL) --upgrade pip

$(VENV)/.run: setup.py | system $(VENV)/bin/python
	@echo "installing recon3d_ros[$(RUN_EXTRAS)] into $(VENV)"
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[$(RUN_EXTRAS)]" $(ROS_NUMPY)
	@touch "$@"

$(VENV)/.test: $(VENV)/.run
	@echo "installing recon3d_ros[dev] into $(VENV)"
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[dev]" $(ROS_NUMPY)
	@touch "$@"

$(VENV)/.train: $(VENV)/.test
	@echo "installing torch into $(VENV) (TRAIN=0 goes without)"
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[dev,train]" "torch==2.13.0" $(ROS_NUMPY)
	@touch "$@"

$(VENV)/.rtx: $(VENV)/.test
	@echo "installing tensorrt_rtx into $(VENV) (TENSORRT=0 goes without)"
	@timeout $(RTX_S) $(VENV)/bin/python $(PIP_INSTALL) "$(RTX)" $(ROS_NUMPY) && touch "$@" || \
		echo "tensorrt_rtx did not come within $(RTX_S) s: the tests that build engines are skipped"

$(VENV)/.extras: $(VENV)/.test
	@echo "installing recon3d_ros[browser,ray,rerun] into $(VENV)"
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[dev,browser,ray,rerun]" $(ROS_NUMPY)
	@bash scripts/system_packages.sh "$(PYTHON)" chromium || echo "no chromium: the tests in a browser are skipped"
	@touch "$@"

$(DOCS_VENV)/.docs: setup.py | system $(DOCS_VENV)/bin/python
	@echo "installing recon3d_ros[docs] into $(DOCS_VENV)"
	$(DOCS_VENV)/bin/python $(PIP_INSTALL) --editable ".[docs]"
	@touch "$@"

$(OLD_VENV)/.test: setup.py | system $(OLD_VENV)/bin/python
	@echo "installing recon3d_ros and NumPy 1.26 into $(OLD_VENV)"
	$(OLD_VENV)/bin/python $(PIP_INSTALL) --editable ".[cpu]" numpy==1.26.4 opencv-python-headless==4.8.0.76 \
		onnxruntime==1.18.1 pyyaml==6.0.1 tqdm==4.57.0 argcomplete==3.0.0 pytest pytest-timeout pytest-xdist hypothesis onnx
	@touch "$@"

$(OPENVINO_VENV)/.test: setup.py | system $(OPENVINO_VENV)/bin/python
	@echo "installing recon3d_ros[openvino] into $(OPENVINO_VENV)"
	$(OPENVINO_VENV)/bin/python $(PIP_INSTALL) --editable ".[openvino]" pytest pytest-timeout pytest-xdist hypothesis onnx
	@touch "$@"
