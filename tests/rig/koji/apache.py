# SPDX-License-Identifier: MIT
"""Apache before the hub, for logins by certificate and by Kerberos: one TLS server for each.

Both protect /kojihub/ssllogin as Koji's kojihub/app/httpd.conf does, by mod_ssl and by mod_auth_gssapi.
Both pass requests to the application server of hub.py, not to mod_wsgi, through a socket that only
Apache's user can reach; wsgi.py puts what Apache found out where mod_wsgi would.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.runner import Runner
from tests.rig.koji.certificates import HOST, Certificates
from tests.rig.koji.hub import Hub
from tests.rig.koji.kerberos import Realm, answers
from tests.rig.plane import process

APACHE = Path("/usr/sbin/apache2")
MODULES = (
    "mpm_event", "authn_core", "authz_core", "authz_user", "headers", "proxy", "proxy_http", "socache_shmcb",
    "ssl", "auth_gssapi",
)  # fmt: skip
USER = "www-data"
CONFIGURATION = """\
ServerRoot {folder}
ServerName {host}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
User {user}
Group {user}
{modules}
SSLSessionCache shmcb:{folder}/sessions(512000)
Listen 127.0.0.1:{by_certificate}
Listen 127.0.0.1:{by_kerberos}
SSLEngine on
SSLCertificateFile {server}
# Never taken from outside.
RequestHeader unset X-Client-Verify early
RequestHeader unset X-Client-Name early
RequestHeader unset X-Client-DN early
RequestHeader unset X-Client-Principal early
ProxyTimeout 600
ProxyPass / unix:{socket}|http://{host}/
<VirtualHost 127.0.0.1:{by_certificate}>
SSLEngine on
SSLCACertificateFile {authority}
<Location /kojihub/ssllogin>
SSLVerifyClient require
SSLVerifyDepth 10
SSLOptions +StdEnvVars
RequestHeader set X-Client-Verify "expr=%{{SSL_CLIENT_VERIFY}}"
RequestHeader set X-Client-Name "expr=%{{SSL_CLIENT_S_DN_CN}}"
RequestHeader set X-Client-DN "expr=%{{SSL_CLIENT_S_DN}}"
</Location>
</VirtualHost>
<VirtualHost 127.0.0.1:{by_kerberos}>
SSLEngine on
<Location /kojihub/ssllogin>
AuthType GSSAPI
AuthName "GSSAPI Single Sign On Login"
GssapiCredStore keytab:{keytab}
Require valid-user
RequestHeader set X-Client-Principal "expr=%{{REMOTE_USER}}"
</Location>
</VirtualHost>
"""


@contextmanager
def running(
    folder: Path, hub: Hub, certificates: Certificates, realm: Realm, runner: Runner
) -> Iterator[tuple[str, str]]:
    """Run Apache in `folder`, which is made; yield the addresses for certificates and for Kerberos.

    Raises:
        BuildError: Apache ended; its log is named.
    """
    folder.mkdir(parents=True)
    by_certificate, by_kerberos = process.free_port(), process.free_port()
    number = pwd.getpwnam(USER)
    os.chown(realm.service, number.pw_uid, number.pw_gid)
    for path, mode in ((hub.socket.parent, 0o710), (folder, 0o750), (realm.config.parent, 0o710)):
        os.chown(path, -1, number.pw_gid)
        path.chmod(mode)
    configuration = folder / "apache.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, host=HOST, user=USER, by_certificate=by_certificate, by_kerberos=by_kerberos,
            server=certificates.server, authority=certificates.authority, keytab=realm.service,
            socket=hub.socket,
            modules="\n".join(
                f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES
            ),
        )
    )  # fmt: skip
    log = folder / "apache.log"
    spawned = runner.spawn([APACHE, "-f", configuration, "-DFOREGROUND"], log=log, env=realm.environment)
    server = process.Server(name="Apache", process=spawned, log=log)
    try:
        server.wait_until(lambda: answers(by_kerberos), seconds=300)
        yield f"https://{HOST}:{by_certificate}", f"https://{HOST}:{by_kerberos}"
    finally:
        server.stop()
