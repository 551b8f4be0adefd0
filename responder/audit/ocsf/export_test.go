package ocsf

// HasTactic says that an action's type has a tactic.
func HasTactic(action string) bool { return tactics[action] != 0 }
