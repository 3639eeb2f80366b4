//! How deeply values may be nested for DuckDB's recursive functions, and how deeply texts are.

#pragma once

#include "duckdb.hpp"

namespace merganser {

constexpr duckdb::idx_t MAX_DEPTH = 1000;

//! The nesting of brackets outside of strings, in a text that comes in pieces.
class Nesting {
public:
	//! Whether brackets are nested deeper than MAX_DEPTH in the next piece, where it stops.
	bool IsTooDeep(const char *text, duckdb::idx_t size) {
		for (duckdb::idx_t index = 0; index < size && depth <= MAX_DEPTH; index++) {
			Read(text[index]);
		}
		return depth > MAX_DEPTH;
	}

	//! Reads a character. Whether it closes a bracket.
	bool Read(char character) {
		if (escaped) {
			escaped = false;
			return false;
		}
		switch (character) {
		case '"':
			quoted = !quoted;
			return false;
		case '\\':
			escaped = quoted;
			return false;
		case '[':
		case '{':
		case '(':
			depth += quoted ? 0 : 1;
			return false;
		case ']':
		case '}':
		case ')':
			if (quoted || depth == 0) {
				return false;
			}
			depth--;
			return true;
		default:
			return false;
		}
	}

	duckdb::idx_t Depth() const {
		return depth;
	}

private:
	duckdb::idx_t depth = 0;
	bool quoted = false;
	bool escaped = false;
};

} // namespace merganser
