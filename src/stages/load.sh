#!/bin/sh
# Loads the recipe's container images into Docker, in the booted system after the last provision step, without a network.
# The disk is an archive of `docker save`; `images` has a line for each tag: the image's id, and the tag.
set -eu

archive=/dev/disk/by-id/virtio-goldsmith-images
if ! command -v docker > /dev/null; then
    echo "there is no docker in this system: install Docker Engine, in [packages] or in a provision step" >&2
    exit 1
fi
# A step may have changed Docker's settings, and where it keeps images. Its own restarts are not counted against this one.
systemctl reset-failed docker.service > /dev/null 2>&1 || true
systemctl restart docker.service
docker load -q -i "$archive"
while read -r id tag; do
    found=$(docker inspect --type=image -f '{{.Id}}' "$tag")
    if [ "$found" != "$id" ]; then
        echo "$tag was loaded as $found, and is $id" >&2
        exit 1
    fi
done < ./images
# Its databases are closed then: the layer holds them as a clean end leaves them. The socket would start it again.
systemctl stop docker.socket > /dev/null 2>&1 || true
systemctl stop docker.service
