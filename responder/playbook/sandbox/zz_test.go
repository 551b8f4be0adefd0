package sandbox
import ("testing";"runtime";"time";"context";"github.com/open-policy-agent/opa/v1/ast")
func TestZZ(t *testing.T){
 for _, b := range []string{`count(numbers.range(1, 1000000000))`, `sprintf("%2000000000d", [1])`, `count(strings.render_template("{{range $i := .x}}{{$i}}{{end}}", {"x": numbers.range(1,10)}))`, `strings.reverse("a")`, `bits.lsh(1, 1000000000)`, `count(array.concat(numbers.range(1,1000),[1]))`, `count(regex.replace("aaaa", "a", "bbbbbbbbbbbb"))`, `1 * 10000000000000000000000000000000000`, `count(strings.replace_n({"a":"b"},"aaa"))`} {
 func(){ defer func(){ if r:=recover(); r!=nil { t.Log(b, "PANIC", r)}}()
 fs := []*File{}
 _ = fs
 f := &File{Path:"a.rego", Text: []byte("package a.b.c\n\nx := "+b+"\n")}
 if err:=f.parse(); err!=nil { t.Log(b, err); return }
 s,_ := NewSchema([]byte(inputSchema))
 c, err := Compile([]*File{f}, s)
 if err!=nil { t.Log(b, err); return }
 q, err := c.Query(context.Background(), "data.a.b.c.x")
 if err!=nil { t.Log(b, err); return }
 var m0, m1 runtime.MemStats
 runtime.ReadMemStats(&m0)
 st := time.Now()
 v, err := q.Eval(context.Background(), ast.NewObject(), st, 250*time.Millisecond)
 d := time.Since(st)
 runtime.ReadMemStats(&m1)
 l := 0; if v!=nil { l = len(v.String()) }
 t.Log(b, d, (m1.TotalAlloc-m0.TotalAlloc)>>20, "MiB", l, err)
 }()
 }
}
