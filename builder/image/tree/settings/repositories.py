# SPDX-License-Identifier: MIT
"""repo --install: write the repository into the image's /etc/yum.repos.d."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree import tree
from builder.kickstart.plan import Repository


def apply(build: Build) -> None:
    """Write a file for each repository that the kickstart wants installed."""
    for repository in build.plan.repositories:
        if repository.install:
            tree.write(f"/etc/yum.repos.d/{repository.name}.repo", repo_file(repository))


def repo_file(repository: Repository) -> str:
    """Return the text of a .repo file (dnf.conf(5)); keys are those in the image's rpm database."""
    lines = [f"[{repository.name}]", f"name={repository.name}", "enabled=1"]
    if repository.baseurl:
        lines.append(f"baseurl={' '.join(repository.baseurl)}")
    for option in ("mirrorlist", "metalink", "cost", "proxy"):
        value = getattr(repository, option)
        lines += [f"{option}={value}"] if value is not None else []
    lines += [f"includepkgs={' '.join(repository.includes)}"] if repository.includes else []
    lines += [f"excludepkgs={' '.join(repository.excludes)}"] if repository.excludes else []
    lines += [] if repository.groups else ["enablegroups=0"]
    lines += [] if repository.verify_tls else ["sslverify=0"]
    lines += [f"gpgcheck=1\ngpgkey={' '.join(repository.gpg_keys)}"] if repository.gpg_keys else []
    return "\n".join(lines) + "\n"
