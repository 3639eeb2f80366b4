//! The memory that a thread keeps for its next allocations.

#include "duckdb/common/allocator.hpp"

//! Gives back what the calling thread keeps, and the pages that nothing uses: what DuckDB's own threads do when they have
//! no more to do. It knows nothing of other threads, on which its statements run too.
extern "C" void merganser_planner_release_memory() {
	duckdb::Allocator::ThreadFlush(false, 0, 0);
	duckdb::Allocator::ThreadIdle();
}
