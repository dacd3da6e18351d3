#!/bin/sh
# dracut.modules(7): pre-pivot hooks are sourced with the real root at $NEWROOT.
gs_root=$NEWROOT
. /goldsmith/hook.sh
gs_enter
