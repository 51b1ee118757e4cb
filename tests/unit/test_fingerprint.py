# SPDX-License-Identifier: MIT
"""What decides the bytes of an image is in its fingerprint: when any of it changes, it is built again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.image.build import BuildOptions
from builder.image.fingerprint import take_fingerprint, take_seed
from builder.targets import Target, find_target
from tests.support.kickstart_text import GOOD, plan_text

FACTS: dict[str, Callable[[Target], Target]] = {
    "features of xfs that its kernel reads": lambda target: replace(target, xfs={"bigtime": 0}),
    "database of its rpm": lambda target: replace(target, rpm=replace(target.rpm, database="ndb")),
    "package manager": lambda target: replace(target, packages="yum"),
    "release": lambda target: replace(target, dist=".fc99"),
}


@pytest.mark.parametrize("change", FACTS.values(), ids=FACTS)
def test_facts_of_the_target_decide(tmp_path: Path, change: Callable[[Target], Target]) -> None:
    plan, _ = plan_text(tmp_path, GOOD)
    options = BuildOptions(out=tmp_path, network=False, source_date_epoch=1)
    target = find_target("fedora-45")

    for take in (take_fingerprint, take_seed):
        assert take(plan, target, options, ()) == take(plan, replace(target), options, ())
        assert take(plan, target, options, ()) != take(plan, change(target), options, ())


def test_scripts_decide_the_image_and_not_its_identifiers(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, GOOD)
    other, _ = plan_text(tmp_path, f"{GOOD}%post\ntrue\n%end\n")
    options = BuildOptions(out=tmp_path, network=False, source_date_epoch=1)
    target = find_target("fedora-45")

    assert take_fingerprint(plan, target, options, ()) != take_fingerprint(other, target, options, ())
    assert take_seed(plan, target, options, ()) == take_seed(other, target, options, ())


@pytest.mark.parametrize("name", ["key", "key-$releasever"])
def test_content_of_a_key_decides_whatever_stands_in_its_path(tmp_path: Path, name: str) -> None:
    plan, _ = plan_text(tmp_path, GOOD)
    (repository, *_) = plan.repositories
    named = replace(plan, repositories=(replace(repository, gpg_keys=(f"file://{tmp_path}/{name}",)),))
    options = BuildOptions(out=tmp_path, network=False, source_date_epoch=1)
    path, found = Path(plan.filled_in(f"{tmp_path}/{name}")), set()

    for text in ("one", "another"):
        path.write_text(text)
        found.add(take_fingerprint(named, find_target("fedora-45"), options, ()))

    assert len(found) == 2
