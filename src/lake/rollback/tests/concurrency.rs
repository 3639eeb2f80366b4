//! Rollbacks while others write.

use super::*;
use crate::lake::rollback::plan::Plan;

#[test]
fn a_write_in_between_is_a_conflict() {
    let lake = Lake::open();
    let then = lake.run(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        run(connection, &["UPDATE silver.t SET range = 9 WHERE range = 1"]);
        then
    });
    let (engine, handle) = (lake.engine.clone(), lake.runtime.handle().clone());
    let err = lake.run(move |connection| {
        let outcome = connection.transaction(|connection| {
            let plan = Plan::make(connection, &request("t", then), &mut |_, _| {})?;
            let insert = |connection: &Connection| connection.execute("INSERT INTO silver.t VALUES (7)", &[]);
            handle.block_on(engine.run(insert)).unwrap();
            plan.apply(connection)?;
            plan.drop_staged(connection)
        });
        check_clean(connection);
        outcome.unwrap_err()
    });
    assert_eq!(err.kind(), ErrorKind::Conflict, "{err}");
}

#[test]
fn a_rollback_wins_against_a_writer_or_says_conflict() {
    let lake = Lake::open();
    let then = lake.run(|connection| run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]));
    let engine = lake.engine.clone();
    let writer = lake.runtime.spawn(async move {
        let insert = |connection: &Connection| connection.execute("INSERT INTO silver.t VALUES (7)", &[]);
        let mut written = 0;
        while written < 20 {
            match engine.run(insert).await {
                Ok(_) => written += 1,
                Err(err) => assert_eq!(err.kind(), ErrorKind::Conflict, "{err}"),
            }
        }
    });
    let mut restored = 0;
    for _ in 0..4 {
        restored += lake.run(move |connection| match rollback(connection, &request("t", then)) {
            Ok(done) => {
                let head = content(connection, "silver", "t", done.snapshot_id).unwrap();
                assert_eq!(head.rows, content(connection, "silver", "t", then).unwrap().rows);
                1
            }
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Conflict, "{err}");
                0
            }
        });
    }
    lake.runtime.block_on(writer).unwrap();
    lake.run(move |connection| {
        rollback(connection, &request("t", then)).unwrap();
        assert_eq!(content_now(connection, "silver", "t"), content(connection, "silver", "t", then));
        check_clean(connection);
    });
    println!("{restored} of 4 rollbacks beside a writer succeeded");
}
