package dev.clusterlocal;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A change that is visible in the DNS. */
public final class Change extends Mark {
  private final List<NameChange> names;

  Change(JsonObject reply) {
    super(reply);
    List<NameChange> found = new ArrayList<>();
    for (JsonElement name : reply.getAsJsonArray("names")) {
      found.add(new NameChange(name.getAsJsonObject()));
    }
    this.names = Collections.unmodifiableList(found);
  }

  /** Returns the names that were added or removed. */
  public List<NameChange> names() {
    return names;
  }

  /** A name that was added or removed. */
  public static final class NameChange {
    private final boolean added;
    private final String name;
    private final String target;

    NameChange(JsonObject name) {
      this.added = name.get("added").getAsBoolean();
      this.name = name.get("name").getAsString();
      this.target = name.get("target").getAsString();
    }

    /** Returns whether it was added. */
    public boolean added() {
      return added;
    }

    /** Returns the name without the cluster domain and {@code svc}: {@code db-0.db.default}. */
    public String name() {
      return name;
    }

    /** Returns the address, or the target of an alias. */
    public String target() {
      return target;
    }

    @Override
    public String toString() {
      return (added ? "+" : "-") + name;
    }
  }
}
