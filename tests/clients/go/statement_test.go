package client_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestQuery(t *testing.T) {
	connection := open(t)
	equal(t, []string{"1,a", "2,(null)"}, query(t, connection, "VALUES (1, 'a'), (2, NULL)"))
	equal(t, []string{}, query(t, connection, "SELECT 1 WHERE false"))
	reader, _, err := statement(t, connection, "FROM range(1000000)").ExecuteQuery(context.Background())
	ok(t, err)
	defer reader.Release()
	var count int64
	for reader.Next() {
		count += reader.RecordBatch().NumRows()
	}
	ok(t, reader.Err())
	equal(t, 1000000, count)
}

func TestUpdateSaysHowMany(t *testing.T) {
	connection := open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" AS SELECT i AS n FROM range(10) t(i)")
	equal(t, 4, execute(t, connection, "UPDATE "+name+" SET n = n + 100 WHERE n >= 6"))
	equal(t, 4, execute(t, connection, "DELETE FROM "+name+" WHERE n >= 100"))
	equal(t, []string{"6"}, query(t, connection, "SELECT count(*) FROM "+name))
}

func TestPreparedWithParameters(t *testing.T) {
	connection := open(t)
	prepared := statement(t, connection, "SELECT n * ? AS v FROM range(5) t(n) WHERE n = ?")
	ok(t, prepared.Prepare(context.Background()))
	schema, err := prepared.GetParameterSchema()
	ok(t, err)
	equal(t, 2, schema.NumFields())
	for _, n := range []int64{2, 3} {
		ok(t, prepared.Bind(context.Background(), pair(t, 10, n)))
		reader, _, err := prepared.ExecuteQuery(context.Background())
		ok(t, err)
		values := rows(t, reader)
		equal(t, []int64{10 * n}, values)
	}
}

func TestRowsBoundToAnInsert(t *testing.T) {
	connection := open(t)
	name := table()
	execute(t, connection, "CREATE TABLE "+name+" (n BIGINT, name VARCHAR)")
	insert := statement(t, connection, "INSERT INTO "+name+" VALUES (?, ?)")
	ok(t, insert.Prepare(context.Background()))
	batch := numbers(t, 1000)
	ok(t, insert.Bind(context.Background(), batch))
	count, err := insert.ExecuteUpdate(context.Background())
	ok(t, err)
	equal(t, 1000, count)
	equal(t, []string{"1000,499500,name 999"}, query(t, connection, "SELECT count(*), sum(n)::BIGINT, max(name) FROM "+name))
}

func TestSchemaWithoutExecution(t *testing.T) {
	connection := open(t)
	schema, err := statement(t, connection, "SELECT 1 AS a, 'x' AS b").(adbc.StatementExecuteSchema).ExecuteSchema(context.Background())
	ok(t, err)
	equal(t, []string{"a", "b"}, []string{schema.Field(0).Name, schema.Field(1).Name})
}

func TestFailuresHaveACode(t *testing.T) {
	connection := open(t)
	for sql, code := range map[string]adbc.Status{"SELEC 1": adbc.StatusInvalidArgument, "FROM nowhere": adbc.StatusNotFound} {
		_, _, err := statement(t, connection, sql).ExecuteQuery(context.Background())
		var failure adbc.Error
		if !errors.As(err, &failure) {
			t.Fatalf("%s: no ADBC error: %v", sql, err)
		}
		equal(t, code, failure.Code)
	}
	equal(t, []string{"1"}, query(t, connection, "SELECT 1"))
}

func TestContextCancelsAStatement(t *testing.T) {
	connection := open(t)
	endless := "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = -1"
	limited, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	reader, _, err := statement(t, connection, endless).ExecuteQuery(limited)
	if err == nil {
		for reader.Next() {
		}
		err = reader.Err()
		reader.Release()
	}
	if err == nil {
		t.Fatal("an endless query ended")
	}
	equal(t, []string{"1"}, query(t, connection, "SELECT 1"))
}

func TestPartitionsAreReadOnAnotherConnection(t *testing.T) {
	connection := open(t)
	schema, partitions, _, err := statement(t, connection, "SELECT i AS n FROM range(100000) t(i)").ExecutePartitions(context.Background())
	ok(t, err)
	equal(t, 1, schema.NumFields())
	other := open(t)
	var count int64
	for _, id := range partitions.PartitionIDs {
		reader, err := other.ReadPartition(context.Background(), id)
		ok(t, err)
		for reader.Next() {
			count += reader.RecordBatch().NumRows()
		}
		ok(t, reader.Err())
		reader.Release()
	}
	equal(t, 100000, count)
}

// The program in clients/go works as its README says.
func TestExample(t *testing.T) {
	output, err := exec.Command("go", "run", "../../../clients/go/main.go").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if !strings.Contains(string(output), "mallard: 3") {
		t.Fatalf("unexpected output:\n%s", output)
	}
}

// pair is one row of two numbers.
func pair(t *testing.T, first, second int64) arrow.RecordBatch {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "0", Type: arrow.PrimitiveTypes.Int64}, {Name: "1", Type: arrow.PrimitiveTypes.Int64}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	builder.Field(0).(*array.Int64Builder).Append(first)
	builder.Field(1).(*array.Int64Builder).Append(second)
	return builder.NewRecordBatch()
}
