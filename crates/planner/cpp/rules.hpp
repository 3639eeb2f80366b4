//! The rules for plans, by subject. Each changes a plan in place, or throws an exception that DuckDB reports as the
//! error of the statement.

#pragma once

#include "duckdb.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
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

//! Whether constants of the type are pruned wrongly.
bool IsImprecise(const duckdb::LogicalType &type);

//! Wraps a filter in ExactFunction.
duckdb::unique_ptr<duckdb::Expression> Exact(duckdb::unique_ptr<duckdb::Expression> filter);

//! Removes filters that joins push into scans at run time, where their pruning is wrong.
void DropJoinFilters(duckdb::LogicalOperator &plan);

//! Keeps filters out of scans of a table's changes.
void FilterChanges(duckdb::LogicalOperator &plan);

//! Rejects joins of more tables than DuckDB can order in reasonable time.
void LimitJoins(duckdb::LogicalOperator &plan);

//! Makes the columns of conditions of ASOF joins available where DuckDB looks for them.
void UseAsofColumns(duckdb::unique_ptr<duckdb::LogicalOperator> &plan);

//! Corrects arguments and keys of window functions.
void CorrectWindows(duckdb::LogicalOperator &plan);

//! Computes columns that read objects after ORDER BY and LIMIT.
void ReadLast(duckdb::Binder &binder, duckdb::unique_ptr<duckdb::LogicalOperator> &plan);

//! Whether an expression calls a function that matches.
bool Calls(const duckdb::Expression &expression, bool (*matches)(const duckdb::ScalarFunction &));

//! Whether an expression reads objects of the store.
bool Reads(const duckdb::Expression &expression);

//! Computes columns that read objects for few rows at a time.
void ReadInParts(duckdb::unique_ptr<duckdb::LogicalOperator> &plan);

//! Keeps correlated subqueries from being decorrelated wrongly.
void KeepCorrelated(duckdb::unique_ptr<duckdb::LogicalOperator> &plan);

//! Makes functions and casts of DuckDB reject values that are nested too deep for them.
void LimitDepth(duckdb::ExtensionLoader &loader);

//! Makes functions that read files reject those that are nested too deep for them.
void LimitFiles(duckdb::ExtensionLoader &loader);

//! Adds functions for clients.
void AddFunctions(duckdb::ExtensionLoader &loader);

//! The scalar functions that the rules insert into plans.
duckdb::ScalarFunction ExactFunction();
duckdb::ScalarFunction OffsetFunction();
duckdb::ScalarFunction UsedFunction();
//! merganser_stored_type(type VARCHAR, column VARCHAR) -> VARCHAR: StoredType by names.
duckdb::ScalarFunction StoredTypeFunction();

} // namespace merganser
