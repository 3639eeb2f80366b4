//! What is stored equals what is read: types that DuckLake's Parquet files do not keep are stored as others, or rejected
//! before anything is written. The table is printed in docs/types.md.

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/common/vector_operations/binary_executor.hpp"
#include "duckdb/parser/constraints/not_null_constraint.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/parsed_data/alter_table_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/operator/logical_create_table.hpp"
#include "duckdb/planner/operator/logical_insert.hpp"
#include "duckdb/planner/operator/logical_merge_into.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_simple.hpp"
#include "duckdb/planner/operator/logical_update.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! A type that is rejected.
struct Rejected {
	LogicalTypeId id;
	//! What would be lost.
	const char *loss;
	//! The lossless alternative.
	const char *remedy;
};

const Rejected REJECTED[] = {
    {LogicalTypeId::INTERVAL, "Parquet keeps milliseconds, 49 days of them and no negative values",
     "cast it to VARCHAR, which casts back, or to a number of microseconds (epoch_us)"},
    {LogicalTypeId::TIME_TZ, "Parquet keeps no offset", "cast it to VARCHAR, which casts back"},
    {LogicalTypeId::TIME_NS, "DuckDB cannot write it to Parquet",
     "cast it to TIME, which has microseconds, or to VARCHAR"},
    {LogicalTypeId::BIT, "DuckLake has no such type", "cast it to VARCHAR, which casts back"},
    {LogicalTypeId::BIGNUM, "DuckLake has no such type", "cast it to VARCHAR, which casts back"},
    {LogicalTypeId::UNION, "DuckLake has no such type", "use a STRUCT with a field for each member"},
};

bool IsLake(Catalog &catalog) {
	return catalog.GetCatalogType() == "ducklake";
}

string Quoted(const string &column) {
	return "column \"" + column + "\"";
}

//! Replaces the type of a column that is being defined.
void StoreColumn(ColumnDefinition &column) {
	auto stored = StoredType(column.Type(), column.Name());
	if (stored != column.Type()) {
		column.SetType(stored);
	}
}

bool IsNested(const LogicalType &type) {
	return type.IsNested() || type.id() == LogicalTypeId::VARIANT;
}

//! DuckLake does not check NOT NULL for these.
void CheckNotNull(const LogicalType &type, const string &column) {
	if (IsNested(type)) {
		throw InvalidInputException("%s: NOT NULL is not enforced for %s: leave it out, or check the values in a model",
		                            Quoted(column), type.ToString());
	}
}

//! Casts the columns of a query to the types in which they will be stored.
void CastQuery(ClientContext &context, Binder &binder, LogicalCreateTable &create) {
	auto &query = create.children[0];
	query->ResolveOperatorTypes();
	auto bindings = query->GetColumnBindings();
	auto &columns = create.info->Base().columns;
	vector<unique_ptr<Expression>> casts;
	bool needed = false;
	for (auto &column : columns.Logical()) {
		auto index = casts.size();
		auto &type = query->types[index];
		unique_ptr<Expression> value = make_uniq<BoundColumnRefExpression>(column.Name(), type, bindings[index]);
		if (type != column.Type()) {
			needed = true;
			value = BoundCastExpression::AddCastToType(context, std::move(value), column.Type());
		}
		casts.push_back(std::move(value));
	}
	if (needed) {
		auto projection = make_uniq<LogicalProjection>(binder.GenerateTableIndex(), std::move(casts));
		projection->children.push_back(std::move(query));
		create.children[0] = std::move(projection);
	}
}

void StoreCreated(ClientContext &context, Binder &binder, LogicalCreateTable &create) {
	if (!IsLake(create.schema.ParentCatalog())) {
		return;
	}
	auto &info = create.info->Base();
	for (idx_t index = 0; index < info.columns.LogicalColumnCount(); index++) {
		StoreColumn(info.columns.GetColumnMutable(LogicalIndex(index)));
	}
	for (auto &constraint : info.constraints) {
		if (constraint->type == ConstraintType::NOT_NULL) {
			auto &column = info.columns.GetColumn(constraint->Cast<NotNullConstraint>().index);
			CheckNotNull(column.Type(), column.Name());
		}
	}
	if (!create.children.empty()) {
		CastQuery(context, binder, create);
	}
}

//! DuckLake takes literals as the defaults of new columns, and DATE '2020-01-01' is a cast of one: returns its value.
//! DuckDB sets such a default by a statement of its own, after that which adds the column.
unique_ptr<ParsedExpression> FoldedDefault(const ParsedExpression &expression, const LogicalType &type) {
	if (expression.GetExpressionClass() != ExpressionClass::CAST) {
		return nullptr;
	}
	auto &literal = *expression.Cast<CastExpression>().child;
	Value value;
	string error;
	if (literal.GetExpressionClass() != ExpressionClass::CONSTANT ||
	    !literal.Cast<ConstantExpression>().value.DefaultTryCastAs(type, value, &error)) {
		return nullptr;
	}
	return make_uniq<ConstantExpression>(std::move(value));
}

void FoldDefault(const TableCatalogEntry &table, SetDefaultInfo &info) {
	if (info.expression && table.ColumnExists(info.column_name)) {
		auto folded = FoldedDefault(*info.expression, table.GetColumn(info.column_name).Type());
		info.expression = folded ? std::move(folded) : std::move(info.expression);
	}
}

//! DuckLake crashes when it hashes nested values for bucket(n, column).
void CheckBuckets(const TableCatalogEntry &table, const SetPartitionedByInfo &info) {
	for (auto &key : info.partition_keys) {
		if (key->GetExpressionClass() != ExpressionClass::FUNCTION) {
			continue;
		}
		for (auto &argument : key->Cast<FunctionExpression>().children) {
			auto column = argument->GetName();
			auto is_column = argument->GetExpressionClass() == ExpressionClass::COLUMN_REF && table.ColumnExists(column);
			if (is_column && IsNested(table.GetColumn(column).Type())) {
				throw NotImplementedException("%s: a table cannot be partitioned by a function of %s: use another column",
				                              Quoted(column), table.GetColumn(column).Type().ToString());
			}
		}
	}
}

optional_ptr<TableCatalogEntry> AlteredTable(ClientContext &context, const AlterInfo &info) {
	EntryLookupInfo lookup(CatalogType::TABLE_ENTRY, info.name);
	auto entry = Catalog::GetEntry(context, info.catalog, info.schema, lookup, OnEntryNotFound::RETURN_NULL);
	if (!entry || entry->type != CatalogType::TABLE_ENTRY || !IsLake(entry->ParentCatalog())) {
		return nullptr;
	}
	return entry->Cast<TableCatalogEntry>();
}

void StoreAltered(ClientContext &context, AlterInfo &info) {
	auto table = info.type == AlterType::ALTER_TABLE ? AlteredTable(context, info) : nullptr;
	if (!table) {
		return;
	}
	auto &alter = info.Cast<AlterTableInfo>();
	switch (alter.alter_table_type) {
	case AlterTableType::ADD_COLUMN:
		StoreColumn(alter.Cast<AddColumnInfo>().new_column);
		break;
	case AlterTableType::ADD_FIELD:
		StoreColumn(alter.Cast<AddFieldInfo>().new_field);
		break;
	case AlterTableType::ALTER_COLUMN_TYPE: {
		auto &change = alter.Cast<ChangeColumnTypeInfo>();
		change.target_type = StoredType(change.target_type, change.column_name);
		break;
	}
	case AlterTableType::SET_DEFAULT:
		FoldDefault(*table, alter.Cast<SetDefaultInfo>());
		break;
	case AlterTableType::SET_PARTITIONED_BY:
		CheckBuckets(*table, alter.Cast<SetPartitionedByInfo>());
		break;
	case AlterTableType::SET_NOT_NULL: {
		auto &column = alter.Cast<SetNotNullInfo>().column_name;
		if (table->ColumnExists(column)) {
			CheckNotNull(table->GetColumn(column).Type(), column);
		}
		break;
	}
	default:
		break;
	}
}

//! Another program may have created a table whose values would change when they are written.
void CheckWritten(TableCatalogEntry &table) {
	if (!IsLake(table.ParentCatalog())) {
		return;
	}
	for (auto &column : table.GetColumns().Logical()) {
		auto stored = StoredType(column.Type(), column.Name());
		if (stored != column.Type()) {
			throw InvalidInputException(
			    "%s has the type %s, whose values change when they are stored: replace the table by CREATE OR REPLACE "
			    "TABLE %s AS FROM %s, which stores %s",
			    Quoted(column.Name()), column.Type().ToString(), table.name, table.name, stored.ToString());
		}
	}
}

LogicalType StoredStruct(const LogicalType &type, const string &column) {
	child_list_t<LogicalType> fields;
	bool changed = false;
	for (auto &field : StructType::GetChildTypes(type)) {
		auto stored = StoredType(field.second, column);
		changed |= stored != field.second;
		fields.emplace_back(field.first, std::move(stored));
	}
	return changed ? LogicalType::STRUCT(std::move(fields)) : type;
}

} // namespace

LogicalType StoredType(const LogicalType &type, const string &column) {
	for (auto &rejected : REJECTED) {
		if (type.id() == rejected.id) {
			throw InvalidInputException("%s: %s cannot be stored, because %s: %s", Quoted(column), type.ToString(),
			                            rejected.loss, rejected.remedy);
		}
	}
	switch (type.id()) {
	case LogicalTypeId::SQLNULL:
		// A column of NULLs only.
		return LogicalType::INTEGER;
	case LogicalTypeId::HUGEINT:
	case LogicalTypeId::UHUGEINT:
		// Parquet has no integers of 128 bits, and DuckDB would write DOUBLE.
		return LogicalType::DECIMAL(38, 0);
	case LogicalTypeId::ENUM:
		return LogicalType::VARCHAR;
	case LogicalTypeId::ARRAY:
		return LogicalType::LIST(StoredType(ArrayType::GetChildType(type), column));
	case LogicalTypeId::LIST: {
		auto &child = ListType::GetChildType(type);
		auto stored = StoredType(child, column);
		return stored != child ? LogicalType::LIST(stored) : type;
	}
	case LogicalTypeId::MAP: {
		auto &key = MapType::KeyType(type);
		auto &value = MapType::ValueType(type);
		auto stored_key = StoredType(key, column);
		auto stored_value = StoredType(value, column);
		return stored_key != key || stored_value != value ? LogicalType::MAP(stored_key, stored_value) : type;
	}
	case LogicalTypeId::STRUCT:
		return StoredStruct(type, column);
	default:
		return type;
	}
}

void StoreTypes(ClientContext &context, Binder &binder, LogicalOperator &plan) {
	switch (plan.type) {
	case LogicalOperatorType::LOGICAL_CREATE_TABLE:
		StoreCreated(context, binder, plan.Cast<LogicalCreateTable>());
		break;
	case LogicalOperatorType::LOGICAL_ALTER:
		StoreAltered(context, plan.Cast<LogicalSimple>().info->Cast<AlterInfo>());
		break;
	case LogicalOperatorType::LOGICAL_INSERT:
		CheckWritten(plan.Cast<LogicalInsert>().table);
		break;
	case LogicalOperatorType::LOGICAL_UPDATE:
		CheckWritten(plan.Cast<LogicalUpdate>().table);
		break;
	case LogicalOperatorType::LOGICAL_MERGE_INTO:
		CheckWritten(plan.Cast<LogicalMergeInto>().table);
		break;
	default:
		break;
	}
	for (auto &child : plan.children) {
		StoreTypes(context, binder, *child);
	}
}

ScalarFunction StoredTypeFunction() {
	auto execute = [](DataChunk &arguments, ExpressionState &state, Vector &result) {
		auto stored = [&](string_t name, string_t column) {
			auto type = TransformStringToLogicalType(name.GetString(), state.GetContext());
			return StringVector::AddString(result, StoredType(type, column.GetString()).ToString());
		};
		BinaryExecutor::Execute<string_t, string_t, string_t>(arguments.data[0], arguments.data[1], result,
		                                                      arguments.size(), stored);
	};
	return ScalarFunction("merganser_stored_type", {LogicalType::VARCHAR, LogicalType::VARCHAR}, LogicalType::VARCHAR,
	                      execute);
}

} // namespace merganser
