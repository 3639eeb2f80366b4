// A program that asks a merganser server with the ADBC driver for Flight SQL.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	database, err := flightsql.NewDriver(memory.DefaultAllocator).NewDatabase(map[string]string{
		adbc.OptionKeyURI:      cmp.Or(os.Getenv("MERGANSER_URL"), "grpc://127.0.0.1:31337"),
		adbc.OptionKeyUsername: cmp.Or(os.Getenv("MERGANSER_USER"), "ann"),
		adbc.OptionKeyPassword: cmp.Or(os.Getenv("MERGANSER_PASSWORD"), "secret"),
	})
	if err != nil {
		return err
	}
	defer database.Close()
	connection, err := database.Open(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	statement, err := connection.NewStatement()
	if err != nil {
		return err
	}
	defer statement.Close()

	err = statement.SetSqlQuery("SELECT bird, count(*) AS seen FROM (VALUES ('mallard'), ('mallard'), ('smew'), ('mallard')) t(bird) GROUP BY bird ORDER BY bird")
	if err != nil {
		return err
	}
	rows, _, err := statement.ExecuteQuery(ctx)
	if err != nil {
		return err
	}
	defer rows.Release()
	for rows.Next() {
		batch := rows.RecordBatch()
		birds, seen := batch.Column(0).(*array.String), batch.Column(1).(*array.Int64)
		for row := range int(batch.NumRows()) {
			fmt.Printf("%s: %d\n", birds.Value(row), seen.Value(row))
		}
	}
	return rows.Err()
}
