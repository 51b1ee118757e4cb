# SPDX-License-Identifier: MIT
"""Database servers: starting one here, logging in, and speaking SQL to it."""
