//! A result collector whose rows leave DuckDB on the threads that compute them.
//!
//! DuckDB's own streaming result copies each chunk, wakes the computing threads for every few of them, and leaves all
//! conversion to the reading thread. Here, the sink of the last pipeline passes the chunks on to Rust (src/collector.rs), which
//! converts and queues them, and says when there is no room.

#include "duckdb/execution/operator/helper/physical_result_collector.hpp"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/execution/operator/projection/physical_projection.hpp"
#include "duckdb/execution/operator/scan/physical_table_scan.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/main/capi/capi_internal.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "duckdb/main/prepared_statement_data.hpp"

using namespace duckdb;

// === the side of Rust: src/collector.rs explains each ===

extern "C" {
struct merganser_vector {
	const void *data;
	const sel_t *selection;
	const validity_t *validity;
};

bool merganser_collector_begin(void *rows, idx_t columns, const char *const *names, duckdb_logical_type *types);
void *merganser_collector_part(void *rows);
void merganser_collector_drop_part(void *part);
int merganser_collector_room(void *part, idx_t batch, void *waiting);
int64_t merganser_collector_append(void *part, idx_t batch, duckdb_data_chunk chunk, const merganser_vector *columns,
                                   idx_t count, int64_t from);
bool merganser_collector_flush(void *part);
void merganser_collector_advance(void *rows, idx_t batch);
void merganser_collector_finish(void *rows);
void merganser_collector_drop(void *rows);
}

namespace {

//! What rows are collected into; Rust drops it with the last of those that know it.
using Rows = shared_ptr<void>;

//! The reader knows the reason.
[[noreturn]] void Fail() {
	throw InvalidInputException("the rows could not be collected");
}

// === the order of rows ===

enum class Order : uint8_t {
	//! One thread computes the last pipeline.
	SEQUENTIAL,
	//! Several do, and their rows have the number of a batch.
	BATCHES,
	//! Several do, in any order.
	NONE
};

bool OnlyReferences(const PhysicalProjection &projection) {
	for (auto &expression : projection.select_list) {
		if (expression->GetExpressionClass() != ExpressionClass::BOUND_REF) {
			return false;
		}
	}
	return true;
}

//! Columns of a table whose rows are not filtered: several threads would queue whole row groups, which the cache forgets.
bool IsPlainScan(const PhysicalOperator &root) {
	auto op = &root;
	while (op->type == PhysicalOperatorType::PROJECTION && OnlyReferences(op->Cast<PhysicalProjection>())) {
		op = &op->children[0].get();
	}
	return op->type == PhysicalOperatorType::TABLE_SCAN && !op->Cast<PhysicalTableScan>().table_filters;
}

Order OrderOf(ClientContext &context, PhysicalOperator &root) {
	if (IsPlainScan(root)) {
		return Order::SEQUENTIAL;
	}
	if (!PhysicalPlanGenerator::PreserveInsertionOrder(context, root)) {
		return Order::NONE;
	}
	return PhysicalPlanGenerator::UseBatchIndex(context, root) ? Order::BATCHES : Order::SEQUENTIAL;
}

// === the sink ===

struct Global : GlobalSinkState {
	explicit Global(ClientContext &context) : context(context.shared_from_this()) {
	}
	weak_ptr<ClientContext> context;
};

//! The state of one thread.
struct Local : LocalSinkState {
	Local(void *part, idx_t columns) : part(part), formats(columns), columns(columns) {
	}
	~Local() override {
		merganser_collector_drop_part(part);
	}

	//! Appends rows of a chunk. Whether it has more.
	bool Append(DataChunk &chunk, idx_t batch) {
		for (idx_t index = 0; index < columns.size(); index++) {
			auto &format = formats[index];
			chunk.data[index].ToUnifiedFormat(chunk.size(), format);
			columns[index] = {format.data, format.sel->data(), format.validity.GetData()};
		}
		next = merganser_collector_append(part, batch, reinterpret_cast<duckdb_data_chunk>(&chunk), columns.data(),
		                                  columns.size(), next);
		if (next < 0) {
			Fail();
		}
		bool has_more = static_cast<idx_t>(next) < chunk.size();
		next = has_more ? next : 0;
		return has_more;
	}

	void Flush() {
		if (!merganser_collector_flush(part)) {
			Fail();
		}
	}

	void *part;
	//! All batches before this one are known to be complete.
	idx_t least = 0;

private:
	//! The first row that is left of a chunk for which there was no room: DuckDB gives it again.
	int64_t next = 0;
	vector<UnifiedVectorFormat> formats;
	vector<merganser_vector> columns;
};

class Collector : public PhysicalResultCollector {
public:
	Collector(PhysicalPlan &plan, PreparedStatementData &data, Rows rows, Order order)
	    : PhysicalResultCollector(plan, data), rows(std::move(rows)), order(order) {
	}

	SinkResultType Sink(ExecutionContext &, DataChunk &chunk, OperatorSinkInput &input) const override {
		auto &local = input.local_state.Cast<Local>();
		auto batch = Advance(local);
		do {
			switch (Room(local, batch, input.interrupt_state)) {
			case 0:
				break;
			case 1:
				return SinkResultType::BLOCKED;
			default:
				return SinkResultType::FINISHED;
			}
		} while (local.Append(chunk, batch));
		return SinkResultType::NEED_MORE_INPUT;
	}

	//! Runs when the number of the batch changes, before the others know.
	SinkNextBatchType NextBatch(ExecutionContext &, OperatorSinkNextBatchInput &input) const override {
		input.local_state.Cast<Local>().Flush();
		return SinkNextBatchType::READY;
	}

	SinkCombineResultType Combine(ExecutionContext &, OperatorSinkCombineInput &input) const override {
		auto &local = input.local_state.Cast<Local>();
		local.Flush();
		Advance(local);
		return SinkCombineResultType::FINISHED;
	}

	SinkFinalizeType Finalize(Pipeline &, Event &, ClientContext &, OperatorSinkFinalizeInput &) const override {
		merganser_collector_finish(rows.get());
		return SinkFinalizeType::READY;
	}

	unique_ptr<LocalSinkState> GetLocalSinkState(ExecutionContext &) const override {
		return make_uniq<Local>(merganser_collector_part(rows.get()), types.size());
	}

	unique_ptr<GlobalSinkState> GetGlobalSinkState(ClientContext &context) const override {
		return make_uniq<Global>(context);
	}

	//! Without rows: they have left.
	unique_ptr<QueryResult> GetResult(GlobalSinkState &state) const override {
		auto context = state.Cast<Global>().context.lock();
		return make_uniq<MaterializedQueryResult>(statement_type, properties, names, CreateCollection(*context),
		                                          context->GetClientProperties());
	}

	OperatorPartitionInfo RequiredPartitionInfo() const override {
		return order == Order::BATCHES ? OperatorPartitionInfo::BatchIndex() : OperatorPartitionInfo::NoPartitionInfo();
	}

	bool ParallelSink() const override {
		return order != Order::SEQUENTIAL;
	}

	bool SinkOrderDependent() const override {
		return order != Order::NONE;
	}

private:
	//! Tells which batches are complete. Returns the batch of the rows that come.
	idx_t Advance(Local &local) const {
		if (order != Order::BATCHES) {
			return 0;
		}
		auto &info = local.partition_info;
		auto least = info.min_batch_index.GetIndex();
		if (least > local.least) {
			local.least = least;
			merganser_collector_advance(rows.get(), least);
		}
		return info.batch_index.IsValid() ? info.batch_index.GetIndex() : least;
	}

	static int Room(Local &local, idx_t batch, const InterruptState &state) {
		auto room = merganser_collector_room(local.part, batch, nullptr);
		if (room != 1) {
			return room;
		}
		// Asked again, because there may be room by now; only if there is none, Rust keeps the state.
		auto waiting = make_uniq<InterruptState>(state);
		room = merganser_collector_room(local.part, batch, waiting.get());
		if (room == 1) {
			waiting.release();
		}
		return room;
	}

	Rows rows;
	Order order;
};

//! Tells Rust the columns.
void Begin(void *rows, const PreparedStatementData &data) {
	vector<const char *> names;
	vector<duckdb_logical_type> types;
	for (idx_t index = 0; index < data.types.size(); index++) {
		names.push_back(data.names[index].c_str());
		types.push_back(reinterpret_cast<duckdb_logical_type>(new LogicalType(data.types[index])));
	}
	if (!merganser_collector_begin(rows, names.size(), names.data(), types.data())) {
		Fail();
	}
}

} // namespace

// === the side of DuckDB ===

extern "C" duckdb_state merganser_collector_start(duckdb_connection connection, duckdb_prepared_statement statement, void *rows,
                                                  duckdb_pending_result *pending) {
	auto held = Rows(rows, merganser_collector_drop);
	auto &config = ClientConfig::GetConfig(*reinterpret_cast<Connection *>(connection)->context);
	config.get_result_collector = [&](ClientContext &context,
	                                  PreparedStatementData &data) -> unique_ptr<PhysicalOperator> {
		if (data.properties.output_type != QueryResultOutputType::ALLOW_STREAMING) {
			return PhysicalResultCollector::GetResultCollector(context, data);
		}
		auto order = OrderOf(context, data.physical_plan->Root());
		Begin(held.get(), data);
		return make_uniq<Collector>(*data.physical_plan, data, held, order);
	};
	auto state = duckdb_pending_prepared(statement, pending);
	config.get_result_collector = nullptr;
	return state;
}

extern "C" void merganser_collector_wake(void *waiting) {
	unique_ptr<InterruptState> state(static_cast<InterruptState *>(waiting));
	try {
		state->Callback();
	} catch (const std::exception &) {
		// A task that cannot be resumed belongs to an execution that has ended.
	}
}
