package clusterlocaltest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"clusterlocal/clusterlocaltest"
)

type conformanceCase struct {
	Topology string
	Options  map[string]string
	Steps    []step
}

type step map[string]any

func (s step) text(field string) string {
	text, _ := s[field].(string)
	return text
}

func (s step) number(field string) int {
	number, _ := s[field].(float64)
	return int(number)
}

func (s step) list(field string) (found []string) {
	all, _ := s[field].([]any)
	for _, each := range all {
		found = append(found, each.(string))
	}
	return found
}

func (s step) duration(field string) time.Duration {
	duration, _ := time.ParseDuration(s.text(field))
	return duration
}

// refusing notes the failure of a call instead of failing the test.
type refusing struct {
	*testing.T
	message string
}

func (r *refusing) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../conformance/*.json")
	if err != nil || len(paths) < 6 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		path := path
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var c conformanceCase
			if err := json.Unmarshal(content, &c); err != nil {
				t.Fatal(err)
			}
			options := []clusterlocaltest.Option{clusterlocaltest.Topology(c.Topology)}
			for name, value := range c.Options {
				options = append(options, clusterlocaltest.Flag(name, value))
			}
			r := &runner{clusterlocaltest.Start(t, options...), map[string]any{}}
			for _, step := range c.Steps {
				r.run(t, step)
			}
		})
	}
}

type runner struct {
	cluster *clusterlocaltest.Cluster
	named   map[string]any
}

func (r *runner) run(t *testing.T, step step) {
	t.Helper()
	failing := &refusing{T: t}
	var result any
	done := make(chan struct{})
	// A failed call ends its goroutine.
	go func() {
		defer close(done)
		result = r.result(failing, r.cluster.With(failing), step)
	}()
	<-done
	if wanted, fails := step["error"]; fails != (failing.message != "") {
		t.Fatalf("%v: %s", step, failing.message)
	} else if fails && !strings.Contains(failing.message, wanted.(string)) {
		t.Fatalf("%v: %s", step, failing.message)
	}
	if name := step.text("as"); name != "" {
		r.named[name] = result
	}
	if wanted, has := step["names"]; has {
		names := []any{}
		for _, name := range result.(*clusterlocaltest.Change).Names {
			names = append(names, name.String())
		}
		if !reflect.DeepEqual(names, wanted) {
			t.Fatalf("%v: %v", step, names)
		}
	}
}

func (r *runner) mark(name string) clusterlocaltest.Mark {
	if change, ok := r.named[name].(*clusterlocaltest.Change); ok {
		return change.Mark
	}
	return r.named[name].(clusterlocaltest.Mark)
}

func (r *runner) result(t *refusing, cluster *clusterlocaltest.Cluster, step step) any {
	switch {
	case step.text("lookup") != "":
		lookUp(t, cluster, step)
	case step["queries"] != nil:
		r.count(t, cluster, step)
	case step.text("hits") != "":
		if hits := r.named[step.text("hits")].(*clusterlocaltest.Fault).Hits(); hits < step.number("at-least") {
			t.Fatalf("%d hits", hits)
		}
	case step.text("is") != "":
		if address := cluster.Pod(step.text("address")).Address().String(); address != step.text("is") {
			t.Fatalf("the address is %s", address)
		}
	default:
		return r.do(cluster, step)
	}
	return nil
}

func (r *runner) do(cluster *clusterlocaltest.Cluster, step step) any {
	name := step.text("name")
	pod, node := cluster.Pod(name), cluster.Node(name)
	switch verb := step.text("do"); verb {
	case "scale":
		return cluster.Scale(name, step.number("replicas"))
	case "rollout":
		return cluster.Rollout(name)
	case "apply":
		return cluster.Apply(step.text("manifests"))
	case "delete":
		return cluster.Delete(step.text("kind"), name)
	case "advance":
		return cluster.Advance(step.duration("by"))
	case "mark":
		return cluster.Mark()
	case "wait-for-change":
		return cluster.WaitForChange(r.mark(step.text("after")), step.duration("within"))
	case "fault":
		return cluster.Fault(step.text("does"), clusterlocaltest.Match{
			On: step.text("on"), Types: step.list("types"), Transport: step.text("transport"),
			Times: step.number("times"), Name: name,
		})
	case "end":
		return r.named[step.text("of")].(*clusterlocaltest.Fault).End()
	case "pod/ready":
		return pod.Ready()
	case "pod/unready":
		return pod.Unready()
	case "pod/crash":
		return pod.Crash()
	case "pod/bind":
		return pod.Bind(step.text("port"), step.text("address"))
	case "pod/delete":
		return pod.Delete()
	case "pod/force-delete":
		return pod.ForceDelete()
	case "pod/restart":
		if address := step.text("address"); address != "" {
			return pod.RestartWithIP(address)
		}
		return pod.Restart()
	case "node/down":
		return node.Down()
	case "node/off":
		return node.Off()
	case "node/up":
		return node.Up()
	case "node/reboot":
		return node.Reboot()
	default:
		panic("a verb that the client does not have: " + verb)
	}
}

func (r *runner) count(t *refusing, cluster *clusterlocaltest.Cluster, given step) {
	queries := cluster.Queries()
	for field, value := range given["queries"].(map[string]any) {
		text := value.(string)
		switch field {
		case "name":
			queries = queries.Name(text)
		case "type":
			queries = queries.Type(text)
		case "transport":
			queries = queries.Transport(text)
		case "fault":
			queries = queries.Fault(text)
		case "after":
			queries = queries.After(r.mark(text))
		default:
			panic("a field that the client does not have: " + field)
		}
	}
	if atLeast := given.number("at-least"); atLeast > 0 {
		queries.WaitFor(atLeast, given.duration("within"))
	} else if count := queries.Count(); count != given.number("count") {
		t.Fatalf("%d queries", count)
	}
}

func lookUp(t *refusing, cluster *clusterlocaltest.Cluster, step step) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	name, count := step.text("lookup")+".", 0
	var err error
	if step.text("type") == "SRV" {
		var found []*net.SRV
		_, found, err = cluster.Resolver().LookupSRV(ctx, "", "", name)
		count = len(found)
	} else {
		var found []net.IP
		found, err = cluster.Resolver().LookupIP(ctx, "ip4", name)
		count = len(found)
	}
	if fails, _ := step["fails"].(bool); fails != (err != nil) || count != step.number("records") {
		t.Fatalf("%d records, %v", count, err)
	}
}
