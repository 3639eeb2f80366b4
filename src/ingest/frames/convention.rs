//! The names of categories, and which boxes count.
//!
//! | | VisDrone | MOTChallenge |
//! |---|---|---|
//! | a box counts if | its score is 1 and its category neither 0 (ignored regions) nor 11 (others) | its confidence is not 0 and its class none of 8 to 13 (distractors, occluders, reflections, crowds) |
//! | and | it has a width and a height above 0 | the same |
//!
//! Sources: <https://github.com/VisDrone/VisDrone2018-MOT-toolkit>, <https://arxiv.org/abs/1603.00831>,
//! <https://arxiv.org/abs/2003.09003>.

/// How a sequence is laid out and annotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As VisDrone's tasks MOT and VID.
    VisDrone,
    /// As `MOTChallenge`.
    Mot,
}

/// The class of boxes of MOTChallenge that name none: pedestrians.
pub const DEFAULT_CLASS: i64 = 1;

/// By category, from 0.
const VISDRONE: [&str; 12] = [
    "ignored regions",
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
    "others",
];

/// By class, from 1.
const MOT: [&str; 13] = [
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
];

// === impl Layout ===

impl Layout {
    /// The name of a category; its number if it has no name.
    pub fn category(self, id: i64) -> String {
        let name = match self {
            Self::VisDrone => usize::try_from(id).ok().and_then(|index| VISDRONE.get(index)),
            Self::Mot => usize::try_from(id - 1).ok().and_then(|index| MOT.get(index)),
        };
        name.map_or_else(|| id.to_string(), |name| (*name).to_owned())
    }

    /// Whether a box of this score and category counts.
    pub fn counts(self, score: f64, category: i64) -> bool {
        match self {
            #[expect(clippy::float_cmp, reason = "the file says 1 or not")]
            Self::VisDrone => score == 1.0 && category != 0 && category != 11,
            Self::Mot => score != 0.0 && !(8..=13).contains(&category),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_count_by_convention() {
        let counted = |layout: Layout, score| (-1..14).filter(|id| layout.counts(score, *id)).collect::<Vec<_>>();
        assert_eq!(counted(Layout::VisDrone, 1.0), [-1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13]);
        assert_eq!(counted(Layout::VisDrone, 0.0), [0_i64; 0]);
        assert_eq!(counted(Layout::VisDrone, 0.5), [0_i64; 0]);
        assert_eq!(counted(Layout::Mot, 1.0), [-1, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(counted(Layout::Mot, 0.4), [-1, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(counted(Layout::Mot, 0.0), [0_i64; 0]);
    }

    #[test]
    fn categories_have_names() {
        assert_eq!(Layout::VisDrone.category(10), "motor");
        assert_eq!(Layout::Mot.category(1), "pedestrian");
        assert_eq!(Layout::Mot.category(13), "crowd");
        assert_eq!(Layout::Mot.category(0), "0");
        assert_eq!(Layout::VisDrone.category(-1), "-1");
    }
}
