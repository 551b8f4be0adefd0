package user

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

const (
	// maxFile is the longest list that is read.
	maxFile = 1 << 20
	// maxText bounds a name, a directory or a shell.
	maxText = 256
)

// account is one line of passwd(5).
type account struct{ name, home, shell string }

// parsePasswd reads name:password:uid:gid:comment:home:shell. Of two lines with one
// uid the first counts, as in getpwuid(3). What is no such line is left out.
func parsePasswd(b []byte) map[uint32]account {
	users := map[uint32]account{}
	lines(b, 7, func(f []string) {
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if _, known := users[uint32(uid)]; err == nil && !known {
			users[uint32(uid)] = account{name: f[0], home: f[5], shell: f[6]}
		}
	})
	return users
}

// parseGroup reads name:password:gid:members of group(5).
func parseGroup(b []byte) map[uint32]string {
	groups := map[uint32]string{}
	lines(b, 3, func(f []string) {
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if _, known := groups[uint32(gid)]; err == nil && !known {
			groups[uint32(gid)] = f[0]
		}
	})
	return groups
}

// lines hands over the fields of each line that has at least n of them.
func lines(b []byte, n int, take func(fields []string)) {
	scan := bufio.NewScanner(bytes.NewReader(b))
	scan.Buffer(nil, maxFile+1)
	for scan.Scan() {
		f := strings.Split(scan.Text(), ":")
		if len(f) < n || f[0] == "" {
			continue
		}
		for i := range f {
			// A copy: what is kept of a line must not keep the line.
			f[i] = strings.Clone(f[i][:min(len(f[i]), maxText)])
		}
		take(f)
	}
}

// span is one line of /proc/PID/uid_map: count ids from inside are those from outside.
type span struct{ inside, outside, count uint32 }

// parseMap reads a user namespace's map of ids.
func parseMap(text string) []span {
	var all []span
	for line := range strings.Lines(text) {
		var s span
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		for i, to := range []*uint32{&s.inside, &s.outside, &s.count} {
			n, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil
			}
			*to = uint32(n)
		}
		all = append(all, s)
	}
	return all
}

// within is the host's id as its user namespace has it, which is what the lists there
// are about; not ok for an id that has none inside.
func within(spans []span, id uint32) (uint32, bool) {
	if len(spans) == 0 {
		return id, true
	}
	for _, s := range spans {
		if id >= s.outside && id-s.outside < s.count {
			return s.inside + (id - s.outside), true
		}
	}
	return 0, false
}
