# METADATA
# scope: package
# title: Alert
# description: What is often asked of an alert.
package riposte.lib.alert

# reason is a sentence for the record. It holds the rule's name and priority
# only: the alert's other texts are in part an attacker's.
reason := sprintf("%s alert %q", [input.alert.priority, input.alert.rule])

# detail is reason with the values that tell most about it, as far as the alert
# has them: the command, the file or connection, the user. An attacker writes these, so
# they are quoted and cut.
detail := concat(", ", array.concat([reason], _said))

# text is a field of the alert as quoted text of 120 characters at most. It is
# undefined where the alert has no such field or it is empty.
text(field) := sprintf("%q", [substring(value, 0, 120)]) if {
	value := input.alert.output_fields[field]
	is_string(value)
	value != ""
}

# terminal holds if the process has a terminal: somebody works there by hand.
terminal if {
	tty := input.alert.output_fields["proc.tty"]
	is_number(tty)
	tty != 0
}

_said := [said |
	some [name, field] in [
		["command", "proc.cmdline"],
		["fd", "fd.name"],
		["user", "user.name"],
	]
	said := sprintf("%s %s", [name, text(field)])
]
