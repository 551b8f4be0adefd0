package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// What every cluster has alike: it is alone in its network namespace.
const (
	nodeName    = "node-1"
	nodeAddress = "10.77.0.1" // the API server's and the kubelet's, on lo
	serviceCIDR = "10.96.0.0/16"
	apiService  = "10.96.0.1" // the first address of serviceCIDR, by Kubernetes' convention
	podCIDR     = "10.244.0.0/16"

	// inside is where the programs of the cluster see place.state: the files of
	// config/ name it.
	inside = "/run/riposte-cluster"
)

// place says where on this machine one cluster is. Two clusters of different
// names do not meet.
type place struct {
	name  string
	state string // everything that is written; gone after down, but for log
}

var placeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// findPlace reads RIPOSTE_CLUSTER (the name, "local" by default) and
// RIPOSTE_CACHE (the folder, ~/.cache/riposte by default).
func findPlace() (place, error) {
	name := os.Getenv("RIPOSTE_CLUSTER")
	if name == "" {
		name = "local"
	}
	if !placeName.MatchString(name) {
		return place{}, fmt.Errorf("RIPOSTE_CLUSTER=%q: a name is at most 32 lower-case letters, digits and dashes", name)
	}
	cache := os.Getenv("RIPOSTE_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return place{}, errors.New("set HOME or RIPOSTE_CACHE: the cluster's data must stay somewhere")
		}
		cache = filepath.Join(user, "riposte")
	}
	state, err := filepath.Abs(filepath.Join(cache, "cluster", name))
	return place{name: name, state: state}, err
}

// file is the path of a file of the cluster as the machine sees it.
func (p place) file(parts ...string) string {
	return filepath.Join(append([]string{p.state}, parts...)...)
}

func (p place) kubeconfig(user string) string { return p.file("kubeconfig", user) }

func (p place) log(part string) string { return p.file("log", part+".log") }
