package user

import (
	"errors"
	"io/fs"
	"os"

	"riposte/agent/event"
)

// content is what was read of one container.
type content struct {
	users         map[uint32]account
	groups        map[uint32]string
	uids, gids    []span
	passwd, group version
	// onHost says that the process had the host's root, though it is a container's: it
	// was on its way into it, and the container's own lists are still to be read.
	onHost bool
}

// version tells a file from what it was before; the zero value stands for none.
type version struct {
	ino, dev         uint64
	size             int64
	mtimeNS, ctimeNS int64
}

// load reads the lists that a process sees, or keeps those that are as before; for the
// host those of process 1. A list that is not there, or is no proper file, is empty;
// the error says that the process itself could not be looked at.
func load(proc, container string, pid int32, startNS uint64, before content) (content, error) {
	host, err := openRoot(proc, 1, 0)
	if errors.Is(err, fs.ErrPermission) {
		// Process 1 is closed to us; then we are hardly in a container of our own.
		host, err = openRoot(proc, int32(os.Getpid()), 0)
	}
	if err != nil {
		return before, err
	}
	defer host.close()
	r := host
	if container != "" {
		if r, err = openRoot(proc, pid, startNS); err != nil {
			return before, err
		}
		defer r.close()
	}
	now := before
	now.onHost = container != "" && r.same(host)
	now.uids, now.gids = r.ids("uid_map"), r.ids("gid_map")
	b, v, err := r.list("etc/passwd", before.passwd)
	switch {
	case err != nil:
		now.users, now.passwd = nil, version{}
	case b != nil:
		now.users, now.passwd = parsePasswd(b), v
	}
	b, v, err = r.list("etc/group", before.group)
	switch {
	case err != nil:
		now.groups, now.group = nil, version{}
	case b != nil:
		now.groups, now.group = parseGroup(b), v
	}
	return now, nil
}

func (r *root) ids(name string) []span {
	text, err := r.read(name)
	if err != nil {
		return nil
	}
	return parseMap(text)
}

// noLogin is the audit login of who never logged in.
const noLogin = ^uint32(0)

// names looks a process's ids up and says whether all were found.
func (c *content) names(p *event.Process) (n Names, complete bool) {
	user, ok1 := find(c.users, c.uids, p.EUID)
	group, ok2 := find(c.groups, c.gids, p.GID)
	n = Names{User: user.name, Home: user.home, Shell: user.shell, Group: group}
	ok3 := true
	if p.LoginUID != noLogin {
		var login account
		login, ok3 = find(c.users, c.uids, p.LoginUID)
		n.LoginUser = login.name
	}
	return n, ok1 && ok2 && ok3
}

func find[T any](list map[uint32]T, spans []span, id uint32) (T, bool) {
	inside, ok := within(spans, id)
	if !ok {
		var none T
		return none, false
	}
	found, ok := list[inside]
	return found, ok
}
