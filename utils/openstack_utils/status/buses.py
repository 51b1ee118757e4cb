# SPDX-License-Identifier: MIT
"""The message buses that the services' configuration names, wherever they run. Passwords are never kept."""

LOCAL = ("localhost", "127.0.0.1", "::1")
# oslo.messaging's schemes, and the port of each.
PORTS = {"rabbit": 5672, "kombu": 5672, "amqp": 5672, "qpid": 5672}
# Before transport_url: the option with the host, and the one with the port.
OLD = (("rabbit_host", "rabbit_port"), ("qpid_hostname", "qpid_port"))


def find(files, settings):
    """Return {(host, port)} of [DEFAULT] transport_url, and of what there was before it, in these files."""
    found = set()
    for path in files:
        found.update(hosts(settings.value(path, "DEFAULT", "transport_url") or ""))
        for host, port in OLD:
            name = settings.value(path, "DEFAULT", host)
            if name:
                number = settings.value(path, "DEFAULT", port) or "5672"
                found.update(hosts("rabbit://%s:%s" % (name, number)))
    return found


def hosts(url):
    """Return [(host, port)] of a transport URL (oslo_messaging.TransportURL): rabbit://U:P@H:PORT,U:P@H/V."""
    scheme, colon, rest = url.partition("://")
    scheme = scheme.partition("+")[0]
    if not colon or scheme not in PORTS:
        return []
    found = []
    for each in rest.partition("?")[0].partition("/")[0].split(","):
        place = each.rpartition("@")[2]
        if place.startswith("["):
            host, _, port = place[1:].partition("]")
            port = port.lstrip(":")
        else:
            host, _, port = place.partition(":")
        if host and (not port or port.isdigit()):
            found.append((host, int(port or PORTS[scheme])))
    return found


def is_local(place):
    return place[0] in LOCAL
