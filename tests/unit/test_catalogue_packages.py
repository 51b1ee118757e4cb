# SPDX-License-Identifier: MIT
"""Mistakes in what the catalogue says of services and packages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.catalogue_copy import spoil

# file, what is there, what is there instead, the message, the hint
BAD = {
    "service in no package": (
        "nova", "package: openstack-nova-api\n", "package: openstack-nova-apl\n",
        "openstack-nova-apl is not one of packages", "did you mean openstack-nova-api?",
    ),
    "file in no package": (
        "nova", "package: openstack-nova-compute\n", "package: openstack-nova-comput\n",
        "compute.filters: openstack-nova-comput is not one of", "openstack-nova-compute?",
    ),
    "unit taken": (
        "glance", "      openstack-glance-registry:", "      openstack-keystone:",
        "in essex the unit openstack-keystone already belongs to ", "",
    ),
    "alias taken": (
        "neutron", "aliases: [neutron-api]", "aliases: [openstack-nova-api]",
        "in current the unit openstack-nova-api already belongs to ", "",
    ),
    "after a unit of ours that is not": (
        "glance", "after: [openstack-glance-api.service]", "after: [openstack-glance.api.service]",
        "no project has the unit openstack-glance.api.service", "did you mean openstack-glance-api.service?",
    ),
    "after half a name": (
        "nova", "after: [tgtd.service]", "after: [tgtd]", '"tgtd" is not the full name of a unit', "",
    ),
    "uwsgi at no port": (
        "glance", "port: api\n", "port: apii\n", 'port "apii" is not one of ports', "did you mean api?",
    ),
    "odd module": (
        "glance", '"glance.wsgi.api:application"', '"glance.wsgi.api"', "is not of the form", "",
    ),
    "no full path": (
        "cinder", "run: [/usr/bin/cinder-scheduler,", "run: [cinder-scheduler,",
        '"cinder-scheduler" is not the full path of a program', "",
    ),
    "an argument of two words": (
        "cinder", "run: [/usr/bin/cinder-scheduler,", "run: [/usr/bin/cinder-scheduler, a b,",
        '"a b": an argument must not contain blanks', "",
    ),
    "neither run nor wsgi": (
        "keystone", "        run: [/usr/bin/keystone-all, --config-file, /etc/keystone/keystone.conf]\n", "",
        "openstack-keystone: give exactly one of run and wsgi", "",
    ),
    "an instance without its name": (
        "swift", "/etc/swift/object-server/%i.conf", "/etc/swift/object-server/1.conf",
        "instance: no argument holds %i", "",
    ),
    "unknown type": (
        "nova", "type: notify", "type: notfy", 'unknown value "notfy"', "did you mean notify?",
    ),
    "oneshot that restarts": (
        "neutron", 'type: oneshot\n        restart: "no"', "type: oneshot\n        restart: always",
        "a oneshot service needs restart: no", "",
    ),
    "no time to end": (
        "neutron", "stop_seconds: 20", "stop_seconds: 0",
        "stop_seconds: 0 is not a number of seconds, 1 or more", "",
    ),
    "a fix that sed would read": (
        "nova", "find: thread_pool_factory.spawn(", "find: thread_pool_factory.*(",
        '"thread_pool_factory.*(self._conn_event_thread)" is not a text without', "",
    ),
    "no folder for the init script": (
        "keystone", "      /var/run/keystone: {mode: \"0755\"}\n", "",
        "openstack-keystone: its init script needs /var/run/keystone among folders", "",
    ),
    "an init script for uwsgi": (
        "glance", "run: [/usr/bin/glance-registry, --config-file, /etc/glance/glance-registry.conf]",
        'wsgi: {module: "glance:main", port: registry}', "openstack-glance-registry: needs run, because", "",
    ),
    "package twice": (
        "heat", "        openstack-heat-engine:", "        openstack-nova-compute:",
        "in current the package openstack-nova-compute already belongs to ", "",
    ),
    "source without an archive": (
        "keystone", "/etc/keystone/default_catalog.templates: {}",
        "/etc/keystone/default_catalog.templates: {source: etc/x}",
        "source: the package has no source archive", "",
    ),
    "no such common package": (
        "heat", "common: openstack-heat-common", "common: openstack-heat-comon",
        "common: openstack-heat-comon is not one of packages", "mean openstack-heat-common?",
    ),
    "changelog of another version": (
        "placement", "version: 16.0.0-1", "version: 16.0.0-2", "changelog is not for 16.0.0-1", "",
    ),
    "odd sha256": ("heat", "sha256: ", "sha256: x", "sha256 is not 64 lower-case hex digits", ""),
    "odd date": ("heat", 'date: "2026-11-25"', 'date: "2026-11-31"', "day", ""),
    "summary with a full stop": (
        "placement", "summary: OpenStack Placement API\n  ", "summary: OpenStack Placement API.\n  ",
        "at most 79 characters and no full stop", "",
    ),
    "own file that is not there": (
        "nova", "file: nova-migration-sudoers", "file: nova-migration-sudo",
        "specs/files has no nova-migration-sudo", "mean nova-migration-sudoers?",
    ),
    "own file in no package": (
        "nova", "identity: {mode: \"0600\", package: openstack-nova-migration}",
        "identity: {mode: \"0600\", package: openstack-nova-migrate}",
        "openstack-nova-migrate is not one of packages", "mean openstack-nova-migration?",
    ),
    "configuration that a daemon makes": (
        "nova", "identity: {mode: \"0600\"", "identity: {config: true, mode: \"0600\"",
        "config needs file", "",
    ),
    "odd name of an account": ("nova", "name: nova_migration", "name: nova.migration", "not the name of", ""),
    "account twice": ("nova", "name: nova_migration", "name: heat", "the user heat already belongs to ", ""),
    "services without a package": (
        "placement", "    rpm:\n", "    rmp:\n", 'unknown key "rmp"', "did you mean rpm?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message", "hint"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_reported_with_file_and_line(
    tmp_path: Path, name: str, old: str, new: str, message: str, hint: str
) -> None:
    text = "\n".join(spoil(tmp_path, name, old, new))

    assert message in text
    assert hint in text
    assert re.match(rf"error: {tmp_path}/specs/services/\w+\.yaml:\d+: ", text)
