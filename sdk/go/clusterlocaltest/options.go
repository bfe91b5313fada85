package clusterlocaltest

import "strings"

// An Option configures a cluster before it starts.
type Option func(*config)

type config struct {
	program   string
	arguments []string
	paths     []string
	manifests []string
}

// Manifests adds the objects of a YAML stream.
func Manifests(yaml string) Option {
	return func(c *config) { c.manifests = append(c.manifests, yaml) }
}

// Topology adds a cluster in the short form: "sets: {db: {replicas: 3}}".
func Topology(yaml string) Option {
	return Manifests("apiVersion: clusterlocal.dev/v1\nkind: Topology\n" + yaml)
}

// Path adds a file or a directory of manifests, which the cluster follows.
func Path(path string) Option {
	return func(c *config) { c.paths = append(c.paths, path) }
}

// Flag sets a flag of `clusterlocal serve`: Flag("clock", "manual"). A flag without a value has none here.
func Flag(name string, value ...string) Option {
	return func(c *config) {
		c.arguments = append(c.arguments, "--"+name)
		c.arguments = append(c.arguments, value...)
	}
}

// Program sets the path of the program.
func Program(path string) Option {
	return func(c *config) { c.program = path }
}

// empty is a cluster without objects; the program takes empty input for a mistake.
const empty = "apiVersion: v1\nkind: List\nitems: []\n"

// command returns the arguments of the program, and its standard input.
func (c *config) command() ([]string, string) {
	manifests := c.manifests
	if len(manifests) == 0 && len(c.paths) == 0 {
		manifests = []string{empty}
	}
	arguments := []string{
		"serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--exit-with-parent", "--output", "json",
	}
	arguments = append(append(arguments, c.arguments...), c.paths...)
	if len(manifests) > 0 {
		arguments = append(arguments, "-")
	}
	return arguments, strings.Join(manifests, "\n---\n")
}
