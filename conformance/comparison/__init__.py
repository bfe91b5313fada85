"""Compares what a Kubernetes control plane and clusterlocal make of the same steps."""
