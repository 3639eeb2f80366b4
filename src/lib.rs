pub mod error;
pub mod ids;
pub mod quote;
pub mod lake;
pub mod engine;
