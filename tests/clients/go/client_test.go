// Package client_test runs the ADBC driver for Go against the server at MERGANSER_URL.
package client_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var tables atomic.Int64

// table is a name that no other test uses, in the schema main.
func table() string { return fmt.Sprintf("go_%d_%d", os.Getpid(), tables.Add(1)) }

// open gives a connection of its own.
func open(t *testing.T) adbc.Connection {
	t.Helper()
	url := os.Getenv("MERGANSER_URL")
	if url == "" {
		t.Fatal("MERGANSER_URL must name a running server")
	}
	database, err := flightsql.NewDriver(memory.DefaultAllocator).NewDatabase(map[string]string{
		adbc.OptionKeyURI: url, adbc.OptionKeyUsername: "gopher", adbc.OptionKeyPassword: "secret",
	})
	ok(t, err)
	t.Cleanup(func() { ok(t, database.Close()) })
	connection, err := database.Open(context.Background())
	ok(t, err)
	t.Cleanup(func() { ok(t, connection.Close()) })
	return connection
}

// statement gives a statement with this text; it ends with the test.
func statement(t *testing.T, connection adbc.Connection, sql string) adbc.Statement {
	t.Helper()
	statement, err := connection.NewStatement()
	ok(t, err)
	t.Cleanup(func() { ok(t, statement.Close()) })
	ok(t, statement.SetSqlQuery(sql))
	return statement
}

// execute runs a statement that gives no rows, and says how many it changed.
func execute(t *testing.T, connection adbc.Connection, sql string) int64 {
	t.Helper()
	count, err := statement(t, connection, sql).ExecuteUpdate(context.Background())
	ok(t, err)
	return count
}

// query gives all rows as texts: cells joined by commas.
func query(t *testing.T, connection adbc.Connection, sql string) []string {
	t.Helper()
	reader, _, err := statement(t, connection, sql).ExecuteQuery(context.Background())
	ok(t, err)
	return rows(t, reader)
}

// rows reads and releases the reader.
func rows(t *testing.T, reader array.RecordReader) []string {
	t.Helper()
	defer reader.Release()
	texts := []string{}
	for reader.Next() {
		texts = append(texts, cells(reader.RecordBatch())...)
	}
	ok(t, reader.Err())
	return texts
}

func cells(batch arrow.RecordBatch) []string {
	texts := make([]string, batch.NumRows())
	for row := range texts {
		for column := range int(batch.NumCols()) {
			if column > 0 {
				texts[row] += ","
			}
			texts[row] += batch.Column(column).ValueStr(row)
		}
	}
	return texts
}

// numbers is a batch with the columns n (int64) and name (text).
func numbers(t *testing.T, count int) arrow.RecordBatch {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for n := range count {
		builder.Field(0).(*array.Int64Builder).Append(int64(n))
		builder.Field(1).(*array.StringBuilder).Append(fmt.Sprint("name ", n))
	}
	batch := builder.NewRecordBatch()
	t.Cleanup(batch.Release)
	return batch
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, expected, actual any) {
	t.Helper()
	if fmt.Sprint(expected) != fmt.Sprint(actual) {
		t.Fatalf("expected %v, got %v", expected, actual)
	}
}
