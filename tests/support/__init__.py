# SPDX-License-Identifier: MIT
"""What tests share: builders of input, readers of results, servers to talk to. No tests here."""
