# METADATA
# scope: package
# title: Alert
# description: What is often asked of an alert.
package riposte.lib.alert

# reason is a sentence for the record. It holds the rule's name and priority
# only: the alert's other texts are in part an attacker's.
reason := sprintf("%s alert %q", [input.alert.priority, input.alert.rule])
