# %post beside a kickstart of the user's own: what belongs to the copied repositories. The rest of the system is not touched. Reads
# $target: empty, for paths begin at the installed system's root.

# repository_file PATH: the text on standard input, behind a margin `|`.
repository_file() {
    at "writing $1"
    sed 's/^|//' > "$target$1"
}

# label PATH...: what was copied has no label, which matters unless the kickstart turns SELinux off. setfiles does not ask the
# installer's kernel.
label() {
    contexts="$target/etc/selinux/targeted/contexts/files/file_contexts"
    if [ ! -e "$contexts" ] || ! command -v setfiles > /dev/null; then return 0; fi
    at 'setting SELinux labels'
    setfiles -F "$contexts" "$@"
}
