// Package chart tests the Helm chart with Helm's own packages, in a module of its own
// so that the product does not depend on Helm: lint, golden files of what is rendered
// for some sets of values, refusals of wrong values, the README's table, and what a
// real API server says to each object in a dry run.
package chart
