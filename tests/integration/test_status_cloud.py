# SPDX-License-Identifier: MIT
"""openstack-status with a login, at a real Keystone and Glance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from builder.places import SPECS
from tests.rig.plane.plane import Plane

LAUNCHER = SPECS.parent / "utils/bin/openstack-status"


def look(folder: Path, environment: dict[str, str]) -> tuple[int, dict[str, Any], str]:
    """Run openstack-status on a host without services; return its code, findings and all that it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    argv = [sys.executable, "-I", str(LAUNCHER), "--config-dir", str(folder), "--json", "--timeout", "30"]
    done = subprocess.run(
        argv, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    report = json.loads(done.stdout)
    found = {each["name"]: each for part in report["sections"] for each in part["findings"]}
    return done.returncode, found, done.stdout + done.stderr


def test_users_and_images_are_counted(plane: Plane, tmp_path: Path) -> None:
    clouds = yaml.safe_load(plane.clouds_file.read_text())
    password = clouds["clouds"][plane.client_environment["OS_CLOUD"]]["auth"]["password"]

    code, found, said = look(tmp_path, dict(plane.client_environment))

    assert code == 0
    assert int(found["users"]["state"]) >= 1
    assert int(found["images"]["state"]) >= 0
    (login,) = (each for each in found.values() if each["kind"] == "login")
    assert (login["state"], login["user"]) == ("logged in", "admin")
    assert password not in said


def test_a_wrong_password_is_not_well(plane: Plane, tmp_path: Path) -> None:
    clouds = yaml.safe_load(plane.clouds_file.read_text())
    name = plane.client_environment["OS_CLOUD"]
    clouds["clouds"][name]["auth"]["password"] = "no-such-word"
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump(clouds))
    environment = {**plane.client_environment, "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")}

    code, found, said = look(tmp_path, environment)

    (login,) = found.values()
    assert code == 1
    assert login["well"] is False
    assert "HTTP 401" in login["error"]
    assert "no-such-word" not in said
