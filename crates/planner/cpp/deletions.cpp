//! Scans of the rows that were deleted (ducklake_table_deletions), which DuckLake makes of the scan of the table:
//!
//! * It reads all columns of filters, and puts only those of the result into a chunk: an internal error, or wrong columns.
//! * It evaluates filters of snapshot_id before it knows the snapshots.
//!
//! So their filters are evaluated after the scan. This includes those of ducklake_table_insertions, which look the same.

#include "duckdb/planner/operator/logical_get.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! The scan of a table has no parameters. Those of its changes have the catalog, schema, table and two snapshots.
bool ScansChanges(const LogicalGet &get) {
	return get.function.name == "ducklake_scan" && !get.parameters.empty();
}

} // namespace

void FilterChanges(LogicalOperator &plan) {
	if (plan.type == LogicalOperatorType::LOGICAL_GET && ScansChanges(plan.Cast<LogicalGet>())) {
		plan.Cast<LogicalGet>().function.filter_pushdown = false;
	}
	for (auto &child : plan.children) {
		FilterChanges(*child);
	}
}

} // namespace merganser
