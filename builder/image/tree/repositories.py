# SPDX-License-Identifier: MIT
"""repo --install: write the repository into the image's /etc/yum.repos.d."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree import tree
from builder.kickstart.plan import Repository
from builder.repofile import repo_file


def apply(build: Build) -> None:
    """Write a file for each repository that the kickstart wants installed."""
    for repository in build.plan.repositories:
        if repository.install:
            tree.write(f"/etc/yum.repos.d/{repository.name}.repo", text_of(repository))


def text_of(repository: Repository) -> str:
    """Return the text of its file; its keys are in the image's rpm database."""
    return repo_file(
        repository.name,
        baseurl=repository.baseurl,
        mirrorlist=repository.mirrorlist,
        metalink=repository.metalink,
        cost=repository.cost,
        proxy=repository.proxy,
        includepkgs=repository.includes,
        excludepkgs=repository.excludes,
        sslverify=None if repository.verify_tls else 0,
        gpgcheck=1 if repository.gpg_keys else None,
        gpgkey=repository.gpg_keys,
    )
