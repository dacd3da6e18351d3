#!/bin/sh
# initramfs-tools(7): every script is first asked for its prerequisites.
[ "$1" = prereqs ] && exit 0
gs_root=$rootmnt
. /goldsmith/hook.sh
gs_enter
