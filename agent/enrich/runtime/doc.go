// Package runtime asks container runtimes what they know of a container: its name,
// image, labels, mounts and rights, and the pod that it belongs to.
//
// Three APIs are spoken, each over a socket on this host: CRI v1 over gRPC (containerd,
// CRI-O, k3s), containerd's own for containers that neither kubelet nor Docker made (ctr,
// nerdctl), and the Docker Engine API over HTTP (Docker, Podman). A Lookup has one seat
// per socket and API:
//
//	socket ─→ seat: open ─→ list all ─→ follow the runtime's events ─┐
//	              ↑                                                  ├─→ Tell(answer)
//	              └── again, a little later ←── any failure   Ask(id)┘
//
// Nothing here ever blocks the one who asks. What a runtime says is bounded, for the
// labels and the environment of a container are chosen by whoever starts it.
package runtime
