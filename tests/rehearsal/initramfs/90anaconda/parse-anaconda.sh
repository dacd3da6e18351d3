#!/bin/sh
# inst.ks= and inst.stage2= from the kernel's command line, in the forms that a kickstart within the initramfs and an image on a disk
# have (el7-facts B1, B2). Sourced by dracut-cmdline.

anaconda_ks=$(getarg inst.ks= ks=)
case $anaconda_ks in
'') ;;
file:*)
    mkdir -p /run/install
    anaconda_ks_path=${anaconda_ks#file:}
    while [ "${anaconda_ks_path#//}" != "$anaconda_ks_path" ]; do anaconda_ks_path=${anaconda_ks_path#/}; done
    if [ -f "$anaconda_ks_path" ]; then
        cp "$anaconda_ks_path" /run/install/ks.cfg
    else
        warn "Can't get kickstart from $anaconda_ks"
    fi
    ;;
*) warn "Can't get kickstart from $anaconda_ks" ;;
esac
if [ -n "$anaconda_ks" ]; then
    # The queue is not finished before there is a kickstart: without one, dracut's time runs out.
    echo '[ -f /run/install/ks.cfg ]' > "$hookdir/initqueue/finished/kickstart.sh"
fi

anaconda_stage2=$(getarg inst.stage2= stage2=)
case $anaconda_stage2 in
hd:*)
    anaconda_disk=${anaconda_stage2#hd:}
    anaconda_disk=${anaconda_disk%%:*}
    case $anaconda_disk in
    LABEL=*) anaconda_disk=/dev/disk/by-label/${anaconda_disk#LABEL=} ;;
    UUID=*) anaconda_disk=/dev/disk/by-uuid/${anaconda_disk#UUID=} ;;
    /dev/*) ;;
    *) anaconda_disk=/dev/$anaconda_disk ;;
    esac
    printf '[ -e /dev/root ] || { [ -e "%s" ] && /sbin/anaconda-diskroot "%s" "%s"; }\n' \
        "$anaconda_disk" "$anaconda_disk" "$anaconda_stage2" > "$hookdir/initqueue/settled/anaconda-diskroot.sh"
    ;;
*) warn "anaconda: failed to fetch stage2 from ${anaconda_stage2:-nowhere}" ;;
esac

root=anaconda
rootok=1
wait_for_dev -n /dev/root
