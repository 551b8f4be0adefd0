package responder_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestDbg(t *testing.T) {
	r := newRig(t)
	r.run(t)
	r.obey(t)
	r.send(t, critical(1, "c1"))
	time.Sleep(3 * time.Second)
	c, _ := pgx.Connect(t.Context(), r.options.DatabaseURL)
	rows, err := c.Query(t.Context(), "select row_to_json(j)::text from river.river_job j union all select row_to_json(j)::text from river.river_queue j union all select row_to_json(j)::text from river.river_leader j")
	fmt.Println(err)
	for rows.Next() {
		var s string
		rows.Scan(&s)
		fmt.Println(s)
	}
	fmt.Println(rows.Err())
}
