package scap

import "strings"

// userKey is a user or a group, of the host or of one container.
type userKey struct {
	container string
	id        uint32
	group     bool
}

// users are the names of user and group ids.
type users map[userKey]string

// maxUsers bounds the names that are kept, maxName each of them.
const maxUsers, maxName = 1 << 16, 256

func (u users) add(container string, id uint32, group bool, name string) {
	if len(u) < maxUsers {
		u[userKey{strings.Clone(short(container)), id, group}] = clip(name, maxName)
	}
}

// name looks among the container's own users, and never at the host's for a
// container: the same number is somebody else there. The user 0 is root everywhere.
func (u users) name(container string, id uint32, group bool) string {
	if name, ok := u[userKey{short(container), id, group}]; ok {
		return name
	}
	if id == 0 {
		return "root"
	}
	return ""
}

// shortID is how much of a container's id Falco shows and events name it by.
const shortID = 12

func short(id string) string {
	if id == "host" {
		return ""
	}
	return id[:min(len(id), shortID)]
}
