package dev.clusterlocal;

import com.google.gson.JsonObject;

/** A handle of a node. */
public final class Node {
  private final Api api;
  private final String name;

  Node(Api api, String name) {
    this.api = api;
    this.name = name;
  }

  private Change change(String verb) {
    JsonObject given = new JsonObject();
    given.addProperty("name", name);
    return api.change("node/" + verb, given);
  }

  /** Cuts the node off from the control plane. */
  public Change down() {
    return change("down");
  }

  /** Switches the machine off. */
  public Change off() {
    return change("off");
  }

  /** Reconnects the node. */
  public Change up() {
    return change("up");
  }

  /** Boots the machine: its pods stay and get new addresses. */
  public Change reboot() {
    return change("reboot");
  }
}
