//go:build linux
package capture_test
import ("runtime";"testing";"time";"fmt";"riposte/agent/capture";"github.com/cilium/ebpf";"github.com/cilium/ebpf/link")
func TestZZ(t *testing.T){
 src:=open(t,capture.Options{}); programs,maps,links:=held(t)
 t0:=time.Now(); src.Close(); runtime.GC(); fmt.Println("close", time.Since(t0))
 prev:=""
 for time.Since(t0)<60*time.Second {
  np,nm,nl:=0,0,0
  for _,id:=range programs { if p,err:=ebpf.NewProgramFromID(id);err==nil{np++;p.Close()} }
  for _,id:=range maps { if p,err:=ebpf.NewMapFromID(id);err==nil{nm++;p.Close()} }
  for _,id:=range links { if p,err:=link.NewFromID(id);err==nil{nl++;p.Close()} }
  s:=fmt.Sprint(np,nm,nl)
  if s!=prev { fmt.Println(time.Since(t0), s); prev=s }
  if s=="0 0 0" {break}
  time.Sleep(20*time.Millisecond)
 }
}
