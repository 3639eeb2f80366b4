//! Columns that read objects of the store, computed for few rows at a time: DuckDB computes 2,048 rows at once and counts
//! only 16 bytes for a blob, however large, where it limits what it computes ahead.
//!
//! ```text
//! 2,048 rows ─▶ READ: rows 0–15 ─▶ result ─▶ client, then rows 16–29, …
//! ```
//!
//! How many rows that are, the functions decide: each computes the first rows, and says how many.

#include "duckdb/execution/executor.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/operator/projection/physical_projection.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/parallel/meta_pipeline.hpp"
#include "duckdb/planner/operator/logical_extension_operator.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! How many of the rows that this thread computes are ready; null while it computes none in parts.
thread_local idx_t *ready_rows = nullptr;

//! Sets `ready_rows` while it exists.
struct Ready {
	explicit Ready(idx_t &rows) {
		ready_rows = &rows;
	}
	~Ready() {
		ready_rows = nullptr;
	}
};

//! The settings of a connection by which a query does not compute ahead, nor put small chunks together.
struct Unbuffered : ClientContextState {
	//! Fewer bytes than DuckDB counts for any chunk with a blob; of zero, it would wait for ever.
	static constexpr idx_t BUFFER_BYTES = 16;

	idx_t buffer_size = 0;
	bool caching = false;
	bool active = false;

	void Begin(ClientConfig &config) {
		if (active) {
			return;
		}
		active = true;
		buffer_size = config.streaming_buffer_size;
		caching = config.enable_caching_operators;
		config.streaming_buffer_size = BUFFER_BYTES;
		config.enable_caching_operators = false;
	}

	void QueryEnd(ClientContext &context) override {
		if (active) {
			active = false;
			context.config.streaming_buffer_size = buffer_size;
			context.config.enable_caching_operators = caching;
		}
	}
};

struct ReadState : OperatorState {
	ReadState(ClientContext &context, const PhysicalProjection &op)
	    : executor(context, op.select_list), next(0), most(STANDARD_VECTOR_SIZE) {
		part.InitializeEmpty(op.children[0].get().GetTypes());
	}

	//! Computes at most `rows` rows from `next` on, and returns how many.
	idx_t Compute(DataChunk &input, idx_t rows, DataChunk &chunk) {
		part.Reference(input);
		part.Slice(next, rows);
		auto ready = rows;
		try {
			Ready scope(ready);
			executor.Execute(part, chunk);
		} catch (...) {
			if (ready == rows) {
				throw;
			}
			// Rows that are not ready have NULLs, which an expression may refuse.
			chunk.Reset();
			return Compute(input, ready, chunk);
		}
		chunk.SetCardinality(ready);
		return ready;
	}

	ExpressionExecutor executor;
	DataChunk part;
	//! The first row of the input that is not computed.
	idx_t next;
	//! How many rows are tried at once.
	idx_t most;
};

class PhysicalRead : public PhysicalProjection {
public:
	using PhysicalProjection::PhysicalProjection;

	string GetName() const override {
		return "READ";
	}

	void BuildPipelines(Pipeline &current, MetaPipeline &meta) override {
		auto &context = meta.GetExecutor().context;
		context.registered_state->GetOrCreate<Unbuffered>("merganser_unbuffered")->Begin(context.config);
		PhysicalProjection::BuildPipelines(current, meta);
	}

	unique_ptr<OperatorState> GetOperatorState(ExecutionContext &context) const override {
		return make_uniq<ReadState>(context.client, *this);
	}

	OperatorResultType Execute(ExecutionContext &, DataChunk &input, DataChunk &chunk, GlobalOperatorState &,
	                           OperatorState &operator_state) const override {
		auto &state = operator_state.Cast<ReadState>();
		auto rows = MinValue(input.size() - state.next, state.most);
		auto ready = state.Compute(input, rows, chunk);
		// Rows that are not ready were computed in vain: only a few more are tried the next time.
		state.most = ready < rows ? 2 * ready : MaxValue(state.most, 2 * rows);
		state.next += ready;
		if (state.next < input.size()) {
			return OperatorResultType::HAVE_MORE_OUTPUT;
		}
		state.next = 0;
		return OperatorResultType::NEED_MORE_INPUT;
	}
};

struct LogicalRead : LogicalExtensionOperator {
	explicit LogicalRead(LogicalProjection &projection)
	    : LogicalExtensionOperator(std::move(projection.expressions)), table_index(projection.table_index) {
		children = std::move(projection.children);
		SetEstimatedCardinality(projection.estimated_cardinality);
		ResolveTypes();
	}

	PhysicalOperator &CreatePlan(ClientContext &, PhysicalPlanGenerator &planner) override {
		auto &child = planner.CreatePlan(*children[0]);
		auto &read = planner.Make<PhysicalRead>(types, std::move(expressions), estimated_cardinality);
		read.children.push_back(child);
		return read;
	}

	vector<ColumnBinding> GetColumnBindings() override {
		return GenerateColumnBindings(table_index, expressions.size());
	}

	vector<idx_t> GetTableIndex() const override {
		return {table_index};
	}

	string GetName() const override {
		return "READ";
	}

protected:
	void ResolveTypes() override {
		for (auto &expression : expressions) {
			types.push_back(expression->return_type);
		}
	}

private:
	idx_t table_index;
};

//! Whether functions may be called for other rows than those of the chunk.
bool HasLambda(const Expression &expression) {
	return Calls(expression, [](const ScalarFunction &function) { return function.HasBindLambdaCallback(); });
}

} // namespace

void ReadInParts(unique_ptr<LogicalOperator> &plan) {
	for (auto &child : plan->children) {
		ReadInParts(child);
	}
	if (plan->type != LogicalOperatorType::LOGICAL_PROJECTION) {
		return;
	}
	bool reads = false;
	bool has_lambda = false;
	for (auto &expression : plan->expressions) {
		reads |= Reads(*expression);
		has_lambda |= HasLambda(*expression);
	}
	if (reads && !has_lambda) {
		plan = make_uniq<LogicalRead>(plan->Cast<LogicalProjection>());
	}
}

} // namespace merganser

//! Tells the operator that computes a function in parts that only the first rows of its input are ready; false if nothing
//! does, so that the function must compute all of them.
extern "C" bool merganser_planner_computed(idx_t rows) {
	if (!merganser::ready_rows) {
		return false;
	}
	*merganser::ready_rows = MinValue(*merganser::ready_rows, rows);
	return true;
}
