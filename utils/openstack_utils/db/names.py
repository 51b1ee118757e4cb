# SPDX-License-Identifier: MIT
"""The names of databases and accounts: the catalogue's, or those that the operator's URLs have. Pure.

A URL that the configuration has already says which database is meant and who logs in to it: everything that
is made, migrated or dropped goes by these names.
"""

import re

from ..errors import UsageError
from .urls import parse

# What both servers take between quotes, and no file or message is broken by.
NAME = re.compile(r"[^\x00-\x1f\x7f`\"'%\\/?@]{1,63}")
# What belongs to the server: none of it is a service's.
DATABASES = frozenset(
    ["mysql", "information_schema", "performance_schema", "sys", "postgres", "template0", "template1"]
)
ACCOUNTS = frozenset(["root", "mysql", "mariadb.sys", "mysql.sys", "postgres", "rdsadmin"])


def adopt(service, values, engine=None):
    """Return the Service with the names of the URLs in its options.

    values: {Option: text or None}. engine: only URLs of this kind of server count; None: any. A database
    without an option of its own (nova_cell0) is called after the one that it is next to.

    Raises UsageError where two options of one database name different ones, or a name is unusable.
    """
    names, accounts = {}, {}
    for each in service.databases:
        found = _named(service, each, values, engine)
        names[each.name] = (found and found.database) or each.name
        accounts[each.name] = (found and found.user) or each.account
    for each in service.databases:
        if each.alongside:
            own = names[each.alongside]
            if own != each.alongside:
                names[each.name] = own + each.name[len(each.alongside) :]
            accounts[each.name] = accounts[each.alongside]
    if len(set(names.values())) < len(names):
        raise UsageError("%s: two of its databases have one name" % service.name)
    return _renamed(service, names, accounts)


def foreign(service, adopted):
    """Return the names of `adopted` that are not the catalogue's, in words."""
    words = []
    for old, new in zip(service.databases, adopted.databases):
        if new.name != old.name:
            words.append("database %s" % new.name)
        if new.account != old.account:
            words.append("account %s" % new.account)
    return list(dict.fromkeys(words))


def check_own(service):
    """Raise UsageError where a name is the server's own: nothing of that is made or dropped."""
    for each in service.databases:
        if each.name.lower() in DATABASES:
            message = "the URL of %s names the server's own database %s" % (service.name, each.name)
            raise UsageError(message, hint="give the service a database of its own")
        if each.account.lower() in ACCOUNTS:
            message = "the URL of %s logs in as %s, the server's own account" % (service.name, each.account)
            raise UsageError(message, hint="name an account of the service in the URL")


def _named(service, database, values, engine):
    """Return the Url that an option of a database has, or None."""
    found, where = None, None
    for option, each in service.options:
        url = parse(values.get(option) or "") if each is database else None
        if url is None or url.engine is None or engine not in (None, url.engine):
            continue
        for name in filter(None, (url.database, url.user)):
            if not NAME.fullmatch(name):
                raise UsageError('%s: "%s" is not a name that can be used' % (option, name))
        if found is not None and (url.database, url.user) != (found.database, found.user):
            message = "%s and %s name different databases or accounts: %s and %s" % (
                where, option, found.masked(), url.masked(),
            )  # fmt: skip
            raise UsageError(message, hint="openstack-config --set makes them the same")
        found, where = found or url, where or option
    return found


def _renamed(service, names, accounts):
    databases = tuple(
        each._replace(
            name=names[each.name],
            account=accounts[each.name],
            alongside=names[each.alongside] if each.alongside else each.alongside,
        )
        for each in service.databases
    )
    sync = tuple(
        each._replace(
            databases=tuple(names[name] for name in each.databases),
            run=tuple(_word(word, names) for word in each.run),
        )
        for each in service.sync
    )
    return service._replace(databases=databases, sync=sync)


def _word(word, names):
    for old, new in names.items():
        if word == "{template:%s}" % old:
            return "{template:%s}" % new
    return word
