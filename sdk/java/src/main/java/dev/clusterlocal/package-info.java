/** A Kubernetes cluster's DNS and API in a test, without the cluster. */
package dev.clusterlocal;
