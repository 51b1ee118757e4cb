# SPDX-License-Identifier: MIT
"""Koji: builds and images on a hub, their results fetched, our own images imported.

Only this package uses Koji's library (the extra `koji`); it is imported when a hub is really asked.
"""
