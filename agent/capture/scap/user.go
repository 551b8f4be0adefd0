package scap

import "strings"

// userKey is a user or a group, of the host or of one container.
type userKey struct {
	container string
	id        uint32
	group     bool
}

// account is what is known of a user or a group. A group has a name alone.
type account struct{ name, home, shell string }

// users are the accounts of user and group ids.
type users map[userKey]account

// maxUsers bounds the names that are kept, maxName each of them.
const maxUsers, maxName = 1 << 16, 256

func (u users) add(container string, id uint32, group bool, a account) {
	if len(u) < maxUsers {
		u[userKey{strings.Clone(short(container)), id, group}] = account{clip(a.name, maxName), clip(a.home, maxName), clip(a.shell, maxName)}
	}
}

// of looks among the container's own users, and never at the host's for a
// container: the same number is somebody else there. The user 0 is root everywhere.
func (u users) of(container string, id uint32, group bool) account {
	if a, ok := u[userKey{short(container), id, group}]; ok {
		return a
	}
	if id == 0 {
		return account{name: "root"}
	}
	return account{}
}

func (u users) name(container string, id uint32, group bool) string {
	return u.of(container, id, group).name
}

// shortID is how much of a container's id Falco shows and events name it by.
const shortID = 12

func short(id string) string {
	if id == "host" {
		return ""
	}
	return id[:min(len(id), shortID)]
}
