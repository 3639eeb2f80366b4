//! Commits small INSERTs of many sessions as one statement.
//!
//! A commit to the lake takes about ten milliseconds and an INSERT writes a file, however small it is. So while one
//! INSERT into a table is running, those that arrive wait for its end, and are then combined: their rows are
//! concatenated in the VALUES of one statement, and each is acknowledged once the commit of all is durable. An INSERT
//! without concurrent ones does not wait; one with concurrent ones gives the previous members a short time to return.
//!
//! ```text
//! INSERT INTO t VALUES (?, 'a')  ┐
//! INSERT INTO t VALUES (2, $1)   ├─▶ INSERT INTO t VALUES ($1, 'a'), (2, $2), (3, 'c')
//! INSERT INTO t VALUES (3, 'c')  ┘
//! ```
//!
//! DuckDB casts each value in VALUES to its column separately, so that they mean the same as alone. If they fail
//! together, each runs alone after all, so that none receives another's error.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::SchemaRef,
};
use parking_lot::{Condvar, Mutex};

use super::bulk::Written;
use crate::{
    engine::{Connection, Parameters, Value},
    error::{Error, Result},
    ids::SnapshotId,
    sql::{InsertSource, InsertValues, ParsedStatement},
};

/// The maximum size of the SQL text of values that counts as small, in bytes, and the maximum number of parameters.
const MAX_TEXT: usize = 16 << 10;
const MAX_PARAMETERS: usize = 1_000;
/// The maximum number of INSERTs that are combined.
const MAX_MEMBERS: usize = 256;
/// How often a waiting INSERT checks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(20);

/// How long the next leader waits for the members that were just committed, as a fraction of the time that they took:
/// otherwise writers would alternate in two halves, each waiting for the other.
const GATHER_PART: u32 = 3;

/// The waiting INSERTs, by what they must have in common.
#[derive(Debug, Default)]
pub struct Groups {
    waiting: Mutex<HashMap<Key, VecDeque<Member>>>,
    /// Notified when another INSERT waits.
    came: Condvar,
}

/// The author of a commit, and its message if a session sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The author.
    pub author: String,
    /// The commit message that the session sets.
    pub message: Option<String>,
}

/// What combined INSERTs have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The author of the commit, and the commit message of their sessions.
    signature: Signature,
    /// The setup of the connection, which affects names and values.
    set_up: Option<String>,
    /// `INSERT INTO t (a, b)`.
    head: String,
}

/// An INSERT that may be combined with others.
#[derive(Clone, Debug)]
pub struct SmallInsert {
    key: Key,
    rows: Arc<Rows>,
}

/// The values of one INSERT.
#[derive(Debug)]
struct Rows {
    insert: InsertValues,
    /// One row of parameters, if there are any.
    parameters: Option<RecordBatch>,
}

/// A waiting INSERT.
#[derive(Debug)]
struct Member {
    rows: Arc<Rows>,
    word: Sender<Word>,
}

/// The notification of a member.
enum Word {
    /// It runs next, for all that wait, now or soon.
    Lead(Expected),
    /// Another one ran on its behalf.
    Done(Result<Committed>),
    /// They failed together.
    Alone,
}

/// The INSERTs that are expected to wait soon.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// The number of INSERTs that will probably be combined.
    number: usize,
    /// How long it is worthwhile to wait for them.
    until: Instant,
}

/// A commit of several INSERTs.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The columns of an INSERT's result.
    pub schema: SchemaRef,
    /// The snapshot that it created.
    pub snapshot_id: SnapshotId,
}

/// How an INSERT continues.
#[derive(Debug)]
pub enum Joined<'g> {
    /// It has run.
    Done(Result<Committed>),
    /// It runs by itself; others wait until the lead, if it has one, is dropped.
    Alone(Option<Lead<'g>>),
}

/// The right to run, among all INSERTs with the same key. Dropping it lets the next one run.
#[derive(Debug)]
pub struct Lead<'g> {
    groups: &'g Groups,
    key: Key,
    since: Instant,
    /// The number of INSERTs that were combined.
    number: usize,
}

/// Several INSERTs as one statement.
#[derive(Debug)]
pub struct Together {
    /// The statement.
    pub sql: String,
    /// The values of its parameters.
    pub parameters: Vec<Value>,
    head: String,
    count: usize,
}

// === impl SmallInsert ===

impl SmallInsert {
    /// A statement as an INSERT that may be combined with others; `None` if it must run alone.
    pub fn of(
        statement: &ParsedStatement,
        parameters: Option<&RecordBatch>,
        signature: &Signature,
        set_up: Option<String>,
    ) -> Option<Self> {
        let one_row = parameters.is_none_or(|rows| rows.num_rows() == 1 && rows.num_columns() <= MAX_PARAMETERS);
        if statement.text().len() > MAX_TEXT || !one_row {
            return None;
        }
        let insert = statement.insert_values().filter(|insert| insert.source == InsertSource::Values)?;
        // With too few or too many of them it must fail, and not take those of another one.
        if insert.parameters() != parameters.map_or(0, RecordBatch::num_columns) {
            return None;
        }
        let key = Key { signature: signature.clone(), set_up, head: insert.head.clone() };
        Some(Self { key, rows: Arc::new(Rows { insert, parameters: parameters.cloned() }) })
    }

    /// The result of one that was combined with others.
    ///
    /// # Errors
    /// Internal if DuckDB's result is not a count.
    pub fn written(&self, schema: SchemaRef) -> Result<Written> {
        let count = i64::try_from(self.rows.insert.rows.len()).unwrap_or(i64::MAX);
        let batch = RecordBatch::try_new(SchemaRef::clone(&schema), vec![Arc::new(Int64Array::from(vec![count]))])
            .map_err(|err| Error::internal("count inserted rows").with_source(err))?;
        Ok(Written { schema, batches: vec![batch], changed: self.rows.insert.rows.len() as u64 })
    }
}

// === impl Groups ===

impl Groups {
    /// Runs `insert`, or waits until another one has run it: `commit` is called with several INSERTs as one statement,
    /// and returns whether its failure applies to all.
    pub fn join(
        &self,
        insert: &SmallInsert,
        connection: &Connection,
        commit: impl FnOnce(&Together) -> Result<Committed, Failure>,
    ) -> Joined<'_> {
        let (lead, others) = match self.enter(insert) {
            Ok(lead) => return Joined::Alone(Some(lead)),
            Err(words) => match self.wait(insert, connection, &words) {
                Word::Lead(expected) => Lead::with_others(self, &insert.key, expected),
                Word::Done(outcome) => return Joined::Done(outcome),
                Word::Alone => return Joined::Alone(None),
            },
        };
        if others.is_empty() {
            return Joined::Alone(Some(lead));
        }
        let rows = std::iter::once(&insert.rows).chain(others.iter().map(|other| &other.rows));
        let outcome = Together::of(&insert.key.head, rows).map_err(|_| Failure::OfOne).and_then(|all| commit(&all));
        for other in &others {
            // The receiver still waits.
            let _ = other.word.send(match &outcome {
                Ok(committed) => Word::Done(Ok(committed.clone())),
                Err(Failure::OfAll(err)) => Word::Done(Err(Error::new(err.kind(), err.message()))),
                Err(Failure::OfOne) => Word::Alone,
            });
        }
        match outcome {
            Ok(committed) => Joined::Done(Ok(committed)),
            Err(Failure::OfAll(err)) => Joined::Done(Err(err)),
            Err(Failure::OfOne) => Joined::Alone(Some(lead)),
        }
    }

    /// The lead, if no INSERT with the same key is running; otherwise the receiver of its notification.
    fn enter(&self, insert: &SmallInsert) -> std::result::Result<Lead<'_>, Receiver<Word>> {
        let mut groups = self.waiting.lock();
        let Some(waiting) = groups.get_mut(&insert.key) else {
            groups.insert(insert.key.clone(), VecDeque::new());
            return Ok(Lead { groups: self, key: insert.key.clone(), since: Instant::now(), number: 1 });
        };
        let (word, words) = mpsc::channel();
        waiting.push_back(Member { rows: Arc::clone(&insert.rows), word });
        self.came.notify_all();
        Err(words)
    }

    fn wait(&self, insert: &SmallInsert, connection: &Connection, words: &Receiver<Word>) -> Word {
        loop {
            match words.recv_timeout(LOOK) {
                Ok(word) => return word,
                Err(RecvTimeoutError::Disconnected) => {
                    let text = "the server failed during the write: check whether the rows exist before repeating it";
                    return Word::Done(Err(Error::internal(text)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(err) = connection.check_interrupted()
                        && self.leave(insert)
                    {
                        return Word::Done(Err(err));
                    }
                }
            }
        }
    }

    /// Leaves the queue; returns false if it is not in it any more, and will be notified shortly.
    fn leave(&self, insert: &SmallInsert) -> bool {
        let mut groups = self.waiting.lock();
        let Some(waiting) = groups.get_mut(&insert.key) else { return false };
        let before = waiting.len();
        waiting.retain(|member| !Arc::ptr_eq(&member.rows, &insert.rows));
        waiting.len() < before
    }
}

// === impl Lead ===

impl<'g> Lead<'g> {
    /// The lead of the INSERTs that wait for it, once the expected ones have arrived.
    fn with_others(groups: &'g Groups, key: &Key, expected: Expected) -> (Self, Vec<Member>) {
        let mut lead = Self { groups, key: key.clone(), since: Instant::now(), number: 1 };
        let mut all = groups.waiting.lock();
        loop {
            let count = all.get(key).map_or(0, VecDeque::len).min(MAX_MEMBERS - 1);
            if count + 1 >= expected.number || groups.came.wait_until(&mut all, expected.until).timed_out() {
                break;
            }
        }
        let waiting = all.entry(key.clone()).or_default();
        let count = waiting.len().min(MAX_MEMBERS - 1);
        lead.number += count;
        let others = waiting.drain(..count).collect();
        lead.since = Instant::now();
        (lead, others)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut groups = self.groups.waiting.lock();
        let until = Instant::now() + self.since.elapsed() / GATHER_PART;
        let waiting = groups.get_mut(&self.key);
        let number = self.number + waiting.as_ref().map_or(0, |waiting| waiting.len());
        while let Some(next) = groups.get_mut(&self.key).and_then(VecDeque::pop_front) {
            if next.word.send(Word::Lead(Expected { number, until })).is_ok() {
                return;
            }
        }
        groups.remove(&self.key);
    }
}

/// Why combined INSERTs failed.
#[derive(Debug)]
pub enum Failure {
    /// One of them may be the cause; nothing is committed.
    OfOne,
    /// The commit of all failed, or its outcome is unknown.
    OfAll(Error),
}

// === impl Together ===

impl Together {
    /// The commit message.
    pub fn summary(&self) -> String {
        let head = crate::sql::parse_one(&self.head).map(|head| head.summary()).unwrap_or_default();
        format!("{head} ({} statements)", self.count)
    }

    fn of<'r>(head: &str, all: impl Iterator<Item = &'r Arc<Rows>>) -> Result<Self> {
        let (mut sql, mut parameters, mut count) = (format!("{head} VALUES "), Vec::new(), 0);
        for (index, rows) in all.enumerate() {
            if index > 0 {
                sql += ", ";
            }
            sql += &rows.numbered(parameters.len());
            if let Some(batch) = &rows.parameters {
                parameters.extend(Parameters::new(batch)?.values(0)?);
            }
            count += 1;
        }
        Ok(Self { sql, parameters, head: head.to_owned(), count })
    }
}

// === impl Rows ===

impl Rows {
    /// `(?, 'a'), (2, $1)`, with the numbers of their parameters following the first `taken`.
    fn numbered(&self, taken: usize) -> String {
        let row = |row: &crate::sql::Expressions| {
            format!("({})", row.with_parameters(|number| format!("${}", taken + number)))
        };
        self.insert.rows.iter().map(row).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str, parameters: Option<&RecordBatch>) -> Option<SmallInsert> {
        let signature = Signature { author: "somebody".into(), message: None };
        SmallInsert::of(&crate::sql::parse_one(sql).unwrap(), parameters, &signature, None)
    }

    fn small(sql: &str) -> Option<SmallInsert> {
        of(sql, None)
    }

    fn together(texts: &[&str]) -> String {
        let all: Vec<_> = texts.iter().map(|sql| small(sql).unwrap()).collect();
        Together::of(&all[0].key.head, all.iter().map(|insert| &insert.rows)).unwrap().sql
    }

    #[test]
    fn rows_stand_behind_one_another() {
        let texts = ["INSERT INTO t VALUES (1, 'it''s ?'), (2, DEFAULT)", "INSERT INTO t VALUES ( (3), upper('x') );"];
        assert_eq!(together(&texts), "INSERT INTO t VALUES (1, 'it''s ?'), (2, DEFAULT), ((3), upper('x'))");
        assert_eq!(small(texts[0]).unwrap().rows.insert.rows.len(), 2);
    }

    #[test]
    fn parameters_are_numbered_through() {
        let rows = |sql: &str| {
            let insert = crate::sql::parse_one(sql).unwrap().insert_values().unwrap();
            Rows { insert, parameters: None }.numbered(3)
        };
        assert_eq!(rows("INSERT INTO t VALUES (?, 1), (?, 2)"), "($4, 1), ($5, 2)");
        assert_eq!(rows("INSERT INTO t VALUES ($2, $1, $2)"), "($5, $4, $5)");
    }

    #[test]
    fn who_has_other_parameters_than_its_text_goes_alone() {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let parameters = |count: usize| {
            let columns = (0..count).map(|index| (index.to_string(), Arc::clone(&column)));
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let of = |sql, count| of(sql, Some(&parameters(count)));
        for sql in ["INSERT INTO t VALUES (?, ?)", "INSERT INTO t VALUES ($2, $1)"] {
            assert!(of(sql, 2).is_some(), "{sql}");
            assert!(of(sql, 1).is_none() && of(sql, 3).is_none() && small(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn what_depends_on_more_than_its_values_goes_alone() {
        for sql in [
            "INSERT INTO t SELECT 1",
            "INSERT INTO t VALUES ((SELECT max(i) FROM t))",
            "INSERT INTO t VALUES (1) RETURNING i",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO t BY NAME VALUES (1)",
            "INSERT INTO t VALUES (1) , 2",
            "INSERT INTO t VALUES (1",
            "UPDATE t SET i = 1",
        ] {
            assert!(small(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn one_leads_and_the_rest_wait_in_line() {
        let groups = Groups::default();
        let (first, second, third) =
            (small("INSERT INTO t VALUES (1)"), small("INSERT INTO t VALUES (2)"), small("INSERT INTO t VALUES (3)"));
        let lead = groups.enter(&first.unwrap()).unwrap();
        let second = second.unwrap();
        let waits = groups.enter(&second).unwrap_err();
        let third = groups.enter(&third.unwrap()).unwrap_err();
        assert!(groups.enter(&small("INSERT INTO u VALUES (1)").unwrap()).is_ok());
        assert!(groups.leave(&second));
        assert!(!groups.leave(&second));
        drop(lead);
        assert!(waits.try_recv().is_err());
        assert!(matches!(third.try_recv(), Ok(Word::Lead(_))));
    }

    #[test]
    fn the_line_goes_on_when_one_in_it_is_gone() {
        let groups = Groups::default();
        let insert = |i: u32| small(&format!("INSERT INTO t VALUES ({i})")).unwrap();
        let lead = groups.enter(&insert(1)).unwrap();
        drop(groups.enter(&insert(2)).unwrap_err());
        let third = groups.enter(&insert(3)).unwrap_err();
        drop(lead);
        assert!(matches!(third.try_recv(), Ok(Word::Lead(_))));
        drop(Lead { groups: &groups, key: insert(3).key, since: Instant::now(), number: 1 });
        assert!(groups.waiting.lock().is_empty());
    }
}
