#!/usr/bin/env bash
# Puts Vedette on a Debian 12 machine: programs, systemd units, rules, example configuration and the
# system user 'vedette'. Safe to run again; configuration that is there is never overwritten. Starts
# nothing.
#
#   deploy/install.sh [--from DIR | --from URL --sha256 HEX] [--no-packages]
#
# The Debian packages of tools/package do the same below /usr, and are the better choice where dpkg
# shall know of it.
#
# DIR is an unpacked release (default: the one this script lies in), URL the tarball of one.
set -euo pipefail
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

from="" sha256="" packages=1
while [ $# -gt 0 ]; do
  case "$1" in
    --from) from=${2:?--from wants a folder or a URL}; shift 2 ;;
    --sha256) sha256=${2:?--sha256 wants 64 hexadecimal digits}; shift 2 ;;
    --no-packages) packages=""; shift ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "$1: not understood; see --help" ;;
  esac
done
[ "$(id -u)" = 0 ] || die "run this as root"

case "$from" in
  https://*)
    [ -n "$sha256" ] || die "--from URL wants --sha256, so that what comes is what was meant"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    curl -fsSL --retry 5 --proto '=https' -o "$scratch/vedette.tar.gz" "$from"
    printf '%s  %s\n' "$sha256" "$scratch/vedette.tar.gz" | sha256sum -c --quiet ||
      die "$from is not the file with that SHA-256"
    tar -xzf "$scratch/vedette.tar.gz" -C "$scratch" --strip-components=1 --no-same-owner
    from=$scratch
    ;;
  "") from=$(cd "$(dirname "$0")/.." && pwd) ;;
  *) [ -d "$from" ] || die "$from is neither a folder nor an https:// URL" ;;
esac
for program in vedette-server vedette-agent vedettectl; do
  [ -x "$from/bin/$program" ] || die "$from/bin/$program is missing: is $from an unpacked release?"
done

if [ -n "$packages" ]; then
  # Only what is missing: an image that has it all needs no network.
  missing=()
  while read -r package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done <"$from/runtime-packages.txt"
  if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
  fi
fi
getent passwd vedette >/dev/null ||
  useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin vedette

for program in vedette-server vedette-agent vedettectl; do
  # Beside it, then over it: a running program keeps its file.
  install -m 755 "$from/bin/$program" "/usr/local/bin/.$program.new"
  mv "/usr/local/bin/.$program.new" "/usr/local/bin/$program"
done
install -d -m 755 /usr/local/share/vedette/rules /etc/systemd/system
install -m 644 "$from"/rules/*.yml /usr/local/share/vedette/rules/
install -m 644 "$from"/systemd/* /etc/systemd/system/
install -d -m 750 -o root -g vedette /etc/vedette
install -d -m 750 -o vedette -g vedette /var/lib/vedette-server /var/lib/vedette-agent
for example in "$from"/examples/*; do
  name=$(basename "$example")
  [ -e "/etc/vedette/$name" ] || install -m 640 -o root -g vedette "$example" "/etc/vedette/$name"
done
[ -e /etc/vedette/slack-url ] || install -m 600 /dev/null /etc/vedette/slack-url
[ -e /etc/vedette/mysql-password ] || install -m 600 /dev/null /etc/vedette/mysql-password
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
echo "installed $(cat "$from/VERSION")"
