// Package accept installs the chart on a real cluster, attacks pods there, and looks at
// what comes of it: alerts, actions, the record, and what an uninstall leaves.
//
// The tests run inside the local cluster, on its node's network: `make e2e-cluster`
// starts one, loads the images and runs them there. They are one story, so the order
// counts and one test has all of it.
package accept
