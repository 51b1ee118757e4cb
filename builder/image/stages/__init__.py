# SPDX-License-Identifier: MIT
"""The stages of an image build: one module each, `run(build)` returns what its line of progress ends with."""
