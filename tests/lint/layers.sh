#!/bin/bash
# layers.sh: who may include what (docs/architecture.md): a lower layer never includes a higher one,
# engine and nsctl never include each other, and each outside library has one home.
set -euo pipefail
cd "$(dirname "$0")/../.."

found=0

# allow FOLDER REGEX: files of FOLDER include only project headers whose path matches REGEX.
allow() {
	local bad
	bad=$(grep -rnE --include='*.[ch]' '^#include "' "$1" | grep -vE "#include \"($2)" || true)
	if [ -n "$bad" ]; then
		echo "$bad" >&2
		echo "layers: $1 may only include $2" >&2
		found=1
	fi
}

# home HEADER-REGEX PATH-REGEX: only files whose path matches may include that library.
home() {
	local bad
	bad=$(grep -rnE --include='*.[ch]' "^#include <($1)" base config drivers engine nsctl |
		grep -vE "^($2)" || true)
	if [ -n "$bad" ]; then
		echo "$bad" >&2
		echo "layers: $1 belongs to $2" >&2
		found=1
	fi
}

allow base 'base/'
allow config '(base|config)/'
allow drivers '(base|config|drivers)/'
allow engine '(base|config|drivers|engine)/'
allow nsctl '(base|config|drivers|nsctl)/'
allow engine/ctl '(base|config|engine/ctl)/'

home 'liburing' 'engine/ring[^/]*\.[ch]:'
home 'ini\.h' 'config/[^/]*ini[^/]*\.c:'
home 'libmnl|libnftnl|linux/(netlink|rtnetlink)' 'base/netlink[^/]*\.[ch]:'
home 'seccomp|sys/capability' 'base/lockdown/[^/]*\.c:'
home 'microhttpd' 'engine/api[^/]*\.[ch]:'
home 'curl' '(drivers/curl_late|engine/ctl/)'
home 'cjson' '(drivers|engine/(api|json|ctl/)[^/]*)'

# The engine never enters a namespace and nsctl never forwards: neither has the other's tools.
bad=$(grep -rnE --include='*.c' '\b(setns|unshare|clone3?)\(' engine || true)
if [ -n "$bad" ]; then
	echo "$bad" >&2
	echo "layers: the engine never enters a namespace" >&2
	found=1
fi

[ "$found" -eq 0 ] && echo "layers: in order"
