# Sourced: Debian packages of any release and architecture, unpacked below a cache and nowhere else.
# The mirror is the one that this machine's own apt uses.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/uring-streams-kernels

# apt_of RELEASE ARCHITECTURE COMMAND...: apt-get or apt-cache with lists, settings and status of their own.
apt_of() {
  local release=$1 architecture=$2 command=$3 home=$cache/apt/$1-$2
  shift 3
  "$command" -q -o Dir::State::Lists="$home/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$home" \
    -o Dir::Etc::SourceList="$home/sources" -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Sandbox::User=root "$@"
}

# Writes the list of sources and reads the mirror's index, once.
know_packages() {
  local release=$1 architecture=$2 home=$cache/apt/$1-$2 mirror
  [ -e "$home/known" ] && return
  mkdir -p "$home/lists/partial" "$home/archives/partial"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" > "$home/sources"
  apt_of "$release" "$architecture" apt-get update > "$home/log" 2>&1 && ! grep -q '^[WE]:.*Failed' "$home/log" && touch "$home/known"
}

# unpack RELEASE ARCHITECTURE DIRECTORY PACKAGE...: leaves a directory that is there as it is.
unpack() {
  local release=$1 architecture=$2 directory=$3 deb
  shift 3
  [ -d "$directory" ] && return
  if ! know_packages "$release" "$architecture"; then
    echo "Debian $release ($architecture) cannot be reached: $(tail -n 1 "$cache/apt/$release-$architecture/log")" >&2
    return 1
  fi
  rm -rf "$directory.part" && mkdir -p "$directory.part/debs"
  (cd "$directory.part/debs" && apt_of "$release" "$architecture" apt-get download "$@" > ../log 2>&1) || { tail -n 3 "$directory.part/log" >&2; return 1; }
  for deb in "$directory.part"/debs/*.deb; do dpkg-deb -x "$deb" "$directory.part/root"; done
  mv "$directory.part/root" "$directory" && rm -r "$directory.part"
}

# Of two runs that begin at once the second waits: both would write the same files below the cache.
cache_alone() {
  mkdir -p "$cache"
  exec 9> "$cache/lock"
  flock 9
}

# kernel RELEASE ARCHITECTURE: unpacks what the release's cloud kernel is today, and prints where.
kernel() (
  release=$1 architecture=$2 directory=$cache/linux/$1-$2
  cache_alone
  if [ ! -d "$directory" ]; then
    know_packages "$release" "$architecture" || { echo "Debian $release ($architecture) cannot be reached" >&2; return 1; }
    package=$(apt_of "$release" "$architecture" apt-cache depends "linux-image-cloud-$architecture" | awk '/Depends: linux-image/ { print $2; exit }')
    unpack "$release" "$architecture" "$directory" "$package" || return
  fi
  echo "$directory"
)

# What the tests run by, beside Node. The libraries are what these depend on.
programs=(busybox-static coreutils grep sed util-linux util-linux-extra bsdutils mount diffutils dash libc6 libstdc++6 libgcc-s1 libasan8 libubsan1
  libacl1 libattr1 libblkid1 libcap-ng0 libcrypt1 libgmp10 libmount1 libpam0g libpcre2-8-0 libselinux1 libsmartcols1 libsystemd0
  libtinfo6 libudev1 libuuid1 liblzma5 libzstd1 liblz4-1 libgcrypt20 libgpg-error0 libcap2 libaudit1
  e2fsprogs libcom-err2 libext2fs2 libss2 xfsprogs libinih1 liburcu8 btrfs-progs liblzo2-2 zlib1g)

# The userland is of this machine's own release: the addon was linked against its libraries. Another list of programs is another one.
userland() (
  cache_alone
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  directory=$cache/userland/$release-$1-$(echo "${programs[@]}" | cksum | cut -d ' ' -f 1)
  unpack "$release" "$1" "$directory" "${programs[@]}" || return
  echo "$directory"
)
