package enrich

// nameUsers gives a process the names of its users and group.
func (t *Table) nameUsers(p *entry) {
	if t.o.Users == nil || p.Exited {
		return
	}
	n := t.o.Users.Names(p.Container.ID, &p.Process)
	c := set(&p.User, n.User)
	c = set(&p.Home, n.Home) || c
	c = set(&p.Shell, n.Shell) || c
	c = set(&p.LoginUser, n.LoginUser) || c
	c = set(&p.Group, n.Group) || c
	if c {
		t.clock.Changed(&p.Process)
	}
}

// UsersChanged says that the lists of a container came, or are others than before; ""
// is the host. Its processes get their names anew.
func (t *Table) UsersChanged(container string) {
	for _, p := range t.byPID {
		if p.Container.ID == container { // the host has none
			t.nameUsers(p)
		}
	}
}
