# SPDX-License-Identifier: MIT
"""dnf 4's part of a build: solves, fetches and installs (protocol.py says what is asked and answered).

dnf's own locks are replaced: they hold process ids, which say nothing between pid namespaces. The
caller holds a lock of its own on the cache.
"""

from __future__ import annotations

import json
import os
import sys

import dnf
import dnf.comps
import dnf.exceptions
import dnf.lock
import dnf.repo
import dnf.sack
import dnf.subject
import hawkey
import libdnf.conf
import libdnf.transaction
import rpm
import sysusers
from protocol import Stop, asks_for_paths, nearest, one_line, refused, say, several

# rpmtag.h: RPMTAG_PAYLOADDIGEST, in rpm 6 RPMTAG_PAYLOADSHA256.
PAYLOAD_SHA256 = 5092
# Bytes.
LONGEST_HISTORY = 64 << 10


def configure(request, filelists):
    """Return a dnf.Base set up from the request alone: nothing of the host's configuration."""
    conf = dnf.conf.Conf()
    if hasattr(conf, "optional_metadata_types"):
        # dnf 4.19 and later fetches no more than is named; before, it fetches all there is.
        conf.optional_metadata_types = ["comps", "filelists"] if filelists else ["comps"]
    conf.config_file_path = "/dev/null"
    conf.reposdir = []
    conf.varsdir = []
    conf.pluginpath = []
    conf.plugins = False
    conf.installroot = request["root"]
    conf.cachedir = request["cache"]
    conf.persistdir = os.path.join(request["root"], "var/lib/dnf")
    conf.logdir = request["logs"]
    # A server that trickles is disconnected: librepo has these as curl's lowest speed, headers included.
    conf.timeout = request["patience"]
    conf.minrate = request["slowest"]
    conf.best = True
    conf.install_weak_deps = request["weak"]
    # rpm checks signatures and digests while it installs (%_pkgverify_level): once, and nothing slips by.
    conf.gpgcheck = False
    conf.keepcache = True
    conf.cacheonly = request["offline"]
    conf.module_platform_id = request["module_platform_id"]
    conf.history_record = True
    conf.substitutions["releasever"] = request["releasever"]
    conf.substitutions["basearch"] = request["architecture"]
    conf.substitutions["arch"] = request["architecture"]
    if not request["docs"]:
        conf.tsflags = ["nodocs"]
    for name, value in request["macros"].items():
        rpm.addMacro(name, value)
    # The users that packages declare are made by sysusers.py, with whatever rpm.
    rpm.delMacro("__systemd_sysusers")
    return dnf.Base(conf)


def add_repositories(base, repositories):
    """Add the repositories of the request."""
    for wanted in repositories:
        repo = dnf.repo.Repo(wanted["name"], base.conf)
        repo.baseurl = wanted["baseurl"]
        for option in ("mirrorlist", "metalink", "cost", "proxy"):
            if wanted.get(option) is not None:
                setattr(repo, option, wanted[option])
        repo.includepkgs = wanted["includes"]
        repo.excludepkgs = wanted["excludes"]
        repo.sslverify = wanted["verify_tls"]
        repo.enablegroups = wanted["groups"]
        repo.skip_if_unavailable = False
        if not base.conf.cacheonly:
            # Look whether there is newer metadata. metadata_expire=0 counts in whole seconds: what has
            # changed within the one after the last look would be missed.
            repo._repo.expire()
        repo.enable()
        base.repos.add(repo)


def load(base, filelists):
    """Load the metadata of all repositories; the lists of all files only where `filelists` says so.

    They are most of the metadata, and libsolv takes minutes for a large repository's. What packages
    commonly depend on, /usr/bin and /etc, is in the other metadata too.
    """
    load_repo = hawkey.Sack.load_repo
    dnf.sack.Sack.load_repo = lambda sack, repo, **flags: load_repo(
        sack, repo, build_cache=flags.get("build_cache", True), load_filelists=filelists
    )
    try:
        # The tree is empty: no installed system to read.
        base.fill_sack(load_system_repo=False)
        base.read_comps(arch_filter=True)
        base.comps._i = Held(base.comps._i)
    except dnf.exceptions.RepoError as error:
        raise Stop("repo", one_line(error)) from error


class Held:
    """An object of libcomps whose lists are Python's.

    With Python 3.13 a loop over one of libcomps 0.1.21 finds nothing, or ends by SIGSEGV: on Debian 13.
    list() of it is whole.
    """

    LISTS = ("categories", "environments", "groups", "group_ids", "option_ids", "packages")

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        return [Held(one) for one in list(value)] if name in self.LISTS else value


def mark(base, request):
    """Mark what the request asks for; collect everything that is missing before complaining."""
    missing = []
    exclude(base, request["excluded"])
    left_out = {group.id for name in request["excluded_groups"] for group in find_groups(base, name)}
    types = ("mandatory", "default", "conditional")
    if request["environment"]:
        environment = base.comps.environment_by_pattern(request["environment"])
        if environment is None:
            names = [one.id for one in base.comps.environments_iter()]
            missing.append(nearest("@^" + request["environment"], ["@^" + name for name in names]))
        else:
            base.environment_install(environment.id, types, exclude_groups=left_out)
    wanted = [(name, types) for name in request["groups"]]
    wanted += [(name, (*types, "optional")) for name in request["optional_groups"]]
    wanted += [(name, ("mandatory",)) for name in request["mandatory_groups"]]
    if request["core"] and base.comps.group_by_pattern("core"):
        wanted.insert(0, ("core", types))
    # Few repositories have such a group, and a kickstart did not ask for it: nothing to warn of.
    wanted += [(name, types) for name in request["added_groups"] if find_groups(base, name)]
    for name, kinds in wanted:
        groups = find_groups(base, name)
        if not groups:
            missing.append(nearest("@" + name, ["@" + one.id for one in base.comps.groups_iter()]))
        for group in groups:
            if group.id not in left_out:
                base.group_install(group.id, kinds)
    for name in request["names"]:
        try:
            base.install(name, strict=True)
        except dnf.exceptions.MarkingError:
            if dnf.subject.Subject(name).get_best_query(base.sack, with_src=False).run():
                say("warning", message="package %s cannot be installed" % name)
                continue
            names = {package.name for package in base.sack.query().available()}
            missing.append(nearest(name, names))
    for name in request["added"]:
        try:
            base.install(name, strict=True)
        except dnf.exceptions.MarkingError:
            say("warning", message="%s, which the installer adds, is not in the repositories" % name)
    if missing and not request["ignore_missing"]:
        raise Stop("missing", "not in the repositories", specs=missing)
    for spec in missing:
        say("warning", message="%s is not in the repositories" % spec["name"])


def exclude(base, specs):
    """Exclude packages by name, glob or name.arch: whatever needs them fails to solve, as in Anaconda."""
    for spec in specs:
        query = dnf.subject.Subject(spec).get_best_query(base.sack, with_provides=False, with_src=False)
        base.sack.add_excludes(query)


def find_groups(base, name):
    """Return the comps groups that an id, a name or a glob stands for."""
    return list(base.comps.groups_by_pattern(name))


def solve(request):
    """Mark, resolve, say what came out; return the base and the packages.

    Lists of files are loaded only where it does not go without: a dependency on a path that is in no
    package's own metadata, or a path that is asked for.
    """
    filelists = asks_for_paths(request)
    while True:
        base = configure(request, filelists)
        add_repositories(base, request["repositories"])
        load(base, filelists)
        mark(base, request)
        try:
            base.resolve()
            break
        except dnf.exceptions.DepsolveError as error:
            if filelists:
                raise Stop("depsolve", one_line(error)) from error
            filelists = True
    packages = sorted(base.transaction.install_set)
    if not packages:
        raise Stop("missing", "the kickstart asks for no package", specs=[])
    say(
        "solved",
        packages=[describe(package) for package in packages],
        installed_size=sum(package.installsize for package in packages),
    )
    return base, packages


def describe(package):
    """Return a package as JSON."""
    kind, digest = package.returnIdSum() or ("", "")
    return {
        "name": package.name,
        "nevra": str(package),
        "arch": package.arch,
        "repo": package.reponame,
        "sha256": digest if kind == "sha256" else "",
        "size": package.downloadsize,
        "path": package.localPkg(),
    }


class Download(dnf.callback.DownloadProgress):
    """Reports how many bytes have arrived."""

    def __init__(self):
        self.total = 0
        self.done = {}

    def start(self, total_files, total_size, total_drpms=0):
        self.total = int(total_size)

    def progress(self, payload, done):
        # librepo counts bytes in doubles.
        self.done[str(payload)] = int(done)
        say("progress", what="bytes", done=sum(self.done.values()), total=self.total)

    def end(self, payload, status, msg):
        pass


def fetch(base, packages, repositories):
    """Download what is not in the cache; every file is compared with the checksum of the metadata."""
    local = {
        repo["name"] for repo in repositories if repo["baseurl"] and repo["baseurl"][0].startswith("file:")
    }
    remote = [package for package in packages if package.reponame not in local]
    try:
        base.download_packages(remote, progress=Download())
    except dnf.exceptions.DownloadError as error:
        raise Stop("fetch", one_line(error)) from error
    for package in packages:
        path = package.localPkg()
        if not os.path.exists(path):
            raise Stop("fetch", "%s: no such file" % path)
        if not package.verifyLocalPkg():
            raise Stop("fetch", "%s: size or checksum differs from the repository's metadata" % path)
    say("fetched")


class Transaction(dnf.callback.TransactionProgress):
    """Reports the installation's progress, and makes users before the package that declares them."""

    def __init__(self, root):
        super().__init__()
        self.root = root
        self.errors = []
        self.last = 0

    def progress(self, package, action, ti_done, ti_total, ts_done, ts_total):
        if action == libdnf.transaction.TransactionItemAction_INSTALL and ts_done and ts_done != self.last:
            self.last = ts_done
            say("progress", what="packages", done=ts_done, total=ts_total)

    def scriptout(self, msgs):
        if msgs:
            sys.stderr.write(msgs if isinstance(msgs, str) else msgs.decode("utf-8", "replace"))
            sys.stderr.flush()

    def filelog(self, package, action):
        lines = sysusers.declared_users(str(one) for one in package.provides)
        if lines:
            sysusers.make(self.root, lines)

    def error(self, message):
        self.errors.append(message)
        say("warning", message=message)


def run_once(transaction):
    """Have rpm look for problems in the real run only, not in a test before it as well.

    rpm looks at signatures, digests, conflicts and room before it writes anything (lib/transaction.c,
    rpmtsRun), and a tree that fails is thrown away. dnf only logs what the real run complains about: the
    list that this returns gets it.

    A %post that fails keeps no package from being installed. rpm 6.1 ends with an error then, of which it
    has no problem to tell, as where nothing could begin; before, it ended well. Here it ends well with each.
    """
    complaints = []

    def run(callback, data):
        installed = 0

        def count(reason, *rest):
            nonlocal installed
            installed += reason == rpm.RPMCALLBACK_INST_STOP
            return callback(reason, *rest)

        problems = transaction.ts.run(count, data)
        complaints.extend(problem[0] for problem in problems or ())
        if not problems and installed == sum(1 for _ in transaction.ts):
            return None
        return problems

    transaction.test, transaction.run = lambda _: [], run
    return complaints


def digest_once(transaction):
    """Have rpm compute no digest of what a digest that it checks anyway stands for.

    A package's signed header holds the SHA-256 of its payload (rpm 4.14 and later write it). Where all
    do, the MD5 of the same bytes and the digest of each file that comes out of them add nothing.
    """
    add = transaction.ts.addInstall
    weak = []

    def add_install(header, *rest):
        weak.extend(() if header[PAYLOAD_SHA256] else (header,))
        return add(header, *rest)

    run = transaction.run

    def run_digesting_once(callback, data):
        if not weak:
            transaction.ts.setVfyFlags(transaction.ts.getVfyFlags() | rpm.RPMVSF_NOMD5)
            transaction.addTsFlag(rpm.RPMTRANS_FLAG_NOFILEDIGEST)
        return run(callback, data)

    transaction.addInstall, transaction.run = add_install, run_digesting_once


def bound_history(history):
    """Bound what of the scriptlets' words dnf's history gets: a row for each line, hours for millions."""
    log, room = history.log_scriptlet_output, [LONGEST_HISTORY]

    def write(said):
        if said and room[0] > 0:
            log(said[: room[0]])
            room[0] -= len(said)

    history.log_scriptlet_output = write


def install(base, request):
    """Run the transaction."""
    bound_history(base.history)
    complaints = run_once(base._ts)
    digest_once(base._ts)
    # Plugins of the host's rpm act on the host (systemd-inhibit, fapolicyd, audit) or as the host is set up.
    base._ts.addTsFlag(rpm.RPMTRANS_FLAG_NOPLUGINS)
    display = Transaction(request["root"])
    try:
        base.do_transaction(display=display)
    except dnf.exceptions.Error as error:
        raise refused(complaints or [one_line(error)], display.errors) from error
    failed = [
        item for item in base.transaction if item.state == libdnf.transaction.TransactionItemState_ERROR
    ]
    if failed:
        names = several([str(item) for item in failed], ", ")
        raise Stop("transaction", "not installed: %s" % names, details=display.errors)
    say("installed", errors=display.errors)


class NoLock:
    """A lock that is none: see the top."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def main():
    """Do what the request says, up to its `until` (solve, fetch or install)."""
    request = json.load(sys.stdin)
    os.environ["HOME"] = request["logs"]
    for name in ("download", "metadata", "rpmdb", "log"):
        setattr(dnf.lock, "build_%s_lock" % name, lambda *_: NoLock())
    try:
        base, packages = solve(request)
        if request["until"] == "fetch":
            fetch(base, packages, request["repositories"])
        if request["until"] == "install":
            install(base, request)
    except Stop as stop:
        say(**stop.event)
    except (dnf.exceptions.Error, hawkey.Exception, OSError) as error:
        say("error", kind="dnf", message=one_line(error))
    # Closing libdnf's tables takes longer than everything else that is left to do.
    sys.stdout.flush()
    os._exit(0)


main()
