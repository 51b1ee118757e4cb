# SPDX-License-Identifier: MIT
"""Glance: a finished image file becomes an image of the cloud, its hash compared, nothing left behind."""
