# SPDX-License-Identifier: MIT
"""How gunicorn serves a WSGI service: as the service's own settings for uwsgi say.

SERVICE_SETTINGS names that file, /etc/PROJECT/SERVICE-uwsgi.ini, so that an administrator has one place for
port, processes and threads whichever of the two runs it.
"""

import configparser
import os
import sys

_settings = configparser.ConfigParser(interpolation=None, strict=False)
with open(os.environ["SERVICE_SETTINGS"]) as _file:
    _settings.read_file(_file)
_uwsgi = _settings["uwsgi"]

wsgi_app = _uwsgi["module"]
bind = _uwsgi["http-socket"]
workers = _uwsgi.getint("processes")
threads = _uwsgi.getint("threads")
worker_class = "gthread"
# Tokens and headers of OpenStack are longer than gunicorn's 8190 bytes.
limit_request_field_size = _uwsgi.getint("buffer-size")
# Each worker loads the application itself: no connection is shared.
preload_app = False
# Signals are enough.
control_socket_disable = True


def post_fork(_server, _worker):
    """Let the application find no arguments of gunicorn's, which oslo.config would read as its own."""
    sys.argv = ["uwsgi"]
