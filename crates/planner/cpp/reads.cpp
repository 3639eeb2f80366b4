//! Functions that read objects of the store, in the columns of a query with ORDER BY or LIMIT. DuckDB computes the columns
//! first, and so would read the objects of all rows, and sort their bytes. The columns are computed afterwards instead:
//!
//! ```text
//! LIMIT ─ ORDER BY ─ PROJECTION [read_object(uri), n]  ▶  PROJECTION [read_object(#0.2), #0.1] ─ LIMIT ─ ORDER BY
//!                                                           ─ PROJECTION #0 [NULL, n, uri]
//! ```

#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

const unordered_set<string> READERS {"read_object", "read_range", "fragment_bytes"};

using Column = BoundColumnRefExpression;

//! Calls `function` for the columns in an expression.
void EachColumn(unique_ptr<Expression> &expression, const std::function<void(Column &)> &function) {
	ExpressionIterator::VisitExpressionMutable<Column>(
	    expression, [&](Column &column, unique_ptr<Expression> &) { function(column); });
}

//! The projection below operators that only order and count rows, if it reads and they do not need what it reads.
optional_ptr<LogicalProjection> FindReads(LogicalOperator &top) {
	vector<ColumnBinding> needed;
	auto bottom = &top;
	while (bottom->type == LogicalOperatorType::LOGICAL_ORDER_BY || bottom->type == LogicalOperatorType::LOGICAL_LIMIT) {
		LogicalOperatorVisitor::EnumerateExpressions(*bottom, [&](unique_ptr<Expression> *expression) {
			EachColumn(*expression, [&](Column &column) { needed.push_back(column.binding); });
		});
		bottom = bottom->children[0].get();
	}
	if (bottom == &top || bottom->type != LogicalOperatorType::LOGICAL_PROJECTION) {
		return nullptr;
	}
	auto &projection = bottom->Cast<LogicalProjection>();
	bool reads = false;
	for (idx_t index = 0; index < projection.expressions.size(); index++) {
		if (Reads(*projection.expressions[index])) {
			reads = true;
			for (auto &binding : needed) {
				if (binding == ColumnBinding(projection.table_index, index)) {
					return nullptr;
				}
			}
		}
	}
	return reads ? &projection : nullptr;
}

//! Takes what `projection` reads out of it, and returns the columns for a projection above; `lower` is its new index.
vector<unique_ptr<Expression>> TakeReads(LogicalProjection &projection, idx_t lower) {
	vector<unique_ptr<Expression>> above;
	vector<unique_ptr<Expression>> arguments;
	auto count = projection.expressions.size();
	for (idx_t index = 0; index < count; index++) {
		auto &below = projection.expressions[index];
		if (!Reads(*below)) {
			above.push_back(make_uniq<Column>(below->GetAlias(), below->return_type, ColumnBinding(lower, index)));
			continue;
		}
		auto placeholder = make_uniq<BoundConstantExpression>(Value(LogicalType::SQLNULL));
		EachColumn(below, [&](Column &column) {
			arguments.push_back(column.Copy());
			column.binding = ColumnBinding(lower, count + arguments.size() - 1);
		});
		above.push_back(std::move(below));
		below = std::move(placeholder);
	}
	for (auto &argument : arguments) {
		projection.expressions.push_back(std::move(argument));
	}
	return above;
}

} // namespace

bool Calls(const Expression &expression, bool (*matches)(const ScalarFunction &)) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_FUNCTION &&
	    matches(expression.Cast<BoundFunctionExpression>().function)) {
		return true;
	}
	bool found = false;
	ExpressionIterator::EnumerateChildren(expression,
	                                      [&](const Expression &child) { found |= Calls(child, matches); });
	return found;
}

bool Reads(const Expression &expression) {
	return Calls(expression, [](const ScalarFunction &function) { return READERS.count(function.name) > 0; });
}

void ReadLast(Binder &binder, unique_ptr<LogicalOperator> &plan) {
	for (auto &child : plan->children) {
		ReadLast(binder, child);
	}
	auto found = FindReads(*plan);
	if (!found) {
		return;
	}
	auto upper = found->table_index;
	auto lower = binder.GenerateTableIndex();
	auto columns = TakeReads(*found, lower);
	for (auto op = plan.get(); op != found.get(); op = op->children[0].get()) {
		LogicalOperatorVisitor::EnumerateExpressions(*op, [&](unique_ptr<Expression> *expression) {
			EachColumn(*expression, [&](Column &column) {
				column.binding.table_index = column.binding.table_index == upper ? lower : column.binding.table_index;
			});
		});
	}
	found->table_index = lower;
	auto above = make_uniq<LogicalProjection>(upper, std::move(columns));
	above->children.push_back(std::move(plan));
	plan = std::move(above);
	plan->ResolveOperatorTypes();
}

} // namespace merganser
