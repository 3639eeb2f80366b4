//! Functions that clients expect: the user of the session, and PostgreSQL's date_bin.

#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! For whom a connection runs statements.
struct User : ClientContextState {
	string name;
};

constexpr const char *USER = "merganser_user";
//! SQL's names of it; DuckDB has macros with these names, which say 'duckdb'.
const char *const USER_FUNCTIONS[] = {"current_user", "current_role", "session_user", "user"};

void UserName(DataChunk &, ExpressionState &state, Vector &result) {
	auto user = state.GetContext().registered_state->Get<User>(USER);
	result.Reference(Value(user ? user->name : "merganser"));
}

//! date_bin(stride, source, origin) is time_bucket with an origin.
ScalarFunctionSet DateBin(ExtensionLoader &loader) {
	ScalarFunctionSet result("date_bin");
	for (auto function : loader.GetFunction("time_bucket").functions.functions) {
		if (function.arguments.size() == 3 && function.arguments[1] == function.arguments[2]) {
			function.name = result.name;
			result.AddFunction(std::move(function));
		}
	}
	return result;
}

} // namespace

void AddFunctions(ExtensionLoader &loader) {
	for (auto name : USER_FUNCTIONS) {
		ScalarFunction function(name, {}, LogicalType::VARCHAR, UserName);
		function.SetStability(FunctionStability::CONSISTENT_WITHIN_QUERY);
		loader.RegisterFunction(std::move(function));
	}
	loader.RegisterFunction(DateBin(loader));
}

} // namespace merganser

//! Sets the user for whom `connection`, a duckdb_connection of the C API, runs its next statements.
extern "C" void merganser_planner_set_user(void *connection, const char *name, size_t length) {
	auto &states = reinterpret_cast<Connection *>(connection)->context->registered_state;
	// A new one, because threads of the last statement may still read the other.
	auto user = make_shared_ptr<merganser::User>();
	user->name.assign(name, length);
	states->Remove(merganser::USER);
	states->Insert(merganser::USER, std::move(user));
}
