# The Debian packages that Vedette needs, by purpose, and how they get on the machine.
# Sourced by tools/run, tools/check and .ci/run; changes nothing until install_packages is called.

BUILD_PACKAGES="bazel-bootstrap bazel-rules-java bazel-rules-proto bazel-platforms g++ git ca-certificates
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler libabsl-dev librocksdb-dev
  libssl-dev libgoogle-glog-dev libgtest-dev libgmock-dev libbenchmark-dev libre2-dev libsnappy-dev libdeflate-dev
  libzstd-dev zlib1g-dev libcurl4-openssl-dev libmariadb-dev libyaml-cpp-dev
  nlohmann-json3-dev libxxhash-dev libroaring-dev robin-map-dev libboost-dev libcli11-dev libc-ares-dev
  libsystemd-dev libcrypt-dev libbrotli-dev python3 curl"
RUN_PACKAGES="openssl iproute2"
# Real components for the tests: databases, applications, peers.
TEST_PACKAGES="mariadb-server python3-flask python3-prometheus-client python3-yaml python3-grpcio
  prometheus prometheus-alertmanager prometheus-node-exporter prometheus-blackbox-exporter
  prometheus-process-exporter prometheus-mysqld-exporter victoria-metrics chromium procps iproute2 faketime
  podman runc busybox-static sysstat lsof ethtool conntrack smartmontools mtr-tiny iputils-ping"
# The second compiler: locks, layers, fuzzing.
CLANG_PACKAGES="clang-19 clang-format-19 libclang-rt-19-dev"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# Installs those of the named packages that are missing. Services that apt would start are kept from
# starting: Vedette's scripts start what they need, where they need it.
install_packages() {
  local missing="" p sudo=""
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "these packages are missing and there is no apt-get to install them:$missing"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "packages are missing:$missing
       Run this as root, or install sudo, or ask someone who may: apt-get install$missing"
    sudo="sudo"
  fi
  say "installing:$missing"
  local policy=/usr/sbin/policy-rc.d made_policy=""
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy" && made_policy=1
  fi
  local log status=0
  log=$(mktemp)
  { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
    >"$log" 2>&1 || status=$?
  [ -z "$made_policy" ] || $sudo rm -f "$policy"
  if [ $status != 0 ]; then
    tail -20 "$log" >&2
    die "apt-get could not install:$missing (the whole log: $log)"
  fi
  rm -f "$log"
}

# Keeps Bazel's disk cache under a bound (default 10 GiB) by dropping what was read longest ago.
bound_disk_cache() {
  python3 - "$HOME/.cache/vedette-bazel" "${VEDETTE_CACHE_GB:-10}" <<'PY'
import os, sys
root, bound = sys.argv[1], float(sys.argv[2]) * 2**30
files = []
for folder, _, names in os.walk(root):
    for name in names:
        path = os.path.join(folder, name)
        try:
            s = os.lstat(path)
        except FileNotFoundError:
            continue
        files.append((max(s.st_atime, s.st_mtime), s.st_size, path))
total = sum(size for _, size, _ in files)
for _, size, path in sorted(files):
    if total <= bound:
        break
    os.unlink(path)
    total -= size
PY
}
