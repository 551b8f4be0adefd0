package ingest

// NeighbourTime is how far back other incidents of a node are neighbours.
const NeighbourTime = neighbourTime
