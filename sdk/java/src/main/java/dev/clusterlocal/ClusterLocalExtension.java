package dev.clusterlocal;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Scanner;
import java.util.function.Predicate;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ModifierSupport;
import org.junit.platform.commons.support.ReflectionSupport;

/**
 * Starts clusters for {@link ClusterLocal}. With {@code @RegisterExtension static final
 * ClusterLocalExtension cluster = new ClusterLocalExtension(Cluster.builder()…)} it starts that one
 * for each test, for parameters of type {@link Cluster} without the annotation.
 */
public final class ClusterLocalExtension
    implements BeforeAllCallback,
        BeforeEachCallback,
        AfterTestExecutionCallback,
        ParameterResolver {
  private static final Namespace NAMESPACE = Namespace.create(ClusterLocalExtension.class);

  /** Maximum of queries that a failed test prints. */
  private static final int LISTED_QUERIES = 10;

  private final Cluster.Builder builder;

  /** For the annotation. */
  public ClusterLocalExtension() {
    this(null);
  }

  /** For parameters without the annotation. */
  public ClusterLocalExtension(Cluster.Builder builder) {
    this.builder = builder;
  }

  @Override
  public void beforeAll(ExtensionContext context) throws IllegalAccessException {
    fill(context, null, ModifierSupport::isStatic);
  }

  @Override
  public void beforeEach(ExtensionContext context) throws IllegalAccessException {
    for (Object instance : context.getRequiredTestInstances().getAllInstances()) {
      fill(context, instance, ModifierSupport::isNotStatic);
    }
  }

  /** Starts a cluster for each field with the annotation. */
  private void fill(ExtensionContext context, Object instance, Predicate<Field> wanted)
      throws IllegalAccessException {
    Class<?> type = instance == null ? context.getRequiredTestClass() : instance.getClass();
    Predicate<Field> isMarked =
        field -> AnnotationSupport.isAnnotated(field, ClusterLocal.class) && wanted.test(field);
    for (Field field :
        ReflectionSupport.findFields(type, isMarked, HierarchyTraversalMode.TOP_DOWN)) {
      field.setAccessible(true);
      // Registered by the annotation of each field, the extension is called once.
      if (field.get(instance) == null) {
        Cluster.Builder configured = configured(field.getAnnotation(ClusterLocal.class), type);
        field.set(instance, start(context, configured));
      }
    }
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    boolean isMarked = parameter.isAnnotated(ClusterLocal.class);
    return parameter.getParameter().getType() == Cluster.class && isMarked == (builder == null);
  }

  @Override
  public Cluster resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return start(
        context,
        parameter
            .findAnnotation(ClusterLocal.class)
            .map(marked -> configured(marked, context.getRequiredTestClass()))
            .orElse(builder));
  }

  @Override
  public void afterTestExecution(ExtensionContext context) {
    if (!context.getExecutionException().isPresent()) {
      return;
    }
    for (ExtensionContext at = context; at != null; at = at.getParent().orElse(null)) {
      Started started = at.getStore(NAMESPACE).get(key(at), Started.class);
      for (Cluster cluster : started == null ? new ArrayList<Cluster>() : started.clusters) {
        print(cluster);
      }
    }
  }

  private static void print(Cluster cluster) {
    List<Queries.Query> queries;
    try {
      queries = cluster.queries().all();
    } catch (ClusterException failure) {
      // The test has closed it.
      return;
    }
    int from = Math.max(0, queries.size() - LISTED_QUERIES);
    System.err.println(
        "clusterlocal: the latest " + (queries.size() - from) + " queries of the cluster");
    for (Queries.Query query : queries.subList(from, queries.size())) {
      System.err.println("  " + query);
    }
  }

  /** Starts a cluster that ends with the context. */
  private static Cluster start(ExtensionContext context, Cluster.Builder configured) {
    Cluster cluster = configured.start();
    context
        .getStore(NAMESPACE)
        .getOrComputeIfAbsent(key(context), name -> new Started(), Started.class)
        .clusters
        .add(cluster);
    return cluster;
  }

  /** A store shows the values of the parents, which have other keys. */
  private static String key(ExtensionContext context) {
    return context.getUniqueId();
  }

  private static Cluster.Builder configured(ClusterLocal marked, Class<?> type) {
    Cluster.Builder configured = Cluster.builder();
    for (String path : marked.value()) {
      InputStream resource = type.getClassLoader().getResourceAsStream(path);
      if (resource == null) {
        configured.path(path);
      } else {
        configured.manifests(read(resource));
      }
    }
    if (!marked.manifests().isEmpty()) {
      configured.manifests(marked.manifests());
    }
    if (!marked.topology().isEmpty()) {
      configured.topology(marked.topology());
    }
    for (String flag : marked.flags()) {
      configured.argument(flag);
    }
    return configured;
  }

  private static String read(InputStream resource) {
    try (InputStream closed = resource;
        Scanner scanner = new Scanner(closed, StandardCharsets.UTF_8.name())) {
      scanner.useDelimiter("\\A");
      return scanner.hasNext() ? scanner.next() : "";
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** The clusters of a context, which JUnit closes at its end. */
  @SuppressWarnings("deprecation") // JUnit 5.12 and before know no AutoCloseable in a store.
  private static final class Started
      implements ExtensionContext.Store.CloseableResource, AutoCloseable {
    final List<Cluster> clusters = Collections.synchronizedList(new ArrayList<>());

    @Override
    public void close() {
      clusters.forEach(Cluster::close);
    }
  }
}
