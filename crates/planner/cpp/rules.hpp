//! The rules for plans, by subject. Each changes a plan in place, or throws an exception that DuckDB reports as the
//! error of the statement.

#pragma once

#include "duckdb.hpp"
#include "duckdb/planner/logical_operator.hpp"

namespace merganser {

//! The type in which the lake stores values of `type`: the same, or one that holds every value of it.
//! Throws an InvalidInputException that names `column` if there is none.
duckdb::LogicalType StoredType(const duckdb::LogicalType &type, const duckdb::string &column);

//! Applies StoredType to the columns that a statement defines in a lake, and rejects writes to tables of a lake with
//! columns that cannot be stored.
void StoreTypes(duckdb::ClientContext &context, duckdb::Binder &binder, duckdb::LogicalOperator &plan);

//! Keeps filters whose pruning is wrong in DuckDB or DuckLake from being used for it.
void KeepFiltersExact(duckdb::ClientContext &context, duckdb::LogicalOperator &plan);

//! Removes filters that joins push into scans at run time, where their pruning is wrong.
void DropJoinFilters(duckdb::LogicalOperator &plan);

//! Keeps the offsets of lag and lead in a range that DuckDB can negate.
void LimitOffsets(duckdb::LogicalOperator &plan);

//! The scalar functions that the rules insert into plans.
duckdb::ScalarFunction ExactFunction();
duckdb::ScalarFunction OffsetFunction();
//! merganser_stored_type(VARCHAR) -> VARCHAR: StoredType by the names of types.
duckdb::ScalarFunction StoredTypeFunction();

} // namespace merganser
