# The guest's end of the runner in a local machine: commands of the host, several at a time, each over ports of its own.
# Usage: sh sessions.sh CONTROL-PORT MODE
#        sh sessions.sh                     in a slot's directory: wait for a command and become it
#
#   host    ready SLOT | open SLOT NUMBER pipe WORDS | open SLOT NUMBER ROWSxCOLUMNS WORDS
#           size SLOT ROWS COLUMNS | eof SLOT NUMBER | mark SLOT NUMBER | close SLOT NUMBER | names ADDRESS=NAME … | off
#           own …, go … (gate.sh)
#   guest   hello MODE | failed WHY | ended SLOT NUMBER | free SLOT | started
#
# Slot n has the three ports after the control port's that follow 3n others: what the command reads, its output, its error output. In a slot
# that is ready, all processes of a session wait, so that a command begins at once. WORDS are quoted for this shell; $gs_newline stands for a
# line's end. Each output stands between two marks of ours, `begin` and `end` with the exit status, so that the host knows where it ends
# though the port stays open. A mark begins with the record separator (octal 36) and has the nonce of this boot. A command may write what a mark
# begins with, and wait for an answer to it: so the host looks for the end mark only after `ended`, and the mark is written after `mark`.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LOGNAME=root SHELL=/bin/sh
read -r gs_nonce < /run/goldsmith/nonce
gs_sessions=/run/goldsmith/sessions
gs_newline='
'

say() {
    printf '\n\036goldsmith %s %s\n' "$gs_nonce" "$*" >&3
}

mark() { # FD WORDS
    printf '\036goldsmith %s %s\n' "$gs_nonce" "$2" >&"$1"
}

# What a command with a terminal runs in: script(1) gives it one, which has no size of its own.
on_terminal() {
    printf 'gs_newline="\n"\ntty > tty\nstty rows %s cols %s\ncd\nexec %s\n' "${gs_size%x*}" "${gs_size#*x}" "$gs_words" > run
    exec script -qefc "sh $PWD/run" /dev/null
}

on_pipes() {
    eval "set -- $gs_words"
    cd
    command -v "$1" > /dev/null || { echo "$1: command not found" >&2; exit 127; }
    exec "$@"
}

# The process that becomes a command.
become() {
    read -r gs_number gs_size gs_words < order || exit
    echo "$gs_number" > number
    # The host may have closed it meanwhile. `close` writes before it reads the number, and this reads after it has written the number.
    if 2> /dev/null read -r gs_closed < closed && [ "$gs_closed" = "$gs_number" ]; then exit; fi
    mark 1 "begin $gs_number"
    mark 2 "begin $gs_number"
    case $gs_size in
    pipe) on_pipes ;;
    *) on_terminal ;;
    esac
}

# What the host writes, to its end. A port whose host has just connected may look as if it had hung up: the kernel hears of an earlier host's
# end and of the new one's beginning after the first bytes. So the end counts when the host has said so, too.
feed() {
    # A trap may run right after `cat` was started: `$!` is that process, and a variable would still have an earlier one. A shell that was just
    # forked may lose a signal. Before the first `cat`, `$!` is a process of the session, which has no use for it any more.
    trap 'while kill $!; do sleep 0.1; done; exit' TERM
    while
        cat <&4 &
        wait $!
    do
        if read -r gs_ended < eof && read -r gs_number < number && [ "$gs_ended" = "$gs_number" ]; then return; fi
        sleep 0.02
    done
}

# One command from beginning to end, in a process of its own that first waits for it.
session() { # SLOT
    gs_first=$((2 + $1 * 3))
    cd "$gs_sessions/$1" || exit
    # A process that an earlier command left behind may still hold them: a port is opened once. This ends the session.
    exec 4< "$gs_ports$gs_first" 5> "$gs_ports$((gs_first + 1))" 6> "$gs_ports$((gs_first + 2))"
    cat < out >&5 3>&- 4<&- 6>&- &
    gs_cats=$!
    cat < err >&6 3>&- 4<&- 5>&- &
    gs_cats="$gs_cats $!"
    exec 7> out 8> err
    feed > in 3>&- 5>&- 6>&- 7>&- 8>&- &
    gs_feed=$!
    # Until here a signal, which comes when the system goes down, ends this process at once: nothing is left to be waited for.
    trap 'gs_closed=yes; kill $gs_cats' TERM
    setsid sh "$0" < in >&7 2>&8 3>&- 4<&- 5>&- 6>&- 7>&- 8>&- &
    gs_main=$!
    echo "$gs_main" > pid
    # From now on, a reader of the output that is gone does not end this process before the command ends.
    trap '' PIPE
    while
        # What still waits for a command gets none. A shell that was just forked may lose a signal.
        [ -z "$gs_closed" ] || [ -s number ] || while kill "$gs_main"; do sleep 0.1; done
        wait "$gs_main"
        gs_status=$?
        [ -n "$gs_closed" ] && kill -s 0 "$gs_main"
    do :; done
    : > pid > tty
    # Open for both directions, it keeps what is written from now on, and nobody waits for the other.
    exec 9<> told
    if read -r gs_number < number && [ -z "$gs_closed" ]; then
        say "ended $1 $gs_number"
        while read -r gs_told <&9 && [ "$gs_told" != "$gs_number" ]; do :; done
    fi
    exec 9>&-
    mark 7 "end $gs_number $gs_status"
    mark 8 "end $gs_number $gs_status"
    exec 7>&- 8>&-
    kill "$gs_feed"
    # What the command left behind may hold the other ends. The host closes the session when it has had the marks.
    [ -n "$gs_closed" ] || wait $gs_cats
    wait $gs_cats "$gs_feed"
    # What it left behind must not read or write what is the next one's.
    rm -f in out err order
    mkfifo in out err order
} 2> /dev/null

# The process group of a slot's command, while it runs.
group() { # SLOT
    2> /dev/null read -r gs_pid < "$gs_sessions/$1/pid" && echo "-$gs_pid"
}

[ "$#" -gt 0 ] || become
exec 3<> "$1" 0< /dev/null
# /dev/vport0p1: the number of the port in its device is the last one.
gs_ports=${1%1}
# The end, for the reason that a task of the boot has left.
end_failed() {
    read -r gs_why < /run/goldsmith/failed
    say failed "$gs_why"
    exit 1
}

if [ -e /run/goldsmith/gate.sh ]; then
    . /run/goldsmith/gate.sh
    check_gate || end_failed
fi
[ ! -e /run/goldsmith/failed ] || end_failed
say hello "$2"
while read -r gs_verb gs_slot gs_number gs_size gs_words <&3; do
    case $gs_verb in
    ready)
        if [ ! -d "$gs_sessions/$gs_slot" ]; then
            mkdir -p "$gs_sessions/$gs_slot"
            (cd "$gs_sessions/$gs_slot" && mkfifo in out err order told && : > number)
        fi
        (
            (session "$gs_slot") &
            echo $! > "$gs_sessions/$gs_slot/session"
            # One that could not open its ports is not tried again at once.
            wait $! || sleep 1
            # From now on, what the host still says of this session's command must not reach the next one.
            : > "$gs_sessions/$gs_slot/number"
            say free "$gs_slot"
        ) &
        ;;
    open)
        # This waits until the session waits. By then the host may have closed it: the next one must not run its command.
        {
            read -r gs_closed < "$gs_sessions/$gs_slot/closed"
            [ "$gs_closed" = "$gs_number" ] || printf '%s %s %s\n' "$gs_number" "$gs_size" "$gs_words"
        } 2> /dev/null > "$gs_sessions/$gs_slot/order" &
        ;;
    size)
        read -r gs_tty < "$gs_sessions/$gs_slot/tty" && stty rows "$gs_number" cols "$gs_size" < "$gs_tty"
        ;;
    eof)
        echo "$gs_number" > "$gs_sessions/$gs_slot/eof"
        ;;
    mark)
        echo "$gs_number" 1<> "$gs_sessions/$gs_slot/told"
        ;;
    close)
        echo "$gs_number" > "$gs_sessions/$gs_slot/closed"
        if read -r gs_running < "$gs_sessions/$gs_slot/number" && [ "$gs_running" = "$gs_number" ]; then
            kill -s HUP -- "$(group "$gs_slot")" 2> /dev/null
            read -r gs_pid < "$gs_sessions/$gs_slot/session" && kill "$gs_pid"
        fi
        # It may wait for `mark`.
        echo "$gs_number" 1<> "$gs_sessions/$gs_slot/told"
        ;;
    names)
        # Each is a word.
        sh /run/goldsmith/tasks/personal/run names $gs_slot $gs_number $gs_size $gs_words
        ;;
    own)
        own "$gs_slot" "$gs_number" "$gs_size" || end_failed
        say hello "$2"
        ;;
    go)
        take_host_keys "$gs_number"
        start_services "$gs_slot" &
        ;;
    off)
        systemctl --no-block poweroff
        ;;
    esac
done
exit 1
