//! Functions and casts that recurse into their arguments without a limit, and so overflow the stack of their thread.
//! Arguments that are nested deeper than MAX_DEPTH are rejected before. For those that read files, see files.cpp.

#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/cast/default_casts.hpp"
#include "duckdb/function/cast_rules.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "nesting.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

//! Functions of JSON values that recurse when they run.
const char *const RECURSIVE[] = {"json_contains",     "json_deserialize_sql", "json_merge_patch",
                                 "json_pretty",       "json_structure"};
//! Functions of a JSON structure that recurse when they are bound.
const char *const STRUCTURED[] = {"from_json", "from_json_strict", "json_transform", "json_transform_strict"};

//! Which values are checked: all texts, or those of the type JSON.
enum class Checked { TEXT, JSON };

void CheckText(const char *text, idx_t size) {
	if (Nesting().IsTooDeep(text, size)) {
		throw InvalidInputException("a value is nested more than %llu levels deep, which this function or cast does not "
		                            "support",
		                            MAX_DEPTH);
	}
}

void CheckValue(const Value &value) {
	if (!value.IsNull() && value.type().id() == LogicalTypeId::VARCHAR) {
		auto &text = StringValue::Get(value);
		CheckText(text.data(), text.size());
	}
}

void CheckVector(Vector &vector, idx_t count, Checked checked) {
	switch (vector.GetType().InternalType()) {
	case PhysicalType::VARCHAR: {
		if (checked == Checked::JSON && !vector.GetType().IsJSONType()) {
			break;
		}
		UnifiedVectorFormat format;
		vector.ToUnifiedFormat(count, format);
		auto texts = UnifiedVectorFormat::GetData<string_t>(format);
		for (idx_t row = 0; row < count; row++) {
			auto index = format.sel->get_index(row);
			if (format.validity.RowIsValid(index)) {
				CheckText(texts[index].GetData(), texts[index].GetSize());
			}
		}
		break;
	}
	case PhysicalType::LIST:
		vector.Flatten(count);
		CheckVector(ListVector::GetEntry(vector), ListVector::GetListSize(vector), checked);
		break;
	case PhysicalType::STRUCT:
		vector.Flatten(count);
		for (auto &child : StructVector::GetEntries(vector)) {
			CheckVector(*child, count, checked);
		}
		break;
	default:
		break;
	}
}

//! The original cast, which runs after the check.
struct CheckedCast : BoundCastData {
	explicit CheckedCast(BoundCastInfo original) : original(std::move(original)) {
	}
	unique_ptr<BoundCastData> Copy() const override {
		return make_uniq<CheckedCast>(original.Copy());
	}
	BoundCastInfo original;
};

bool CastChecked(Vector &source, Vector &result, idx_t count, CastParameters &parameters) {
	CheckVector(source, count, Checked::JSON);
	auto &original = parameters.cast_data->Cast<CheckedCast>().original;
	CastParameters inner(parameters, original.cast_data, parameters.local_state);
	return original.function(source, result, count, inner);
}

BoundCastInfo BindChecked(BindCastInput &input, const LogicalType &source, const LogicalType &target) {
	auto original = DefaultCasts::GetDefaultCastFunction(input, source, target);
	return BoundCastInfo(CastChecked, make_uniq<CheckedCast>(std::move(original)));
}

//! Makes a function check its arguments before it runs.
void CheckArguments(ScalarFunction &function) {
	auto original = function.GetFunctionCallback();
	function.SetFunctionCallback([original](DataChunk &arguments, ExpressionState &state, Vector &result) {
		for (auto &argument : arguments.data) {
			CheckVector(argument, arguments.size(), Checked::TEXT);
		}
		original(arguments, state, result);
	});
}

//! The callbacks of DuckDB; the functions of STRUCTURED have one in common.
bind_scalar_function_t bind_structured = nullptr;
table_function_bind_t bind_autocomplete = nullptr;

unique_ptr<FunctionData> BindStructured(ClientContext &context, ScalarFunction &function,
                                        vector<unique_ptr<Expression>> &arguments) {
	Value structure;
	if (arguments.size() > 1 && arguments[1]->IsFoldable() &&
	    ExpressionExecutor::TryEvaluateScalar(context, *arguments[1], structure)) {
		CheckValue(structure);
	}
	return bind_structured(context, function, arguments);
}

unique_ptr<FunctionData> BindAutocomplete(ClientContext &context, TableFunctionBindInput &input,
                                          vector<LogicalType> &types, vector<string> &names) {
	for (auto &value : input.inputs) {
		CheckValue(value);
	}
	return bind_autocomplete(context, input, types, names);
}

} // namespace

void LimitDepth(ExtensionLoader &loader) {
	for (auto name : RECURSIVE) {
		for (auto &function : loader.GetFunction(name).functions.functions) {
			CheckArguments(function);
		}
	}
	for (auto name : STRUCTURED) {
		for (auto &function : loader.GetFunction(name).functions.functions) {
			bind_structured = bind_structured ? bind_structured : function.GetBindCallback();
			function.SetBindCallback(BindStructured);
		}
	}
	auto variant = LogicalType::VARIANT();
	for (auto &source : {LogicalType::JSON(), LogicalType::LIST(LogicalType::JSON()), LogicalType::LIST(LogicalType::ANY),
	                     LogicalType::STRUCT({{"any", LogicalType::ANY}}),
	                     LogicalType::MAP(LogicalType::ANY, LogicalType::ANY)}) {
		loader.RegisterCastFunction(source, variant, BindChecked, CastRules::ImplicitCast(source, variant));
	}
	if (loader.TryGetTableFunction("sql_auto_complete")) {
		for (auto &function : loader.GetTableFunction("sql_auto_complete").functions.functions) {
			bind_autocomplete = bind_autocomplete ? bind_autocomplete : function.bind;
			function.bind = BindAutocomplete;
		}
	}
}

} // namespace merganser
