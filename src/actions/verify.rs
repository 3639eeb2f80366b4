//! `verify`: compares the rows of exports, tables and queries.

use super::{
    action::{self, Action, Call, JobContext},
    events::Events,
    export::check_rows,
};
use crate::{
    error::{Error, Result},
    export::{Comparison, Difference, Rows, Side, Verification},
    lake::table::TableRef,
    proto::{VerifyRequest, VerifyResult, verify_request, verify_result},
};

/// The default number of differences.
const DIFFERENCES: u32 = 10;
/// The highest number of differences.
const MAX_DIFFERENCES: u32 = 1000;

/// The action.
#[derive(Debug)]
pub struct Verify(Verification);

// === impl Verify ===

impl Action for Verify {
    const NAME: &'static str = "verify";
    const WRITES: bool = false;
    type Request = VerifyRequest;
    type Response = VerifyResult;

    fn validate(request: VerifyRequest) -> Result<Self> {
        let left = request.left.ok_or_else(|| Error::invalid("\"left\" is missing: an export, a table or a query"))?;
        let most = request.max_differences.unwrap_or(DIFFERENCES);
        if !(1..=MAX_DIFFERENCES).contains(&most) {
            return Err(Error::invalid(format!("\"max_differences\" is between 1 and {MAX_DIFFERENCES}")));
        }
        let right = request.right.map(|right| side("right", right)).transpose()?;
        Ok(Self(Verification { left: side("left", left)?, right, most: most as usize, decode: request.decode_images }))
    }

    fn run(mut self, call: Call<'_, Self>) -> Result<Events> {
        for side in [Some(&mut self.0.left), self.0.right.as_mut()].into_iter().flatten() {
            if let Side::Rows { rows, .. } = side {
                check_rows(&call, rows)?;
            }
        }
        call.job(|job| self.compare(job))
    }
}

impl Verify {
    async fn compare(self, job: JobContext) -> Result<VerifyResult> {
        job.services.exporter.verify(&self.0, &job.author, &job.progress).await.map(result)
    }
}

fn side(name: &str, side: verify_request::Side) -> Result<Side> {
    let at = action::snapshot("at", side.at)?;
    let rows = match side.rows {
        Some(verify_request::side::Rows::Export(_)) if at.is_some() => {
            return Err(Error::invalid(format!(
                "\"{name}\": \"at\" is for tables and queries; an export has its snapshot"
            )));
        }
        Some(verify_request::side::Rows::Export(export)) => return Ok(Side::Export(export)),
        Some(verify_request::side::Rows::Table(table)) => Rows::Table(TableRef::parse(&table)?),
        Some(verify_request::side::Rows::Query(query)) => Rows::Query(query),
        None => return Err(Error::invalid(format!("\"{name}\" is empty: an export, a table or a query"))),
    };
    Ok(Side::Rows { rows, at })
}

fn result(comparison: Comparison) -> VerifyResult {
    let Comparison { rows, images, differences } = comparison;
    let differences = differences.into_iter();
    let differences: Vec<_> = differences
        .map(|Difference { row, column, left, right }| verify_result::Difference { row, column, left, right })
        .collect();
    VerifyResult { equal: differences.is_empty(), rows, differences, images }
}
