//! VisDrone's categories.

/// A category, in the order of the ids, which begin with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    /// A region in which nobody is annotated.
    Ignored,
    /// A person who stands or walks.
    Pedestrian,
    /// A person in another pose.
    People,
    /// Without its rider.
    Bicycle,
    /// A car.
    Car,
    /// A van.
    Van,
    /// A truck.
    Truck,
    /// Without a roof.
    Tricycle,
    /// With a roof.
    AwningTricycle,
    /// A bus.
    Bus,
    /// A motorcycle, without its rider.
    Motor,
    /// A vehicle of another kind.
    Others,
}

// === impl Category ===

impl Category {
    /// VisDrone's number.
    pub(super) fn id(self) -> u8 {
        self as u8
    }

    /// Whether boxes of it count in evaluations.
    pub(super) fn counts(self) -> bool {
        !matches!(self, Self::Ignored | Self::Others)
    }
}
