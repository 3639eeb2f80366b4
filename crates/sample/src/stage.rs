//! What every picture begins with: its size, the light, and the ground up to the horizon.

/// The weather, or the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Light {
    /// Sun and a blue sky.
    Sunny,
    /// A grey sky.
    Cloudy,
    /// The sun goes down.
    Dusk,
}

/// A picture in which nothing stands yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// The width in pixels.
    pub(super) width: u32,
    /// The height in pixels.
    pub(super) height: u32,
    /// The light.
    pub(super) light: Light,
    /// Where ground and sky, or floor and wall, meet.
    pub(super) horizon: f64,
}

// === impl Stage ===

impl Stage {
    /// The width, to reckon with.
    pub(super) fn width(&self) -> f64 {
        f64::from(self.width)
    }

    /// The height, to reckon with.
    pub(super) fn height(&self) -> f64 {
        f64::from(self.height)
    }

    /// The ground at a depth between the horizon (0) and the lower edge (1).
    pub(super) fn ground(&self, depth: f64) -> f64 {
        self.horizon + depth * (self.height() - self.horizon)
    }
}
