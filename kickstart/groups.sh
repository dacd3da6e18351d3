# Groups of the recipe, for both installers. Reads nothing; calls `at` and `fail` of the script that it is a part of.

# add_group NAME ID OPTION...: ID is `-` if the group may have any. A group that a package has made is taken if it has the right one.
add_group() {
    at "adding the group $1"
    name=$1 id=$2
    shift 2
    found=$(getent group "$name" | cut -d : -f 3)
    if [ -z "$found" ]; then
        why=$(groupadd "$@" "$name" 2>&1) || fail "$why"
    elif [ "$id" != - ] && [ "$found" != "$id" ]; then
        fail "the system has a group of that name with the id $found"
    fi
}
