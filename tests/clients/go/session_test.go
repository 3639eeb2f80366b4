package client_test

import (
	"context"
	"strings"
	"testing"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

func TestTransactions(t *testing.T) {
	connection, other := open(t), open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" (n BIGINT)")
	count := "SELECT count(*) FROM " + name

	manual(t, connection)
	execute(t, connection, "INSERT INTO "+name+" VALUES (1)")
	equal(t, []string{"1"}, query(t, connection, count))
	equal(t, []string{"0"}, query(t, other, count))
	ok(t, connection.Rollback(context.Background()))
	equal(t, []string{"0"}, query(t, connection, count))

	execute(t, connection, "INSERT INTO "+name+" VALUES (1)")
	ok(t, connection.Commit(context.Background()))
	equal(t, []string{"1"}, query(t, other, count))
}

func TestIngest(t *testing.T) {
	connection := open(t)
	name := table()
	batch := numbers(t, 1000)
	equal(t, 1000, ingest(t, connection, name, adbc.OptionValueIngestModeCreate, batch))
	equal(t, 1000, ingest(t, connection, name, adbc.OptionValueIngestModeAppend, batch))
	equal(t, []string{"2000"}, query(t, connection, "SELECT count(*) FROM "+name))
	ingest(t, connection, name, adbc.OptionValueIngestModeReplace, numbers(t, 3))
	equal(t, []string{"0,name 0", "1,name 1", "2,name 2"}, query(t, connection, "FROM "+name+" ORDER BY n"))

	into := ingestion(t, connection, name, adbc.OptionValueIngestModeCreate)
	ok(t, into.Bind(context.Background(), batch))
	if _, err := into.ExecuteUpdate(context.Background()); err == nil {
		t.Fatal("a table was created twice")
	}
	equal(t, []string{"3"}, query(t, connection, "SELECT count(*) FROM "+name))
}

// The driver sends no transaction id with an ingest; it belongs to the connection's transaction all the same.
func TestIngestIsPartOfTheTransaction(t *testing.T) {
	connection := open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" (n BIGINT, name VARCHAR)")
	manual(t, connection)
	ingest(t, connection, name, adbc.OptionValueIngestModeAppend, numbers(t, 5))
	equal(t, []string{"5"}, query(t, connection, "SELECT count(*) FROM "+name))
	ok(t, connection.Rollback(context.Background()))
	equal(t, []string{"0"}, query(t, connection, "SELECT count(*) FROM "+name))
}

func TestObjects(t *testing.T) {
	connection := open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" (n BIGINT, name VARCHAR)")
	catalog, schema := "lake", "main"
	reader, err := connection.GetObjects(context.Background(), adbc.ObjectDepthColumns, &catalog, &schema, &name, nil, nil)
	ok(t, err)
	texts := strings.Join(rows(t, reader), "\n")
	for _, part := range []string{`"lake"`, `"main"`, `"` + name + `"`, `"column_name":"n"`, `"column_name":"name"`} {
		if !strings.Contains(strings.ReplaceAll(texts, "lake,", `"lake",`), part) {
			t.Fatalf("no %s in %s", part, texts)
		}
	}
}

func TestTableSchema(t *testing.T) {
	connection := open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" (n BIGINT, price DECIMAL(12, 2))")
	catalog, schema := "lake", "main"
	columns, err := connection.GetTableSchema(context.Background(), &catalog, &schema, name)
	ok(t, err)
	equal(t, "n price", columns.Field(0).Name+" "+columns.Field(1).Name)
	equal(t, arrow.DECIMAL128, columns.Field(1).Type.ID())
	if _, err := connection.GetTableSchema(context.Background(), &catalog, &schema, "nowhere"); err == nil {
		t.Fatal("a table that is not there has columns")
	}
}

func TestInfo(t *testing.T) {
	connection := open(t)
	reader, err := connection.GetInfo(context.Background(), []adbc.InfoCode{adbc.InfoVendorName, adbc.InfoVendorVersion})
	ok(t, err)
	defer reader.Release()
	values := map[uint32]string{}
	for reader.Next() {
		batch := reader.RecordBatch()
		codes, union := batch.Column(0).(*array.Uint32), batch.Column(1).(*array.DenseUnion)
		for row := range int(batch.NumRows()) {
			child := union.Field(int(union.ChildID(row)))
			values[codes.Value(row)] = child.ValueStr(int(union.ValueOffset(row)))
		}
	}
	equal(t, "merganser", values[uint32(adbc.InfoVendorName)])
	if version := values[uint32(adbc.InfoVendorVersion)]; !strings.HasPrefix(version, "duckdb v") {
		t.Fatal(version)
	}
}

func TestTheCurrentCatalogAndSchema(t *testing.T) {
	connection := open(t)
	options := connection.(adbc.GetSetOptions)
	ok(t, options.SetOption(adbc.OptionKeyCurrentCatalog, "lake"))
	ok(t, options.SetOption(adbc.OptionKeyCurrentDbSchema, "gold"))
	equal(t, []string{"lake,gold"}, query(t, connection, "SELECT current_catalog(), current_schema()"))
	for name, expected := range map[string]string{adbc.OptionKeyCurrentCatalog: "lake", adbc.OptionKeyCurrentDbSchema: "gold"} {
		value, err := options.GetOption(name)
		ok(t, err)
		equal(t, expected, value)
	}
	if err := options.SetOption(adbc.OptionKeyCurrentCatalog, "nowhere"); err == nil {
		t.Fatal("a catalog that is not there was chosen")
	}
}

func TestSessionOptions(t *testing.T) {
	connection, other := open(t), open(t)
	options := connection.(adbc.GetSetOptions)
	name := flightsql.OptionSessionOptionPrefix + "schema"
	ok(t, options.SetOption(name, "silver"))
	value, err := options.GetOption(name)
	ok(t, err)
	equal(t, "silver", value)
	equal(t, []string{"silver"}, query(t, connection, "SELECT current_schema()"))
	equal(t, []string{"main"}, query(t, other, "SELECT current_schema()"))
	if err := options.SetOption(flightsql.OptionSessionOptionPrefix+"no_such_option", "1"); err == nil {
		t.Fatal("an unknown option was taken")
	}
}

// manual turns autocommit off.
func manual(t *testing.T, connection adbc.Connection) {
	t.Helper()
	ok(t, connection.(adbc.PostInitOptions).SetOption(adbc.OptionKeyAutoCommit, adbc.OptionValueDisabled))
}

func ingestion(t *testing.T, connection adbc.Connection, name, mode string) adbc.Statement {
	t.Helper()
	statement, err := connection.NewStatement()
	ok(t, err)
	t.Cleanup(func() { ok(t, statement.Close()) })
	ok(t, statement.SetOption(adbc.OptionKeyIngestTargetTable, name))
	ok(t, statement.SetOption(adbc.OptionKeyIngestMode, mode))
	return statement
}

func ingest(t *testing.T, connection adbc.Connection, name, mode string, batch arrow.RecordBatch) int64 {
	t.Helper()
	into := ingestion(t, connection, name, mode)
	ok(t, into.Bind(context.Background(), batch))
	count, err := into.ExecuteUpdate(context.Background())
	ok(t, err)
	return count
}
