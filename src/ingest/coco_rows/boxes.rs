//! The form of boxes: COCO has `[x, y, width, height]`, other data sets `[x1, y1, x2, y2]`, and no file says which.
//!
//! A box must lie in its image, and hold the area that is noted, which is that of the outline or of the box. Each box that
//! fits one form only is a vote for it.

use serde::{Deserialize, Serialize};

use crate::{
    engine::Connection,
    error::{Error, Result},
};

/// How many times as many boxes must fit one form as fit only the other: few boxes are wrong.
const CLEAR: u64 = 100;

/// The form of boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Boxes {
    /// To be found.
    #[default]
    Inferred,
    /// `[x, y, width, height]`.
    Xywh,
    /// `[x1, y1, x2, y2]`: the upper left and the lower right corner.
    Xyxy,
}

#[derive(Deserialize)]
struct Votes {
    boxes: u64,
    xywh: u64,
    xyxy: u64,
    greatest: f64,
}

// === impl Boxes ===

impl Boxes {
    /// This form, or the one of `bbox` in the table `parts`, which has `area`, and `width` and `height` of the image.
    ///
    /// # Errors
    /// `InvalidArgument` if it cannot be told; errors of DuckDB.
    pub(super) fn found(self, connection: &Connection, parts: &str) -> Result<Self> {
        if self != Self::Inferred {
            return Ok(self);
        }
        let Votes { boxes, xywh, xyxy, greatest } = connection.record(&votes(parts), &[])?;
        if boxes > 0 && greatest <= 1.0 {
            return Err(Error::invalid(format!(
                "the boxes are fractions of their images; multiply them by width and height, or {}",
                remedy()
            )));
        }
        match (xywh, xyxy) {
            _ if boxes == 0 => Ok(Self::Xywh),
            (xywh, xyxy) if xywh > 0 && xywh >= xyxy.saturating_mul(CLEAR) => Ok(Self::Xywh),
            (xywh, xyxy) if xyxy > 0 && xyxy >= xywh.saturating_mul(CLEAR) => Ok(Self::Xyxy),
            _ => Err(Error::invalid(format!(
                "it cannot be told whether the boxes are [x, y, width, height] or [x1, y1, x2, y2]: of {boxes}, only the \
                 first fits {xywh}, and only the second {xyxy}; {}",
                remedy()
            ))),
        }
    }

    /// The box `bbox` as `[x, y, width, height]` in SQL.
    pub(super) fn value(self) -> &'static str {
        match self {
            Self::Inferred | Self::Xywh => "bbox",
            Self::Xyxy => {
                "CASE WHEN len(bbox) = 4 THEN [bbox[1], bbox[2], bbox[3] - bbox[1], bbox[4] - bbox[2]] ELSE bbox END"
            }
        }
    }
}

fn remedy() -> &'static str {
    "set \"boxes\" to \"xywh\" or \"xyxy\", or load the columns as they are with \"as_delivered\""
}

/// Whether each box with a size fits one form, up to a pixel and a hundredth.
fn votes(parts: &str) -> String {
    let fits = |right: &str, lower: &str, size: &str| {
        format!(
            "coalesce({right} <= width + 1, true) AND coalesce({lower} <= height + 1, true) \
             AND coalesce(area <= {size} * 1.01 + 1, true)"
        )
    };
    let equal = |size: &str| format!("coalesce(abs(area - {size}) <= {size} * 0.001 + 0.01, false)");
    format!(
        "WITH sizes AS (
            SELECT bbox[1] AS x, bbox[2] AS y, bbox[3] AS c, bbox[4] AS d, width, height,
                CASE WHEN isfinite(area) THEN area END AS area
            FROM {parts}
            WHERE len(bbox) = 4 AND len(list_filter(bbox, lambda n: n IS NULL OR NOT isfinite(n))) = 0
        ),
        fits AS (
            SELECT greatest(x, y, c, d) AS greatest,
                c > 0 AND d > 0 AND {} AS xywh, c > x AND d > y AND {} AS xyxy, {} AS size_xywh, {} AS size_xyxy
            FROM sizes
        )
        SELECT system.main.count(*) FILTER (xywh OR xyxy) AS boxes,
            system.main.count(*) FILTER (xywh AND (NOT xyxy OR (size_xywh AND NOT size_xyxy))) AS xywh,
            system.main.count(*) FILTER (xyxy AND (NOT xywh OR (size_xyxy AND NOT size_xywh))) AS xyxy,
            coalesce(max(greatest), 0)::DOUBLE AS greatest
        FROM fits",
        fits("x + c", "y + d", "c * d"),
        fits("c", "d", "(c - x) * (d - y)"),
        equal("c * d"),
        equal("((c - x) * (d - y))"),
    )
}
