// Writes the types of the Kubernetes API as a table: those that clients send (k8s.io/api), with what the published OpenAPI documents
// add to them, and those that an API server converts them to (k8s.io/kubernetes/pkg/apis). The head of the table describes it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/authentication/install"
	_ "k8s.io/kubernetes/pkg/apis/authorization/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
)

// Types whose JSON is not what Go makes of their fields.
var special = map[string]bool{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":                                             true,
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":                                        true,
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":                                         true,
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":                                         true,
	"k8s.io/apimachinery/pkg/api/resource.Quantity":                                         true,
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":                                       true,
	"k8s.io/apimachinery/pkg/runtime.RawExtension":                                          true,
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON":                         true,
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray":       true,
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool":        true,
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": true,
}

// alias is the name of a package in the table: its group, with the version unless that is v1.
func alias(path string) string {
	switch {
	case path == "k8s.io/apimachinery/pkg/apis/meta/v1":
		return "meta"
	case path == "k8s.io/apimachinery/pkg/api/resource":
		return "quantity"
	case strings.HasPrefix(path, "k8s.io/api/"):
		parts := strings.Split(strings.TrimPrefix(path, "k8s.io/api/"), "/")
		if parts[1] == "v1" {
			return parts[0]
		}
		return parts[0] + "/" + parts[1]
	case strings.HasPrefix(path, "k8s.io/kubernetes/pkg/apis/"):
		return "internal/" + strings.TrimPrefix(path, "k8s.io/kubernetes/pkg/apis/")
	case strings.HasSuffix(path, "/v1"):
		parts := strings.Split(path, "/")
		return parts[len(parts)-2]
	}
	parts := strings.Split(path, "/")
	if strings.HasPrefix(path, "k8s.io/kube-aggregator/pkg/apis/") || strings.HasPrefix(path, "k8s.io/apiextensions-apiserver/pkg/apis/") {
		return "internal/" + parts[len(parts)-1]
	}
	return parts[len(parts)-1]
}

// published is the part of a published OpenAPI schema, of a type or a field, that the types of Go do not have.
type published struct {
	Properties  map[string]published `json:"properties"`
	Required    []string             `json:"required"`
	Default     any                  `json:"default"`
	ListType    string               `json:"x-kubernetes-list-type"`
	ListMapKeys []string             `json:"x-kubernetes-list-map-keys"`
	MapType     string               `json:"x-kubernetes-map-type"`
}

// schemas reads the documents in folder: the published types by name.
func schemas(folder string) map[string]published {
	all := map[string]published{}
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) == 0 {
		panic("no OpenAPI documents in " + folder)
	}
	for _, path := range paths {
		var document struct {
			Components struct {
				Schemas map[string]published `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal([]byte(read(path)), &document); err != nil {
			panic(err)
		}
		for name, schema := range document.Components.Schemas {
			all[name] = schema
		}
	}
	return all
}

// published returns the OpenAPI schema of typ, whose name there is like io.k8s.api.core.v1.Pod.
func (t *table) published(typ reflect.Type) (published, bool) {
	if schema, known := t.embedded[typ]; known {
		return schema, true
	}
	host, path, _ := strings.Cut(typ.PkgPath(), "/")
	parts := strings.Split(host, ".")
	slices.Reverse(parts)
	schema, known := t.schemas[strings.Join(parts, ".")+"."+strings.ReplaceAll(path, "/", ".")+"."+typ.Name()]
	return schema, known
}

type table struct {
	packages map[string]map[string]string // by path, the lines by name
	seen     map[reflect.Type]bool
	schemas  map[string]published
	embedded map[reflect.Type]published // types that OpenAPI has only as a part of others
}

// name is how type t is written inside package in.
func (t *table) name(in string, typ reflect.Type) string {
	if typ.PkgPath() != "" {
		t.add(typ)
		if typ.PkgPath() == in {
			return typ.Name()
		}
		return alias(typ.PkgPath()) + "." + typ.Name()
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return "*" + t.name(in, typ.Elem())
	case reflect.Slice:
		return "[]" + t.name(in, typ.Elem())
	case reflect.Map:
		key := t.name(in, typ.Key())
		if key == "string" {
			key = ""
		}
		return "{" + key + "}" + t.name(in, typ.Elem())
	case reflect.Interface:
		return "any"
	case reflect.Struct:
		return "struct"
	}
	return typ.Kind().String()
}

func (t *table) add(typ reflect.Type) {
	if t.seen[typ] {
		return
	}
	t.seen[typ] = true
	path := typ.PkgPath()
	line := ""
	switch {
	case special[path+"."+typ.Name()]:
		line = " = @" + strings.ToLower(typ.Name())
	case typ.Kind() == reflect.Interface:
		line = " = any"
	case typ.Kind() == reflect.Struct && path != "time":
		schema, _ := t.published(typ)
		fields := []string{}
		for i := range typ.NumField() {
			if field := typ.Field(i); field.IsExported() {
				fields = append(fields, t.field(path, field, schema))
			}
		}
		line = ": " + strings.Join(fields, ", ")
		if schema.MapType == "atomic" {
			line = " +atomic" + line
		}
	default:
		line = " = " + t.underlying(path, typ)
	}
	if t.packages[path] == nil {
		t.packages[path] = map[string]string{}
	}
	t.packages[path][typ.Name()] = typ.Name() + line
}

func (t *table) underlying(in string, typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Slice:
		return "[]" + t.name(in, typ.Elem())
	case reflect.Map:
		key := t.name(in, typ.Key())
		if key == "string" {
			key = ""
		}
		return "{" + key + "}" + t.name(in, typ.Elem())
	}
	return typ.Kind().String()
}

func (t *table) field(in string, field reflect.StructField, schema published) string {
	tag := field.Tag.Get("json")
	name, options, _ := strings.Cut(tag, ",")
	number := "0"
	if parts := strings.Split(field.Tag.Get("protobuf"), ","); len(parts) > 1 {
		number = parts[1]
	}
	words := []string{}
	if number != "0" {
		words = append(words, number)
	}
	switch {
	case name == "-":
		words = append(words, "-")
	case field.Anonymous && name == "":
		words = append(words, "^")
		if _, known := t.published(field.Type); !known {
			t.embedded[field.Type] = schema
		}
	case name == "":
		words = append(words, field.Name)
	case strings.ToUpper(name[:1])+name[1:] == field.Name:
		words = append(words, name)
	default:
		words = append(words, name+"="+field.Name)
	}
	if name == "-" {
		words[len(words)-1] = "-=" + field.Name
	}
	words = append(words, t.name(in, field.Type))
	for _, option := range strings.Split(options, ",") {
		switch option {
		case "omitempty":
			words = append(words, "?")
		case "omitzero":
			words = append(words, "0")
		case "string":
			panic("a quoted field: " + field.Name)
		}
	}
	if strategy := field.Tag.Get("patchStrategy"); strategy != "" {
		words = append(words, strings.TrimSuffix("~"+strategy+":"+field.Tag.Get("patchMergeKey"), ":"))
	}
	property := schema.Properties[name]
	if slices.Contains(schema.Required, name) {
		words = append(words, "!")
	}
	switch {
	case property.ListType == "map":
		words = append(words, "+map:"+strings.Join(property.ListMapKeys, "/"))
	case property.ListType == "set":
		words = append(words, "+set")
	case property.MapType != "":
		words = append(words, "+"+property.MapType)
	}
	// A zero value is the default of each field that is no pointer.
	if property.Default != nil && !reflect.ValueOf(property.Default).IsZero() && property.Default != 0 {
		if text, err := json.Marshal(property.Default); err != nil {
			panic(err)
		} else if string(text) != "{}" {
			words = append(words, "="+string(text))
		}
	}
	return strings.Join(words, " ")
}

const head = `# The types of the Kubernetes API, written by conformance/schema/build; not to be changed by hand.
#
#   kind APIVERSION KIND TYPE [INTERNAL]
#   package ALIAS NAME: the package of the types that follow, and what Go calls it
#   TYPE [+atomic]: FIELD, ...
#   TYPE = OTHER
#
# FIELD is [NUMBER] NAME TYPE [?] [0] [~STRATEGY[:KEY]] [!] [+map:KEYS|+set|+atomic|+granular] [=DEFAULT]: its number in protobuf; its name
# in JSON ("=" and that in Go, unless only the first letter differs; "^" for a struct whose fields stand beside the others, "-" for what
# JSON does not have); ? for omitempty, 0 for omitzero; how a strategic merge patch merges it; ! if it is required; how an apply merges
# it (lists without + are atomic); its default in JSON. TYPE is Go's: * is a pointer, [] a list, {} a map by strings, {KEY} by others.
# A type with "@" has a JSON of its own; one with +atomic is replaced whole by an apply, but for fields that are +granular. Packages
# called internal/… are those of an API server.

`

func main() {
	scheme := legacyscheme.Scheme
	apiextensions.Install(scheme)
	apiregistration.Install(scheme)
	types := &table{map[string]map[string]string{}, map[reflect.Type]bool{}, schemas(os.Args[2]), map[reflect.Type]published{}}
	kinds := []string{}
	for line := range strings.Lines(read(os.Args[1])) {
		words := strings.Fields(line)
		if len(words) < 4 || words[0] == "#" || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], "clusterlocal") {
			continue
		}
		kinds = append(kinds, words[0]+" "+words[3])
		for _, word := range words {
			if _, sent, is := strings.Cut(word, "="); is && strings.Contains(sent, "/") {
				sent = strings.TrimPrefix(sent, "/")
				cut := strings.LastIndex(sent, "/")
				kinds = append(kinds, sent[:cut]+" "+sent[cut+1:])
			}
		}
	}
	kinds = append(kinds, "v1 List", "v1 DeleteOptions")
	sort.Strings(kinds)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprint(out, head)
	last := ""
	for _, kind := range kinds {
		if kind == last {
			continue
		}
		last = kind
		version, name, _ := strings.Cut(kind, " ")
		gv, _ := schema.ParseGroupVersion(version)
		line := "kind " + kind
		typ, known := scheme.AllKnownTypes()[gv.WithKind(name)]
		if !known {
			fmt.Fprintln(os.Stderr, "not known:", kind)
			continue
		}
		line += " " + types.name("", typ)
		if internal, known := scheme.AllKnownTypes()[schema.GroupVersionKind{Group: gv.Group, Version: runtime.APIVersionInternal, Kind: name}]; known {
			line += " " + types.name("", internal)
		}
		fmt.Fprintln(out, line)
	}
	paths := []string{}
	for path := range types.packages {
		paths = append(paths, path)
	}
	sort.Slice(paths, func(i, j int) bool { return alias(paths[i]) < alias(paths[j]) })
	for _, path := range paths {
		parts := strings.Split(path, "/")
		fmt.Fprintf(out, "\npackage %s %s\n", alias(path), parts[len(parts)-1])
		lines := []string{}
		for _, line := range types.packages[path] {
			lines = append(lines, line)
		}
		sort.Strings(lines)
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
	}
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(text)
}
