//! Files that are nested so deeply that DuckDB's readers overflow their stack, or take minutes: they are rejected before.
//!
//! * JSON: the detection of columns recurses into the records that it samples.
//! * Parquet: everything that reads a file's metadata recurses into its schema (footer.hpp).

#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/common/enum_util.hpp"
#include "duckdb/common/enums/file_compression_type.hpp"
#include "duckdb/common/multi_file/multi_file_list.hpp"
#include "duckdb/common/multi_file/multi_file_reader.hpp"
#include "duckdb/common/mutex.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/storage/caching_file_system.hpp"
#include "footer.hpp"
#include "nesting.hpp"
#include "rules.hpp"

using namespace duckdb;

namespace merganser {

namespace {

[[noreturn]] void Reject(const string &path, const char *remedy) {
	throw InvalidInputException("\"%s\" is nested more than %llu levels deep%s", path, MAX_DEPTH, remedy);
}

//! The files that a function reads, as DuckDB finds them.
shared_ptr<MultiFileList> Files(ClientContext &context, TableFunctionBindInput &input, const char *extension) {
	FileGlobInput glob(FileGlobOptions::FALLBACK_GLOB, extension);
	return MultiFileReader::Create(input.table_function)->CreateFileList(context, input.inputs[0], glob);
}

// === JSON ===

//! The part of the files that DuckDB samples to detect columns. It does so even if columns are given.
struct Sample {
	explicit Sample(TableFunctionBindInput &input) {
		by_lines = StringUtil::Contains(input.table_function.name, "ndjson");
		for (auto &option : input.named_parameters) {
			Read(StringUtil::Lower(option.first), option.second);
		}
	}

	//! Whether a file that begins with a bracket is an array of records, or never is one. If neither, it depends on what
	//! follows the array.
	bool is_array = false;
	bool by_lines;
	//! Whether lines that are not JSON are skipped, so that the next one begins outside of brackets and strings.
	bool skips_lines = false;
	idx_t records = STANDARD_VECTOR_SIZE * 10ULL;
	idx_t files = 32;
	//! The number of bytes in which DuckDB detects the format.
	idx_t buffer = 32ULL << 20;
	FileCompressionType compression = FileCompressionType::AUTO_DETECT;

private:
	void Read(const string &name, const Value &value) {
		if (value.IsNull()) {
			return;
		}
		if (name == "format") {
			auto format = StringUtil::Lower(StringValue::Get(value));
			by_lines = format != "auto" && format != "array";
			is_array = format == "array";
		} else if (name == "ignore_errors") {
			skips_lines = BooleanValue::Get(value);
		} else if (name == "maximum_object_size") {
			buffer = MaxValue<idx_t>(buffer, UIntegerValue::Get(value) * 2ULL);
		} else if (name == "sample_size") {
			records = static_cast<idx_t>(BigIntValue::Get(value));
		} else if (name == "maximum_sample_files") {
			files = static_cast<idx_t>(BigIntValue::Get(value));
		} else if (name == "union_by_name" && BooleanValue::Get(value)) {
			files = NumericLimits<idx_t>::Maximum();
		} else if (name == "compression") {
			compression = EnumUtil::FromString<FileCompressionType>(StringUtil::Upper(StringValue::Get(value)));
		}
	}
};

//! Counts the records of a file while it reads them: the values in its first array, else those at the top.
class Records {
public:
	explicit Records(const Sample &sample) : sample(sample) {
	}

	//! Reads a piece, to the end of the sample. Whether it is nested too deeply.
	bool IsTooDeep(const char *text, idx_t size) {
		for (idx_t index = 0; index < size && !AreRead(); index++, position++) {
			Read(text[index]);
			if (nesting.Depth() > MAX_DEPTH || line.Depth() > MAX_DEPTH) {
				return true;
			}
		}
		return false;
	}

	bool AreRead() const {
		bool is_undecided = level == 1 && !sample.is_array && position < sample.buffer;
		return !sample.skips_lines && !is_undecided && count >= sample.records;
	}

private:
	void Read(char character) {
		bool closes = nesting.Read(character);
		if (sample.skips_lines) {
			line.Read(character);
			line = character == '\n' ? Nesting() : line;
		}
		if (!started && !StringUtil::CharacterIsSpace(character)) {
			started = true;
			level = character == '[' && !sample.by_lines ? 1 : 0;
		}
		if (closes && nesting.Depth() < level) {
			// The first array has ended: if more follow, they are the records.
			level = 0;
			count = 0;
		}
		count += closes && nesting.Depth() == level ? 1 : 0;
	}

	const Sample &sample;
	Nesting nesting;
	//! The nesting in the current line alone.
	Nesting line;
	bool started = false;
	//! The depth at which the records are.
	idx_t level = 0;
	idx_t count = 0;
	idx_t position = 0;
};

void CheckInterrupted(ClientContext &context) {
	if (context.interrupted) {
		throw InterruptException();
	}
}

void CheckJson(ClientContext &context, const OpenFileInfo &file, const Sample &sample) {
	auto handle = FileSystem::GetFileSystem(context).OpenFile(file, FileFlags::FILE_FLAGS_READ | sample.compression);
	if (handle->IsPipe()) {
		throw InvalidInputException("\"%s\" is a pipe, which can be read once only: name a file", file.path);
	}
	Records records(sample);
	vector<char> buffer(1 << 20);
	while (!records.AreRead()) {
		CheckInterrupted(context);
		auto size = handle->Read(buffer.data(), buffer.size());
		if (size <= 0) {
			break;
		}
		if (records.IsTooDeep(buffer.data(), static_cast<idx_t>(size))) {
			Reject(file.path, ": read it with read_json_objects");
		}
	}
}

void CheckJsonFiles(ClientContext &context, TableFunctionBindInput &input) {
	Sample sample(input);
	auto files = Files(context, input, "json");
	idx_t count = 0;
	for (auto &file : files->Files()) {
		if (count++ == sample.files) {
			break;
		}
		CheckJson(context, file, sample);
	}
}

// === Parquet ===

//! A shorter footer has no room for the nodes of a deep schema.
constexpr idx_t SHALLOW_FOOTER = 4 * MAX_DEPTH;

//! The size is known without opening the file if it comes from the listing of an object store.
bool IsSmall(const OpenFileInfo &file) {
	if (!file.extended_info) {
		return false;
	}
	auto &options = file.extended_info->options;
	auto size = options.find("file_size");
	return size != options.end() && size->second.GetValue<idx_t>() < SHALLOW_FOOTER;
}

//! Reads through the cache of files, like DuckDB's reader, which then reads the footer of a remote file from there.
void CheckParquet(ClientContext &context, const OpenFileInfo &file) {
	constexpr idx_t TRAILER = 8;
	if (IsSmall(file)) {
		return;
	}
	CheckInterrupted(context);
	auto files = CachingFileSystem::Get(context);
	auto handle = files.OpenFile(QueryContext(context), file, FileFlags::FILE_FLAGS_READ);
	auto size = handle->CanSeek() ? handle->GetFileSize() : 0;
	if (size < SHALLOW_FOOTER) {
		return;
	}
	data_ptr_t data;
	auto trailer = handle->Read(data, TRAILER, size - TRAILER);
	idx_t length = Load<uint32_t>(data);
	bool is_encrypted = memcmp(data + sizeof(uint32_t), "PARE", 4) == 0;
	bool is_plain = memcmp(data + sizeof(uint32_t), "PAR1", 4) == 0;
	if (!(is_plain || is_encrypted) || length < SHALLOW_FOOTER || length > size - TRAILER) {
		return;
	}
	if (is_encrypted) {
		throw NotImplementedException("\"%s\" has an encrypted footer of %llu bytes, which cannot be checked", file.path,
		                              length);
	}
	auto footer = handle->Read(data, length, size - TRAILER - length);
	try {
		if (!Footer(data, length).IsTooDeep()) {
			return;
		}
	} catch (const Malformed &) {
		throw InvalidInputException("\"%s\" has a malformed footer", file.path);
	}
	Reject(file.path, ", which is not supported");
}

//! Checks each file before it is opened.
struct CheckedReader : MultiFileReader {
	static unique_ptr<MultiFileReader> Create(const TableFunction &function) {
		return make_uniq<CheckedReader>(function.name);
	}

	explicit CheckedReader(const string &name) {
		function_name = name;
	}

	unique_ptr<MultiFileReader> Copy() const override {
		return make_uniq<CheckedReader>(function_name);
	}

	using MultiFileReader::CreateReader;

	shared_ptr<BaseFileReader> CreateReader(ClientContext &context, GlobalTableFunctionState &state,
	                                        const OpenFileInfo &file, idx_t index,
	                                        const MultiFileBindData &bind_data) override {
		CheckParquet(context, file);
		return MultiFileReader::CreateReader(context, state, file, index, bind_data);
	}

	shared_ptr<BaseFileReader> CreateReader(ClientContext &context, const OpenFileInfo &file,
	                                        BaseFileReaderOptions &options, const MultiFileOptions &file_options,
	                                        MultiFileReaderInterface &interface) override {
		CheckParquet(context, file);
		return MultiFileReader::CreateReader(context, file, options, file_options, interface);
	}
};

void CheckParquetFiles(ClientContext &context, TableFunctionBindInput &input) {
	auto files = Files(context, input, "parquet");
	for (auto &file : files->Files()) {
		CheckParquet(context, file);
	}
}

// === Table functions ===

const char *const JSON_READERS[] = {"read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto"};
const char *const PARQUET_READERS[] = {"parquet_scan", "read_parquet"};
const char *const PARQUET_INSPECTORS[] = {"parquet_bloom_probe", "parquet_file_metadata", "parquet_full_metadata",
                                          "parquet_kv_metadata", "parquet_metadata",      "parquet_schema"};

//! A function that is checked when it is bound, and its own callback.
struct Checked {
	void (*check)(ClientContext &, TableFunctionBindInput &);
	table_function_bind_t bind;
};

//! By name, from the first instance that was opened: the callbacks of others are the same. Reading it needs no lock, because
//! what is read was there before its function could be called.
unordered_map<string, Checked> checked_functions;
mutex checked_functions_lock;

unique_ptr<FunctionData> BindChecked(ClientContext &context, TableFunctionBindInput &input, vector<LogicalType> &types,
                                     vector<string> &names) {
	auto &function = checked_functions.at(input.table_function.name);
	if (!input.inputs[0].IsNull()) {
		function.check(context, input);
	}
	return function.bind(context, input, types, names);
}

template <idx_t COUNT>
void CheckFunctions(ExtensionLoader &loader, const char *const (&names)[COUNT], decltype(Checked::check) check) {
	lock_guard<mutex> guard(checked_functions_lock);
	for (auto name : names) {
		for (auto &function : loader.GetTableFunction(name).functions.functions) {
			if (checked_functions.find(name) == checked_functions.end()) {
				checked_functions.emplace(name, Checked {check, function.bind});
			}
			function.bind = BindChecked;
		}
	}
}

} // namespace

void LimitFiles(ExtensionLoader &loader) {
	CheckFunctions(loader, JSON_READERS, CheckJsonFiles);
	CheckFunctions(loader, PARQUET_INSPECTORS, CheckParquetFiles);
	for (auto name : PARQUET_READERS) {
		for (auto &function : loader.GetTableFunction(name).functions.functions) {
			function.get_multi_file_reader = CheckedReader::Create;
		}
	}
}

} // namespace merganser
