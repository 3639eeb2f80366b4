//! Filters that DuckDB 1.5.5 or DuckLake d8a1881e prunes wrongly:
//!
//! * BLOB: the Parquet reader looks up the printed form of a constant ('\xFF') in bloom filters, which contain bytes.
//! * FLOAT and DOUBLE: 0.0 and -0.0 are equal and have different hashes in bloom filters.
//! * FLOAT, and DOUBLE columns that were FLOAT when files were written: DuckLake has their minimum and maximum, and
//!   constants, as the shortest decimal text, such as 2.7, and compares it as DOUBLE, which is not the value of the FLOAT.
//! * VARCHAR: DuckLake puts constants into SQL text for the catalog, which ends at a NUL character.
//!
//! So such a comparison is wrapped in the function merganser_exact, which neither prunes by, and, where possible, comes
//! with a range that may be used for pruning: x = c becomes exact(x = c) AND x >= low AND x <= high.

#include <cmath>

#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_any_join.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

bool IsImprecise(const LogicalType &type) {
	switch (type.id()) {
	case LogicalTypeId::BLOB:
	case LogicalTypeId::FLOAT:
	case LogicalTypeId::DOUBLE:
		return true;
	default:
		return false;
	}
}

unique_ptr<Expression> Exact(unique_ptr<Expression> filter) {
	vector<unique_ptr<Expression>> arguments;
	arguments.push_back(std::move(filter));
	return make_uniq<BoundFunctionExpression>(LogicalType::BOOLEAN, ExactFunction(), std::move(arguments), nullptr);
}

namespace {

//! Whether `expression` is a column of such a type, or a cast of one.
bool IsImpreciseColumn(const Expression &expression) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_CAST) {
		return IsImpreciseColumn(*expression.Cast<BoundCastExpression>().child);
	}
	return expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF && IsImprecise(expression.return_type);
}

//! The value of a constant expression; NULL if it has none.
Value ConstantValue(ClientContext &context, const Expression &expression) {
	Value value;
	if (expression.IsFoldable() && ExpressionExecutor::TryEvaluateScalar(context, expression, value)) {
		return value;
	}
	return Value();
}

bool HasNul(const Value &value) {
	return !value.IsNull() && value.type().id() == LogicalTypeId::VARCHAR &&
	       StringValue::Get(value).find('\0') != string::npos;
}

//! A constant that is a little below (or above) `value`: at least as far as FLOAT is imprecise. NULL if there is none.
Value Loosened(const Value &value, float direction) {
	if (value.IsNull() || value.type().id() == LogicalTypeId::BLOB) {
		return value;
	}
	auto number = value.DefaultCastAs(LogicalType::DOUBLE).GetValue<double>();
	if (std::isnan(number)) {
		return Value(value.type());
	}
	auto loosened = std::nextafterf(static_cast<float>(number), direction);
	return value.type().id() == LogicalTypeId::FLOAT ? Value::FLOAT(loosened) : Value::DOUBLE(loosened);
}

//! Adds `column comparison value` to the filters, if there is a value.
void AddRange(BoundConjunctionExpression &filters, ExpressionType comparison, const Expression &column, Value value) {
	if (!value.IsNull()) {
		filters.children.push_back(make_uniq<BoundComparisonExpression>(
		    comparison, column.Copy(), make_uniq<BoundConstantExpression>(std::move(value))));
	}
}

//! Adds ranges that every value has for which `column comparison value` is true.
void AddRanges(BoundConjunctionExpression &filters, ExpressionType comparison, const Expression &column,
               const Value &value) {
	if (!IsImprecise(value.type())) {
		return;
	}
	switch (comparison) {
	case ExpressionType::COMPARE_EQUAL:
	case ExpressionType::COMPARE_NOT_DISTINCT_FROM:
		AddRange(filters, ExpressionType::COMPARE_GREATERTHANOREQUALTO, column, Loosened(value, -INFINITY));
		AddRange(filters, ExpressionType::COMPARE_LESSTHANOREQUALTO, column, Loosened(value, INFINITY));
		break;
	case ExpressionType::COMPARE_GREATERTHAN:
	case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
		AddRange(filters, ExpressionType::COMPARE_GREATERTHANOREQUALTO, column, Loosened(value, -INFINITY));
		break;
	case ExpressionType::COMPARE_LESSTHAN:
	case ExpressionType::COMPARE_LESSTHANOREQUALTO:
		AddRange(filters, ExpressionType::COMPARE_LESSTHANOREQUALTO, column, Loosened(value, INFINITY));
		break;
	default:
		break;
	}
}

//! The filters that replace `filter`.
unique_ptr<BoundConjunctionExpression> Replacement(unique_ptr<Expression> filter) {
	auto filters = make_uniq<BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND);
	filters->children.push_back(Exact(std::move(filter)));
	return filters;
}

//! Row groups of NULLs are skipped for IS DISTINCT FROM inside OR (duckdb/duckdb#25992).
bool IsPrunedWrongly(ExpressionType comparison, const Expression &column) {
	return comparison == ExpressionType::COMPARE_DISTINCT_FROM || IsImpreciseColumn(column);
}

//! Whether the comparison may have to be rewritten, by the types alone: constants may be large.
bool IsSuspect(const BoundComparisonExpression &comparison) {
	return comparison.GetExpressionType() == ExpressionType::COMPARE_DISTINCT_FROM ||
	       comparison.left->return_type.id() == LogicalTypeId::VARCHAR || IsImpreciseColumn(*comparison.left) ||
	       IsImpreciseColumn(*comparison.right);
}

void RewriteComparison(ClientContext &context, unique_ptr<Expression> &expression) {
	auto &comparison = expression->Cast<BoundComparisonExpression>();
	if (!IsSuspect(comparison)) {
		return;
	}
	auto type = comparison.GetExpressionType();
	auto *column = comparison.left.get();
	auto value = ConstantValue(context, *comparison.right);
	if (value.IsNull()) {
		column = comparison.right.get();
		value = ConstantValue(context, *comparison.left);
		type = FlipComparisonExpression(type);
	}
	if (value.IsNull() || !(IsPrunedWrongly(type, *column) || HasNul(value))) {
		return;
	}
	auto copy = column->Copy();
	auto filters = Replacement(std::move(expression));
	AddRanges(*filters, type, *copy, value);
	expression = std::move(filters);
}

void RewriteBetween(ClientContext &context, unique_ptr<Expression> &expression) {
	auto &between = expression->Cast<BoundBetweenExpression>();
	auto lower = ConstantValue(context, *between.lower);
	auto upper = ConstantValue(context, *between.upper);
	if (!IsImpreciseColumn(*between.input) && !HasNul(lower) && !HasNul(upper)) {
		return;
	}
	auto column = between.input->Copy();
	auto filters = Replacement(std::move(expression));
	AddRanges(*filters, ExpressionType::COMPARE_GREATERTHANOREQUALTO, *column, lower);
	AddRanges(*filters, ExpressionType::COMPARE_LESSTHANOREQUALTO, *column, upper);
	expression = std::move(filters);
}

//! x IN (…) and x NOT IN (…).
void RewriteIn(ClientContext &context, unique_ptr<Expression> &expression) {
	auto &children = expression->Cast<BoundOperatorExpression>().children;
	bool wrong = IsImpreciseColumn(*children[0]);
	for (idx_t index = 1; index < children.size() && !wrong; index++) {
		wrong = HasNul(ConstantValue(context, *children[index]));
	}
	if (wrong) {
		expression = Exact(std::move(expression));
	}
}

void Rewrite(ClientContext &context, unique_ptr<Expression> &expression) {
	switch (expression->GetExpressionClass()) {
	case ExpressionClass::BOUND_COMPARISON:
		return RewriteComparison(context, expression);
	case ExpressionClass::BOUND_BETWEEN:
		return RewriteBetween(context, expression);
	case ExpressionClass::BOUND_OPERATOR: {
		auto type = expression->GetExpressionType();
		if (type == ExpressionType::COMPARE_IN || type == ExpressionType::COMPARE_NOT_IN) {
			return RewriteIn(context, expression);
		}
		break;
	}
	default:
		break;
	}
	ExpressionIterator::EnumerateChildren(
	    *expression, [&](unique_ptr<Expression> &child) { Rewrite(context, child); });
}

} // namespace

void KeepFiltersExact(ClientContext &context, LogicalOperator &plan) {
	if (plan.type == LogicalOperatorType::LOGICAL_FILTER) {
		for (auto &expression : plan.expressions) {
			Rewrite(context, expression);
		}
	}
	if (plan.type == LogicalOperatorType::LOGICAL_ANY_JOIN) {
		Rewrite(context, plan.Cast<LogicalAnyJoin>().condition);
	}
	for (auto &child : plan.children) {
		KeepFiltersExact(context, *child);
	}
}

ScalarFunction ExactFunction() {
	auto execute = [](DataChunk &arguments, ExpressionState &, Vector &result) { result.Reference(arguments.data[0]); };
	return ScalarFunction("merganser_exact", {LogicalType::BOOLEAN}, LogicalType::BOOLEAN, execute);
}

} // namespace merganser
