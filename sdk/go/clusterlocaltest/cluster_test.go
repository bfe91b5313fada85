package clusterlocaltest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"clusterlocal/clusterlocaltest"
)

const topology = "sets: {db: {replicas: 3, ports: {peer: 7000}}}"

// recording is a test that can fail without failing the test that runs it.
type recording struct {
	refusing
	lines    []string
	cleanups []func()
}

func (r *recording) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recording) Helper()          {}
func (r *recording) Failed() bool     { return true }
func (r *recording) Logf(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// failure returns the message with which run ends its test.
func failure(t *testing.T, run func(clusterlocaltest.TB)) string {
	t.Helper()
	failing := &refusing{T: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(failing)
	}()
	<-done
	return failing.message
}

func TestOlderProgramIsRefusedWithBothVersions(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"before the protocol": `[ "$1" = --version ] && echo clusterlocal 0.0.9 || exit 2`,
		"with the protocol":   `echo '{"version": "0.0.9"}'; exec sleep 60`,
	} {
		script := filepath.Join(t.TempDir(), "clusterlocal")
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		message := failure(t, func(t clusterlocaltest.TB) { clusterlocaltest.Start(t, clusterlocaltest.Program(script)) })
		if !strings.Contains(message, "clusterlocal 0.0.9") || !strings.Contains(message, clusterlocaltest.Version) {
			t.Errorf("%s: %s", name, message)
		}
	}
}

func TestInvalidManifestsAreTheError(t *testing.T) {
	t.Parallel()
	message := failure(t, func(t clusterlocaltest.TB) { clusterlocaltest.Start(t, clusterlocaltest.Manifests("apiVersion: v1")) })
	if !strings.Contains(message, "kind") {
		t.Error(message)
	}
}

func TestFailedTestLogsTheQueries(t *testing.T) {
	t.Parallel()
	failing := &recording{refusing: refusing{T: t}}
	cluster := clusterlocaltest.Start(failing, clusterlocaltest.Topology(topology))
	if _, err := cluster.Resolver().LookupHost(context.Background(), "db-1.db.default.svc.cluster.local."); err != nil {
		t.Error(err)
	}
	for _, cleanup := range failing.cleanups {
		cleanup()
	}
	if log := strings.Join(failing.lines, "\n"); !strings.Contains(log, `"A IN db-1.db.default.svc.cluster.local. udp" NOERROR`) {
		t.Error(log)
	}
	if err := syscall.Kill(cluster.Pid(), 0); err == nil {
		t.Error("the server has not ended")
	}
}

func TestUnexpectedQueriesAreListed(t *testing.T) {
	t.Parallel()
	cluster := clusterlocaltest.Start(t, clusterlocaltest.Topology(topology))
	cluster.Queries().AssertNone()
	_, _ = cluster.Resolver().LookupHost(context.Background(), "db-1.db.default.svc.cluster.local.")
	message := failure(t, func(t clusterlocaltest.TB) { cluster.With(t).Queries().Name("db-1.*").AssertNone() })
	if !strings.Contains(message, "db-1.db.default") {
		t.Error(message)
	}
}

func TestDialContextConnectsToABoundPod(t *testing.T) {
	t.Parallel()
	cluster := clusterlocaltest.Start(t, clusterlocaltest.Topology(topology))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "db-1") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	cluster.Pod("db-1").Bind("peer", listener.Addr().String())
	transport := &http.Transport{DialContext: cluster.DialContext}
	defer transport.CloseIdleConnections()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	reply, err := (&http.Client{Transport: transport}).Get("http://db-1.db.default.svc.cluster.local:" + port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	if body, _ := io.ReadAll(reply.Body); string(body) != "db-1" {
		t.Errorf("%q", body)
	}
	if !strings.Contains(string(cluster.Kubeconfig()), cluster.APIURL()) || len(cluster.Changes()) == 0 {
		t.Error("the kubeconfig leads elsewhere, or there are no changes")
	}
}

func TestFiftyClustersRunInParallel(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			cluster := clusterlocaltest.Start(t, clusterlocaltest.Topology(topology))
			if change := cluster.Scale("db", 4); len(change.Names) != 1 {
				t.Error(change)
			}
		}()
	}
	group.Wait()
}

// runnerVariable makes this process the runner that a test kills.
const runnerVariable = "TEST_RUNNER"

func TestMain(m *testing.M) {
	if os.Getenv(runnerVariable) == "" {
		os.Exit(m.Run())
	}
	fmt.Println("pid", clusterlocaltest.Start(&recording{}, clusterlocaltest.Topology(topology)).Pid())
	select {}
}

func TestNoServerOutlivesAKilledRunner(t *testing.T) {
	t.Parallel()
	runner := exec.Command(os.Args[0])
	runner.Env = append(os.Environ(), runnerVariable+"=1")
	output, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(bufio.NewReader(output), "pid %d", &pid); err != nil {
		t.Fatal(err)
	}
	_ = runner.Process.Kill()
	_ = runner.Wait()
	for end := time.Now().Add(10 * time.Second); isAlive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server outlived its runner")
		}
	}
}

// isAlive returns whether the process runs; one that has ended may wait for its new parent.
func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
