// The first part of this layer lands next.
