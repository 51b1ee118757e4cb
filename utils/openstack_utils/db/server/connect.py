# SPDX-License-Identifier: MIT
"""Opening a connection to a server: the driver of its engine is imported when it is needed."""


def connect(place, user, password, secrets, database=None, uid=None):
    """Return a Connection. Without a `password` the server sees at the socket who we are, or `uid`."""
    if place.engine == "mysql":
        from .mysql import MySQLConnection

        return MySQLConnection(place, user, password, secrets, database, uid)
    from .postgresql import PostgreSQLConnection

    return PostgreSQLConnection(place, user, password, secrets, database, uid)
