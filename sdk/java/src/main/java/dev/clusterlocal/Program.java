package dev.clusterlocal;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A running server. */
final class Program {
  /** Time from SIGTERM to SIGKILL; the program stops within five seconds. */
  private static final long STOP_SECONDS = 6;

  private final String path;
  private final Process process;

  /** What the server wrote to standard error. */
  private final Path log;

  /** The line that the server printed when it answered. */
  final JsonObject ready;

  Program(String given, List<String> arguments, String manifests) {
    this.path = find(given);
    List<String> command = new ArrayList<>();
    command.addAll(Arrays.asList(path, "serve", "--listen", "127.0.0.1:0", "--api"));
    command.addAll(Arrays.asList("127.0.0.1:0", "--exit-with-parent", "--output", "json"));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command);
    // Variables of servers that are started by hand.
    builder.environment().keySet().removeIf(name -> name.startsWith("CLUSTERLOCAL_"));
    try {
      this.log = Files.createTempFile("clusterlocal", ".log");
      this.process = builder.redirectError(log.toFile()).start();
    } catch (IOException failure) {
      throw new ClusterException("cannot start " + path + ": " + failure.getMessage(), failure);
    }
    try {
      this.ready = start(manifests);
    } catch (RuntimeException failure) {
      stop();
      throw failure;
    }
  }

  /** Returns the program: given, of CLUSTERLOCAL_BIN, or of PATH. */
  private static String find(String given) {
    if (given != null) {
      return given;
    }
    String variable = System.getenv("CLUSTERLOCAL_BIN");
    if (variable != null && !variable.isEmpty()) {
      return variable;
    }
    String folders = System.getenv("PATH");
    for (String folder : folders == null ? new String[0] : folders.split(File.pathSeparator)) {
      File candidate = new File(folder, "clusterlocal");
      if (candidate.isFile() && candidate.canExecute()) {
        return candidate.getPath();
      }
    }
    throw new ClusterException(
        "there is no program clusterlocal in PATH: install it, or set CLUSTERLOCAL_BIN", "");
  }

  private JsonObject start(String manifests) {
    try (OutputStream in = process.getOutputStream()) {
      in.write(manifests.getBytes(StandardCharsets.UTF_8));
    } catch (IOException closed) {
      // The program has ended before it read them, and has written the reason.
    }
    try {
      String line = line(process);
      if (line == null) {
        process.waitFor();
        refuseOlder(version());
        String reason = new String(Files.readAllBytes(log), StandardCharsets.UTF_8).trim();
        throw new ClusterException(path + " did not start:\n" + reason, "");
      }
      JsonObject found = JsonParser.parseString(line).getAsJsonObject();
      refuseOlder(Api.text(found, "version"));
      return found;
    } catch (IOException failure) {
      throw new ClusterException(path + " did not start: " + failure.getMessage(), failure);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new ClusterException("interrupted before " + path + " was ready", interrupted);
    }
  }

  /** The version that a program prints which is older than this protocol. */
  private String version() throws IOException {
    String line = line(new ProcessBuilder(path, "--version").start());
    return line == null ? Version.VERSION : line.substring(line.lastIndexOf(' ') + 1);
  }

  private static String line(Process process) throws IOException {
    return new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))
        .readLine();
  }

  private void refuseOlder(String version) {
    if (Version.isOlder(version)) {
      String own = Version.VERSION;
      throw new ClusterException(
          path
              + " is clusterlocal "
              + version
              + ", older than this library, "
              + own
              + ": install "
              + own,
          "");
    }
  }

  /** Ends the server, at once if it does not end in time. */
  void stop() {
    process.destroy();
    try {
      if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
      Files.deleteIfExists(log);
    } catch (InterruptedException interrupted) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    } catch (IOException failure) {
      // The directory of temporary files is cleaned by the system.
    }
  }
}
