//! Windows that DuckDB 1.5.5 executes wrongly:
//!
//! * lag and lead negate their offset, and read outside of the partition if that overflows.
//! * Windows with duplicate PARTITION BY keys share the partitions of others (duckdb/duckdb#24780).

#include "duckdb/common/limits.hpp"
#include "duckdb/common/vector_operations/unary_executor.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_window.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

void RemoveDuplicates(vector<unique_ptr<Expression>> &keys) {
	vector<unique_ptr<Expression>> unique;
	for (auto &key : keys) {
		bool known = false;
		for (auto &other : unique) {
			known |= key->Equals(*other);
		}
		if (!known) {
			unique.push_back(std::move(key));
		}
	}
	keys = std::move(unique);
}

void CorrectWindow(Expression &expression) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_WINDOW) {
		auto &window = expression.Cast<BoundWindowExpression>();
		RemoveDuplicates(window.partitions);
		auto &offset = window.offset_expr;
		if (offset) {
			vector<unique_ptr<Expression>> arguments;
			arguments.push_back(std::move(offset));
			offset = make_uniq<BoundFunctionExpression>(LogicalType::BIGINT, OffsetFunction(), std::move(arguments),
			                                            nullptr);
		}
	}
	ExpressionIterator::EnumerateChildren(expression, CorrectWindow);
}

} // namespace

void CorrectWindows(LogicalOperator &plan) {
	if (plan.type == LogicalOperatorType::LOGICAL_WINDOW) {
		for (auto &expression : plan.expressions) {
			CorrectWindow(*expression);
		}
	}
	for (auto &child : plan.children) {
		CorrectWindows(*child);
	}
}

ScalarFunction OffsetFunction() {
	auto execute = [](DataChunk &arguments, ExpressionState &, Vector &result) {
		UnaryExecutor::Execute<int64_t, int64_t>(arguments.data[0], result, arguments.size(), [](int64_t offset) {
			return MaxValue<int64_t>(offset, NumericLimits<int64_t>::Minimum() + 1);
		});
	};
	return ScalarFunction("merganser_offset", {LogicalType::BIGINT}, LogicalType::BIGINT, execute);
}

} // namespace merganser
