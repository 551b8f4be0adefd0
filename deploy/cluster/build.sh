#!/usr/bin/env bash
# Builds programs of this folder into a cache folder outside the repository, once
# for each version of their sources:
#
#   kube-cp   etcd and kube-apiserver in one process, for tests (cp/)
#   kube      all programs of Kubernetes in one file (kube/)
#   node, netpold, pause, probe   the rest of a cluster, small
#   dns       CoreDNS (dns/, a module of its own)
#   kwok      kubelets of nodes on which nothing runs (kwok/, a module of its own)
#
# Kubernetes is large: the first build takes about ten minutes on two cores.
#
#   build.sh [PROGRAM...]          builds if needed (kube-cp if none is named); each
#                                  program's path is a line on standard output
#   build.sh --path [PROGRAM...]   only says which paths those are, built or not
#
# Callers at the same time share one build: the later ones wait. RIPOSTE_CACHE
# moves the cache folder, ${XDG_CACHE_HOME:-$HOME/.cache}/riposte by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

only_path=
case ${1-} in
--path) only_path=yes && shift ;;
-*) echo "build.sh: unknown argument $1; use names of programs, or --path first" >&2 && exit 2 ;;
esac
cache=${RIPOSTE_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or RIPOSTE_CACHE}/.cache}/riposte}
[[ $cache == /* ]] || cache=$OLDPWD/$cache
version=$(awk '$1 == "k8s.io/kubernetes" { print substr($2, 2); exit }' go.mod)
export CGO_ENABLED=0 GOWORK=off

# path PROGRAM SOURCES: where the program of these sources is
path() {
	local hash
	hash=$(cat go.mod go.sum build.sh $(find "$2" -type f ! -name '*_test.go' | LC_ALL=C sort) | sha256sum | cut -c1-12)
	echo "$cache/$1/$1-$version-$(uname -m)-$hash"
}

# build PROGRAM PATH MODULE PACKAGE, in a subshell of its own: its trap needs its variables
build() (
	name=$1 program=$2 module=$3 package=$4 dir=${2%/*} next=10
	say() { printf '%s: %s\n' "$name" "$*" >&2; }
	mkdir -p "$dir"
	exec 9>"$dir/lock"
	if ! flock --nonblock 9; then
		say "another build is running, waiting for it"
		flock 9
	fi
	[[ ! -x $program ]] || exit 0

	work=$(mktemp -d "$dir/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	[[ $name != kube* ]] || say "fetching Kubernetes $version, if it is not there yet (about 600 MB unpacked)"
	go list -C "$module" -deps "$package" >"$work/packages"
	total=$(wc -l <"$work/packages")

	stamp=k8s.io/component-base/version
	IFS=. read -r major minor _ <<<"$version"
	# Any other -trimpath or CGO_ENABLED would compile all of Kubernetes once more.
	go build -C "$module" -v -trimpath -buildvcs=false -o "$work/program" \
		-ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor" \
		"$package" 2>"$work/log" &
	compiler=$!
	# Without this, Ctrl-C or a test's deadline would leave the compiler running.
	trap 'kill $compiler 2>/dev/null || true; rm -rf "$work"' EXIT
	SECONDS=0
	while kill -0 $compiler 2>/dev/null; do
		if ((SECONDS >= next)); then
			say "$SECONDS s: compiled $(wc -l <"$work/log") packages of $total, less what is cached"
			next=$((SECONDS + 10))
		fi
		sleep 0.2
	done
	if ! wait $compiler; then
		# The log holds the names of what was compiled and, between them, the errors.
		grep -vxFf "$work/packages" "$work/log" >&2 || true
		say "the build ended with the errors above"
		exit 1
	fi
	mv "$work/program" "$program"
	say "built in $SECONDS s, $(du -h "$program" | cut -f1)"
	# Programs of older sources are of no use to anybody after a while.
	find "$dir" -maxdepth 1 -name "$name-*" ! -path "$program" -mtime +30 -delete
)

[[ $# -gt 0 ]] || set -- kube-cp
for name in "$@"; do
	sources=$name module=. package=./$name
	case $name in
	kube-cp) sources=cp package=./cp ;;
	dns | kwok) module=$name package=. ;;
	kube | node | netpold | pause | probe) ;;
	*) echo "build.sh: there is no program $name" >&2 && exit 2 ;;
	esac
	program=$(path "$name" "$sources")
	if [[ -z $only_path && ! -x $program ]]; then
		build "$name" "$program" "$module" "$package"
	fi
	echo "$program"
done
