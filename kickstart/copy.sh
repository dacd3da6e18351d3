# %post --nochroot: what the installed system cannot see itself, because its /run lacks the mounts of the installer's. Reads $volume.

# copy_repository ID DIRECTORY
copy_repository() {
    at "copying the repository $1 to $2"
    mkdir -p "$ANA_INSTALL_PATH$2"
    cp -R "$volume/$1/." "$ANA_INSTALL_PATH$2/"
}
