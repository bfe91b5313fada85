package dev.clusterlocal;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Starts a cluster for a field or a parameter of type {@link Cluster}: for the class if the field
 * is static, and else for each test. A failed test prints the latest queries.
 */
@Documented
@Target({ElementType.FIELD, ElementType.PARAMETER})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(ClusterLocalExtension.class)
public @interface ClusterLocal {
  /** Resources of the class path, or else files or directories, with manifests. */
  String[] value() default {};

  /** Objects as YAML. */
  String manifests() default "";

  /** A cluster in the short form: {@code sets: {db: {replicas: 3}}}. */
  String topology() default "";

  /** Flags of {@code clusterlocal serve}: {@code {"--clock", "manual"}}. */
  String[] flags() default {};
}
