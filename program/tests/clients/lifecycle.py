"""Follows a StatefulSet's pods through a scale-up and a replacement with the official Kubernetes client, and prints its
observations, one per line. Arguments: address of the API, name of the set."""
import json
import sys
from kubernetes import client, watch

configuration = client.Configuration(host=f"http://{sys.argv[1]}")
api = client.ApiClient(configuration)
core, apps, discovery = client.CoreV1Api(api), client.AppsV1Api(api), client.DiscoveryV1Api(api)
name, namespace = sys.argv[2], "default"


def is_ready(pod):
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])


def follow(pods, since, until):
    """Updates `pods`, which are those of revision `since`, until the condition `until` holds. Returns the
    revision."""
    events = watch.Watch().stream(core.list_namespaced_pod, namespace, resource_version=since, timeout_seconds=20)
    for event in events:
        pod = event["object"]
        if event["type"] == "DELETED":
            pods.pop(pod.metadata.name, None)
        else:
            pods[pod.metadata.name] = pod
        if until(pods):
            return pod.metadata.resource_version
    sys.exit(f"the watch ended with {sorted(pods)}")


listed = core.list_namespaced_pod(namespace)
pods = {pod.metadata.name: pod for pod in listed.items}
print("listed", *sorted(pods))

apps.patch_namespaced_stateful_set_scale(name, namespace, {"spec": {"replicas": 4}})
since = follow(pods, listed.metadata.resource_version, lambda pods: len(pods) == 4 and all(map(is_ready, pods.values())))
print("scaled", *sorted(pods))

before = pods[f"{name}-1"].metadata.uid
core.delete_namespaced_pod(f"{name}-1", namespace, grace_period_seconds=0)
follow(pods, since, lambda pods: len(pods) == 4 and pods[f"{name}-1"].metadata.uid != before and all(map(is_ready, pods.values())))
print("replaced", *sorted(pods))

slices = discovery.list_namespaced_endpoint_slice(namespace, label_selector=f"kubernetes.io/service-name={name}")
addresses = {address for part in slices.items for endpoint in part.endpoints for address in endpoint.addresses}
print("endpoints", addresses == {pod.status.pod_ip for pod in pods.values()})

try:
    for _ in watch.Watch().stream(core.list_namespaced_pod, namespace, resource_version="1", timeout_seconds=5):
        pass
    print("old no error")
except client.exceptions.ApiException as error:
    print("old", error.status)

try:
    core.read_namespaced_pod("missing", namespace)
except client.exceptions.ApiException as error:
    print("missing", error.status, json.loads(error.body)["message"])
