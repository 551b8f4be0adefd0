//go:build !linux || !amd64

package capture

// Open says that this platform has no live capture.
func Open(Options) (Source, error) {
	return nil, &Unavailable{
		Why:  "live capture is built for Linux on amd64 only",
		Help: "run the agent on such a machine, or replay a recording",
	}
}
