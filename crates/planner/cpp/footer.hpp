//! The footers of Parquet files: a Thrift struct in the compact protocol
//! (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), whose field 2 is the schema: a list of
//! nodes in depth-first order, whose field 5 is the number of their children (https://github.com/apache/parquet-format,
//! parquet.thrift).

#pragma once

#include "duckdb.hpp"
#include "nesting.hpp"

namespace merganser {

struct Malformed {};

//! Reads a footer far enough to know the depth of its schema, and reads numbers as Thrift's readers do: those of fields have
//! 16 bits and sizes 32, and a field of type 0 ends a struct whatever its number is. Types of list elements are ignored.
class Footer {
public:
	Footer(duckdb::const_data_ptr_t begin, duckdb::idx_t size) : position(begin), end(begin + size) {
	}

	bool IsTooDeep() {
		bool deep = false;
		ReadStruct([&](int16_t field, uint8_t type) {
			if (field == 2 && type == LIST) {
				deep |= IsSchemaTooDeep();
			} else {
				Skip(type, 0);
			}
		});
		return deep;
	}

private:
	enum Type : uint8_t { IS_TRUE = 1, IS_FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT };

	//! Thrift's readers do not go deeper than that.
	static constexpr duckdb::idx_t MAX_SKIPPED_DEPTH = 64;

	uint8_t ReadByte() {
		if (position == end) {
			throw Malformed();
		}
		return *position++;
	}

	uint64_t ReadVarint() {
		uint64_t value = 0;
		for (duckdb::idx_t shift = 0; shift < 64; shift += 7) {
			uint64_t byte = ReadByte();
			value |= (byte & 0x7F) << shift;
			if (byte < 0x80) {
				return value;
			}
		}
		throw Malformed();
	}

	uint32_t ReadSize() {
		return static_cast<uint32_t>(ReadVarint());
	}

	int32_t ReadZigZag() {
		auto value = ReadSize();
		return static_cast<int32_t>(value >> 1) ^ -static_cast<int32_t>(value & 1);
	}

	void SkipBytes(uint64_t count) {
		if (count > static_cast<uint64_t>(end - position)) {
			throw Malformed();
		}
		position += count;
	}

	//! Calls `read` with the number and type of each field, whose value it must consume.
	template <class READ>
	void ReadStruct(READ read) {
		int16_t field = 0;
		for (auto header = ReadByte(); header & 0x0F; header = ReadByte()) {
			field = static_cast<int16_t>(header >> 4 ? field + (header >> 4) : ReadZigZag());
			read(field, header & 0x0F);
		}
	}

	//! The number of elements, and their type.
	duckdb::pair<uint32_t, uint8_t> ReadListHeader() {
		auto header = ReadByte();
		auto count = header >> 4 == 15 ? ReadSize() : header >> 4;
		return {count, header & 0x0F};
	}

	void Skip(uint8_t type, duckdb::idx_t depth) {
		if (depth > MAX_SKIPPED_DEPTH) {
			throw Malformed();
		}
		switch (type) {
		case IS_TRUE:
		case IS_FALSE:
			break;
		case BYTE:
			ReadByte();
			break;
		case I16:
		case I32:
		case I64:
			ReadVarint();
			break;
		case DOUBLE:
			SkipBytes(8);
			break;
		case BINARY:
			SkipBytes(ReadSize());
			break;
		case LIST:
		case SET:
			SkipElements(ReadListHeader(), depth);
			break;
		case MAP:
			SkipEntries(depth);
			break;
		case STRUCT:
			ReadStruct([&](int16_t, uint8_t field_type) { Skip(field_type, depth + 1); });
			break;
		default:
			throw Malformed();
		}
	}

	//! In lists and maps, a boolean is a byte.
	void SkipElement(uint8_t type, duckdb::idx_t depth) {
		Skip(type == IS_TRUE || type == IS_FALSE ? static_cast<uint8_t>(BYTE) : type, depth + 1);
	}

	void SkipElements(duckdb::pair<uint32_t, uint8_t> header, duckdb::idx_t depth) {
		for (uint64_t index = 0; index < header.first; index++) {
			SkipElement(header.second, depth);
		}
	}

	void SkipEntries(duckdb::idx_t depth) {
		auto count = ReadSize();
		auto types = count ? ReadByte() : 0;
		for (uint64_t index = 0; index < count; index++) {
			SkipElement(types >> 4, depth);
			SkipElement(types & 0x0F, depth);
		}
	}

	bool IsSchemaTooDeep() {
		auto header = ReadListHeader();
		// How many children are missing of each node on the path to the next one.
		duckdb::vector<int64_t> missing;
		bool deep = false;
		for (uint64_t index = 0; index < header.first; index++) {
			while (!missing.empty() && missing.back() == 0) {
				missing.pop_back();
			}
			if (!missing.empty()) {
				missing.back()--;
			}
			missing.push_back(ReadChildCount());
			deep |= missing.size() > MAX_DEPTH;
		}
		return deep;
	}

	int64_t ReadChildCount() {
		int64_t children = 0;
		ReadStruct([&](int16_t field, uint8_t type) {
			if (field == 5 && type == I32) {
				children = duckdb::MaxValue<int32_t>(ReadZigZag(), 0);
			} else {
				Skip(type, 0);
			}
		});
		return children;
	}

	duckdb::const_data_ptr_t position;
	duckdb::const_data_ptr_t end;
};

} // namespace merganser
