package dev.clusterlocal;

/** The version of this library, and of the program that it needs; {@code .ci/versions} sets it. */
final class Version {
  static final String VERSION = "0.1.0";

  private Version() {}

  /** Whether a version of the program is less than that of this library. */
  static boolean isOlder(String version) {
    int[] of = numbers(version);
    int[] own = numbers(VERSION);
    for (int i = 0; i < own.length; i++) {
      if (of[i] != own[i]) {
        return of[i] < own[i];
      }
    }
    return false;
  }

  /** The numbers of {@code 1.2.3-rc1}. */
  private static int[] numbers(String version) {
    String[] parts = version.split("-")[0].split("\\.");
    int[] numbers = new int[3];
    for (int i = 0; i < Math.min(parts.length, numbers.length); i++) {
      numbers[i] = Integer.parseInt(parts[i]);
    }
    return numbers;
  }
}
