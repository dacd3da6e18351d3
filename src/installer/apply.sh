# What the script of a Debian tree's settings begins with: the functions that its lines call. Runs by /bin/sh in a chroot of the tree, as the
# tree's root; /goldsmith/files/0, 1, … are the files to put.
#
#   goldsmith: WHAT             what is done from here on
#   goldsmith: fail WHAT: WHY   what failed, and why: the last line

set -eu
umask 022
target=''
doing='starting'

at() {
    doing=$1
    echo "goldsmith: $doing"
}

fail() {
    echo "goldsmith: fail $doing: $1" >&2
    exit 1
}

# run COMMAND...: the last line that it says on standard error is why it failed.
run() {
    status=0
    "$@" 2> /goldsmith/said || status=$?
    cat /goldsmith/said >&2
    if [ "$status" -ne 0 ]; then
        why=$(sed -n -e '/[^[:space:]]/h' -e '${x;p;}' /goldsmith/said)
        fail "${why:-exit status $status}"
    fi
}

# put NUMBER MODE PATH
put() {
    at "writing $3"
    run make_directory "${3%/*}"
    run install -m "$2" "/goldsmith/files/$1" "$3"
}

# give OWNER MODE PATH. The mode comes last: a change of owner takes setuid and setgid away (chown(2)).
give() {
    at "giving $3 to $1"
    run chown "$1" "$3"
    run chmod "$2" "$3"
}

time_zone() {
    at "setting the time zone $1"
    # ln(1) makes a link to nowhere as well, and that is UTC.
    [ -e "/usr/share/zoneinfo/$1" ] || fail "tzdata of this system has no such zone"
    run ln -sf "/usr/share/zoneinfo/$1" /etc/localtime
}

# drop_docs LANGUAGE: what dpkg leaves out of packages that are installed later, it has left in these. Directories of manual pages stay.
drop_docs() {
    at "removing documentation"
    run find /usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete
    for dir in man info lintian; do
        [ ! -d "/usr/share/$dir" ] || run find "/usr/share/$dir" -mindepth 1 ! -type d -delete
    done
    run find /usr/share/locale -mindepth 2 ! -type d ! -path "/usr/share/locale/$1/*" ! -path "/usr/share/locale/$1[_@]*" -delete
    run find /usr/share/locale -mindepth 1 -type d -empty -delete
}

# make_locale NAME PATTERN: the name as sed's and grep's regular expression. locale-gen(8) passes over what it does not know.
make_locale() {
    at "making the locale $1"
    run sed -i "s/^# *\($2 \)/\1/" /etc/locale.gen
    grep -q "^$2 " /etc/locale.gen || fail "/etc/locale.gen of this system has no such locale"
    run locale-gen
}

# add_user NAME SHELL OPTION...
add_user() {
    at "adding the user $1"
    # useradd(8) only warns of it.
    [ -x "$2" ] || fail "there is no shell $2"
    name=$1 shell=$2
    shift 2
    run useradd --create-home --shell "$shell" "$@" "$name"
}

no_password() {
    at "locking the password of $1"
    run usermod --password '*' "$1"
}

# ssh_keys NAME HOME KEY...
ssh_keys() {
    at "writing the ssh keys of $1"
    name=$1 keys=$2/.ssh
    shift 2
    run install -d -m 0700 -o "$name" -g "$name" "$keys"
    run install -m 0600 -o "$name" -g "$name" /dev/null "$keys/authorized_keys"
    printf '%s\n' "$@" >> "$keys/authorized_keys"
}

enable() {
    at "enabling $1"
    run systemctl enable "$1"
}

disable() {
    at "disabling $1"
    run systemctl disable "$1"
}

# Debian installs no firewall by itself; a recipe may.
disable_firewall() {
    for unit in nftables ufw firewalld; do
        if systemctl is-enabled --quiet "$unit.service" 2> /dev/null; then disable "$unit.service"; fi
    done
}

