//! Correlated subqueries that DuckDB 1.5.5 decorrelates wrongly:
//!
//! * A subquery reads a common table expression that is itself correlated (duckdb/duckdb#20188): the rows of all outer
//!   rows are combined, unless the reference is the topmost operator that is not correlated. A correlated filter above
//!   the reference makes it so.
//! * `outer.a <> inner.b` in EXISTS (duckdb/duckdb#23979, #22267) becomes IS DISTINCT FROM. Inside merganser_exact, it
//!   stays what it is.

#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_cteref.hpp"
#include "duckdb/planner/operator/logical_dependent_join.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "duckdb/planner/operator/logical_materialized_cte.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! A subquery that contains the current operator.
struct Subquery {
	explicit Subquery(LogicalDependentJoin &join) : join(join) {
	}
	LogicalDependentJoin &join;
	//! The common table expressions that are defined in it.
	unordered_set<idx_t> defined;
};

void FindOuterColumns(Expression &expression, bool &found) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		found |= expression.Cast<BoundColumnRefExpression>().depth > 0;
	}
	ExpressionIterator::EnumerateChildren(expression, [&](Expression &child) { FindOuterColumns(child, found); });
}

//! Whether the definition of a common table expression is correlated; possibly only with itself.
bool ReadsOuterColumns(LogicalOperator &plan) {
	bool found = false;
	LogicalOperatorVisitor::EnumerateExpressions(
	    plan, [&](unique_ptr<Expression> *expression) { FindOuterColumns(**expression, found); });
	for (auto &child : plan.children) {
		found = found || ReadsOuterColumns(*child);
	}
	return found;
}

class Visitor {
public:
	void Visit(unique_ptr<LogicalOperator> &plan) {
		switch (plan->type) {
		case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
			Define(plan->Cast<LogicalMaterializedCTE>());
			break;
		case LogicalOperatorType::LOGICAL_DEPENDENT_JOIN:
			return VisitJoin(plan->Cast<LogicalDependentJoin>());
		case LogicalOperatorType::LOGICAL_CTE_REF:
			return Correlate(plan);
		case LogicalOperatorType::LOGICAL_FILTER:
			if (!subqueries.empty()) {
				for (auto &expression : plan->expressions) {
					KeepInequalities(expression);
				}
			}
			break;
		default:
			break;
		}
		for (auto &child : plan->children) {
			Visit(child);
		}
	}

private:
	void Define(LogicalMaterializedCTE &cte) {
		if (ReadsOuterColumns(*cte.children[0])) {
			correlated.insert(cte.table_index);
		}
		for (auto &subquery : subqueries) {
			subquery.defined.insert(cte.table_index);
		}
	}

	void VisitJoin(LogicalDependentJoin &join) {
		Visit(join.children[0]);
		subqueries.emplace_back(join);
		Visit(join.children[1]);
		subqueries.pop_back();
	}

	//! Adds a filter to the reference for each subquery that contains it and not its definition.
	void Correlate(unique_ptr<LogicalOperator> &reference) {
		auto index = reference->Cast<LogicalCTERef>().cte_index;
		if (!correlated.count(index)) {
			return;
		}
		auto filter = make_uniq<LogicalFilter>();
		for (idx_t outer = 0; outer < subqueries.size(); outer++) {
			auto &subquery = subqueries[outer];
			if (subquery.defined.count(index) || subquery.join.correlated_columns.empty()) {
				continue;
			}
			auto &column = subquery.join.correlated_columns[0];
			auto depth = column.depth + subqueries.size() - 1 - outer;
			auto value = make_uniq<BoundColumnRefExpression>(column.type, column.binding, depth);
			auto same = value->Copy();
			filter->expressions.push_back(make_uniq<BoundComparisonExpression>(
			    ExpressionType::COMPARE_NOT_DISTINCT_FROM, std::move(value), std::move(same)));
		}
		if (!filter->expressions.empty()) {
			filter->children.push_back(std::move(reference));
			reference = std::move(filter);
		}
	}

	static void KeepInequalities(unique_ptr<Expression> &expression) {
		if (expression->GetExpressionType() == ExpressionType::COMPARE_NOTEQUAL) {
			expression = Exact(std::move(expression));
			return;
		}
		ExpressionIterator::EnumerateChildren(*expression, KeepInequalities);
	}

	vector<Subquery> subqueries;
	unordered_set<idx_t> correlated;
};

} // namespace

void KeepCorrelated(unique_ptr<LogicalOperator> &plan) {
	Visitor().Visit(plan);
}

} // namespace merganser
