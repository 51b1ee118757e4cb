# SPDX-License-Identifier: MIT
"""What `openstack-config --help` and `--version` print."""

from .. import VERSION

HELP = """\
openstack-config reads and changes ini files the way OpenStack's services read them: names keep
their case, nothing is inherited from [DEFAULT], ' ;' is part of a value, an option may be given
several times. Only the lines that change are touched, and a file is replaced whole or not at all.

Read
  openstack-config --get /etc/keystone/keystone.conf database connection
  openstack-config --get --all /etc/neutron/neutron.conf service_providers service_provider
  openstack-config --get --json /etc/nova/nova.conf            # every section and option
  openstack-config --get --format=lines /etc/nova/nova.conf | grep -i rabbit

Change
  openstack-config --set /etc/keystone/keystone.conf DEFAULT debug true
  openstack-config --set --value-file - FILE database connection < url   # a secret, not in argv
  openstack-config --set --escape FILE ldap password 'pa$$ "word" '      # read back exactly so
  openstack-config --set A.conf DEFAULT debug true --set B.conf DEFAULT debug true  # both or none
  openstack-config --del FILE DEFAULT debug
  openstack-config --from settings.conf FILE                   # a whole file of settings
  openstack-config --set --diff --dry-run FILE DEFAULT debug true   # show it, write nothing

Options that are repeated, lists, comments
  openstack-config --add FILE service_providers service_provider VPN:x:y
  openstack-config --set --all FILE section param value1 value2
  openstack-config --del FILE service_providers service_provider VPN:x:y    # only that one
  openstack-config --set --list FILE filter:authtoken pipeline new          # a,b -> a,b,new
  openstack-config --uncomment FILE DEFAULT log_dir            # --comment does the reverse

Check
  openstack-config --check --schema keystone-schema.json /etc/keystone/keystone.conf

What does the service see?
  openstack-config --effective --service nova-compute          # each value, its file and line
  openstack-config --effective --only database/connection /etc/keystone/keystone.conf \\
      --config-dir /etc/keystone/keystone.conf.d
  openstack-config --get --service keystone database connection   # the value alone

Operations; several may stand in one call, on one file or on many
  --get FILE [SECTION [PARAM]]          print a value, the names of a section, the sections
  --get --service NAME [SECTION [PARAM]]  the same of all that this service reads
  --set FILE SECTION [PARAM [VALUE]]    set a value, or make a section
  --add FILE SECTION PARAM VALUE        one more value of a repeated option
  --del FILE SECTION [PARAM [VALUE]]    delete a section, an option, one of its values
  --merge FILE [SECTION]                set everything read from stdin, or --from FILE
  --comment FILE SECTION PARAM [VALUE]  comment an option out
  --uncomment FILE SECTION PARAM [VALUE]  bring it back
  --check FILE...                       will oslo.config read it?
  --effective [FILE...]                 what all files together say, `$` resolved

FILE may be '-': read stdin, write the result to stdout. SECTION may be '' for options above the
first header (in OpenStack's files: [DEFAULT]). A value that begins with '--' goes after a bare --.

Options
  --dialect=NAME      oslo (default), crudini (as crudini 0.9.6), systemd (units, environment files)
  --existing[=WHAT]   fail unless the file, section or param is there
  --all               every value of a repeated option
  --section-index=N   of several sections of one name the N-th, from 1
  --list              VALUE is one item of a list; --list-sep=STR says what separates items
  --value-file=FILE   take VALUE from a file or, with '-', from stdin
  --empty             the value of --value-file may be empty
  --escape            write the value so that oslo.config reads back exactly what was given
  --format=FMT        of --get: sh, ini or lines;  --json: as JSON
  --ini-options=OPT   nospace, space, sectionspace, ignoreindent (with commas between)
  --diff              print what changes;  --dry-run: write nothing
  --backup[=SUFFIX]   keep the old file under its name and SUFFIX (.bak)
  --output=FILE       write the result there;  '-' is stdout
  --inplace           write into the file itself (hard links, unwritable folders)
  --schema=FILE       of --check: what oslo-config-generator --format json or yaml wrote
  --service=NAME      of --effective, --get, --check: the files that this service reads
  --config-dir=DIR    of the same: DIR/*.conf come after the files
  --only=SECTION[/PARAM]  of --effective: these options
  --verbose           say on stderr what changed
  --strict-exit       2 bad input, 4 no permission, instead of 1 for every error
  --help, --version
"""


def text(version=None):
    """The help text, or with `version` the version line."""
    return "openstack-config %s\n" % VERSION if version else HELP
