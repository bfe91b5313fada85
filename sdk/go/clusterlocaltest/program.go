package clusterlocaltest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is the time from SIGTERM to SIGKILL; the program stops within five seconds.
const stopTimeout = 6 * time.Second

// program is a running server.
type program struct {
	command *exec.Cmd
	log     *lockedBuffer
	ended   chan struct{}
	stop    sync.Once
}

// ready is the line that a server prints when it answers.
type ready struct {
	DNS        []string `json:"dns"`
	API        string   `json:"api"`
	Kubeconfig string   `json:"kubeconfig"`
	Domain     string   `json:"domain"`
	Version    string   `json:"version"`
}

// find returns the program: given, of CLUSTERLOCAL_BIN, or of PATH. A module of Go contains no program.
func find(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if path := os.Getenv("CLUSTERLOCAL_BIN"); path != "" {
		return path, nil
	}
	path, err := exec.LookPath("clusterlocal")
	if err != nil {
		return "", errors.New("there is no program clusterlocal in PATH: install it, or set CLUSTERLOCAL_BIN")
	}
	return path, nil
}

// start starts the program and waits for its ready line.
func start(c *config) (*program, *ready, error) {
	path, err := find(c.program)
	if err != nil {
		return nil, nil, err
	}
	arguments, manifests := c.command()
	p := &program{command: exec.Command(path, arguments...), log: &lockedBuffer{}, ended: make(chan struct{})}
	for _, variable := range os.Environ() {
		// Variables of servers that are started by hand.
		if !strings.HasPrefix(variable, "CLUSTERLOCAL_") {
			p.command.Env = append(p.command.Env, variable)
		}
	}
	p.command.Stdin, p.command.Stderr = strings.NewReader(manifests), p.log
	// The process's own end of the pipe is closed after the start, and the other when the line was read: Wait must not wait
	// for either.
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	p.command.Stdout = writer
	err = p.command.Start()
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		return nil, nil, fmt.Errorf("cannot start %s: %w", path, err)
	}
	go func() {
		// The error is that of the ready line, or the test has ended the server.
		_ = p.command.Wait()
		close(p.ended)
	}()
	line, err := p.line(path, reader)
	if err != nil {
		p.end()
		return nil, nil, err
	}
	return p, line, nil
}

func (p *program) line(path string, reader *os.File) (*ready, error) {
	buffered := bufio.NewReader(reader)
	text, err := buffered.ReadBytes('\n')
	if err != nil {
		_ = reader.Close()
		<-p.ended
		version, _ := exec.Command(path, "--version").Output()
		words := strings.Fields(string(version))
		if len(words) > 0 && isOlder(words[len(words)-1]) {
			return nil, older(path, words[len(words)-1])
		}
		return nil, fmt.Errorf("%s did not start:\n%s", path, strings.TrimSpace(p.log.String()))
	}
	// The server prints nothing else; it must not fail if it does.
	go func() {
		_, _ = io.Copy(io.Discard, buffered)
		_ = reader.Close()
	}()
	line := new(ready)
	if err := json.Unmarshal(text, line); err != nil {
		return nil, fmt.Errorf("%s printed %q: %w", path, text, err)
	}
	if isOlder(line.Version) {
		return nil, older(path, line.Version)
	}
	return line, nil
}

func older(path, version string) error {
	return fmt.Errorf("%s is clusterlocal %s, older than this module, %s: install %s", path, version, Version, Version)
}

// isOlder returns whether version is less than that of this module.
func isOlder(version string) bool {
	of, own := numbers(version), numbers(Version)
	for i := range own {
		if of[i] != own[i] {
			return of[i] < own[i]
		}
	}
	return false
}

// numbers returns those of 1.2.3-rc1.
func numbers(version string) (found [3]int) {
	core, _, _ := strings.Cut(version, "-")
	for i, number := range strings.SplitN(core, ".", 3) {
		found[i], _ = strconv.Atoi(number)
	}
	return found
}

// end ends the server, at once if it does not end in time.
func (p *program) end() {
	p.stop.Do(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(stopTimeout):
			_ = p.command.Process.Kill()
			<-p.ended
		}
	})
}

// lockedBuffer is what the server wrote to standard error.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
