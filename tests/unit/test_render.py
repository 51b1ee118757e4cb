# SPDX-License-Identifier: MIT
"""What is made from the catalogue: that the committed files are it, and how `specs` writes and compares."""

from __future__ import annotations

import io

from builder import cli
from builder.catalogue.load import load_catalogue
from builder.render.tree import compare, render_tree
from builder.report import Report
from builder.targets import SPECS, load_targets


def test_the_committed_specs_are_what_the_catalogue_makes() -> None:
    catalogue = load_catalogue()
    files = render_tree(catalogue, load_targets())

    assert compare(files, catalogue, SPECS) == ([], []), "run `make specs`"


def test_the_command_tells_that_all_is_as_it_should_be() -> None:
    told = io.StringIO()

    assert cli.run(cli.parse(["specs", "--check"]), Report(err=told)) == 0

    assert "files are what the catalogue makes" in told.getvalue()
