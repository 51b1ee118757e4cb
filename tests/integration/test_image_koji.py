# SPDX-License-Identifier: MIT
"""What a content generator says of an image that was really built: every package with its digest and key."""

from __future__ import annotations

import json

from tests.support.imaging import Bench, kickstart
from tests.support.rpm_tool import builder


def test_the_packages_of_an_image_are_those_of_its_metadata(bench: Bench) -> None:
    bench.build(kickstart())

    done = builder("koji", "import", bench.image, "--release", "1", "--dry-run", cwd=bench.folder)

    metadata = json.loads(done.stdout)
    image = next(output for output in metadata["output"] if output["type"] == "image")
    installed = {package["nevra"]: package for package in bench.manifest()["packages"]}
    assert len(image["components"]) == len(installed) > 3
    assert all(len(component["sigmd5"]) == 32 for component in image["components"])
    assert len({component["signature"] for component in image["components"]} - {None}) == 1
    assert {component["name"] for component in image["components"]} == {
        package["name"] for package in installed.values()
    }
    assert metadata["build"]["extra"]["typeinfo"]["image"]["target"] == "fixture-12"
