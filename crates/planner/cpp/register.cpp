//! Registers the rules and their functions in an opened instance.

#include <cstring>

#include "duckdb/main/config.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/planner_extension.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace {

//! The version whose headers this was compiled with: other versions have other memory layouts.
constexpr const char *SOURCE_ID = "d8cdaa33fd";

void AfterBinding(PlannerExtensionInput &input, BoundStatement &statement) {
	merganser::StoreTypes(input.context, input.binder, *statement.plan);
	merganser::CorrectWindows(*statement.plan);
	merganser::KeepCorrelated(statement.plan);
}

void BeforeOptimizing(OptimizerExtensionInput &input, unique_ptr<LogicalOperator> &plan) {
	merganser::KeepFiltersExact(input.context, *plan);
	merganser::FilterChanges(*plan);
	merganser::LimitJoins(*plan);
	merganser::UseAsofColumns(plan);
	merganser::ReadLast(input.optimizer.binder, plan);
}

void AfterOptimizing(OptimizerExtensionInput &, unique_ptr<LogicalOperator> &plan) {
	merganser::DropJoinFilters(*plan);
	merganser::ReadInParts(plan);
}

void Register(Connection &connection) {
	auto &database = DatabaseInstance::GetDatabase(*connection.context);
	ExtensionLoader loader(database, "merganser");
	loader.RegisterFunction(merganser::ExactFunction());
	loader.RegisterFunction(merganser::OffsetFunction());
	loader.RegisterFunction(merganser::UsedFunction());
	loader.RegisterFunction(merganser::StoredTypeFunction());
	merganser::AddFunctions(loader);
	merganser::LimitDepth(loader);
	merganser::LimitFiles(loader);
	PlannerExtension planner;
	planner.post_bind_function = AfterBinding;
	PlannerExtension::Register(DBConfig::GetConfig(database), planner);
	OptimizerExtension optimizer;
	optimizer.pre_optimize_function = BeforeOptimizing;
	optimizer.optimize_function = AfterOptimizing;
	OptimizerExtension::Register(DBConfig::GetConfig(database), optimizer);
}

} // namespace

//! Registers the rules in the instance of `connection`, a duckdb_connection of the C API. Returns NULL, or an error message
//! that the caller must free.
extern "C" char *merganser_planner_register(void *connection) {
	if (string(DuckDB::SourceID()) != SOURCE_ID) {
		return strdup("the linked DuckDB is not the version that this program was compiled for");
	}
	try {
		Register(*reinterpret_cast<Connection *>(connection));
		return nullptr;
	} catch (const std::exception &err) {
		return strdup(ErrorData(err).Message().c_str());
	}
}
