#!/bin/sh
# Kickstarts, and whatever else has such a name, go on to the runtime (dracut/anaconda-copy-ks.sh). Sourced before the switch.

for ks_file in /*cfg /*ks /*.ks; do
    [ -f "$ks_file" ] && cp "$ks_file" "$NEWROOT/"
done
