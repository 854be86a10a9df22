# Sourced: what a virtual machine starts from.

# modules_of KERNEL NAME...: the files of modules and of what they depend on, first what comes first. What is built in has none.
modules_of() {
  local kernel=$1 name file
  shift
  for name; do
    file=$(find "$kernel" -name "${name//[-_]/[-_]}.ko*" -print -quit)
    [ -n "$file" ] || continue
    # shellcheck disable=SC2046 # names of modules have no spaces
    modules_of "$kernel" $(module "$file" | grep -a -o -z '^depends=[^[:cntrl:]]*' | tr -d '\0' | cut -d= -f2 | tr , ' ')
    echo "$file"
  done
}

module() {
  case $1 in *.xz) xz -dc "$1" ;; *.zst) zstd -dqc "$1" ;; *) cat "$1" ;; esac
}

# initramfs KERNEL BUSYBOX JOB FILE: JOB is a directory whose files the machine finds in /job.
initramfs() {
  local kernel=$1 busybox=$2 job=$3 file=$4 tree number=100 path
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,dev,proc,root,modules}
  cp "$busybox" "$tree/bin/busybox"
  cp "$here/guest/init" "$tree/init"
  cp -r "$job" "$tree/job"
  for path in $(modules_of "$kernel" virtio_pci virtio_blk ext4 loop xfs btrfs | awk '!seen[$0]++'); do
    module "$path" > "$tree/modules/$((number++)).ko"
  done
  (cd "$tree" && find . | "$busybox_here" cpio -o -H newc 2> /dev/null) | gzip -1 > "$file"
  rm -r "$tree"
}

# root_image USERLAND NODE ADDON FILE: a file system with the package as it is here.
root_image() {
  local userland=$1 node=$2 addon=$3 file=$4 tree name
  tree=$(mktemp -d)
  cp -a "$userland/." "$tree"
  mkdir -p "$tree"/{dev,proc,sys,tmp,run,root,etc,package/build/Release,usr/local/bin}
  rm -rf "$tree"/usr/share
  ln -sf dash "$tree/bin/sh"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' > "$tree/etc/passwd"
  printf '127.0.0.1 localhost\n' > "$tree/etc/hosts"
  printf 'root:x:0:\nnogroup:x:65534:\n' > "$tree/etc/group"
  cp "$node" "$tree/usr/local/bin/node"
  for name in dist examples lib test package.json binding.gyp node_modules; do cp -a "$package/$name" "$tree/package"; done
  rm -rf "$tree"/package/node_modules/{typescript,@types,@typescript,npm,prebuildify,node-gyp,.cache}
  cp "$addon" "$tree/package/build/Release/uring_streams.node"
  cp "$here/guest/suite" "$here/judge.sh" "$tree"
  rm -f "$file"
  mke2fs -q -t ext4 -O ^has_journal -d "$tree" "$file" 4G
  rm -rf "$tree"
}
