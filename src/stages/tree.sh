# Assembles a Debian tree and makes the root filesystem of it.
# Runs as root of namespaces that die with goldsmith; everything it makes lies below $GS_WORK.
#
#   $GS_SUITE     release to assemble
#   $GS_PACKAGES  packages beside the essential ones, separated by commas
#   $GS_WORK      scratch directory; holds sources.list (empty: mmdebstrap's own), pins (a sha256 a line) and settings/ (apply.sh, files/)
#   "$@"          the command that makes the filesystem of $GS_WORK/tree
#
# The image gets mmdebstrap's default sources.list, never the host's: mirrors and proxies are the builder's business.
set -eu
export TMPDIR="$GS_WORK"

# The packages must be those of the indexes that were pinned: a mirror may move on between the two.
cat > "$GS_WORK/check-pins" <<'CHECK'
for index in "$1"/var/lib/apt/lists/*InRelease; do
    digest=$(sha256sum "$index" | cut -d ' ' -f 1)
    if ! grep -qx "$digest" "$GS_WORK/pins"; then
        echo "goldsmith: the package indexes have changed since they were pinned: ${index##*/}" >&2
        exit 1
    fi
done
CHECK

mmdebstrap --format=directory --variant=apt --include="$GS_PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io \
    --setup-hook='cp "$1/etc/apt/sources.list" "$GS_WORK/sources.default"' \
    --setup-hook='test ! -s "$GS_WORK/sources.list" || cp "$GS_WORK/sources.list" "$1/etc/apt/sources.list"' \
    --essential-hook='sh "$GS_WORK/check-pins" "$1"' \
    --customize-hook='cp "$GS_WORK/sources.default" "$1/etc/apt/sources.list"' \
    --customize-hook='rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
    --customize-hook='cp -R "$GS_WORK/settings" "$1/goldsmith" && chroot "$1" /bin/sh /goldsmith/apply.sh && rm -r "$1/goldsmith"' \
    "$GS_SUITE" "$GS_WORK/tree"

echo "goldsmith: tree of $(du -sm "$GS_WORK/tree" | cut -f1) MiB"
"$@"
echo "goldsmith: removing the tree"
rm -rf "$GS_WORK/tree"
