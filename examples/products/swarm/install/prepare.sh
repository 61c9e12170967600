#!/bin/sh
# On every node: the engine answers, and the container image that the tests use is there. It is made
# from the node's own busybox, so no registry is needed, and it is the same, to the id, on every node
# that has the same busybox.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p root/bin root/etc root/tmp root/var/www
cp /bin/busybox root/bin/busybox
chroot root /bin/busybox --install -s /bin
echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
chmod 1777 root/tmp
tar -C root --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf layer.tar .

# Two images with one layer: updates need something to change to.
digest=$(sha256sum layer.tar | cut -d' ' -f1)
for version in 1 2; do
  cat >"$version.json" <<END
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "created": "1970-01-01T00:00:00Z",
 "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"version": "$version"}},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
END
done
cat >manifest.json <<END
[{"Config": "1.json", "RepoTags": ["osqual/busybox:1"], "Layers": ["layer.tar"]},
 {"Config": "2.json", "RepoTags": ["osqual/busybox:2"], "Layers": ["layer.tar"]}]
END
tar -c manifest.json 1.json 2.json layer.tar | docker load
