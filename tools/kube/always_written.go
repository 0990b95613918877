//go:build ignore

// Prints what the published Go types write of every definition even when nobody set it, and what they write then: an empty struct that
// is kept by value, the null of a list without omitempty, the zero of a number.
//
// How tools/kube/always_written.tsv is made. In an empty directory, beside a copy of this file without its first line:
//
//	go mod init always && go get k8s.io/client-go@v0.37.2 k8s.io/apiextensions-apiserver@v0.37.2 k8s.io/kube-aggregator@v0.37.2
//	(cd REPOSITORY && python -m tools.kube_schema --definitions) | go run . > REPOSITORY/tools/kube/always_written.tsv
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const header = `# What upstream writes of a definition even when nobody set it, and what it writes then. Made by always_written.go.
definition	members
`

var marshaler = reflect.TypeFor[json.Marshaler]()

func main() {
	wanted := map[string]bool{}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		wanted[input.Text()] = true
	}
	found := types{}
	for _, kind := range scheme.Scheme.AllKnownTypes() {
		found.reach(kind)
	}
	found.reach(reflect.TypeFor[apiextensions.CustomResourceDefinition]())
	found.reach(reflect.TypeFor[apiregistration.APIService]())
	lines := []string{}
	for kind := range found {
		words := []string{}
		for name, zero := range written(kind) {
			words = append(words, name+"="+zero)
		}
		if name := definition(kind); wanted[name] && len(words) > 0 {
			sort.Strings(words)
			lines = append(lines, name+"\t"+strings.Join(words, " "))
		}
	}
	sort.Strings(lines)
	fmt.Print(header)
	for _, line := range lines {
		fmt.Println(line)
	}
}

// types are the structs that objects can hold, but for those that write themselves.
type types map[reflect.Type]bool

func (found types) reach(kind reflect.Type) {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		found.reach(kind.Elem())
	case reflect.Struct:
		if found[kind] || writesItself(kind) {
			return
		}
		found[kind] = true
		for i := range kind.NumField() {
			found.reach(kind.Field(i).Type)
		}
	}
}

func writesItself(kind reflect.Type) bool {
	return kind.Implements(marshaler) || reflect.PointerTo(kind).Implements(marshaler)
}

// definition is the name OpenAPI has for a type: k8s.io/api/core/v1.Pod is io.k8s.api.core.v1.Pod.
func definition(kind reflect.Type) string {
	_, path, _ := strings.Cut(kind.PkgPath(), "/")
	return "io.k8s." + strings.ReplaceAll(path, "/", ".") + "." + kind.Name()
}

// written gives the members of a struct that are always there, with their zeros; those of structs kept by value are theirs.
func written(kind reflect.Type) map[string]string {
	found := map[string]string{}
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if strings.Contains(options, "inline") || (field.Anonymous && name == "") {
			for inner, zero := range written(field.Type) {
				found[inner] = zero
			}
			continue
		}
		byValue := field.Type.Kind() == reflect.Struct
		if name == "" || name == "-" || strings.Contains(options, "omitzero") || (strings.Contains(options, "omitempty") && !byValue) {
			continue
		}
		found[name] = "{}"
		if !byValue || writesItself(field.Type) {
			zero, err := json.Marshal(reflect.New(field.Type).Interface())
			if err != nil {
				panic(err)
			}
			found[name] = string(zero)
		}
	}
	return found
}
