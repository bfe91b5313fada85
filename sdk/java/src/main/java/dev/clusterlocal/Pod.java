package dev.clusterlocal;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Optional;

/** A handle of a pod, by its name: it also refers to the pod that replaces it. */
public final class Pod {
  private final Api api;
  private final String name;

  Pod(Api api, String name) {
    this.api = api;
    this.name = name;
  }

  private Optional<JsonObject> status() {
    int slash = name.indexOf('/');
    String namespace = slash < 0 ? "default" : name.substring(0, slash);
    String path = "/api/v1/namespaces/" + namespace + "/pods/" + name.substring(slash + 1);
    try {
      return Optional.of(api.get(path).getAsJsonObject("status"));
    } catch (ClusterException failure) {
      if (failure.reason().equals("NotFound")) {
        return Optional.empty();
      }
      throw failure;
    }
  }

  /** Returns its current address; none if there is no such pod, or it has no address yet. */
  public Optional<String> address() {
    return status().map(status -> Api.text(status, "podIP")).filter(address -> !address.isEmpty());
  }

  /** Returns whether the pod is ready. */
  public boolean isReady() {
    JsonObject status = status().orElseGet(JsonObject::new);
    if (status.has("conditions")) {
      for (JsonElement each : status.getAsJsonArray("conditions")) {
        JsonObject condition = each.getAsJsonObject();
        if (Api.text(condition, "type").equals("Ready")) {
          return Api.text(condition, "status").equals("True");
        }
      }
    }
    return false;
  }

  private Change change(String verb, String... given) {
    JsonObject arguments = new JsonObject();
    arguments.addProperty("name", name);
    for (int i = 0; i < given.length; i += 2) {
      arguments.addProperty(given[i], given[i + 1]);
    }
    return api.change("pod/" + verb, arguments);
  }

  /** Makes the pod ready until that is changed. */
  public Change ready() {
    return change("ready");
  }

  /** Makes the pod not ready until that is changed. */
  public Change unready() {
    return change("unready");
  }

  /** Crashes a container of the pod. */
  public Change crash() {
    return change("crash");
  }

  /**
   * Lets the pod be a socket of the test, {@code 127.0.0.1:41234}: its address, and its port of
   * this name.
   */
  public Change bind(String port, String address) {
    return change("bind", "port", port, "address", address);
  }

  /** Deletes the pod; it stops within its grace period. */
  public Change delete() {
    return change("delete");
  }

  /** Deletes the pod at once. */
  public Change forceDelete() {
    return change("force-delete");
  }

  /** Deletes the pod and waits for the one that replaces it. */
  public Change restart() {
    return change("restart");
  }

  /** As {@link #restart()}, and the pod that replaces it has this address. */
  public Change restart(String address) {
    return change("restart", "address", address);
  }
}
