package dev.clusterlocal;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** Calls of the HTTP API of a server. Threads may share it. */
final class Api {
  /** Time for a call, and for those that wait in addition to their own time. */
  private static final Duration CALL_TIMEOUT = Duration.ofSeconds(60);

  private final String url;

  Api(String url) {
    this.url = url;
  }

  /** Sends a request and returns the object of the reply; {@code wait}: how long the server may. */
  JsonObject call(String method, String path, JsonObject body, Duration wait) {
    int status;
    JsonObject reply;
    try {
      HttpURLConnection connection =
          (HttpURLConnection) URI.create(url + path).toURL().openConnection(Proxy.NO_PROXY);
      connection.setRequestMethod(method);
      connection.setReadTimeout((int) CALL_TIMEOUT.plus(wait).toMillis());
      if (body != null) {
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "application/json");
        try (OutputStream out = connection.getOutputStream()) {
          out.write(body.toString().getBytes(StandardCharsets.UTF_8));
        }
      }
      status = connection.getResponseCode();
      try (InputStream in =
          status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
        reply = JsonParser.parseString(read(in)).getAsJsonObject();
      }
    } catch (IOException | JsonParseException | IllegalStateException failure) {
      throw new ClusterException(
          "the server at " + url + " does not answer: " + failure.getMessage(), failure);
    }
    if (status >= 400) {
      throw new ClusterException(text(reply, "message"), text(reply, "reason"));
    }
    return reply;
  }

  JsonObject get(String path) {
    return call("GET", path, null, Duration.ZERO);
  }

  /** Calls a verb of the fixture protocol. */
  Change change(String verb, JsonObject given) {
    return new Change(call("POST", "/fixture/" + verb, given, Duration.ZERO));
  }

  /** The text in a field; empty if there is none. */
  static String text(JsonObject object, String field) {
    return object.has(field) && !object.get(field).isJsonNull()
        ? object.get(field).getAsString()
        : "";
  }

  /** A duration as the API reads it. */
  static String span(Duration duration) {
    return duration.toMillis() + "ms";
  }

  private static String read(InputStream in) throws IOException {
    if (in == null) {
      return "{}";
    }
    ByteArrayOutputStream read = new ByteArrayOutputStream();
    byte[] part = new byte[8192];
    for (int length = in.read(part); length >= 0; length = in.read(part)) {
      read.write(part, 0, length);
    }
    return new String(read.toByteArray(), StandardCharsets.UTF_8);
  }
}
