//! The rows of a streaming result.

#include "duckdb/execution/executor.hpp"
#include "duckdb/main/buffered_data/buffered_data.hpp"
#include "duckdb/main/capi/capi_internal.hpp"
#include "duckdb/main/stream_query_result.hpp"

using namespace duckdb;

namespace {

//! The private member `buffered_data` of a result: naming it in an explicit instantiation is allowed.
shared_ptr<BufferedData> &Buffer(StreamQueryResult &stream);

template <shared_ptr<BufferedData> StreamQueryResult::*MEMBER>
struct BufferMember {
	friend shared_ptr<BufferedData> &Buffer(StreamQueryResult &stream) {
		return stream.*MEMBER;
	}
};
template struct BufferMember<&StreamQueryResult::buffered_data>;

//! Computes until a chunk can be taken, or until there is none to come.
bool AwaitChunk(StreamQueryResult &stream) {
	StreamExecutionResult state;
	while (!StreamQueryResult::IsChunkReady(state = stream.ExecuteTask())) {
		if (state == StreamExecutionResult::BLOCKED) {
			stream.WaitForTask();
		}
	}
	return state == StreamExecutionResult::CHUNK_READY;
}

//! Ends a query that was interrupted, which is also what an error in another thread does: then this is its error.
void EndInterrupted(StreamQueryResult &stream) {
	ErrorData error;
	auto &executor = stream.context->GetExecutor();
	if (executor.HasError()) {
		error = executor.GetError();
		error.FinalizeError();
		error.AddErrorLocation(stream.context->GetCurrentQuery());
	}
	stream.Fetch();
	if (error.HasError()) {
		stream.SetError(error);
	}
}

} // namespace

//! The next chunk of `result`, a duckdb_result of the C API, which the caller must destroy. NULL if it has no more rows, if
//! it failed, which sets its error, or if it does not stream.
//!
//! duckdb_fetch_chunk checks for interrupts before it looks for errors, so that one in 20 queries that fail in another
//! thread would say "Interrupted!" only.
extern "C" duckdb_data_chunk merganser_planner_next_chunk(duckdb_result *result) {
	auto &rows = *reinterpret_cast<DuckDBResultData *>(result->internal_data)->result;
	if (rows.type != QueryResultType::STREAM_RESULT) {
		return nullptr;
	}
	auto &stream = reinterpret_cast<StreamQueryResult &>(rows);
	try {
		if (!stream.IsOpen() || !AwaitChunk(stream)) {
			return nullptr;
		}
		auto chunk = Buffer(stream)->Scan();
		if (chunk) {
			chunk->Flatten();
		}
		return reinterpret_cast<duckdb_data_chunk>(chunk.release());
	} catch (const InterruptException &) {
		EndInterrupted(stream);
	} catch (const std::exception &err) {
		stream.SetError(ErrorData(err));
	} catch (...) {
		stream.SetError(ErrorData("unknown exception"));
	}
	return nullptr;
}
