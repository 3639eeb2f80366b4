//! Joins that DuckDB 1.5.5 executes wrongly:
//!
//! * At run time, a join pushes the range of its keys as a filter into the scan of its other side. It does so through
//!   LIMIT and OFFSET (duckdb/duckdb#22924), and for types whose pruning is wrong (filters.cpp).
//! * ASOF joins with a further condition fail with an internal error if its columns are not used above
//!   (duckdb/duckdb#19251).
//! * Ordering joins takes time that grows with the fourth power of their number or faster, and is not interrupted.

#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

bool HasLimit(LogicalOperator &plan) {
	if (plan.type == LogicalOperatorType::LOGICAL_LIMIT || plan.type == LogicalOperatorType::LOGICAL_TOP_N) {
		return true;
	}
	for (auto &child : plan.children) {
		if (HasLimit(*child)) {
			return true;
		}
	}
	return false;
}

bool IsFilteredWrongly(LogicalComparisonJoin &join) {
	for (auto &condition : join.conditions) {
		// The values are not known yet, and a text may contain NUL characters.
		auto &type = condition.left->return_type;
		if (IsImprecise(type) || type.id() == LogicalTypeId::VARCHAR) {
			return true;
		}
	}
	return HasLimit(*join.children[0]);
}

//! To order joins on one column takes half a second for 50 tables, 5 s for 75 and 17 s for 100.
constexpr idx_t MAX_JOINED = 64;

//! Whether the join may be ordered together with those of its children. A MARK join (IN) can become a SEMI join.
bool IsReordered(LogicalOperator &plan) {
	if (plan.type != LogicalOperatorType::LOGICAL_COMPARISON_JOIN) {
		return plan.type == LogicalOperatorType::LOGICAL_CROSS_PRODUCT;
	}
	auto type = plan.Cast<LogicalComparisonJoin>().join_type;
	return type == JoinType::INNER || type == JoinType::SEMI || type == JoinType::ANTI || type == JoinType::MARK;
}

//! The number of tables, and of other inputs, that are ordered together with `plan`.
idx_t CountJoined(LogicalOperator &plan) {
	if (IsReordered(plan)) {
		return CountJoined(*plan.children[0]) + CountJoined(*plan.children[1]);
	}
	if (plan.type == LogicalOperatorType::LOGICAL_FILTER) {
		return CountJoined(*plan.children[0]);
	}
	for (auto &child : plan.children) {
		LimitJoins(*child);
	}
	return 1;
}

void AddColumns(Expression &expression, vector<unique_ptr<Expression>> &columns) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		columns.push_back(expression.Copy());
	}
	ExpressionIterator::EnumerateChildren(expression, [&](Expression &child) { AddColumns(child, columns); });
}

bool ReturnsBothSides(JoinType type) {
	return type == JoinType::INNER || type == JoinType::LEFT || type == JoinType::RIGHT || type == JoinType::OUTER;
}

} // namespace

void DropJoinFilters(LogicalOperator &plan) {
	if (plan.type == LogicalOperatorType::LOGICAL_COMPARISON_JOIN ||
	    plan.type == LogicalOperatorType::LOGICAL_DELIM_JOIN) {
		auto &join = plan.Cast<LogicalComparisonJoin>();
		if (join.filter_pushdown && IsFilteredWrongly(join)) {
			join.filter_pushdown.reset();
		}
	}
	for (auto &child : plan.children) {
		DropJoinFilters(*child);
	}
}

void UseAsofColumns(unique_ptr<LogicalOperator> &plan) {
	for (auto &child : plan->children) {
		UseAsofColumns(child);
	}
	if (plan->type != LogicalOperatorType::LOGICAL_ASOF_JOIN) {
		return;
	}
	auto &join = plan->Cast<LogicalComparisonJoin>();
	vector<unique_ptr<Expression>> columns;
	if (join.predicate && ReturnsBothSides(join.join_type)) {
		AddColumns(*join.predicate, columns);
	}
	if (!columns.empty()) {
		auto filter = make_uniq<LogicalFilter>(make_uniq<BoundFunctionExpression>(
		    LogicalType::BOOLEAN, UsedFunction(), std::move(columns), nullptr));
		filter->children.push_back(std::move(plan));
		plan = std::move(filter);
	}
}

void LimitJoins(LogicalOperator &plan) {
	auto joined = CountJoined(plan);
	if (joined > MAX_JOINED) {
		throw InvalidInputException("%llu tables are joined with each other, which cannot be planned in reasonable time; at "
		                            "most %llu are accepted: split the statement with TEMP tables",
		                            joined, MAX_JOINED);
	}
}

ScalarFunction UsedFunction() {
	auto execute = [](DataChunk &, ExpressionState &, Vector &result) { result.Reference(Value::BOOLEAN(true)); };
	ScalarFunction function("merganser_used", {}, LogicalType::BOOLEAN, execute);
	function.varargs = LogicalType::ANY;
	function.null_handling = FunctionNullHandling::SPECIAL_HANDLING;
	return function;
}

} // namespace merganser
