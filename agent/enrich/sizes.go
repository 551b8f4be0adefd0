package enrich

// Sizes say how much the table holds, by what. It is called in turn with the events.
func (t *Table) Sizes() map[string]int {
	return map[string]int{
		"processes": len(t.byPID), "ended_processes": len(t.ended), "ended_bytes": t.endedBytes, "orphans": len(t.orphans),
		"containers": len(t.containers), "cgroups": len(t.groups), "cgroup_paths": len(t.cgroups.byID), "early_metadata": len(t.early), "named_containers": len(t.named),
	}
}
