# SPDX-License-Identifier: MIT
.DEFAULT_GOAL := help
SHELL := /bin/bash
BUILDER := .venv/bin/openstack-builder
PYTEST := .venv/bin/python -m pytest
# A file of tests stays on one worker, and the long ones, which come first, begin first.
WORKERS := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
INSTALL := builder/requirements/install

.PHONY: help hosts hosts-selinux setup setup-dev setup-koji setup-dib specs golden demo talk rpm image verify upload plane-up plane-down setup-plane unit test test-all boots lint bench lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## install what openstack-builder needs (apt or dnf, .venv)
	@$(INSTALL) core
	@$(BUILDER) services -o utils/openstack_utils/services.json

setup-dev:
	@$(INSTALL) dev
	@$(BUILDER) services -o utils/openstack_utils/services.json

setup-koji: setup ## install what `openstack-builder koji` needs
	@$(INSTALL) koji

setup-dib: setup ## install diskimage-builder, for `image --engine dib` and its own elements
	@$(INSTALL) dib

lint: setup-dev ## ruff, mypy, shellcheck, vermin and the rest of the linters
	$(PYTEST) -q tests/unit/test_lint.py

unit: setup-dev ## the unit tests: seconds (AREA=kickstart for one area)
	$(PYTEST) -q $(if $(AREA),,$(WORKERS)) tests/unit tests/utils $(if $(AREA),-k $(AREA))

test: setup-dev setup-koji ## the tests that every change must pass
	$(PYTEST) $(WORKERS) -m 'not slow' --durations=10 tests

test-all: setup-dev setup-koji ## every test, the slow ones too
	$(PYTEST) $(WORKERS) --durations=10 tests

boots: setup-dev ## disks and kernel updates in booted guests, one at a time (slow)
	$(PYTEST) -n 0 --durations=10 -m boot tests/guest/test_disks.py tests/guest/test_kernel_update.py

SUITE ?= sid

hosts: ## RPMs, repository, images and verify on a bare host of another generation (SUITE=trixie, sid; root)
	tests/rig/bare/run $(SUITE) tests/rig/bare/check

hosts-selinux: setup-dev ## the same images on a booted host that runs SELinux (root; slow)
	tests/rig/bare/selinux

demo: ## the whole main job: RPM, image, boot, login, upload
	@$(INSTALL) demo
	@$(BUILDER) services -o utils/openstack_utils/services.json
	@.venv/bin/python -m tests.rig.demo

talk: ## from dnf install to ssh into a guest of ours, on a booted machine (root; slow)
	@$(INSTALL) talk
	@$(BUILDER) services -o utils/openstack_utils/services.json
	@.venv/bin/python -m tests.rig.talk

specs: setup ## make the specs of OpenStack's services from the catalogue again
	$(BUILDER) specs

golden: setup-dev ## write tests/golden again: the specs as each family of targets reads them
	.venv/bin/python -m tests.golden

TARGET ?= fixture-12
IMAGE ?= jeos-fixture
OPTIONS ?=

rpm: setup ## build openstack-utils and a signed repository of it (TARGET=epel-9, a glob works too)
	$(BUILDER) rpm openstack-utils -t '$(TARGET)' --repo --local-key

image: setup ## build a guest image (IMAGE=jeos-fedora-45, OPTIONS="--repo NAME=URL")
	$(BUILDER) image $(IMAGE) $(OPTIONS)

verify: setup ## boot an image and run the checklist (IMAGE=...)
	$(BUILDER) verify out/$(IMAGE)/$(IMAGE).qcow2 $(OPTIONS)

upload: setup ## upload an image to Glance (IMAGE=..., OPTIONS="--cloud NAME")
	$(BUILDER) upload out/$(IMAGE)/$(IMAGE).qcow2 $(OPTIONS)

setup-plane:
	@$(INSTALL) plane

plane-up: setup-plane ## start a private MariaDB, Keystone and Glance (out/plane)
	@.venv/bin/python -m tests.rig.plane up

plane-down: ## stop it and remove it
	@.venv/bin/python -m tests.rig.plane down

SUITES ?=

bench: ## measure our builds next to the floor and diskimage-builder, and the other suites (SUITES=image)
	@$(INSTALL) bench
	.venv/bin/python -m tests.rig.bench $(SUITES)

lock: setup-dev ## pin every Python package again, with hashes (UPGRADE=1: the newest of what services need)
	.venv/bin/python -m pip install -q pip-tools uv
	builder/requirements/lock

clean: ## remove out/, .venv and the caches, after saying how much
	@if [ -x $(BUILDER) ]; then $(BUILDER) clean --yes; fi
	rm -rf out .venv
