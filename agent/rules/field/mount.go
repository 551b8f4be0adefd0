package field

import (
	"path"
	"strconv"
	"strings"

	"riposte/agent/event"
)

func mountText(m *event.ContainerMount) string {
	return m.Source + ":" + m.Destination + ":" + m.Mode + ":" + strconv.FormatBool(m.RW) + ":" + m.Propagation
}

func allMounts(c *event.Container) Value {
	texts := make([]string, len(c.Mounts))
	for i := range c.Mounts {
		texts[i] = mountText(&c.Mounts[i])
	}
	return text(strings.Join(texts, ","))
}

func bySource(m *event.ContainerMount) string { return m.Source }

func byDestination(m *event.ContainerMount) string { return m.Destination }

// ofMount finds a mount by its number or by a path, which may be a pattern. Without
// one the field is NULL.
func ofMount(key, get func(*event.ContainerMount) string) reader {
	return func(e *event.Event, a Argument, _ int) Value {
		if e.Proc == nil || e.Proc.Container == nil {
			return Value{}
		}
		mounts := e.Proc.Container.Mounts
		if n, err := strconv.Atoi(a.Text); err == nil {
			if n < 0 || n >= len(mounts) {
				return Value{}
			}
			return textOrEmpty(get(&mounts[n]))
		}
		for i := range mounts {
			if pathLike(a.Text, key(&mounts[i])) {
				return textOrEmpty(get(&mounts[i]))
			}
		}
		return Value{}
	}
}

// pathLike matches a pattern whose wildcards match a '/' too: to path.Match it is an
// ordinary character under another name.
func pathLike(pattern, name string) bool {
	const slash, other = "/", "\x01"
	ok, err := path.Match(strings.ReplaceAll(pattern, slash, other), strings.ReplaceAll(name, slash, other))
	return err == nil && ok
}
