package enrich

import "strings"

// idLength is the length of a container's id in every runtime that we know.
const idLength = 64

// ParseCgroup takes a container's id and its pod's UID from a cgroup path. It knows
// the layouts by their common shape and not by runtime: a container has a directory
// that is its 64 hexadecimal digits, alone (Docker, containerd and kubelet with
// cgroupfs) or as a systemd scope with the runtime's prefix (cri-containerd-, crio-,
// docker-, libpod-). A pod's directory above it has pod<uid>. Of nested containers
// the innermost counts. What is not found is empty.
func ParseCgroup(path string) (containerID, podUID string) {
	_, containerID, podUID = splitCgroup(path)
	return containerID, podUID
}

// splitCgroup gives besides the container's own directory, which may be above the
// path.
func splitCgroup(path string) (dir, id, pod string) {
	for at := 0; at < len(path); {
		end := strings.IndexByte(path[at:], '/')
		if end < 0 {
			end = len(path) - at
		}
		part := path[at : at+end]
		if uid := podOf(part); uid != "" {
			// A container further up is the node of a nested cluster, not this pod's.
			dir, id, pod = "", "", uid
		}
		if c := containerOf(part); c != "" {
			dir, id = path[:at+end], c
		}
		at += end + 1
	}
	return dir, id, pod
}

// containerOf is the id in one component. The monitor that CRI-O and Podman run next
// to a container (conmon) has the same id in a scope of its own and is no part of it.
func containerOf(part string) string {
	part = strings.TrimSuffix(part, ".scope")
	if len(part) < idLength {
		return ""
	}
	prefix, id := part[:len(part)-idLength], part[len(part)-idLength:]
	if !isHex(id) || strings.HasSuffix(prefix, "conmon-") {
		return ""
	}
	// containerd's name where kubelet has systemd and the runtime has not.
	if prefix == "" || strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, ":") {
		return id
	}
	return ""
}

// podOf is the pod's UID in one component: pod<uid>, or with systemd
// kubepods-burstable-pod<uid>.slice, where the UID has underscores for its dashes.
// The UID of a static pod is a hash without dashes.
func podOf(part string) string {
	part, _, _ = strings.Cut(part, ":")
	name, slice := strings.CutSuffix(part, ".slice")
	if slice {
		i := strings.LastIndex(name, "-pod")
		if i < 0 || !strings.HasPrefix(name, "kubepods") && !strings.Contains(name, "-kubepods") {
			return ""
		}
		name = name[i+1:]
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		return ""
	}
	if slice {
		uid = strings.ReplaceAll(uid, "_", "-")
	}
	if len(uid) == 32 && isHex(uid) || isUUID(uid) {
		return uid
	}
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, part := range strings.Split(s, "-") {
		if i > 4 || len(part) != [...]int{8, 4, 4, 4, 12}[i] || !isHex(part) {
			return false
		}
	}
	return true
}
