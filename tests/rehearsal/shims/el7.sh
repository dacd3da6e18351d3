# Sourced by each wrapper of builder/shims.py: refuse what EL7's version of the command would refuse, in its words, and run it else.
#
#   $command $real   its name here, and the file that does the work
#   $short           its short options, in getopt(3)'s form
#   $named           its long options and predicates, in the form of el7-commands.toml
#   $first           what the first operand may be; nothing: anything
#   $every           what every operand must begin with; `none`: it takes no operands
#   $status          what it ends with
set -f

# A unit of Debian's systemd that names its program without a directory: it is this machine's own, and no script's.
[ "$PPID" != 1 ] || exec "$real" "$@"

refuse() {
    printf '%s\n' "$1" >&2
    exit "$status"
}

# long WORD
long() {
    name=${1%%=*}
    for known in $named; do
        case $known in
        "$name")
            [ "$name" = "$1" ] || refuse "$command: option '$name' doesn't allow an argument"
            return
            ;;
        "$name=")
            [ "$name" != "$1" ] || skip=next
            return
            ;;
        "$name[=]") return ;;
        "$name[="*)
            values=${known#"$name[="}
            case "|${values%]}|" in *"|${1#*=}|"*) return ;; esac
            [ "$name" != "$1" ] || return
            refuse "$command: invalid argument '${1#*=}' for '$name'"
            ;;
        esac
    done
    refuse "$command: unrecognized option '$1'"
}

# cluster WORD: short options behind one dash.
cluster() {
    rest=${1#-}
    while [ -n "$rest" ]; do
        tail=${rest#?}
        option=${rest%"$tail"}
        case $short in
        *"$option"::*) return ;;
        *"$option":*)
            [ -n "$tail" ] || skip=next
            return
            ;;
        *"$option"*) ;;
        *) refuse "$command: invalid option -- '$option'" ;;
        esac
        rest=$tail
    done
}

# predicate WORD
predicate() {
    case $1 in -exec | -execdir | -ok | -okdir) skip=exec && return ;; esac
    for known in $named; do
        case $known in
        "$1") return ;;
        "$1=")
            skip=next
            return
            ;;
        esac
    done
    refuse "$command: unknown predicate \`$1'"
}

# operand WORD
operand() {
    if [ -n "$first" ]; then
        case " $first " in *" $1 "*) ;; *) refuse "Unknown operation '$1'." ;; esac
        first=
    fi
    for known in $every; do
        case $1 in "$known" | "${known%=}="*) return ;; esac
    done
    # What 8.22's sync says; it goes on with everything.
    if [ "$every" = none ]; then
        echo "$command: ignoring all arguments" >&2
        exec "$real"
    fi
    [ -z "$every" ] || refuse "$command: unrecognized operand '$1'"
}

skip=
case $short in
+*)
    stops=yes
    short=${short#+}
    ;;
*) stops= ;;
esac
case " $named" in
*' -'[!-]*) predicates=yes ;;
*) predicates= ;;
esac
for word; do
    case $skip in
    rest) continue ;;
    next)
        skip=
        continue
        ;;
    exec)
        case $word in ';' | +) skip= ;; esac
        continue
        ;;
    esac
    case $word in
    --) skip=rest ;;
    --*) if [ -n "$predicates" ]; then predicate "$word"; else long "$word"; fi ;;
    -?*) if [ -n "$predicates" ]; then predicate "$word"; else cluster "$word"; fi ;;
    *)
        operand "$word"
        [ -z "$stops" ] || skip=rest
        ;;
    esac
done
exec "$real" "$@"
