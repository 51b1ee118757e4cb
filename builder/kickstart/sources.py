# SPDX-License-Identifier: MIT
"""Where packages come from: url and repo lines, and the sources of the command line that replace them."""

from __future__ import annotations

import dataclasses
import re

from builder.kickstart import addresses
from builder.kickstart.choices import URL_SCHEMES, Choices
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.plan import Repository
from builder.targets import ARCHITECTURE, Target, TargetFamily
from builder.targets import TargetRepository as KnownRepository

MEDIA = ("cdrom", "harddrive", "nfs", "hmc")

# What a repository of another architecture has in its address.
_ARCHITECTURES = {
    *("aarch64", "arm64", "armhfp", "armv7hl", "i386", "i586", "i686", "loongarch64", "ppc", "ppc64"),
    *("ppc64le", "riscv64", "s390", "s390x"),
}
# Bytes of a file of public keys; the distributions' have a few KiB.
LONGEST_KEY = 1 << 20
# dnf.conf(5): proxy; libcurl's.
_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def plan_repositories(ks: Kickstart, choices: Choices, target: Target) -> tuple[Repository, ...]:
    """Return the repositories, url's first.

    A repo line with no more than a name means a repository of Fedora, where `target` is one. What the
    command line says wins: --repo replaces every source of the kickstart (as Koji does with the repositories
    of a build tag), --tree its url line and its media.
    """
    lines = ks.all("url", "repo", *MEDIA)
    replaced = ("url", "repo", *MEDIA) if choices.repositories else ("url", *MEDIA) if choices.tree else ()
    # What is wrong with a line that is replaced harms nobody: templates fill such lines in later.
    wrong = tuple(f"{name}{end}" for name in ks.failed & set(replaced) for end in (":", " "))
    if wrong:
        ks.findings.errors = [one for one in ks.findings.errors if not one.message.startswith(wrong)]
    for line in lines:
        if line.name in replaced:
            ks.findings.note(line.place, f"{line.name}: replaced by the sources of the command line")
    found = _plan_lines(ks, [line for line in lines if line.name not in replaced], target)
    tree = [Repository(name="tree", baseurl=(choices.tree,))] if choices.tree else []
    given = [*tree, *choices.repositories, *found, *choices.extra_repositories]
    if not given:
        ks.findings.note(None, f"{ks.path}: names no repository; a build needs --repo NAME=URL")
    by_name = {repository.name: _with_keys(repository, choices) for repository in given}
    return tuple(by_name.values())


def _plan_lines(ks: Kickstart, lines: list[ParsedCommand], target: Target) -> list[Repository]:
    """Return the repositories of the kickstart's own lines, each name once."""
    found: dict[str, Repository] = {}
    for line in lines:
        if line.name in MEDIA:
            ks.findings.error(
                line.place,
                f"{line.name}: an image is not installed from a medium",
                "give --tree URL or --repo NAME=URL, or write a url line",
            )
            continue
        repository = _plan_url(ks, line) if line.name == "url" else _plan_repo(ks, line, target)
        if repository is None:
            continue
        if repository.name in found and line.name == "repo":
            ks.findings.warn(line.place, f"repo: a second {repository.name} replaces the first")
        found[repository.name] = repository
    return list(found.values())


def _plan_url(ks: Kickstart, line: ParsedCommand) -> Repository | None:
    return _repository(ks, line, name="url", base=str(line.get("url", "")))


def _plan_repo(ks: Kickstart, line: ParsedCommand, target: Target) -> Repository | None:
    # dnf takes no blanks and the like in the id of a repository; installers do.
    name = re.sub(r"[^A-Za-z0-9_.:-]+", "-", str(line.get("name", ""))).strip("-")
    if not name:
        ks.findings.error(line.place, "repo --name: no name", "give it a short name")
        return None
    # Each rebuild of EL has addresses of its own: a name alone does not say whose are meant.
    known = target.repositories.get(name.lower()) if target.family is TargetFamily.FEDORA else None
    repository = _repository(ks, line, name=name, base=str(line.get("baseurl", "")), known=known)
    if repository is None:
        return None
    cost = line.get("cost")
    return dataclasses.replace(
        repository,
        cost=int(cost) if cost is not None else None,
        includes=tuple(str(glob) for glob in line.get("includepkgs", ())),
        excludes=tuple(str(glob) for glob in line.get("excludepkgs", ())),
        groups=not (line.get("ignoregroups", False) or _is_true(line.values.get("--ignoregroups", ""))),
        install=bool(line.get("install", False)),
    )


def _repository(
    ks: Kickstart, line: ParsedCommand, *, name: str, base: str, known: KnownRepository | None = None
) -> Repository | None:
    """Return the repository of a url or repo line, at the address of `known` where it has none of its own.

    None where there is no usable address.
    """
    mirrors, links = str(line.get("mirrorlist", "") or ""), str(line.get("metalink", "") or "")
    if not (base or mirrors or links):
        if known is None:
            ks.findings.error(
                line.place,
                f"{line.name} {name}: has no address, and none of that name is known",
                "add --baseurl, --mirrorlist or --metalink",
            )
            return None
        base, mirrors, links = known.baseurl or "", known.mirrorlist or "", known.metalink or ""
        ks.findings.note(line.place, f"repo {name}: is taken from {base or mirrors or links}")
    found = (base,) if base else ()
    for address in (*found, mirrors, links):
        if address and not addresses.is_url(address, *URL_SCHEMES):
            hint = (
                "the file is a template: fill it in first" if "${" in address else "give https:// or file://"
            )
            ks.findings.error(line.place, f"{line.name}: {address} is not a URL", hint)
            return None
        if address and (other := _ARCHITECTURES & set(re.split(r"[/?&=]", address))):
            ks.findings.error(
                line.place,
                f"{line.name} {name}: is of {min(other)}, and images are of {ARCHITECTURE}",
                f"give one of {ARCHITECTURE}; $basearch stands for that",
            )
            return None
    proxy = str(line.get("proxy", "") or "")
    if proxy and not addresses.is_url(proxy if "://" in proxy else f"http://{proxy}", *_PROXIES):
        ks.findings.error(
            line.place,
            f"{line.name} {name} --proxy: not the address of a proxy",
            "such as --proxy=http://proxy.example:3128",
        )
    return Repository(
        name=name,
        baseurl=found,
        mirrorlist=mirrors or None,
        metalink=links or None,
        proxy=proxy or None,
        verify_tls=not line.get("noverifyssl", False),
        place=line.place,
    )


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "yes", "on", "1")


def _with_keys(repository: Repository, choices: Choices) -> Repository:
    if repository.gpg_keys:
        return repository
    return dataclasses.replace(repository, gpg_keys=choices.gpg_keys, fingerprints=choices.fingerprints)
