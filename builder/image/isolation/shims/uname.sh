#!/bin/sh
# SPDX-License-Identifier: MIT
# uname(1): the kernel that the guest will boot, as an installer of the same release says. That of the build is its
# host's: dracut and scripts would look for its modules.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers
IFS='|' read -r release machine <"$TABLES/.kernel"

wanted=
for word in "$@"; do
    case $word in
        --all) wanted=${wanted}a ;;
        --kernel-name | --sysname) wanted=${wanted}s ;;
        --nodename) wanted=${wanted}n ;;
        --kernel-release | --release) wanted=${wanted}r ;;
        --kernel-version) wanted=${wanted}v ;;
        --machine) wanted=${wanted}m ;;
        --processor) wanted=${wanted}p ;;
        --hardware-platform) wanted=${wanted}i ;;
        --operating-system) wanted=${wanted}o ;;
        --* | -*[!asnrvmpio]* | [!-]* | "" | -)
            echo "uname: $word: not an option" >&2
            exit 1
            ;;
        *) wanted=$wanted${word#-} ;;
    esac
done
case $wanted in
    "") wanted=s ;;
    *a*) wanted=snrvmpio ;;
esac
line=
# In the order of coreutils, whatever the order of the options.
for field in s n r v m p i o; do
    case $wanted in *"$field"*) ;; *) continue ;; esac
    case $field in
        s) value=Linux ;;
        n) read -r value </proc/sys/kernel/hostname ;;
        r) value=$release ;;
        v) value="#1 SMP" ;;
        m | p | i) value=$machine ;;
        o) value=GNU/Linux ;;
    esac
    line="$line${line:+ }$value"
done
echo "$line"
