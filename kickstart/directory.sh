# make_directory PATH: a directory and those it lies in. A new one belongs to whom the directory around it belongs to, so what is made
# below a home is its user's. Reads $target: empty, for paths begin at the installed system's root.
make_directory() {
    if [ -z "$1" ] || [ -d "$target$1" ]; then return 0; fi
    make_directory "${1%/*}" && mkdir "$target$1" && chown --reference="$target${1%/*}/" "$target$1"
}
