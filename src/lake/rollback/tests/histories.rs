//! Random histories of several tables, rolled back at random, against a copy of every snapshot's content.
