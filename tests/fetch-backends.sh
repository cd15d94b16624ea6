#!/bin/bash
# fetch-backends.sh BUILD-DIR: the network backends that this Debian does not package, for the tests.
#
# gvproxy: from the next Debian release, with apt's own tools and a configuration of their own, so
# that nothing is installed and the machine's apt lists stay as they are. The mirror is the one that
# apt uses now; signatures are checked against the keys of debian-archive-keyring. The package is
# unpacked into BUILD-DIR/backends; nothing happens when it is there already or gvproxy is installed.
set -euo pipefail

SUITE=trixie
PACKAGE=gvproxy
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

build=$(mkdir -p "$1" && realpath "$1")
backends=$build/backends
program=$backends/usr/bin/gvproxy

if command -v gvproxy >/dev/null || [ -x "$program" ]; then
	exit 0
fi

# The address of the first source of this machine that is a Debian archive.
# shellcheck disable=SC2016 # the format is apt's
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
	awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
if [ -z "$mirror" ]; then
	echo "fetch-backends: apt has no Debian source to take $PACKAGE from (apt-get update?)" >&2
	exit 1
fi

work=$(mktemp -d "$build/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
	"$mirror" "$SUITE" "$KEYRING" >"$work/$SUITE.sources"

# What apt would do as root for all users, done in the directory of our own.
own_apt() {
	apt-get -q \
		-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$work" \
		-o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=/dev/null" \
		-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" \
		-o "APT::Sandbox::User=$(id -un)" -o "Acquire::Languages=none" "$@"
}

echo "fetch-backends: fetching $PACKAGE of $SUITE"
own_apt update
(cd "$work" && own_apt download "$PACKAGE")
rm -rf "$backends"
mkdir -p "$work/unpacked"
dpkg-deb --extract "$work"/"$PACKAGE"_*.deb "$work/unpacked"
mv "$work/unpacked" "$backends"
[ -x "$program" ] || {
	echo "fetch-backends: the package has no ${program#"$backends"}" >&2
	exit 1
}
