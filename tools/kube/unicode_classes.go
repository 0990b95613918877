//go:build ignore

// Prints the classes of characters that Go's regular expressions know by name: each name, and its ranges as first and last, in hexadecimal.
//
// How resource_api/schema/data/unicode_classes.txt is made: go run tools/kube/unicode_classes.go > resource_api/schema/data/unicode_classes.txt
package main

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

func main() {
	tables := map[string]*unicode.RangeTable{}
	for name, table := range unicode.Categories {
		tables[name] = table
	}
	for name, table := range unicode.Scripts {
		tables[name] = table
	}
	fmt.Printf("# Unicode %s: classes, and other names for them after an equals sign.\n", unicode.Version)
	names := []string{}
	for name := range tables {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%s\t%s\n", name, strings.Join(ranges(tables[name]), " "))
	}
	aliases := []string{}
	for alias, name := range unicode.CategoryAliases {
		aliases = append(aliases, alias+"\t="+name)
	}
	sort.Strings(aliases)
	fmt.Println(strings.Join(aliases, "\n"))
}

// ranges gives a table's characters as ranges without gaps, in order.
func ranges(table *unicode.RangeTable) []string {
	found := []string{}
	first, last := rune(-2), rune(-2)
	add := func(character rune) {
		if character == last+1 {
			last = character
			return
		}
		if first >= 0 {
			found = append(found, span(first, last))
		}
		first, last = character, character
	}
	for _, one := range table.R16 {
		for character := rune(one.Lo); character <= rune(one.Hi); character += rune(one.Stride) {
			add(character)
		}
	}
	for _, one := range table.R32 {
		for character := rune(one.Lo); character <= rune(one.Hi); character += rune(one.Stride) {
			add(character)
		}
	}
	if first >= 0 {
		found = append(found, span(first, last))
	}
	return found
}

func span(first, last rune) string {
	if first == last {
		return fmt.Sprintf("%x", first)
	}
	return fmt.Sprintf("%x-%x", first, last)
}
