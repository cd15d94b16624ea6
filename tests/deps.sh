#!/bin/bash
# deps.sh: install the Debian packages that building, testing and the demo need, if any is missing.
# Says what it installs before it does; uses sudo when it is not run by root.
set -euo pipefail

packages=(
	# build
	gcc make pkg-config libc6-dev
	liburing-dev libcap-dev libseccomp-dev libmnl-dev libnftnl-dev libinih-dev libmicrohttpd-dev libcjson-dev
	libcurl4-openssl-dev
	# run
	uidmap slirp4netns passt vdeplug libvdeplug-slirp liblxc-common
	# test and demo; rootlesskit is there for its rootlessctl, which must work against ours
	libcriterion-dev bats valgrind rootlesskit iperf3 curl socat nftables nginx-light iproute2 iputils-ping procps python3 util-linux passwd libcap2-bin
	# the DHCP server of the bridge that lxc-user-nic leads to
	dnsmasq-base
	# rootless Docker and its images
	docker.io busybox-static
	# lint
	clang clang-format cppcheck shellcheck
	# fuzzing: libFuzzer and the sanitizers, and names in their stack traces
	libclang-rt-14-dev llvm
	# promtool, which checks the format of /metrics; its server is not started (RUNLEVEL, see below)
	prometheus
)

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo)
	if ! command -v sudo >/dev/null; then
		echo "deps: missing packages: ${missing[*]}" >&2
		echo "deps: run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
fi
echo "deps: installing with apt-get: ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	apt-get install -q -y --no-install-recommends "${missing[@]}"
