//go:build linux

package capture

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"riposte/bpf"
)

var errNoUring = errors.New("this kernel has no tracepoint with io_uring's requests (5.19 or newer has)")

// loadUring prepares the programs for io_uring as this kernel has its tracepoints.
func loadUring() (*ebpf.CollectionSpec, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	spec, err := bpf.LoadUring()
	if err != nil {
		return nil, fmt.Errorf("BPF object: %w", err)
	}
	submit, complete := "io_uring_submit_req", "io_uring_complete"
	if !takes(kernel, submit, 0, "io_kiocb") {
		submit = "io_uring_submit_sqe" // until 6.3
	}
	if !takes(kernel, submit, 0, "io_kiocb") || !takes(kernel, complete, 0, "io_ring_ctx") {
		return nil, errNoUring
	}
	for name, prog := range spec.Programs {
		if name == "riposte_uring_typed" || name == "riposte_uring_raw" {
			prog.AttachTo = submit
		}
	}
	v := spec.Variables[bpf.UringVarResultInEntry]
	if err := v.Set(takes(kernel, complete, 2, "io_uring_cqe")); err != nil {
		return nil, fmt.Errorf("BPF variable %s: %w", v.Name, err)
	}
	return spec, store(spec.Maps[v.SectionName], v)
}

// takes says whether a tracepoint's n-th argument points to the structure.
func takes(kernel *btf.Spec, tracepoint string, n int, structure string) bool {
	var t *btf.Typedef
	if kernel.TypeByName("btf_trace_"+tracepoint, &t) != nil {
		return false
	}
	function, ok := t.Type.(*btf.Pointer)
	if !ok {
		return false
	}
	proto, ok := function.Target.(*btf.FuncProto)
	if !ok || len(proto.Params) <= n+1 { // the first is the tracepoint's own
		return false
	}
	pointer, ok := proto.Params[n+1].Type.(*btf.Pointer)
	if !ok {
		return false
	}
	target, ok := btf.UnderlyingType(pointer.Target).(*btf.Struct)
	return ok && target.Name == structure
}
