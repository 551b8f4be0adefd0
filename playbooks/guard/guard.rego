# METADATA
# scope: package
# title: Guard
# description: >-
#  What is never done, whichever playbook asks for it. These rules come on top of
#  those written in Go. They can refuse, not allow; if they fail, that refuses.
package riposte.guard

# A static pod's object in the API server is only a mirror: deleting it stops
# nothing, and the kubelet makes it again.
refuse contains {"rule": "mirror-pod", "reason": "the pod is a static pod's mirror: deleting it stops nothing"} if {
	input.target.kind == "pod"
	startswith(input.pod.owner, "Node/")
}
