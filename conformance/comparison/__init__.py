"""Compares the results of the same steps in a Kubernetes control plane and in clusterlocal."""
