//! What concerns the process, not plans: the memory that a thread keeps, and the end.

#include <cstdio>
#include <exception>
#include <unistd.h>

#include "duckdb/common/allocator.hpp"
#include "duckdb/common/error_data.hpp"

namespace {

//! An exception of DuckDB that nothing catches, such as one of a destructor after a fatal error.
[[noreturn]] void Exit() {
	auto exception = std::current_exception();
	try {
		if (exception) {
			std::rethrow_exception(exception);
		}
		std::fputs("error: DuckDB ended the process\n", stderr);
	} catch (const std::exception &err) {
		std::fprintf(stderr, "error: DuckDB ended the process: %s\n", duckdb::ErrorData(err).Message().c_str());
	} catch (...) {
		std::fputs("error: DuckDB ended the process with an unknown exception\n", stderr);
	}
	_exit(1);
}

} // namespace

//! Makes exceptions that nothing catches end the process with code 1, without a core dump.
extern "C" void merganser_planner_exit_on_exceptions() {
	std::set_terminate(Exit);
}

//! Gives back what the calling thread keeps, and the pages that nothing uses: what DuckDB's own threads do when they have
//! no more to do. It knows nothing of other threads, on which its statements run too.
extern "C" void merganser_planner_release_memory() {
	duckdb::Allocator::ThreadFlush(false, 0, 0);
	duckdb::Allocator::ThreadIdle();
}
