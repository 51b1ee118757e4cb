#!/bin/bash
# SPDX-License-Identifier: MIT
# Inside: what a machine needs that is not a real host. It shares the kernel of the machine it runs on.
#
#   prepare.sh [ADDRESS]
#
# ADDRESS is that of the device `cable`, which leads to another machine.
set -eu
address=${1-}

grep -q "$(hostname)" /etc/hosts || echo "127.0.0.1 localhost $(hostname)" >>/etc/hosts

# libvirt without control groups and without accounts of its own for qemu: no controllers are delegated here.
cat >/etc/libvirt/qemu.conf <<EOF
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
EOF

# One scheduler thread: other machines run next to this one. The name is one that needs no network.
install -d /etc/rabbitmq
cat >/etc/rabbitmq/rabbitmq-env.conf <<EOF
NODENAME=rabbit@localhost
SERVER_ADDITIONAL_ERL_ARGS="+S 1:1"
EOF

# One process of each API, and of the dashboard, is enough for one user.
for file in /etc/*/*-uwsgi.ini /etc/httpd/conf.d/openstack-dashboard.conf; do
    [ ! -f "$file" ] || sed -i -E 's/^processes = .*/processes = 1/; s/ processes=[0-9]+/ processes=1/' "$file"
done

# The fixture's httpd is Debian's program in Fedora's places: here are the settings and the unit.
if [ -x /usr/sbin/httpd ]; then
    {
        printf '%s\n' 'ServerRoot /etc/httpd' "ServerName $(hostname)" 'Listen 80' 'PidFile /run/httpd.pid' \
            'User apache' 'Group apache' 'ErrorLog /var/log/httpd/error_log' 'TypesConfig /etc/mime.types' \
            'WSGISocketPrefix /run/wsgi' 'Timeout 300'
        for module in mpm_event authn_core authz_core authz_host alias mime dir wsgi; do
            [ ! -e "/etc/httpd/modules/mod_$module.so" ] || echo "LoadModule ${module}_module modules/mod_$module.so"
        done
        echo 'IncludeOptional conf.d/*.conf'
    } >/etc/httpd/conf/httpd.conf
    cat >/etc/systemd/system/httpd.service <<'EOF'
[Unit]
Description=The Apache HTTP Server
After=network.target

[Service]
Type=forking
PIDFile=/run/httpd.pid
ExecStart=/usr/sbin/httpd -f /etc/httpd/conf/httpd.conf
ExecReload=/bin/kill -USR1 $MAINPID
PrivateTmp=true

[Install]
WantedBy=multi-user.target
EOF
    systemctl daemon-reload
fi

# A kernel without the module openvswitch: the switch runs in user space. Nobody sets an instance's tap up
# there, and packets whose checksum is left to the host reach nobody.
if [ -d /sys/module/openvswitch ]; then
    exit 0
fi

# Its tunnels leave by a bridge of its own only, whose address is this host's (Open vSwitch's documentation,
# "Connecting VMs Using Tunnels (Userspace)"): the cable becomes a port of one.
if [ -n "$address" ]; then
    systemctl start openvswitch
    ovs-vsctl --may-exist add-br outside -- set bridge outside datapath_type=netdev -- --may-exist add-port outside cable
    ip address flush dev cable
    ip address add "$address/24" dev outside
    ip link set outside up
fi

install -d /etc/libvirt/hooks
cat >/etc/libvirt/hooks/qemu <<'EOF'
#!/bin/sh
[ "$2" = started ] || exit 0
sed -n "s/.*<target dev='\(tap[^']*\)'.*/\1/p" | while read -r tap; do ip link set "$tap" up; done
EOF
chmod 755 /etc/libvirt/hooks/qemu
qemu=/usr/bin/qemu-system-x86_64
if [ ! -e $qemu.real ]; then
    mv $qemu $qemu.real
    cat >$qemu <<EOF
#!/bin/sh
exec $qemu.real "\$@" -global virtio-net-pci.csum=off -global virtio-net-pci.gso=off \\
    -global virtio-net-pci.host_tso4=off -global virtio-net-pci.host_tso6=off -global virtio-net-pci.host_ufo=off
EOF
    chmod 755 $qemu
fi
