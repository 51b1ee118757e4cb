# SPDX-License-Identifier: MIT
"""libdnf5's part of a build, where dnf 4 is not available: solves and fetches (protocol.py).

It chooses what dnf4.py chooses. The installation is transaction.py's: libdnf5 takes no level of rpm's checks
(%_pkgverify_level) from us, and the packages are known by then.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys

import libdnf5
import libdnf5.base
import libdnf5.comps
import libdnf5.exception
import libdnf5.repo
import libdnf5.rpm
import transaction
from protocol import MOST_REASONS, Stop, asks_for_paths, nearest, one_line, say

TYPES = (
    libdnf5.comps.PackageType_MANDATORY
    | libdnf5.comps.PackageType_DEFAULT
    | libdnf5.comps.PackageType_CONDITIONAL
)
USER = libdnf5.transaction.TransactionItemReason_USER


def failures():
    """Return what libdnf5 raises: RuntimeError before 5.4, since then classes of its own (exception.i)."""
    names = ("Error", "NonLibdnf5Exception", "AssertionError", "UserAssertionError")
    found = [getattr(libdnf5.exception, name, None) for name in names]
    # Before 5.4 they are there, too, as wrappers of C++ that nothing raises, and that cannot be caught.
    return (RuntimeError, *(one for one in found if one and issubclass(one, BaseException)))


FAILURES = failures()


class Transfers(libdnf5.repo.DownloadCallbacks):
    """Reports how many bytes have arrived; keeps why they did not: libdnf5's own errors do not say it.

    An exception here would end the process (SWIG's directors).
    """

    def __init__(self):
        super().__init__()
        self.packages = []
        self.reasons = []

    def end(self, user_cb_data, status, msg):
        if self.packages:
            done = sum(size for path, size in self.packages if os.path.exists(path))
            say("progress", what="bytes", done=done, total=sum(size for _, size in self.packages))
        return libdnf5.repo.DownloadCallbacks.OK

    def mirror_failure(self, user_cb_data, msg, url, metadata):
        if len(self.reasons) < MOST_REASONS and msg not in self.reasons:
            self.reasons.append(msg)
        return libdnf5.repo.DownloadCallbacks.OK

    def explain(self, error):
        """Return an error of libdnf5 with the reasons on one line."""
        return one_line("\n".join([str(error), *self.reasons]))


def configure(request, metadata, transfers):
    """Return a Base set up from the request alone: nothing of the host's configuration.

    Args:
        metadata: the kinds of metadata to load besides the packages: comps, filelists.
        transfers: what the Base reports to. It belongs to it; the caller keeps the part that is Python's.
    """
    base = libdnf5.base.Base()
    conf = base.get_config()
    conf.plugins = False
    conf.reposdir = ()
    conf.varsdir = ()
    conf.installroot = request["root"]
    conf.cachedir = conf.system_cachedir = request["cache"]
    conf.logdir = request["logs"]
    # A server that trickles is disconnected: librepo has these as curl's lowest speed, headers included.
    conf.timeout = request["patience"]
    conf.minrate = request["slowest"]
    conf.best = True
    conf.install_weak_deps = request["weak"]
    # rpm checks signatures and digests while it installs: once, and nothing slips by.
    conf.pkg_gpgcheck = False
    conf.keepcache = True
    conf.cacheonly = "all" if request["offline"] else "none"
    conf.module_platform_id = request["module_platform_id"]
    conf.optional_metadata_types = metadata
    conf.excludepkgs = request["excluded"]
    base.setup()
    base.set_download_callbacks(libdnf5.repo.DownloadCallbacksUniquePtr(transfers))
    for name, key in (("releasever", "releasever"), ("basearch", "architecture"), ("arch", "architecture")):
        base.get_vars().set(name, request[key])
    return base


def add_repositories(base, request, transfers):
    """Load the metadata of the request's repositories."""
    sack = base.get_repo_sack()
    for wanted in request["repositories"]:
        repo = sack.create_repo(wanted["name"])
        conf = repo.get_config()
        conf.baseurl = wanted["baseurl"]
        for option in ("mirrorlist", "metalink", "cost", "proxy"):
            if wanted.get(option) is not None:
                setattr(conf, option, wanted[option])
        conf.includepkgs = wanted["includes"]
        conf.excludepkgs = wanted["excludes"]
        conf.sslverify = wanted["verify_tls"]
        conf.enablegroups = wanted["groups"]
        conf.skip_if_unavailable = False
        if not request["offline"]:
            repo.expire()
    try:
        sack.load_repos(libdnf5.repo.Repo.Type_AVAILABLE)
    except FAILURES as error:
        raise Stop("repo", transfers.explain(error)) from error


def mark(base, request):
    """Return the goal of the request; collect everything that is missing before complaining."""
    goal = libdnf5.base.Goal(base)
    missing = []
    left_out = {
        group.get_groupid() for name in request["excluded_groups"] for group in find_groups(base, name)
    }
    wanted = [(name, TYPES) for name in environment_groups(base, request, missing)]
    wanted += [(name, TYPES) for name in request["groups"]]
    wanted += [(name, TYPES | libdnf5.comps.PackageType_OPTIONAL) for name in request["optional_groups"]]
    wanted += [(name, libdnf5.comps.PackageType_MANDATORY) for name in request["mandatory_groups"]]
    if request["core"] and find_groups(base, "core"):
        wanted.insert(0, ("core", TYPES))
    # Few repositories have such a group, and a kickstart did not ask for it: nothing to warn of.
    wanted += [(name, TYPES) for name in request["added_groups"] if find_groups(base, name)]
    for name, kinds in wanted:
        groups = find_groups(base, name)
        if not groups:
            missing.append(nearest("@" + name, ["@" + one.get_groupid() for one in all_groups(base)]))
        for group in groups:
            if group.get_groupid() not in left_out:
                settings = libdnf5.base.GoalJobSettings()
                settings.set_group_package_types(kinds)
                goal.add_group_install(group.get_groupid(), USER, settings)
    for name in request["names"]:
        if is_known(base, name):
            goal.add_rpm_install(name)
        else:
            names = {package.get_name() for package in libdnf5.rpm.PackageQuery(base)}
            missing.append(nearest(name, names))
    for name in request["added"]:
        if is_known(base, name):
            goal.add_rpm_install(name)
        else:
            say("warning", message="%s, which the installer adds, is not in the repositories" % name)
    if missing and not request["ignore_missing"]:
        raise Stop("missing", "not in the repositories", specs=missing)
    for spec in missing:
        say("warning", message="%s is not in the repositories" % spec["name"])
    return goal


def environment_groups(base, request, missing):
    """Return the ids of the groups that the environment has; note the environment where it is missing."""
    if not request["environment"]:
        return []
    query = libdnf5.comps.EnvironmentQuery(base)
    for environment in query:
        if request["environment"] in (environment.get_environmentid(), environment.get_name()):
            return list(environment.get_groups())
    names = ["@^" + one.get_environmentid() for one in query]
    missing.append(nearest("@^" + request["environment"], names))
    return []


def all_groups(base):
    """Return every comps group."""
    return list(libdnf5.comps.GroupQuery(base))


def find_groups(base, name):
    """Return the comps groups that an id, a name or a glob stands for."""
    for attribute in ("filter_groupid", "filter_name"):
        query = libdnf5.comps.GroupQuery(base)
        getattr(query, attribute)(name, libdnf5.common.QueryCmp_GLOB)
        if not query.empty():
            return list(query)
    return []


def is_known(base, name):
    """Say whether a package, a capability or a file of the repositories is called `name`."""
    settings = libdnf5.base.ResolveSpecSettings()
    return libdnf5.rpm.PackageQuery(base).resolve_pkg_spec(name, settings, False)[0]


def solve(request):
    """Mark, resolve, say what came out; return the base with its transfers, and the packages.

    Lists of files are loaded only where it does not go without: a dependency on a path that is in no
    package's own metadata, or a path that is asked for.
    """
    kinds = ["comps", "filelists"] if asks_for_paths(request) else ["comps"]
    while True:
        transfers = Transfers()
        base = configure(request, kinds, transfers)
        add_repositories(base, request, transfers)
        result = mark(base, request).resolve()
        if result.get_problems() == libdnf5.base.GoalProblem_NO_PROBLEM:
            break
        if "filelists" in kinds:
            raise Stop("depsolve", one_line("\n".join(result.get_resolve_logs_as_strings())))
        kinds = ["comps", "filelists"]
    packages = sorted(
        (item.get_package() for item in result.get_transaction_packages()),
        key=lambda package: (package.get_name(), package.get_evr(), package.get_arch()),
    )
    if not packages:
        raise Stop("missing", "the kickstart asks for no package", specs=[])
    described = [describe(package, request) for package in packages]
    say(
        "solved",
        packages=described,
        installed_size=sum(package.get_install_size() for package in packages),
    )
    return base, transfers, packages, described


def describe(package, request):
    """Return a package as JSON."""
    checksum = package.get_checksum()
    is_sha256 = checksum.get_type() == libdnf5.rpm.Checksum.Type_SHA256
    return {
        "name": package.get_name(),
        "nevra": package.get_nevra(),
        "arch": package.get_arch(),
        "repo": package.get_repo_id(),
        "sha256": checksum.get_checksum() if is_sha256 else "",
        "size": package.get_download_size(),
        "path": local_path(package, request) or package.get_package_path(),
    }


def local_path(package, request):
    """Return where the package of a file: repository lies; None: it is to be fetched."""
    for wanted in request["repositories"]:
        if wanted["name"] == package.get_repo_id() and wanted["baseurl"]:
            base = package.get_baseurl() or wanted["baseurl"][0]
            if base.startswith("file://"):
                return os.path.join(base[len("file://") :], package.get_location())
    return None


def fetch(base, transfers, packages, described, request):
    """Download what is not in the cache; every file is compared with the checksum of the metadata."""
    remote = [package for package in packages if local_path(package, request) is None]
    remote = [package for package in remote if not is_whole(package, package.get_package_path())]
    if remote:
        transfers.packages = [(package.get_package_path(), package.get_download_size()) for package in remote]
        downloader = libdnf5.repo.PackageDownloader(base)
        for package in remote:
            downloader.add(package)
        try:
            downloader.download()
        except FAILURES as error:
            raise Stop("fetch", transfers.explain(error)) from error
    for package, one in zip(packages, described, strict=True):
        if not os.path.exists(one["path"]):
            raise Stop("fetch", "%s: no such file" % one["path"])
        if not is_whole(package, one["path"]):
            raise Stop("fetch", "%s: size or checksum differs from the repository's metadata" % one["path"])
    say("fetched")


def is_whole(package, path):
    """Say whether the file at `path` is what the metadata promise."""
    if not os.path.exists(path) or os.path.getsize(path) != package.get_download_size():
        return False
    checksum = package.get_checksum()
    # An old repository has md5 or sha1, which a host in FIPS mode has for this use alone.
    algorithm = functools.partial(hashlib.new, checksum.get_type_str(), usedforsecurity=False)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, algorithm)
    return digest.hexdigest() == checksum.get_checksum()


def main():
    """Do what the request says, up to its `until` (solve, fetch or install)."""
    request = json.load(sys.stdin)
    os.environ["HOME"] = request["logs"]
    try:
        base, transfers, packages, described = solve(request)
        if request["until"] == "fetch":
            fetch(base, transfers, packages, described, request)
        if request["until"] == "install":
            transaction.install(request, described)
    except Stop as stop:
        say(**stop.event)
    except (*FAILURES, OSError) as error:
        say("error", kind="dnf", message=one_line(error))
    # Taking libdnf5's tables apart takes longer than everything else that is left to do.
    sys.stdout.flush()
    os._exit(0)


main()
