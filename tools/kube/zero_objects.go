//go:build ignore

// Prints the empty value of every built-in kind as JSON: what a new object contains before anybody set anything.
//
// How resource_api/patch/zero_objects.json was made. In an empty directory, beside a copy of this file without its first line:
// go mod init zero && go get k8s.io/client-go@v0.37.2 && go run . , then only the lines of kinds the API server has.
// CustomResourceDefinition and APIService are not among client-go's kinds; their lines are written by hand.
package main

import (
	"encoding/json"
	"fmt"
	"sort"

	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	lines := []string{}
	for kind := range scheme.Scheme.AllKnownTypes() {
		object, err := scheme.Scheme.New(kind)
		if err != nil {
			panic(err)
		}
		encoded, err := json.Marshal(object)
		if err != nil {
			panic(err)
		}
		if string(encoded) != "{}" && string(encoded) != `{"metadata":{}}` {
			lines = append(lines, fmt.Sprintf("%q:%s", kind.GroupVersion().String()+" "+kind.Kind, encoded))
		}
	}
	sort.Strings(lines)
	for i, line := range lines {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Println(separator + line)
	}
	fmt.Println("}")
}
