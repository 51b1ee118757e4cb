# SPDX-License-Identifier: MIT
"""A private Glance on loopback with two file stores, served by gunicorn (it takes chunked bodies)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.runner import Runner
from tests.rig.plane import process, settings
from tests.rig.plane.environment import Environment
from tests.rig.plane.keystone import start_service


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """A running Glance; `store` is the folder of the images' data, where no other store is asked for."""

    folder: Path
    port: int
    config: Path
    store: Path
    server: process.Server

    @property
    def url(self) -> str:
        """The endpoint of the Image API."""
        return f"http://127.0.0.1:{self.port}"


def write_config(
    folder: Path,
    environment: Environment,
    *,
    port: int,
    database_url: str,
    keystone_url: str = "",
    password: str = "",
    extra: settings.Sections | None = None,
) -> Path:
    """Write glance-api.conf and its paste file in `folder`; return the path of the former."""
    for name in ("store", "second", "staging", "task", "lock"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    paste = folder / "glance-api-paste.ini"
    shutil.copyfile(environment.folder / "etc/glance/glance-api-paste.ini", paste)
    config = folder / "glance-api.conf"
    settings.write_ini(
        config,
        {
            "DEFAULT": {
                "bind_host": "127.0.0.1",
                "bind_port": port,
                "workers": 0,
                "log_file": folder / "glance.log",
                "enabled_backends": "fs:file,second:file",
                "enabled_import_methods": "[glance-direct,web-download,copy-image]",
                "node_staging_uri": f"file://{folder}/staging",
                "worker_self_reference_url": f"http://127.0.0.1:{port}",
            },
            "database": {"connection": database_url},
            "glance_store": {"default_backend": "fs"},
            "fs": {"filesystem_store_datadir": folder / "store"},
            "second": {"filesystem_store_datadir": folder / "second"},
            # web-download from any port here; by itself Glance takes 80 and 443, and no loopback.
            "import_filtering_opts": {"allowed_hosts": "[127.0.0.1]", "allowed_ports": "[]"},
            "os_glance_staging_store": {"filesystem_store_datadir": folder / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": folder / "task"},
            "keystone_authtoken": {
                "www_authenticate_uri": keystone_url,
                "auth_url": keystone_url,
                "auth_type": "password",
                "username": "glance",
                "password": password,
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
                "service_token_roles_required": "true",
            },
            "paste_deploy": {"flavor": "keystone", "config_file": paste},
            "wsgi": {"task_pool_threads": 4},
            "oslo_concurrency": {"lock_path": folder / "lock"},
        },
        extra or {},
    )
    return config


@contextmanager
def running(
    folder: Path,
    environment: Environment,
    runner: Runner,
    *,
    database_url: str,
    keystone_url: str,
    password: str,
    extra: settings.Sections | None = None,
) -> Iterator[Glance]:
    """Start Glance in `folder` without waiting for it (see `keystone.wait`), and stop it at the end.

    Args:
        database_url: a database with Glance's tables.
        password: of Keystone's user `glance`, who may be made later than this.
        extra: options added to, or replacing, `write_config`'s.
    """
    port = process.free_port()
    config = write_config(
        folder,
        environment,
        port=port,
        database_url=database_url,
        keystone_url=keystone_url,
        password=password,
        extra=extra,
    )
    server = start_service("glance", config, environment, runner, commands=[], port=port)
    try:
        yield Glance(folder=folder, port=port, config=config, store=folder / "store", server=server)
    finally:
        server.stop()
