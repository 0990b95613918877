//go:build ignore

// Prints the enumerations of the published Go types by definition and property: OpenAPI says them where a type is marked with +enum.
//
// How tools/kube/enums.tsv is made. In the directory of always_written.go's module, beside a copy of this file without its first line:
//
//	(cd REPOSITORY && python -m tools.kube_schema --definitions) | go run enums.go > REPOSITORY/tools/kube/enums.tsv
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

const header = `# The values of enumerations, as OpenAPI shows them, with what upstream says of each. Made by enums.go.
definition	property	values
`

// key is a type: the path of its package, and its name.
type key struct{ path, name string }

type value struct{ text, comment string }

type pack struct {
	path  string
	files []*ast.File
}

func main() {
	wanted := map[string]bool{}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		wanted[input.Text()] = true
	}
	packs := []pack{}
	for _, module := range []string{"k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator"} {
		packs = append(packs, packages(module)...)
	}
	enums := map[key][]value{}
	for _, one := range packs {
		collectTypes(one, enums)
	}
	for _, one := range packs {
		collectValues(one, enums)
	}
	lines := []string{}
	known := structures(packs)
	for kind, one := range known {
		_, path, _ := strings.Cut(kind.path, "/")
		definition := "io.k8s." + strings.ReplaceAll(path, "/", ".") + "." + kind.name
		if wanted[definition] {
			lines = append(lines, properties(definition, one, known, enums)...)
		}
	}
	sort.Strings(lines)
	fmt.Print(header)
	for _, line := range lines {
		fmt.Println(line)
	}
}

func packages(module string) []pack {
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		panic(err)
	}
	root := strings.TrimSpace(string(folder))
	found := map[string]*pack{}
	names := []string{}
	walk := func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		inside, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil || strings.Contains(inside, "testdata") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(filepath.Join(module, inside))
		if found[name] == nil {
			found[name] = &pack{path: name}
			names = append(names, name)
		}
		found[name].files = append(found[name].files, file)
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil {
		panic(err)
	}
	sort.Strings(names)
	packs := []pack{}
	for _, name := range names {
		packs = append(packs, *found[name])
	}
	return packs
}

func marked(groups ...*ast.CommentGroup) bool {
	for _, group := range groups {
		if group == nil {
			continue
		}
		for _, line := range group.List {
			if strings.TrimSpace(strings.TrimPrefix(line.Text, "//")) == "+enum" {
				return true
			}
		}
	}
	return false
}

func collectTypes(one pack, enums map[key][]value) {
	each(one, token.TYPE, func(_ *ast.File, all *ast.GenDecl, spec ast.Spec) {
		named := spec.(*ast.TypeSpec)
		if kind, ok := named.Type.(*ast.Ident); ok && kind.Name == "string" && marked(all.Doc, named.Doc) {
			enums[key{one.path, named.Name.Name}] = []value{}
		}
	})
}

func collectValues(one pack, enums map[key][]value) {
	each(one, token.CONST, func(file *ast.File, all *ast.GenDecl, spec ast.Spec) {
		named := spec.(*ast.ValueSpec)
		if named.Type == nil || len(named.Values) != 1 {
			return
		}
		kind, ok := typed(one, file, named.Type)
		literal, isText := named.Values[0].(*ast.BasicLit)
		if _, known := enums[kind]; !ok || !known || !isText {
			return
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			panic(err)
		}
		comment := said(named)
		for i, there := range enums[kind] {
			if there.text == text {
				if len(there.comment) < len(comment) {
					enums[kind][i].comment = comment
				}
				return
			}
		}
		enums[kind] = append(enums[kind], value{text, comment})
	})
}

// said is what stands above a constant, without its name and without markers.
func said(named *ast.ValueSpec) string {
	if named.Doc == nil {
		return ""
	}
	lines := []string{}
	for _, line := range strings.Split(named.Doc.Text(), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "+") {
			lines = append(lines, line)
		}
	}
	text := strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
	return strings.TrimSpace(strings.TrimPrefix(text, named.Names[0].Name))
}

func each(one pack, sort token.Token, visit func(*ast.File, *ast.GenDecl, ast.Spec)) {
	for _, file := range one.files {
		for _, declaration := range file.Decls {
			if all, ok := declaration.(*ast.GenDecl); ok && all.Tok == sort {
				for _, spec := range all.Specs {
					visit(file, all, spec)
				}
			}
		}
	}
}

// typed names the type an expression stands for, of this package or an imported one.
func typed(one pack, file *ast.File, expression ast.Expr) (key, bool) {
	switch kind := expression.(type) {
	case *ast.StarExpr:
		return typed(one, file, kind.X)
	case *ast.Ident:
		return key{one.path, kind.Name}, true
	case *ast.SelectorExpr:
		alias, ok := kind.X.(*ast.Ident)
		if !ok {
			return key{}, false
		}
		for _, imported := range file.Imports {
			path, _ := strconv.Unquote(imported.Path.Value)
			if (imported.Name != nil && imported.Name.Name == alias.Name) || (imported.Name == nil && filepath.Base(path) == alias.Name) {
				return key{path, kind.Sel.Name}, true
			}
		}
	}
	return key{}, false
}

// structure is a struct and where it stands, for what its fields' types mean.
type structure struct {
	body *ast.StructType
	file *ast.File
	pack pack
}

func structures(packs []pack) map[key]structure {
	found := map[key]structure{}
	for _, one := range packs {
		each(one, token.TYPE, func(file *ast.File, _ *ast.GenDecl, spec ast.Spec) {
			named := spec.(*ast.TypeSpec)
			if body, ok := named.Type.(*ast.StructType); ok {
				found[key{one.path, named.Name.Name}] = structure{body, file, one}
			}
		})
	}
	return found
}

// properties gives the lines of a struct, those of structs inlined in it among them.
func properties(definition string, one structure, known map[key]structure, enums map[key][]value) []string {
	lines := []string{}
	for _, field := range one.body.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(field.Tag.Value)
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		expression, mark := field.Type, ""
		if strings.Contains(options, "inline") || (len(field.Names) == 0 && name == "") {
			if kind, ok := typed(one.pack, one.file, expression); ok {
				if inner, ok := known[kind]; ok {
					lines = append(lines, properties(definition, inner, known, enums)...)
				}
			}
			continue
		}
		if list, ok := expression.(*ast.ArrayType); ok {
			expression, mark = list.Elt, "[]"
		} else if entries, ok := expression.(*ast.MapType); ok {
			expression, mark = entries.Value, "{}"
		}
		kind, ok := typed(one.pack, one.file, expression)
		values := enums[kind]
		if !ok || name == "" || len(values) == 0 {
			continue
		}
		words := []string{}
		for _, each := range values {
			words = append(words, strconv.Quote(each.text)+" "+strconv.Quote(each.comment))
		}
		sort.Strings(words)
		lines = append(lines, definition+"\t"+name+mark+"\t"+strings.Join(words, " "))
	}
	return lines
}
