# SPDX-License-Identifier: MIT
"""Programs that phases of elements find: run-phase starts each, the others answer as diskimage-builder's."""
