#!/usr/bin/env bash
# Builds kube-cp (etcd and kube-apiserver in one program, see cp/main.go) into a
# cache folder outside the repository, once for each version of its sources.
# Kubernetes is large: the first build takes about ten minutes on two cores.
#
#   build.sh          builds if needed; the last line on standard output is the program's path
#   build.sh --path   only says which path that is, built or not
#
# Callers at the same time share one build: the later ones wait. RIPOSTE_CACHE
# moves the cache folder, ${XDG_CACHE_HOME:-$HOME/.cache}/riposte by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'kube-cp: %s\n' "$*" >&2; }

version=$(awk '$1 == "k8s.io/kubernetes" { print substr($2, 2); exit }' go.mod)
sources=$(cat go.mod go.sum build.sh cp/*.go | sha256sum | cut -c1-12)
cache=${RIPOSTE_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or RIPOSTE_CACHE}/.cache}/riposte}/kube-cp
program=$cache/kube-cp-$version-$(uname -m)-$sources

case ${1-} in
'') ;;
--path) echo "$program" && exit ;;
*) say "unknown argument $1; use no argument, or --path" && exit 2 ;;
esac

if [[ ! -x $program ]]; then
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! flock --nonblock 9; then
		say "another build is running, waiting for it"
		flock 9
	fi
fi
if [[ ! -x $program ]]; then
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	export CGO_ENABLED=0 GOWORK=off

	say "fetching Kubernetes $version, if it is not there yet (about 600 MB unpacked)"
	go list -deps ./cp >"$work/packages"
	total=$(wc -l <"$work/packages")

	stamp=k8s.io/component-base/version
	IFS=. read -r major minor _ <<<"$version"
	# Any other -trimpath or CGO_ENABLED would compile all of Kubernetes once more.
	go build -v -trimpath -buildvcs=false -o "$work/kube-cp" \
		-ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor" \
		./cp 2>"$work/log" &
	build=$!
	# Without this, Ctrl-C or a test's deadline would leave the compiler running.
	trap 'kill $build 2>/dev/null || true; rm -rf "$work"' EXIT
	SECONDS=0
	while kill -0 $build 2>/dev/null; do
		if ((SECONDS >= ${next:=10})); then
			say "$SECONDS s: compiled $(wc -l <"$work/log") packages of $total, less what is cached"
			next=$((SECONDS + 10))
		fi
		sleep 0.5
	done
	if ! wait $build; then
		# The log holds the names of what was compiled and, between them, the errors.
		grep -vxFf "$work/packages" "$work/log" >&2 || true
		say "the build ended with the errors above"
		exit 1
	fi
	mv "$work/kube-cp" "$program"
	say "built in $SECONDS s, $(du -h "$program" | cut -f1)"
	# Programs of older sources are of no use to anybody after a while.
	find "$cache" -maxdepth 1 -name 'kube-cp-*' ! -path "$program" -mtime +30 -delete
fi
echo "$program"
