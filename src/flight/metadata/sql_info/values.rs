//! The values of GetSqlInfo. Plain data.

use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction,
    SqlSupportedUnions, SqlSupportsConvert as Convert, SqlTransactionIsolationLevel, SupportedSqlGrammar,
};

use super::functions;

/// A value, by the type that the protocol assigns to its code.
#[derive(Debug)]
pub enum Value {
    /// A string.
    Text(&'static str),
    /// A Boolean.
    Flag(bool),
    /// A 64-bit number.
    Long(i64),
    /// A number or a bit set.
    Int(i32),
    /// A list of names.
    Words(&'static [&'static str]),
    /// The keywords of DuckDB's parser.
    Keywords,
    /// The maximum duration of a statement.
    StatementTimeout,
    /// The maximum idle time of a transaction.
    TransactionTimeout,
    /// The supported casts between types.
    Conversions,
}

use Value::{Conversions, Flag, Int, Keywords, Long, StatementTimeout, Text, TransactionTimeout, Words};

/// There is no limit, or it is unknown.
const NO_LIMIT: Value = Long(0);
const NONE: Value = Int(0);
/// Clients of the DuckDB family recognise the server by this form.
const VERSION: &str = "duckdb v1.5.5";
/// A transaction reads one snapshot and fails if another changed the same rows first. Two transactions that read what
/// the other writes may both commit, so it is not serializable; of the levels in the protocol, this is the highest that
/// is true.
const ISOLATION: SqlTransactionIsolationLevel = SqlTransactionIsolationLevel::SqlTransactionRepeatableRead;

/// All values, sorted by code. Custom codes must not be included: JDBC fails on codes that it does not know.
pub const VALUES: &[(SqlInfo, Value)] = &[
    (SqlInfo::FlightSqlServerName, Text(env!("CARGO_PKG_NAME"))),
    (SqlInfo::FlightSqlServerVersion, Text(VERSION)),
    (SqlInfo::FlightSqlServerArrowVersion, Text(arrow::ARROW_VERSION)),
    (SqlInfo::FlightSqlServerReadOnly, Flag(false)),
    (SqlInfo::FlightSqlServerSql, Flag(true)),
    (SqlInfo::FlightSqlServerSubstrait, Flag(false)),
    (SqlInfo::FlightSqlServerSubstraitMinVersion, Text("")),
    (SqlInfo::FlightSqlServerSubstraitMaxVersion, Text("")),
    (SqlInfo::FlightSqlServerTransaction, Int(SqlSupportedTransaction::Transaction as i32)),
    (SqlInfo::FlightSqlServerCancel, Flag(true)),
    (SqlInfo::FlightSqlServerBulkIngestion, Flag(true)),
    (SqlInfo::FlightSqlServerIngestTransactionsSupported, Flag(true)),
    (SqlInfo::FlightSqlServerStatementTimeout, StatementTimeout),
    (SqlInfo::FlightSqlServerTransactionTimeout, TransactionTimeout),
    (SqlInfo::SqlDdlCatalog, Flag(false)),
    (SqlInfo::SqlDdlSchema, Flag(true)),
    (SqlInfo::SqlDdlTable, Flag(true)),
    // Names keep the case in which they were written, quoted or not, and are compared case-insensitively.
    (SqlInfo::SqlIdentifierCase, Int(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32)),
    (SqlInfo::SqlIdentifierQuoteChar, Text("\"")),
    (SqlInfo::SqlQuotedIdentifierCase, Int(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32)),
    (SqlInfo::SqlAllTablesAreSelectable, Flag(true)),
    (SqlInfo::SqlNullOrdering, Int(SqlNullOrdering::SqlNullsSortedAtEnd as i32)),
    (SqlInfo::SqlKeywords, Keywords),
    (SqlInfo::SqlNumericFunctions, Words(functions::NUMERIC)),
    (SqlInfo::SqlStringFunctions, Words(functions::STRING)),
    (SqlInfo::SqlSystemFunctions, Words(functions::SYSTEM)),
    (SqlInfo::SqlDatetimeFunctions, Words(functions::DATETIME)),
    (SqlInfo::SqlSearchStringEscape, Text("\\")),
    (SqlInfo::SqlExtraNameCharacters, Text("$")),
    (SqlInfo::SqlSupportsColumnAliasing, Flag(true)),
    (SqlInfo::SqlNullPlusNullIsNull, Flag(true)),
    (SqlInfo::SqlSupportsConvert, Conversions),
    (SqlInfo::SqlSupportsTableCorrelationNames, Flag(true)),
    (SqlInfo::SqlSupportsDifferentTableCorrelationNames, Flag(false)),
    (SqlInfo::SqlSupportsExpressionsInOrderBy, Flag(true)),
    (SqlInfo::SqlSupportsOrderByUnrelated, Flag(true)),
    (
        SqlInfo::SqlSupportedGroupBy,
        Int(bits(&[
            SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
            SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
        ])),
    ),
    (SqlInfo::SqlSupportsLikeEscapeClause, Flag(true)),
    (SqlInfo::SqlSupportsNonNullableColumns, Flag(true)),
    (
        SqlInfo::SqlSupportedGrammar,
        Int(bits(&[SupportedSqlGrammar::SqlMinimumGrammar as i32, SupportedSqlGrammar::SqlCoreGrammar as i32])),
    ),
    // The entry level, ANSI92_ENTRY_SQL.
    (SqlInfo::SqlAnsi92SupportedLevel, Int(bits(&[0]))),
    // The lake has no keys.
    (SqlInfo::SqlSupportsIntegrityEnhancementFacility, Flag(false)),
    // The protocol calls it an ordinal; JDBC and the builder of the reference implementation treat it as bits.
    (
        SqlInfo::SqlOuterJoinsSupportLevel,
        Int(bits(&[
            SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32,
            SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
        ])),
    ),
    (SqlInfo::SqlSchemaTerm, Text("schema")),
    (SqlInfo::SqlProcedureTerm, Text("procedure")),
    (SqlInfo::SqlCatalogTerm, Text("catalog")),
    (SqlInfo::SqlCatalogAtStart, Flag(true)),
    // There are no procedures, indexes and privileges in which a schema or catalog could be named.
    (SqlInfo::SqlSchemasSupportedActions, NONE),
    (SqlInfo::SqlCatalogsSupportedActions, NONE),
    (SqlInfo::SqlSupportedPositionedCommands, NONE),
    (SqlInfo::SqlSelectForUpdateSupported, Flag(false)),
    (SqlInfo::SqlStoredProceduresSupported, Flag(false)),
    (
        SqlInfo::SqlSupportedSubqueries,
        Int(bits(&[
            SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
            SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
            SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
            SqlSupportedSubqueries::SqlSubqueriesInQuantifieds as i32,
        ])),
    ),
    (SqlInfo::SqlCorrelatedSubqueriesSupported, Flag(true)),
    (
        SqlInfo::SqlSupportedUnions,
        Int(bits(&[SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32])),
    ),
    (SqlInfo::SqlMaxBinaryLiteralLength, NO_LIMIT),
    (SqlInfo::SqlMaxCharLiteralLength, NO_LIMIT),
    (SqlInfo::SqlMaxColumnNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxColumnsInGroupBy, NO_LIMIT),
    (SqlInfo::SqlMaxColumnsInIndex, NO_LIMIT),
    (SqlInfo::SqlMaxColumnsInOrderBy, NO_LIMIT),
    (SqlInfo::SqlMaxColumnsInSelect, NO_LIMIT),
    (SqlInfo::SqlMaxColumnsInTable, NO_LIMIT),
    (SqlInfo::SqlMaxConnections, NO_LIMIT),
    (SqlInfo::SqlMaxCursorNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxIndexLength, NO_LIMIT),
    (SqlInfo::SqlDbSchemaNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxProcedureNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxCatalogNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxRowSize, NO_LIMIT),
    (SqlInfo::SqlMaxRowSizeIncludesBlobs, Flag(true)),
    (SqlInfo::SqlMaxStatementLength, NO_LIMIT),
    (SqlInfo::SqlMaxStatements, NO_LIMIT),
    (SqlInfo::SqlMaxTableNameLength, NO_LIMIT),
    (SqlInfo::SqlMaxTablesInSelect, NO_LIMIT),
    (SqlInfo::SqlMaxUsernameLength, NO_LIMIT),
    // The protocol's comment specifies 32 bits, on which JDBC fails.
    (SqlInfo::SqlDefaultTransactionIsolation, Long(ISOLATION as i64)),
    (SqlInfo::SqlTransactionsSupported, Flag(true)),
    (SqlInfo::SqlSupportedTransactionsIsolationLevels, Int(bits(&[ISOLATION as i32]))),
    (SqlInfo::SqlDataDefinitionCausesTransactionCommit, Flag(false)),
    (SqlInfo::SqlDataDefinitionsInTransactionsIgnored, Flag(false)),
    (SqlInfo::SqlSupportedResultSetTypes, Int(bits(&[SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32]))),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, NONE),
    (
        SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
        Int(bits(&[SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32])),
    ),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, NONE),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, NONE),
    (SqlInfo::SqlBatchUpdatesSupported, Flag(true)),
    (SqlInfo::SqlSavepointsSupported, Flag(false)),
    (SqlInfo::SqlNamedParametersSupported, Flag(false)),
    (SqlInfo::SqlLocatorsUpdateCopy, Flag(false)),
    (SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, Flag(false)),
];

/// The bits of these numbers.
const fn bits(numbers: &[i32]) -> i32 {
    let mut bits = 0;
    let mut at = 0;
    while at < numbers.len() {
        bits |= 1 << numbers[at];
        at += 1;
    }
    bits
}

const TEXTS: &[Convert] = &[Convert::SqlConvertChar, Convert::SqlConvertLongvarchar, Convert::SqlConvertVarchar];
const NUMBERS: &[Convert] = &[
    Convert::SqlConvertBigint,
    Convert::SqlConvertBit,
    Convert::SqlConvertDecimal,
    Convert::SqlConvertFloat,
    Convert::SqlConvertInteger,
    Convert::SqlConvertNumeric,
    Convert::SqlConvertReal,
    Convert::SqlConvertSmallint,
    Convert::SqlConvertTinyint,
];
const BYTES: &[Convert] = &[Convert::SqlConvertBinary, Convert::SqlConvertLongvarbinary, Convert::SqlConvertVarbinary];
const INTERVALS: &[Convert] = &[Convert::SqlConvertIntervalDayTime, Convert::SqlConvertIntervalYearMonth];
const DAYS: &[Convert] = &[Convert::SqlConvertDate, Convert::SqlConvertTimestamp];
const CLOCK: &[Convert] = &[Convert::SqlConvertTime];

/// The casts that CAST supports, by the types of SQL interfaces: from one to many.
pub fn conversions() -> Vec<(i32, Vec<i32>)> {
    let everything = [TEXTS, NUMBERS, BYTES, INTERVALS, DAYS, CLOCK].concat();
    let reach = |from: Convert| match from {
        from if TEXTS.contains(&from) => everything.clone(),
        from if NUMBERS.contains(&from) => [TEXTS, NUMBERS].concat(),
        from if BYTES.contains(&from) => [TEXTS, BYTES].concat(),
        from if INTERVALS.contains(&from) => [TEXTS, INTERVALS].concat(),
        Convert::SqlConvertTimestamp => [TEXTS, DAYS, CLOCK].concat(),
        from if DAYS.contains(&from) => [TEXTS, DAYS].concat(),
        _ => [TEXTS, CLOCK].concat(),
    };
    let mut all: Vec<_> = everything.iter().map(|from| (*from as i32, sorted(reach(*from)))).collect();
    all.sort_unstable();
    all
}

fn sorted(types: Vec<Convert>) -> Vec<i32> {
    let mut codes: Vec<_> = types.into_iter().map(|kind| kind as i32).collect();
    codes.sort_unstable();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DUCKDB_VERSION;

    #[test]
    fn codes_are_sorted_and_none_stands_twice() {
        assert!(VALUES.windows(2).all(|pair| (pair[0].0 as u32) < pair[1].0 as u32));
    }

    #[test]
    fn the_version_is_that_of_the_engine() {
        assert_eq!(VERSION, format!("duckdb {DUCKDB_VERSION}"));
    }
}
