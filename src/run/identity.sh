# What must be a machine's own: a line each, with a name, a tab and the value.
# Usage: sh -c "$(cat identity.sh)"

# Services that make identities may come after the runner: wait until systemd has nothing more to start.
tries=0
while [ -n "$(systemctl list-jobs --no-legend 2> /dev/null)" ] && [ "$tries" -lt 300 ]; do
    tries=$((tries + 1))
    sleep 1
done

say() { # NAME VALUE
    printf '%s\t%s\n' "$1" "$2"
}

# A file that is empty or cannot be read has no value.
say_file() { # NAME FILE
    [ ! -e "$2" ] || say "$1" "$(tr -s '[:space:]' ' ' < "$2")"
}

say 'machine id' "$(cat /etc/machine-id 2> /dev/null)"
# What the kernel's generator gives, of which all keys are made that the guest makes.
say 'random bytes' "$(head -c 32 /dev/urandom | sha256sum)"
say_file 'boot id' /proc/sys/kernel/random/boot_id
say_file 'host name' /proc/sys/kernel/hostname
say_file 'host id' /etc/hostid
say_file 'iSCSI initiator' /etc/iscsi/initiatorname.iscsi
say_file 'NVMe host id' /etc/nvme/hostid
say_file 'NVMe host name' /etc/nvme/hostnqn
for file in /etc/ssh/ssh_host_*_key.pub; do
    [ -e "$file" ] || continue
    read -r type key rest < "$file"
    say "ssh host key, $type" "$key"
done
for file in /sys/class/net/*/device; do
    [ -e "$file" ] || continue
    card=${file%/device}
    say_file "address of the card ${card##*/}" "$card/address"
done
# systemd's, and what Debian had before it.
for file in /var/lib/systemd/random-seed /var/lib/urandom/random-seed; do
    [ ! -e "$file" ] || say "random seed, $file" "$(sha256sum < "$file")"
done
# dhclient.leases(5): what a DHCP server knows a client by, where that is not its card's address.
ids=$(cat /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease* 2> /dev/null |
    sed -n -e 's/^.*default-duid *//p' -e 's/^.*dhcp-client-identifier *//p' | sort -u | tr '\n' ' ')
[ -z "$ids" ] || say 'DHCP client id' "$ids"
if command -v docker > /dev/null && [ -e /run/docker.sock ]; then
    say 'Docker engine id' "$(docker info --format '{{.ID}}' 2> /dev/null)"
fi
