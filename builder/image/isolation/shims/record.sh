#!/bin/sh
# SPDX-License-Identifier: MIT
# grub2-mkconfig(8) and grubby(8): what they are to change is remembered, and done by the build after the
# scripts, in the menu, the boot entries and /etc/kernel/cmdline alike.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

said=/run/openstack-builder/said
number=1
while [ -e "$said/$(printf %04d "$number")" ]; do number=$((number + 1)); done
kernel=
for one in /boot/vmlinuz-*; do
    case $one in *rescue* | *'*') ;; *) kernel=$one ;; esac
done
case $NAME in
    grubby)
        change=
        for word in "$@"; do
            case $word in
                --default-kernel) echo "$kernel" && exit 0 ;;
                --default-index) echo 0 && exit 0 ;;
                --default-title | --info | --info=*)
                    printf 'index=0\nkernel="%s"\nargs="%s"\n' "$kernel" "$(cat /etc/kernel/cmdline)"
                    exit 0
                    ;;
                --args* | --remove-args* | --update-kernel* | --copy-default) change=1 ;;
                --set-default*) change=1 ;;
            esac
        done
        [ "$change" ] || exit 0
        ;;
    *)
        # Without -o the menu goes to stdout, which may be its own file, empty by now.
        case " $* " in
            *" -o"* | *" --output"*) echo "Generating grub configuration file ..." >&2 ;;
            *) cat "$HERE/.menu" ;;
        esac
        ;;
esac
printf '%s\n' "$NAME" "$@" >"$said/$(printf %04d "$number")"
